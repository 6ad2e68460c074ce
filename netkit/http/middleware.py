"""
Functions around handlers: CORS, compression, basic authentication. They show how to write one, and
may be used as they are::

    HTTPFactory(cors(gzipped(handler)))
"""

from __future__ import annotations

import zlib
from base64 import b64decode
from binascii import Error
from collections.abc import AsyncIterable, AsyncIterator, Callable, Collection, Coroutine, Mapping
from functools import partial
from hmac import compare_digest
from typing import Any, TypeAlias

from twisted.web.iweb import IBodyProducer

from ..base.coroutines import resultOf
from .refusals import HTTPError
from .request import Request
from .response import Response, Upgrade
from .settings import Handler, HandlerResult

Wrapped: TypeAlias = Callable[[Request], Coroutine[Any, Any, HandlerResult]]

# What is smaller does not get smaller.
_LEAST = 256

_COMPRESSIBLE = (b"json", b"javascript", b"xml")

# Where a part of something, or nothing, is sent.
_NOT_WHOLE = frozenset({204, 206, 304})


def cors(handler: Handler, origins: Collection[str] | None = None) -> Wrapped:
    """
    Let web pages of other origins read the answers of a handler, and answer what browsers ask
    before (the CORS protocol of the Fetch standard).

    @param handler: what answers.
    @param origins: the origins of the pages, such as C{https://example.com}; any by default.
    """
    allowed = None if origins is None else {origin.encode() for origin in origins}

    def fields(request: Request) -> list[tuple[bytes, bytes]]:
        origin = request.headers.get(b"origin")
        if allowed is None:
            return [(b"access-control-allow-origin", b"*")]
        if origin in allowed and origin is not None:
            return [(b"access-control-allow-origin", origin), (b"vary", b"origin")]
        return [(b"vary", b"origin")]

    async def handle(request: Request) -> HandlerResult:
        asked = request.headers.get(b"access-control-request-method")
        if request.method == b"OPTIONS" and b"origin" in request.headers and asked is not None:
            wanted = request.headers.all(b"access-control-request-headers")
            answer = [*fields(request), (b"access-control-allow-methods", asked)]
            if wanted:
                answer.append((b"access-control-allow-headers", b", ".join(wanted)))
            return Response(204, b"", answer)
        try:
            response = await resultOf(handler, request)
        except HTTPError as error:
            error.headers = [*error.headers, *fields(request)]
            raise
        return _with(response, fields(request))

    return handle


def gzipped(handler: Handler, level: int = 6) -> Wrapped:
    """
    Compress what a handler answers for clients that take it (RFC 9110 section 12.5.3), where it is
    text. What is sent little by little is compressed so, and arrives as soon as before.

    @param handler: what answers.
    @param level: how well: 1 to 9.
    """

    async def handle(request: Request) -> HandlerResult:
        response: HandlerResult = await resultOf(handler, request)
        if not isinstance(response, Response) or not _isCompressible(response):
            return response
        vary = [(b"vary", b"accept-encoding")]
        if not _takesGzip(request):
            return _with(response, vary)
        fields = [
            # What is sent is another representation than what the tag is of.
            (name, b"W/" + value if name.lower() == b"etag" and value[:1] == b'"' else value)
            for name, value in response.headers
        ]
        fields += [(b"content-encoding", b"gzip"), *vary]
        compressor = zlib.compressobj(level, wbits=31)
        content = response.content
        if isinstance(content, bytes) and not response.streamed:
            octets = compressor.compress(content) + compressor.flush()
            return Response(response.status, octets, fields)
        compressed = _compressed(compressor, content)
        return Response(response.status, compressed, fields, trailers=response.trailers)

    return handle


def basicAuth(
    handler: Handler,
    check: Callable[[str, str], Any] | Mapping[str, str],
    realm: str = "netkit",
) -> Wrapped:
    """
    Have a handler answer those alone who give a name and a password (RFC 7617).

    @param handler: what answers.
    @param check: the names with their passwords; or a function that is called with name and
        password and tells whether they are right: at once, by a Deferred or as a coroutine
        function. Have it compare passwords by C{hmac.compare_digest}.
    @param realm: what the browser says that they are for.
    """
    isRight = check if callable(check) else partial(_isAmong, dict(check))
    challenge = [(b"www-authenticate", f'Basic realm="{realm}", charset="UTF-8"'.encode())]

    async def handle(request: Request) -> HandlerResult:
        given = _credentials(request.headers.get(b"authorization", b""))
        if given is None or not await resultOf(isRight, *given):
            raise HTTPError(401, headers=challenge)
        result: HandlerResult = await resultOf(handler, request)
        return result

    return handle


def _with(result: HandlerResult, fields: list[tuple[bytes, bytes]]) -> HandlerResult:
    """
    Have more fields in a response, which may be given to others as well.
    """
    if isinstance(result, Upgrade):
        return result
    for name, value in fields:
        if name != b"vary":
            result.headers.set(name, value)
        elif value not in result.headers.all(name):
            result.headers.add(name, value)
    return result


def _isCompressible(response: Response) -> bool:
    content = response.content
    kind = response.headers.get(b"content-type", b"")
    assert kind is not None
    return not (
        response.status in _NOT_WHOLE
        or b"content-encoding" in response.headers
        or IBodyProducer.providedBy(content)
        or (isinstance(content, bytes) and len(content) < _LEAST)
    ) and (kind.startswith(b"text/") or any(part in kind for part in _COMPRESSIBLE))


def _takesGzip(request: Request) -> bool:
    for element in request.headers.elements(b"accept-encoding"):
        coding, _, parameters = element.lower().partition(b";")
        if coding.strip() in (b"gzip", b"x-gzip", b"*"):
            return parameters.replace(b" ", b"") not in (b"q=0", b"q=0.0", b"q=0.00", b"q=0.000")
    return False


async def _compressed(compressor: Any, content: Any) -> AsyncIterator[bytes]:
    pieces: AsyncIterable[bytes] = _sliced(content) if isinstance(content, bytes) else content
    try:
        async for piece in pieces:
            yield compressor.compress(piece) + compressor.flush(zlib.Z_SYNC_FLUSH)
        yield compressor.flush()
    finally:
        close = getattr(pieces, "aclose", None)
        if close is not None:
            await close()


async def _sliced(content: bytes) -> AsyncIterator[bytes]:
    for start in range(0, len(content), 2**16):
        yield content[start : start + 2**16]


def _isAmong(passwords: Mapping[str, str], name: str, password: str) -> bool:
    known = passwords.get(name)
    # Who is not known takes as long.
    right = compare_digest(password.encode(), (known or "").encode())
    return right and known is not None


def _credentials(value: bytes | None) -> tuple[str, str] | None:
    scheme, _, encoded = (value or b"").partition(b" ")
    if scheme.lower() != b"basic":
        return None
    try:
        name, colon, password = b64decode(encoded.strip(), validate=True).decode().partition(":")
    except (Error, ValueError):
        return None
    return (name, password) if colon else None
