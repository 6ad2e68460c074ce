"""
Files as responses. The reactor never waits for one: threads of its pool do.
"""

from __future__ import annotations

import os
from email.utils import formatdate
from mimetypes import guess_type
from os import PathLike
from stat import S_ISREG
from typing import NamedTuple

from twisted.internet.threads import deferToThread

from ..base.filerange import FileRange
from ..wire.http.conditional import select
from .filecontent import FileContent
from .refusals import HTTPError
from .request import Request
from .response import Headers, Response


async def fileResponse(
    request: Request,
    path: str | PathLike[str],
    *,
    root: str | PathLike[str] | None = None,
    contentType: str | None = None,
    headers: Headers = (),
) -> Response:
    """
    Make a response of a file: with its type, with C{Last-Modified} and C{ETag}, by which clients
    ask for what has changed alone, and in ranges, if they ask for one.

    @param request: the request that is answered.
    @param path: the file.
    @param root: a folder that the file has to be in, once symbolic links are followed, and that
        C{path} is relative to: for paths that clients choose.
    @param contentType: its type; by default, what its name tells.
    @param headers: more fields.
    @raise HTTPError: 404: there is no such file, or it may not be read; 405: the method is neither
        GET nor HEAD.
    """
    if request.method not in (b"GET", b"HEAD"):
        raise HTTPError(405, headers=[(b"allow", b"GET, HEAD")])
    try:
        found = await deferToThread(_find, path, root)
    except (OSError, ValueError) as error:
        raise HTTPError(404) from error
    etag = b'"%x-%x"' % (found.modified, found.size)
    seconds = found.modified // 10**9
    status, start, end = select(request.method, request.headers, etag, seconds, found.size)
    fields = [
        (b"etag", etag),
        (b"last-modified", formatdate(seconds, usegmt=True).encode()),
        (b"accept-ranges", b"bytes"),
        *headers,
    ]
    if status == 416:
        raise HTTPError(416, headers=[(b"content-range", b"bytes */%d" % found.size)])
    if status == 412:
        raise HTTPError(412)
    if status == 304:
        return Response(304, b"", fields)
    fields.append((b"content-type", (contentType or found.type).encode()))
    if status == 206:
        fields.append((b"content-range", b"bytes %d-%d/%d" % (start, end - 1, found.size)))
    content = FileContent(FileRange(found.path, start, end))
    return Response(status, content, fields, length=end - start)


class _Found(NamedTuple):
    path: str
    size: int
    modified: int
    type: str


def _find(path: str | PathLike[str], root: str | PathLike[str] | None) -> _Found:
    real = os.path.realpath(path)
    if root is not None:
        base = os.path.realpath(root)
        real = os.path.realpath(os.path.join(base, os.fspath(path)))
        if os.path.commonpath([base, real]) != base:
            raise FileNotFoundError(f"{path!r} is not in {root!r}")
    status = os.stat(real)
    if not S_ISREG(status.st_mode) or not os.access(real, os.R_OK):
        raise FileNotFoundError(f"{path!r} is no file that can be read")
    return _Found(real, status.st_size, status.st_mtime_ns, _type(real))


def _type(path: str) -> str:
    kind, encoding = guess_type(path)
    if encoding is not None:
        return f"application/{'x-' * (encoding != 'gzip')}{encoding}"
    if kind is None:
        return "application/octet-stream"
    return f"{kind}; charset=utf-8" if kind.startswith("text/") else kind
