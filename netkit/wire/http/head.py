"""
Heads (RFC 9112 sections 2 to 5): the request line or the status line, and the header section.
"""

from __future__ import annotations

import re

from ..errors import HTTPProtocolError
from .fields import TOKEN, Fields, SectionParser, show
from .framing import HOST, PORT, Framing, request_framing, response_framing
from .limits import Limits
from .scanning import scan_request

# RFC 3986 wants more characters encoded than browsers encode; what the URL Standard lets through
# is let through here too: all of VCHAR but " # < >. In a path, two hexadecimal digits follow %.
_PATH = rb"(?:[!$&-;=@-~]++|%[0-9A-Fa-f]{2})*+"
_QUERY = rb"(?:\?[!$-;=?-~]*+)"

# RFC 9112 section 3. The second group is a target in origin-form, the third one in any other.
_REQUEST_LINE = re.compile(
    rb"(" + TOKEN + rb") (?:(/" + _PATH + _QUERY + rb"?+)|([!-~]++)) HTTP/1\.([0-9])\r\n"
)

# RFC 9112 section 3.2.2, with the authority that RFC 9110 section 4.2.1 demands, and without the
# user information that its section 4.2.4 calls an error.
_ABSOLUTE_FORM = re.compile(
    rb"[A-Za-z][A-Za-z0-9+.\-]*+://" + HOST + PORT + rb"?+(?:/" + _PATH + rb")?+" + _QUERY + rb"?+"
)
_AUTHORITY_FORM = re.compile(HOST + PORT)

# RFC 9112 section 4. The reason phrase may be empty; servers that leave out the space before it
# then are many.
_STATUS_LINE = re.compile(rb"HTTP/1\.([0-9]) ([1-9][0-9]{2})(?: ([\t -~\x80-\xff]*+))?+\r\n")

_PATH_FULL = re.compile(_PATH)
_TOKEN = re.compile(TOKEN)
_VERSION = re.compile(rb"HTTP/[0-9]\.[0-9]")

# Of the requests without content: by whether the connection can carry another one.
_NO_CONTENT = tuple(Framing(False, 0, keep_alive) for keep_alive in (False, True))


class Head:
    """
    A first line and a header section.

    @ivar minor: the minor version of HTTP/1.
    @ivar fields: the header section.
    @ivar framing: what the header section says about the content and the connection.
    @ivar line: the first line as sent, with its end.
    """

    __slots__ = ("fields", "framing", "line", "minor")

    minor: int
    fields: Fields
    framing: Framing
    line: bytes

    @property
    def raw(self) -> bytes:
        """
        The head as sent, with the empty line that ends it.
        """
        return self.line + self.fields.raw

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {show(self.line)}>"


class RequestHead(Head):
    """
    A request line and a header section.

    @ivar method: the method, whose case matters.
    @ivar target: the request target as sent, in whichever form (RFC 9112 section 3.2).
    """

    __slots__ = ("method", "target")

    def __init__(
        self,
        method: bytes,
        target: bytes,
        minor: int,
        fields: Fields,
        framing: Framing,
        line: bytes,
    ) -> None:
        self.method = method
        self.target = target
        self.minor = minor
        self.fields = fields
        self.framing = framing
        self.line = line


class ResponseHead(Head):
    """
    A status line and a header section.

    @ivar status: the status code.
    @ivar reason: the reason phrase.
    """

    __slots__ = ("reason", "status")

    def __init__(
        self,
        status: int,
        reason: bytes,
        minor: int,
        fields: Fields,
        framing: Framing,
        line: bytes,
    ) -> None:
        self.status = status
        self.reason = reason
        self.minor = minor
        self.fields = fields
        self.framing = framing
        self.line = line


