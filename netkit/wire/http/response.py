"""
Responses to octets (RFC 9112 sections 4, 6 and 7).
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache
from http import HTTPStatus

from ..errors import HTTPProtocolError, LocalProtocolError
from .fields import encode_pairs, field_name, field_pairs
from .framing import has_content
from .head import RequestHead

CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"

# What these say follows from the content and the connection, and is written by this module.
_OWN_FIELDS = frozenset({b"content-length", b"transfer-encoding"})

# What a message's framing, routing, authentication or handling hangs on is of no use behind the
# content, and of harm where somebody believes it there (RFC 9110 section 6.5.1).
_FORBIDDEN_TRAILERS = frozenset(
    {
        b"authorization",
        b"cache-control",
        b"connection",
        b"content-encoding",
        b"content-length",
        b"content-range",
        b"content-type",
        b"cookie",
        b"expect",
        b"host",
        b"keep-alive",
        b"max-forwards",
        b"proxy-authenticate",
        b"proxy-authorization",
        b"proxy-connection",
        b"range",
        b"set-cookie",
        b"te",
        b"trailer",
        b"transfer-encoding",
        b"upgrade",
        b"www-authenticate",
    }
)


@cache
def status_line(status: int) -> bytes:
    """
    The status line of a response, with the reason phrase that RFC 9110 section 15 has for it.

    @raise LocalProtocolError: the status does not have three digits from 100 on.
    """
    if not 100 <= status <= 999:
        raise LocalProtocolError(f"{status} is no status: 100 to 999 are")
    try:
        reason = HTTPStatus(status).phrase
    except ValueError:
        reason = ""
    return b"HTTP/1.1 %d %b\r\n" % (status, reason.encode())


def encode_response_fields(fields: Iterable[tuple[bytes, bytes]]) -> bytes:
    """
    Serialise the fields that somebody wants in a response.

    @raise TypeError: they are no pairs of octets.
    @raise LocalProtocolError: one is not well-formed, or not theirs to set.
    """
    pairs = field_pairs(fields)
    for name, _ in pairs:
        if field_name(name) in _OWN_FIELDS:
            raise _not_theirs(name)
    return encode_pairs(pairs)


def _not_theirs(name: bytes) -> LocalProtocolError:
    return LocalProtocolError(
        f"{name.decode()} cannot be set: it follows from the content of the response"
    )


def says_length(method: bytes, status: int) -> bool:
    """
    Whether a response may say the length of its content (RFC 9110 section 8.6): to HEAD it does.

    @param method: the method of the request it answers.
    @param status: its status.
    """
    return has_content(method, status) or (method == b"HEAD" and has_content(b"GET", status))


def connection_line(head: RequestHead | None, keep_alive: bool) -> bytes:
    """
    The field line that says what becomes of the connection after a response, empty where it goes
    without saying (RFC 9112 sections 9.3 and 9.6).

    @param head: the request it answers.
    @param keep_alive: whether the connection can carry another request.
    """
    if not keep_alive:
        return b"connection: close\r\n"
    if head is not None and head.minor == 0:
        return b"connection: keep-alive\r\n"
    return b""


class ResponseMessage:
    """
    A response, serialised as far as it is the same for all requests. It can be sent any number of
    times, to any requests.

    @ivar status: the status.
    @ivar content: the content; C{None} where that comes little by little.
    @ivar length: how many octets that has; C{None} where that is not known.
    @ivar closes: whether the connection ends with it.
    @ivar get_octets: how many octets of C{content} L{encode} serialises in answer to GET.
    @ivar kept: what L{encode} made last, with C{content}, for a connection that goes on: it is
        the same for the next one.
    """

    __slots__ = (
        "_date_line",
        "_fields",
        "_has_date",
        "_status_line",
        "closes",
        "content",
        "get_octets",
        "kept",
        "length",
        "status",
    )

    def __init__(
        self,
        status: int,
        fields: Iterable[tuple[bytes, bytes]] = (),
        content: bytes | None = b"",
        length: int | None = None,
    ) -> None:
        """
        @param status: the status, 200 to 999.
        @param fields: the names and values of fields. Content-Length, Transfer-Encoding,
            Connection and Date are written without being asked for; a Date given here is taken,
            and so is C{Connection: close}.
        @param content: the content; C{None} where it comes little by little.
        @param length: how many octets will come, where that is known.
        @raise TypeError: the fields are no pairs of octets.
        @raise LocalProtocolError: the status or a field cannot be sent.
        """
        if status < 200:
            raise LocalProtocolError(f"{status} is not the status of a final response")
        if status == 205 and content != b"":
            raise LocalProtocolError("205 has no content (RFC 9110 section 15.3.6)")
        self.status = status
        self.content = content
        self.length = length if content is None else len(content)
        self.closes = self._has_date = False
        self._status_line = status_line(status)
        self.get_octets = len(content) if content and status != 204 and status != 304 else 0
        self._fields = self._encode_fields(fields) if fields != () else b""
        self.kept = b""
        # The date in it.
        self._date_line: bytes | None = None

    def _encode_fields(self, fields: Iterable[tuple[bytes, bytes]]) -> bytes:
        pairs = []
        for pair in field_pairs(fields):
            name = field_name(pair[0])
            if name == b"connection":
                if pair[1].lower() != b"close":
                    raise LocalProtocolError(
                        f"{pair[1]!r} cannot be the value of {pair[0]!r}: close can"
                    )
                self.closes = True
                continue
            if name in _OWN_FIELDS:
                raise _not_theirs(pair[0])
            if name == b"date":
                self._has_date = True
            pairs.append(pair)
        return encode_pairs(pairs)

    def encode(
        self, method: bytes | None, head: RequestHead | None, date_line: bytes, keep_alive: bool
    ) -> bytes:
        """
        Serialise it with its content, where it has one to send to that method.

        @param method: the method of the request that is answered, if that is known.
        @param head: the head of it; C{None} where that could not be understood.
        @param date_line: the field line that says the date.
        @param keep_alive: whether the connection can carry another request.
        """
        method = method or b"GET"
        # What answers GET with content answers so all but a few.
        sends = (self.get_octets > 0 and method == b"GET") or has_content(method, self.status)
        # Cacheable: it depends on the response and the current date alone.
        cacheable = sends and keep_alive and head is not None and head.minor > 0
        if cacheable and self._date_line is date_line:
            return self.kept
        line = b""
        if self.length is not None and (sends or says_length(method, self.status)):
            line = b"content-length: %d\r\n" % self.length
        octets = self.encode_head(head, date_line, keep_alive, line)
        if sends:
            assert self.content is not None
            octets += self.content
        if cacheable:
            self.kept, self._date_line = octets, date_line
        return octets

    def content_octets(self, method: bytes) -> int:
        """
        How many octets of content L{encode} serialises.

        @param method: the method of the request that is answered.
        """
        return self.get_octets if has_content(method, self.status) else 0

    def encode_head(
        self, head: RequestHead | None, date_line: bytes, keep_alive: bool, framing_line: bytes
    ) -> bytes:
        """
        Serialise the head.

        @param head: as for L{encode}.
        @param date_line: as for L{encode}.
        @param keep_alive: as for L{encode}.
        @param framing_line: the field line that says how the content is framed.
        """
        return b"%b%b%b%b%b\r\n" % (
            self._status_line,
            b"" if self._has_date else date_line,
            connection_line(head, keep_alive),
            self._fields,
            framing_line,
        )


def error_response(error: HTTPProtocolError) -> ResponseMessage:
    """
    Make the response that tells a person what was wrong.

    @param error: what was wrong.
    """
    fields = [(b"content-type", b"text/plain; charset=utf-8")]
    return ResponseMessage(error.status, fields, f"{error}\n".encode())


class ContentEncoder:
    """
    Serialises content that is not there all at once: by a length that was told before, in chunks
    (RFC 9112 section 7.1), or up to the end of the connection.

    @ivar keeps_connection: whether the end of the content can be told from that of the
        connection.
    """

    __slots__ = ("_chunked", "_left", "keeps_connection")

    def __init__(self, minor: int, length: int | None) -> None:
        """
        @param minor: the minor version of HTTP/1 that the request was sent in.
        @param length: how many octets there will be, if that is known.
        """
        self._left = length
        self._chunked = length is None and minor >= 1
        self.keeps_connection = length is not None or self._chunked

    @property
    def line(self) -> bytes:
        """
        The field line that says how the content is framed.
        """
        if self._chunked:
            return b"transfer-encoding: chunked\r\n"
        return b"" if self._left is None else b"content-length: %d\r\n" % self._left

    def takes_verbatim(self, octets: int) -> bool:
        """
        Tell whether so many octets are sent as they are.
        """
        return not self._chunked and (self._left is None or octets <= self._left)

    def encode(self, data: bytes) -> bytes:
        """
        Serialise a piece.

        @raise LocalProtocolError: there is more than was told.
        """
        if self._chunked:
            return b"%x\r\n%b\r\n" % (len(data), data) if data else b""
        self.count(len(data))
        return data

    def count(self, octets: int) -> None:
        """
        Count octets that are sent as they are.

        @raise LocalProtocolError: there are more than was told.
        """
        if self._left is not None:
            self._left -= octets
            if self._left < 0:
                raise LocalProtocolError(
                    f"the content is {-self._left} octets longer than its length said"
                )

    def finish(self, trailers: Iterable[tuple[bytes, bytes]] = ()) -> bytes:
        """
        Serialise the end.

        @param trailers: the trailer section, which only chunks can have.
        @raise LocalProtocolError: there was less than was told, or a trailer is not well-formed,
            or none to send behind the content.
        """
        if self._chunked:
            fields = field_pairs(trailers)
            for name, _ in fields:
                if name.lower() in _FORBIDDEN_TRAILERS:
                    raise LocalProtocolError(
                        f"{name!r} is not allowed in a trailer section (RFC 9110 section 6.5.1)"
                    )
            return b"0\r\n%b\r\n" % encode_pairs(fields)
        if self._left:
            raise LocalProtocolError(
                f"the content is {self._left} octets shorter than its length said"
            )
        return b""
