"""
What a handler answers.
"""

from __future__ import annotations

from collections.abc import AsyncIterable, Awaitable, Callable, Iterable
from reprlib import repr as shortened

from twisted.internet.interfaces import IProtocol
from twisted.web.iweb import IBodyProducer

from ..wire.errors import LocalProtocolError
from ..wire.http import RequestHead
from ..wire.http.fields import field_pairs
from ..wire.http.framing import has_content
from ..wire.http.response import (
    connection_line,
    encode_response_fields,
    says_length,
    status_line,
)

Headers = Iterable[tuple[bytes, bytes]]

# More content than this is written piece by piece, as the client takes it.
_AT_ONCE = 2**17


class Response:
    """
    A response. One whose content is octets can be given any number of times, to any requests.

    @ivar status: the status.
    @ivar content: the content.
    @ivar length: how many octets it has; C{None} when that is not known.
    @ivar trailers: what makes the trailer section, or C{None}.
    @ivar closes: whether the connection ends with it.
    @ivar streamed: whether the content is written piece by piece.
    """

    __slots__ = (
        "_dateLine",
        "_fields",
        "_hasDate",
        "_octets",
        "_statusLine",
        "closes",
        "content",
        "length",
        "status",
        "streamed",
        "trailers",
    )

    def __init__(
        self,
        status: int = 200,
        content: bytes | AsyncIterable[bytes] | IBodyProducer = b"",
        headers: Headers = (),
        *,
        length: int | None = None,
        trailers: Callable[[], Headers] | None = None,
    ) -> None:
        """
        @param status: the status: 200 to 999.
        @param content: the content: octets; or what they come from while they are sent: an
            asynchronous iterable, or an L{IBodyProducer <twisted.web.iweb.IBodyProducer>}. Either
            is held back while the client does not take what was written.
        @param headers: the names and values of further fields. Content-Length, Transfer-Encoding,
            Connection and Date are written without being asked for; a Date given here is taken,
            and so is C{Connection: close}.
        @param length: how many octets an asynchronous iterable will give, where that is known;
            else it is sent in chunks.
        @param trailers: called when all of a streamed content is sent, it returns the names and
            values of the trailer section (RFC 9110 section 6.5); sent to clients that take one
            (C{TE: trailers}), in front of whom the length is not told then.
        @raise TypeError: an argument is of another kind than these.
        @raise LocalProtocolError: the status or a field cannot be sent.
        """
        if not isinstance(status, int):
            raise TypeError(f"the status is a whole number such as 200, not {shortened(status)}")
        if status < 200:
            raise LocalProtocolError(f"{status} is not the status of a final response")
        self.status = status
        self.content = content
        self.trailers = trailers
        self.closes = self._hasDate = False
        fields = []
        for name, value in field_pairs(headers):
            known = name.lower()
            if known != b"connection":
                fields.append((name, value))
                self._hasDate |= known == b"date"
            elif value.lower() == b"close":
                self.closes = True
            else:
                raise LocalProtocolError(f"{value!r} cannot be the value of {name!r}: close can")
        self._statusLine = status_line(status)
        self._fields = encode_response_fields(fields)
        if status == 205 and content != b"":
            raise LocalProtocolError("205 has no content (RFC 9110 section 15.3.6)")
        if trailers is not None and not callable(trailers):
            raise TypeError(
                "trailers is a function that returns the fields: write "
                f"lambda: {shortened(trailers)}"
            )
        if length is not None and not (isinstance(length, int) and length >= 0):
            raise TypeError(f"the length is a number of octets, not {shortened(length)}")
        self.streamed = True
        if isinstance(content, bytes):
            if length not in (None, len(content)):
                raise LocalProtocolError(f"the content has {len(content)} octets, not {length}")
            length = len(content)
            self.streamed = length > _AT_ONCE or trailers is not None
        elif IBodyProducer.providedBy(content):
            if isinstance(content.length, int):
                length = content.length
        elif not isinstance(content, AsyncIterable):
            raise _noContent(content)
        self.length = length
        # What was last sent on a connection that went on, and the date in it.
        self._octets = b""
        self._dateLine: bytes | None = None

    def encoded(
        self, method: bytes | None, head: RequestHead | None, dateLine: bytes, keepAlive: bool
    ) -> bytes:
        """
        The octets to send, where the content is not streamed.

        @param method: the method of the request that is answered, if that is known.
        @param head: the head of it; C{None} where that could not be understood.
        @param dateLine: the field line that says the date.
        @param keepAlive: whether the connection can carry another request.
        """
        method = method or b"GET"
        hasContent = has_content(method, self.status)
        # The same for all requests but a few, as long as the date is.
        usual = hasContent and keepAlive and head is not None and head.minor > 0
        if usual and self._dateLine is dateLine:
            return self._octets
        octets = self.encodedHead(head, dateLine, keepAlive, self._lengthLine(method))
        if hasContent:
            assert isinstance(self.content, bytes)
            octets += self.content
        if usual:
            self._octets, self._dateLine = octets, dateLine
        return octets

    def encodedHead(
        self, head: RequestHead | None, dateLine: bytes, keepAlive: bool, framingLine: bytes
    ) -> bytes:
        """
        The octets of the head.

        @param head: as for L{encoded}.
        @param dateLine: as for L{encoded}.
        @param keepAlive: as for L{encoded}.
        @param framingLine: the field line that says how the content is framed.
        """
        return b"%b%b%b%b%b\r\n" % (
            self._statusLine,
            b"" if self._hasDate else dateLine,
            connection_line(head, keepAlive),
            self._fields,
            framingLine,
        )

    def hasContent(self, head: RequestHead) -> bool:
        """
        Whether the content is sent: not to HEAD, for one.

        @param head: the request that is answered.
        """
        return has_content(head.method, self.status)

    def _lengthLine(self, method: bytes) -> bytes:
        if self.length is None or not says_length(method, self.status):
            return b""
        return b"content-length: %d\r\n" % self.length

    def __repr__(self) -> str:
        return f"<Response {self.status}>"


