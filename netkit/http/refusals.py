"""
Answers that refuse: by a handler's wish, or by netkit itself.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from http import HTTPStatus
from typing import TypeAlias

from ..base.arguments import checkCount
from .request import Request
from .response import Headers, Response


class HTTPError(Exception):
    """
    Raised by a handler: the client is answered with a status, and nothing is logged.

    @ivar status: the status.
    @ivar reason: what to tell the client.
    @ivar headers: fields of the answer.
    """

    def __init__(self, status: int, reason: str = "", headers: Headers = ()) -> None:
        """
        @param status: 400 to 599.
        @param reason: what to tell the client; what the status means, by default.
        @param headers: the names and values of fields of the answer.
        @raise TypeError: the status is no number.
        @raise ValueError: it is another one.
        """
        checkCount("status", status, 400, 599)
        super().__init__(status, reason)
        self.status = status
        self.reason = reason or _phrase(status)
        self.headers = headers

    def __str__(self) -> str:
        return f"{self.status}: {self.reason}"


@dataclass(frozen=True, slots=True)
class Refusal:
    """
    What a client is refused with.

    @ivar status: the status.
    @ivar reason: why, in words for the client.
    @ivar request: the request; L{None} where what arrived is none.
    """

    status: int
    reason: str
    request: Request | None


#: Makes the answer that refuses.
RefusalResponse: TypeAlias = Callable[[Refusal], Response]


def plainRefusal(refusal: Refusal) -> Response:
    """
    The answer unless somebody wants another one: the reason, as text.
    """
    fields = [(b"content-type", b"text/plain; charset=utf-8")]
    return Response(refusal.status, f"{refusal.reason}\n".encode(), fields)


def _phrase(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return f"Status {status}"