class RequestHeadParser:
    """
    Parses the request heads of one connection, one after another; octets may come in any pieces.

    @ivar method: the method of the latest request, known as soon as its first line is; C{None}
        while that is not.
    """

    __slots__ = ("_last", "_max_fields", "_max_line", "_max_section", "_section", "method")

    def __init__(self, limits: Limits) -> None:
        """
        @param limits: how large everything may be.
        """
        self._max_line = limits.request_line
        self._max_section = limits.header_section
        self._max_fields = limits.fields
        self._section = SectionParser("header section", limits.header_section, limits.fields)
        self.method: bytes | None = None
        # Clients send the same header section again and again, and often the same line.
        self._last: RequestHead | None = None

    def parse(self, buffer: bytes, start: int) -> tuple[RequestHead, int] | None:
        """
        Parse a head.

        @param buffer: what has arrived.
        @param start: where the head starts in it: at the same octet at every call, up to the
            end of the head.
        @return: the head and the offset behind it, or C{None} when more is needed.
        @raise HTTPProtocolError: with the status to answer.
        """
        last = self._last
        # Where some of the section was looked at before, that is gone on with.
        if self._section.checked:
            plain = None
        else:
            if last is not None and buffer.startswith(last.line, start):
                section = start + len(last.line)
                if buffer.startswith(last.fields.raw, section):
                    self.method = last.method
                    return last, section + len(last.fields.raw)
            plain = scan_request(
                buffer, start, self._max_line, self._max_section, self._max_fields
            )
        if plain is not None:
            method, target, line, raw, end, length, keep_alive, upgrade = plain
            minor = 1
            framing: Framing | None = _NO_CONTENT[keep_alive]
            if length or upgrade:
                framing = Framing(False, length, keep_alive, upgrade=upgrade)
        else:
            parsed = self._parse_line(buffer, start)
            if parsed is None:
                return None
            line, method, target, minor = parsed
            section = start + len(line)
            behind = self._section.parse(buffer, section)
            if behind is None:
                return None
            raw, end, framing = buffer[section:behind], behind, None
        fields = last.fields if last is not None and last.fields.raw == raw else Fields(raw)
        if framing is None:
            framing = request_framing(fields, minor)
        self.method = method
        self._last = head = RequestHead(method, target, minor, fields, framing, line)
        return head, end

    def _parse_line(self, buffer: bytes, start: int) -> tuple[bytes, bytes, bytes, int] | None:
        """
        Parse a request line.

        @return: the line, its method, target and minor version, or C{None} when more is needed.
        """
        self.method = None
        match = _REQUEST_LINE.match(buffer, start)
        if match is None:
            faulty = _complete_line(buffer, start, self._max_line, 414)
            if faulty is not None:
                raise _diagnosed_request(faulty)
            return None
        line = buffer[start : match.end()]
        if len(line) - 2 > self._max_line:
            raise _line_too_long(self._max_line, 414)
        method, origin, other, digit = match.groups()
        self.method = method
        target = origin or other
        if origin is None or method == b"CONNECT":
            _check_other_form(method, target)
        return line, method, target, digit[0] - 48


class ResponseHeadParser:
    """
    Parses the response heads of one connection, one after another; octets may come in any pieces.
    """

    __slots__ = ("_last", "_max_line", "_method", "_section")

    def __init__(self, limits: Limits) -> None:
        """
        @param limits: how large everything may be.
        """
        self._max_line = limits.request_line
        self._section = SectionParser("header section", limits.header_section, limits.fields)
        # Servers answer the same method with the same head again and again, for a second at least.
        self._last: ResponseHead | None = None
        self._method = b""

    def parse(self, buffer: bytes, start: int, method: bytes) -> tuple[ResponseHead, int] | None:
        """
        Parse a head.

        @param buffer: what has arrived.
        @param start: where the head starts in it: at the same octet at every call, up to the
            end of the head.
        @param method: the method of the request that is answered.
        @return: the head and the offset behind it, or C{None} when more is needed.
        @raise HTTPProtocolError: the response is malformed or too large.
        """
        last = self._last
        if (
            last is not None
            and not self._section.checked
            and method == self._method
            and buffer.startswith(last.line, start)
        ):
            section = start + len(last.line)
            if buffer.startswith(last.fields.raw, section):
                return last, section + len(last.fields.raw)
        line = _STATUS_LINE.match(buffer, start)
        if line is None:
            faulty = _complete_line(buffer, start, self._max_line, 400)
            if faulty is not None:
                raise HTTPProtocolError(f"not a status line of HTTP/1: {show(faulty)}", 400)
            return None
        section = line.end()
        if section - start - 2 > self._max_line:
            raise _line_too_long(self._max_line, 400)
        end = self._section.parse(buffer, section)
        if end is None:
            return None
        digit, code, reason = line.groups()
        fields = Fields(buffer[section:end])
        minor, status = digit[0] - 48, int(code)
        framing = response_framing(fields, minor, status, method)
        self._method = method
        self._last = head = ResponseHead(
            status, reason or b"", minor, fields, framing, buffer[start:section]
        )
        return head, end


