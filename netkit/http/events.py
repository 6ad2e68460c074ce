"""
Server-sent events (the HTML standard, section 9.2).
"""

from __future__ import annotations

from collections.abc import AsyncIterable, AsyncIterator
from dataclasses import dataclass

from .response import Headers, Response


@dataclass(frozen=True, slots=True)
class Event:
    """
    An event for C{EventSource} in a page.

    @ivar data: its data; may have several lines.
    @ivar event: its type; C{message} in the page by default.
    @ivar id: what the browser sends as C{Last-Event-ID} when it connects again.
    @ivar retry: after how many seconds it connects again.
    """

    data: str
    event: str | None = None
    id: str | None = None
    retry: float | None = None

    def __post_init__(self) -> None:
        for name, value in (("event", self.event), ("id", self.id)):
            if value is not None and any(end in value for end in "\r\n\0"):
                raise ValueError(f"{name} has one line, not {value!r}")

    def encode(self) -> bytes:
        """
        Make its lines.
        """
        lines = []
        if self.event is not None:
            lines.append(f"event: {self.event}")
        if self.id is not None:
            lines.append(f"id: {self.id}")
        if self.retry is not None:
            lines.append(f"retry: {round(self.retry * 1000)}")
        data = self.data.replace("\r\n", "\n").replace("\r", "\n")
        lines += [f"data: {line}" for line in data.split("\n")]
        return "\n".join([*lines, "", ""]).encode()


def eventResponse(events: AsyncIterable[Event | str], headers: Headers = ()) -> Response:
    """
    Make a response of server-sent events, each sent as it comes.

    @param events: the events; a C{str} is one with that data. An async generator is closed when
        the client goes away.
    @param headers: more fields.
    """
    fields = [
        (b"content-type", b"text/event-stream"),
        (b"cache-control", b"no-cache"),
        # nginx would keep them back.
        (b"x-accel-buffering", b"no"),
        *headers,
    ]
    return Response(200, _encoded(events), fields)


async def _encoded(events: AsyncIterable[Event | str]) -> AsyncIterator[bytes]:
    try:
        async for event in events:
            yield (Event(event) if isinstance(event, str) else event).encode()
    finally:
        close = getattr(events, "aclose", None)
        if close is not None:
            await close()