class Upgrade:
    """
    The answer that hands the connection over to another protocol (RFC 9110 section 7.8).

    @ivar protocol: what goes on.
    @ivar head: the octets of the response.
    """

    __slots__ = ("head", "protocol")

    def __init__(self, protocol: IProtocol, headers: Headers | None = None) -> None:
        """
        @param protocol: what goes on: it is connected to the transport, and gets the octets that
            follow the request.
        @param headers: the fields of the response 101 (Switching Protocols), Upgrade among them;
            Connection is written without being asked for. C{None} lets C{protocol} answer by
            itself: it gets all of the request, exactly as sent, as if it had been there from the
            start; nothing of its content may have been read then.
        @raise TypeError: C{protocol} is no protocol, or a field no pair of octets.
        @raise LocalProtocolError: a field cannot be sent.
        """
        if not IProtocol.providedBy(protocol):
            raise TypeError(
                f"{shortened(protocol)} is no protocol: a factory's buildProtocol() makes one"
            )
        self.protocol = protocol
        self.head: bytes | None = None
        if headers is not None:
            self.head = b"%bconnection: upgrade\r\n%b\r\n" % (
                status_line(101),
                encode_response_fields(headers),
            )


def errorResponse(status: int, reason: str) -> Response:
    """
    Make a response that tells a person what went wrong.

    @param status: the status.
    @param reason: what went wrong.
    """
    content = f"{reason}\n".encode()
    return Response(status, content, [(b"content-type", b"text/plain; charset=utf-8")])


def _noContent(content: object) -> TypeError:
    """
    Say what to write in the place of something that is no content.
    """
    if isinstance(content, str):
        instead = f"write {shortened(content)}.encode()"
    elif content is None:
        instead = 'write b"" for none'
    elif isinstance(content, (bytearray, memoryview)):
        instead = "write bytes() of it"
    elif isinstance(content, Awaitable):
        instead = "await it"
    elif callable(content):
        instead = "call it, if it gives one of these"
    elif isinstance(content, Iterable):
        instead = 'write b"".join() of its pieces, or an async generator'
    else:
        instead = "encode it"
    return TypeError(
        "the content is bytes, an asynchronous iterable or an IBodyProducer, "
        f"not {shortened(content)}: {instead}"
    )