def is_path(path: bytes) -> bool:
    """
    Whether something can be the path of a request target in origin-form.
    """
    return path.startswith(b"/") and _PATH_FULL.fullmatch(path) is not None


def _line_too_long(limit: int, code: int) -> HTTPProtocolError:
    return HTTPProtocolError(f"the first line is longer than {limit} octets", code)


def _complete_line(buffer: bytes, start: int, limit: int, code: int) -> bytes | None:
    """
    A first line does not match: return it if it is complete, C{None} if it may still become one.

    @raise HTTPProtocolError: the line is too long, or no HTTP already by its first octet.
    """
    if start == len(buffer):
        return None
    # CR may be the begin of an empty line.
    if not _TOKEN.match(buffer, start) and buffer[start:] != b"\r":
        raise HTTPProtocolError(
            f"this is not HTTP/1: it starts with {show(buffer[start : start + 16])}", 400
        )
    end = buffer.find(b"\n", start)
    # Without its end, CR may be the last octet that has arrived.
    if (end if end >= 0 else len(buffer)) - start - 1 > limit:
        raise _line_too_long(limit, code)
    return buffer[start : end + 1] if end >= 0 else None


def _bad_target(method: bytes, target: bytes) -> HTTPProtocolError:
    return HTTPProtocolError(
        f"{show(target)} is not a target for the method {show(method)} (RFC 9112 section 3.2)", 400
    )


def _check_other_form(method: bytes, target: bytes) -> None:
    """
    Check a target that is not in origin-form, or must not be (RFC 9112 section 3.2).
    """
    if method == b"CONNECT":
        valid = _AUTHORITY_FORM.fullmatch(target) is not None
    elif target == b"*":
        valid = method == b"OPTIONS"
    else:
        valid = _ABSOLUTE_FORM.fullmatch(target) is not None
    if not valid:
        raise _bad_target(method, target)


def _diagnosed_request(line: bytes) -> HTTPProtocolError:
    """
    Say what is wrong with a request line.
    """
    if not line.endswith(b"\r\n"):
        return HTTPProtocolError(f"the request line is ended by LF without CR: {show(line)}", 400)
    parts = line[:-2].split(b" ")
    if len(parts) == 2:
        return HTTPProtocolError(f"the request line has no version: {show(line)}", 400)
    if len(parts) != 3:
        return HTTPProtocolError(
            f"the request line is not a method, a target and a version: {show(line)}", 400
        )
    method, target, version = parts
    if not _TOKEN.fullmatch(method):
        return HTTPProtocolError(f"the method is no token: {show(method)}", 400)
    if not _VERSION.fullmatch(version):
        return HTTPProtocolError(f"not a version of HTTP: {show(version)}", 400)
    if not version.startswith(b"HTTP/1."):
        return HTTPProtocolError(f"{version.decode()} is not supported here, HTTP/1.1 is", 505)
    return HTTPProtocolError(
        f"the target has a character that is not allowed there: {show(target)}", 400
    )
