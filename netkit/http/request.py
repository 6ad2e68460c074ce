"""
What a handler is given.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from twisted.internet.interfaces import IAddress

from ..wire.errors import HTTPProtocolError
from ..wire.http import Fields, RequestHead
from ..wire.http.target import split_target

if TYPE_CHECKING:
    from .receiving import ReceivingProtocol

_NO_TRAILERS = Fields()


class Request:
    """
    A request whose head has arrived; its content arrives as it is read.

    @ivar head: the head, as it was parsed.
    @ivar complete: whether all of the request has arrived and was taken.
    @ivar touched: whether any of its content was taken.
    @ivar trailers: the trailer section (RFC 9110 section 6.5); empty before C{complete}.
    """

    __slots__ = ("_connection", "complete", "head", "touched", "trailers")

    def __init__(self, head: RequestHead, connection: ReceivingProtocol) -> None:
        """
        @param head: the head, with which a request without content is complete.
        @param connection: what the request came by.
        """
        self.head = head
        self.complete = not head.framing.has_content
        self.touched = False
        self.trailers = _NO_TRAILERS
        self._connection = connection

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
        return self._connection.transport.getPeer()

    @property
    def content(self) -> RequestContent:
        """
        The content, to be iterated over as it arrives (C{async for}). While nobody does, the
        client is not read from.
        """
        return RequestContent(self)

    async def read(self, limit: int | None = None) -> bytes:
        """
        Read all of the content that was not read yet.

        @param limit: how many octets there may be.
        @raise HTTPProtocolError: 413: there is more; 503: all connections together keep too much
            to take it; or another status: what arrived is not sound. A handler that lets it
            through has the client answered just that.
        """
        if limit is not None and (self.head.framing.content_length or 0) > limit:
            raise _tooLarge(limit)
        pieces = []
        size = 0
        async for piece in self.content:
            size += len(piece)
            if limit is not None and size > limit:
                raise _tooLarge(limit)
            self._connection.keepContent(len(piece))
            pieces.append(piece)
        return b"".join(pieces)

    def _split(self) -> tuple[bytes, bytes]:
        if self.head.method == b"CONNECT":
            return b"", b""
        return split_target(self.head.target)

    def __repr__(self) -> str:
        return f"<Request {self.head!r}>"


class RequestContent:
    """
    The content of a request, piece by piece.
    """

    __slots__ = ("_request",)

    def __init__(self, request: Request) -> None:
        """
        @param request: whose content it is.
        """
        self._request = request

    def __aiter__(self) -> RequestContent:
        return self

    async def __anext__(self) -> bytes:
        request = self._request
        piece = b"" if request.complete else await request._connection.nextContent(request)
        if not piece:
            raise StopAsyncIteration
        return piece


def _tooLarge(limit: int) -> HTTPProtocolError:
    return HTTPProtocolError(f"the content is larger than {limit} octets", 413)
