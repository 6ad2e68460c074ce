"""
What a handler answers.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterable, Awaitable, Callable, Iterable
from reprlib import repr as shortened
from urllib.parse import quote

from twisted.internet.interfaces import IProtocol
from twisted.web.iweb import IBodyProducer

from ..wire.errors import LocalProtocolError
from ..wire.http.fields import field_pairs
from ..wire.http.response import ResponseMessage, encode_response_fields, status_line
from .headers import ResponseHeaders

Headers = Iterable[tuple[bytes, bytes]]

_TEXT = (b"content-type", b"text/plain; charset=utf-8")
_JSON = (b"content-type", b"application/json")

_REDIRECTS = frozenset({301, 302, 303, 307, 308})

# More content than this is written piece by piece, as the client takes it.
_AT_ONCE = 2**17


class Response:
    """
    A response. One whose content is octets can be given any number of times, to any requests.

    @ivar message: what is sent of it before its content, and with that where it is octets.
    @ivar content: the content.
    @ivar trailers: what makes the trailer section, or C{None}.
    @ivar streamed: whether the content is written piece by piece.
    """

    __slots__ = ("_given", "_headers", "content", "message", "streamed", "trailers")

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
        if trailers is not None and not callable(trailers):
            raise TypeError(
                "trailers is a function that returns the fields: write "
                f"lambda: {shortened(trailers)}"
            )
        if length is not None and (type(length) is not int or length < 0):
            raise TypeError(f"the length is a number of octets, not {shortened(length)}")
        streamed, octets = True, None
        if isinstance(content, bytes):
            octets = content
            if length is not None and length != len(content):
                raise LocalProtocolError(f"the content has {len(content)} octets, not {length}")
            streamed = len(content) > _AT_ONCE or trailers is not None
        elif IBodyProducer.providedBy(content):
            if isinstance(content.length, int):
                length = content.length
        elif not isinstance(content, AsyncIterable):
            raise _noContent(content)
        self.content = content
        self.trailers = trailers
        self.streamed = streamed
        if headers.__class__ is not list and headers.__class__ is not tuple:
            # What can be gone through once.
            headers = field_pairs(headers)
        self._given = headers
        self._headers: ResponseHeaders | None = None
        self.message = ResponseMessage(status, headers, octets, length)

    @classmethod
    def text(cls, text: str, status: int = 200, headers: Headers = ()) -> Response:
        """
        Make a response of plain text, in UTF-8.

        @raise TypeError: C{text} is no C{str}.
        """
        if not isinstance(text, str):
            raise TypeError(f"the text is a str, not {shortened(text)}")
        return cls(status, text.encode(), [_TEXT, *headers])

    @classmethod
    def json(cls, value: object, status: int = 200, headers: Headers = ()) -> Response:
        """
        Make a response of JSON.

        @param value: what C{json.dumps} takes.
        @raise TypeError: it is something else.
        """
        return cls(status, json.dumps(value, separators=(",", ":")).encode(), [_JSON, *headers])

    @classmethod
    def redirect(cls, location: str, status: int = 303, headers: Headers = ()) -> Response:
        """
        Make a response that sends the client elsewhere.

        @param location: where to: a URL or a path. What a URL cannot have in it is encoded.
        @param status: 301, 302, 303, 307 or 308. With the default the client asks by GET there.
        @raise TypeError: C{location} is no C{str}.
        @raise ValueError: the status is another one.
        """
        if status not in _REDIRECTS:
            raise ValueError(f"a status that redirects is 301, 302, 303, 307 or 308, not {status}")
        if not isinstance(location, str):
            raise TypeError(f"the location is a str, not {shortened(location)}")
        target = quote(location, safe="!#$%&'()*+,/:;=?@[]~").encode()
        return cls(status, b"", [(b"location", target), *headers])

    @property
    def headers(self) -> ResponseHeaders:
        """
        The fields that were asked for, which can be changed until the response is sent; they
        change in all that this response answers.
        """
        if self._headers is None:
            self._headers = ResponseHeaders(self._given, self._change)
        return self._headers

    def _change(self, pairs: Headers) -> None:
        message = self.message
        self.message = ResponseMessage(message.status, pairs, message.content, message.length)

    @property
    def status(self) -> int:
        """
        The status.
        """
        return self.message.status

    def __repr__(self) -> str:
        return f"<Response {self.message.status}>"


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
