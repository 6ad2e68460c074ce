"""
What a handler answers.
"""

from __future__ import annotations

from collections.abc import Iterable

from ..wire.errors import LocalProtocolError
from ..wire.http import RequestHead
from ..wire.http.framing import has_content
from ..wire.http.response import (
    connection_line,
    encode_response_fields,
    says_length,
    status_line,
)


class Response:
    """
    A response. It can be given any number of times, to any requests.

    @ivar status: the status.
    @ivar content: the content.
    """

    __slots__ = ("_fields", "_hasDate", "_rest", "_statusLine", "content", "status")

    def __init__(
        self,
        status: int = 200,
        content: bytes = b"",
        headers: Iterable[tuple[bytes, bytes]] = (),
    ) -> None:
        """
        @param status: the status: 200 to 999.
        @param content: the content.
        @param headers: the names and values of further fields. Content-Length, Transfer-Encoding,
            Connection and Date are written without being asked for; a Date given here is taken.
        @raise LocalProtocolError: the status or a field cannot be sent.
        """
        if status < 200:
            raise LocalProtocolError(f"{status} is not the status of a final response")
        headers = list(headers)
        self.status = status
        self.content = content
        self._statusLine = status_line(status)
        self._fields = encode_response_fields(headers)
        self._hasDate = any(name.lower() == b"date" for name, _ in headers)
        self._rest = b"%bcontent-length: %d\r\n\r\n%b" % (self._fields, len(content), content)

    def encoded(self, head: RequestHead | None, dateLine: bytes, keepAlive: bool) -> bytes:
        """
        The octets to send.

        @param head: the request that is answered; C{None} where it could not be understood.
        @param dateLine: the field line that says the date.
        @param keepAlive: whether the connection can carry another request.
        """
        method = b"GET" if head is None else head.method
        if self._hasDate:
            dateLine = b""
        if has_content(method, self.status):
            rest = self._rest
        elif says_length(method, self.status):
            rest = self._rest[: len(self._rest) - len(self.content)]
        else:
            rest = self._fields + b"\r\n"
        return b"%b%b%b%b" % (
            self._statusLine,
            dateLine,
            connection_line(head, keepAlive),
            rest,
        )

    def __repr__(self) -> str:
        return f"<Response {self.status}>"


def errorResponse(status: int, reason: str) -> Response:
    """
    Make a response that tells a person what went wrong.

    @param status: the status.
    @param reason: what went wrong.
    """
    content = f"{reason}\n".encode()
    return Response(status, content, [(b"content-type", b"text/plain; charset=utf-8")])
