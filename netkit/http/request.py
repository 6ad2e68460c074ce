"""
What a handler is given.
"""

from __future__ import annotations

import json
from collections.abc import Coroutine
from os import PathLike
from typing import Any
from urllib.parse import parse_qsl

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IAddress, ITransport

from ..wire.errors import HTTPProtocolError
from ..wire.http import Fields, RequestHead
from ..wire.http.target import split_target
from .content import RequestContent
from .forms import Form, FormReader
from .storing import store
from .values import Values

# So many parameters are more than any form has.
_MOST = 1000


def _text(octets: bytes) -> str:
    return octets.strip(b" \t").decode("utf-8", "replace")


class Request:
    """
    A request whose head has arrived; its content arrives as it is read.

    @ivar head: the head, as it was parsed.
    @ivar content: the content, to be read piece by piece (C{async for}).
    @ivar transport: what the request came by.
    """

    __slots__ = ("content", "head", "transport")

    def __init__(self, head: RequestHead, content: RequestContent, transport: ITransport) -> None:
        """
        @param head: the head.
        @param content: the content.
        @param transport: what the request came by.
        """
        self.head = head
        self.content = content
        self.transport = transport

    @property
    def method(self) -> bytes:
        """
        The method, whose case matters.
        """
        return self.head.method

    @property
    def target(self) -> bytes:
        """
        The request target as sent, in whichever form (RFC 9112 section 3.2).
        """
        return self.head.target

    @property
    def path(self) -> bytes:
        """
        The path of the target, still encoded; C{*} for a request about the whole server, empty
        for CONNECT.
        """
        return self._split()[0]

    @property
    def query(self) -> bytes:
        """
        The query of the target, still encoded, without its question mark.
        """
        return self._split()[1]

    @property
    def version(self) -> tuple[int, int]:
        """
        The version of HTTP that the request was sent in.
        """
        return 1, self.head.minor

    @property
    def headers(self) -> Fields:
        """
        The header section: order, case and duplicates as sent.
        """
        return self.head.fields

    @property
    def rawHead(self) -> bytes:
        """
        The octets of the head as sent, with the empty line that ends it.
        """
        return self.head.raw

    @property
    def takesTrailers(self) -> bool:
        """
        Whether the client takes a trailer section (RFC 9110 section 6.5.1).
        """
        elements = self.headers.elements(b"te")
        return any(element.lower() == b"trailers" for element in elements)

    @property
    def peer(self) -> IAddress:
        """
        Who sent it.
        """
        return self.transport.getPeer()

    @property
    def complete(self) -> bool:
        """
        Whether all of the request has arrived and was taken.
        """
        return self.content.complete

    @property
    def trailers(self) -> Fields:
        """
        The trailer section (RFC 9110 section 6.5); empty before C{complete}.
        """
        return self.content.trailers

    def read(self, limit: int | None = None) -> Coroutine[Deferred[Any], Any, bytes]:
        """
        Read all of the content that was not read yet.

        @param limit: how many octets there may be.
        @raise HTTPProtocolError: 413: there is more; 503: all connections together keep too much
            to take it; or another status: what arrived is not sound. A handler that lets it
            through has the client answered just that.
        """
        return self.content.read(limit, self.head.framing.content_length or 0)

    async def json(self, limit: int = 2**20) -> Any:
        """
        Read the content, and parse it as JSON.

        @param limit: how many octets it may have.
        @return: what C{json.loads} makes of it.
        @raise HTTPProtocolError: as L{read}; 400: it is no JSON.
        """
        content = await self.read(limit)
        try:
            return json.loads(content)
        except (ValueError, RecursionError) as error:
            raise HTTPProtocolError(f"the content is no JSON: {error}", 400) from error

    async def form(
        self,
        *,
        maxParts: int = 1000,
        maxMemory: int = 2**20,
        maxUploads: int = 100,
        maxUpload: int | None = None,
        folder: str | PathLike[str] | None = None,
    ) -> Form:
        """
        Read the content, and parse it as a form, of either kind that browsers send. Files larger
        than 64 KiB are in temporary files, written by threads. All of the form together is bounded
        by the limit for contents. Forms with files need C{multipart}: C{pip install
        'txnetkit[forms]'}.

        @param maxParts: how many fields and files it may have.
        @param maxMemory: how many octets its fields may have, all of them together.
        @param maxUploads: how many files it may have.
        @param maxUpload: how many octets each file may have.
        @param folder: where the temporary files are; where C{tempfile} has them, by default.
        @raise HTTPProtocolError: as L{read}; 415: it is no form; 400: a malformed one; 413: it is
            more than one of these limits.
        """
        reader = FormReader(
            self.content,
            maxParts=maxParts,
            maxMemory=maxMemory,
            maxUploads=maxUploads,
            maxUpload=maxUpload,
            folder=folder,
        )
        return await reader.read(_text(self.headers.get(b"content-type", b"") or b""))

    async def save(self, path: str | PathLike[str], limit: int | None = None) -> int:
        """
        Read the content into a file, which has its name once it is whole; one that has the name is
        replaced. Threads write.

        @param path: the file.
        @param limit: how many octets there may be.
        @return: how many there were.
        @raise HTTPProtocolError: as L{read}.
        @raise OSError: the file cannot be written.
        """
        return await store(self.content.pieces(limit, self.head.framing.content_length or 0), path)

    @property
    def parameters(self) -> Values:
        """
        The parameters in the query, as HTML forms encode them; octets that are no UTF-8 become
        U+FFFD.

        @raise HTTPProtocolError: 400: there are more than a thousand.
        """
        try:
            return Values(parse_qsl(self.query.decode("latin-1"), True, max_num_fields=_MOST))
        except ValueError as error:
            raise HTTPProtocolError(f"the query has more than {_MOST} parameters", 400) from error

    @property
    def cookies(self) -> Values:
        """
        The cookies that the client sent (RFC 6265 section 4.2).
        """
        pairs = []
        for cookie in b";".join(self.headers.all(b"cookie")).split(b";"):
            name, found, value = cookie.partition(b"=")
            if found:
                pairs.append((_text(name), _text(value).removeprefix('"').removesuffix('"')))
        return Values(pairs)

    def _split(self) -> tuple[bytes, bytes]:
        if self.head.method == b"CONNECT":
            return b"", b""
        return split_target(self.head.target)

    def __repr__(self) -> str:
        return f"<Request {self.head!r}>"
