"""
The receiving half of a socket: what arrived and was not read, and the read that waits for more.
"""

from __future__ import annotations

from collections.abc import Callable

from twisted.internet.defer import Deferred, fail, succeed
from twisted.python.failure import Failure

from ..base.failures import releaseFrames, untraced
from .errors import IncompleteReadError, LimitExceededError

# What one kind of read takes out of the buffer; None while it needs more.
_Take = Callable[[], bytes | None]


def _nothing() -> None:
    """
    What takes in place of a read where none waits.
    """


def _nobody() -> None:
    """
    Who is told of the peer's end in place of who was let go of.
    """


class ReceiveBuffer:
    """
    Bytes in their order, an end, and at most one read at a time.

    @ivar ended: whether nothing more will arrive.
    """

    def __init__(self, endSeen: Callable[[], None]) -> None:
        """
        @param endSeen: called when a read meets the peer's end.
        """
        self.ended = False
        self._endSeen = endSeen
        self._buffer = bytearray()
        self._error: Exception | None = None
        self._reader: Deferred[bytes] | None = None
        self._take: _Take = _nothing
        # How many bytes at most the waiting read takes as they come; 0 for another kind of read.
        self._some = 0
        # What takes everything as it comes.
        self._passOn: Callable[[bytes], None] | None = None
        # As far as readUntil has looked in vain.
        self._searched = 0

    def __len__(self) -> int:
        return len(self._buffer)

    @property
    def awaited(self) -> bool:
        """
        Whether a read waits for more.
        """
        return self._reader is not None

    # what the connection brings

    def received(self, data: bytes) -> None:
        """
        Take in what arrived.
        """
        if len(data) <= self._some and not self._buffer:
            self._fire(data)
            return
        if self._passOn is not None:
            try:
                self._passOn(data)
            except Exception:
                self._fire(Failure())
            return
        self._buffer += data
        self._retry()

    def end(self, error: Exception | None = None) -> None:
        """
        Nothing more will arrive.

        @param error: why, unless the peer ended in good order.
        """
        if not self.ended:
            self.ended = True
            self._error = error
            self._retry()

    def drop(self, error: Exception) -> None:
        """
        Drop what was not read, and fail the read that waits and all to come.

        @param error: why.
        """
        self._buffer.clear()
        self._searched = 0
        self.ended = True
        self._error = error
        self._retry()

    def forget(self) -> None:
        """
        Let go of who is told that a read meets the peer's end.
        """
        self._endSeen = _nobody

    # the kinds of read

    def some(self, size: int) -> Deferred[bytes]:
        """
        Read what is there, C{size} bytes at most; waits where there is nothing; empty at the end,
        and where nothing is asked for.
        """

        def take() -> bytes | None:
            if self._buffer or not size:
                return self._pop(size)
            return b"" if self._atEnd() else None

        reading = self._read(take)
        if self._reader is reading:
            self._some = size
        return reading

    def pieces(self, passOn: Callable[[bytes], None]) -> Deferred[bytes]:
        """
        Hand over all that comes, as it comes.

        @param passOn: called with each piece. What it raises ends the reading.
        @return: fires at the end, with nothing.
        """

        def take() -> bytes | None:
            if self._buffer:
                passOn(self._pop(len(self._buffer)))
            return b"" if self._atEnd() else None

        reading = self._read(take)
        if self._reader is reading:
            self._passOn = passOn
        return reading

    def everything(self, limit: int) -> Deferred[bytes]:
        """
        Read to the end, C{limit} bytes at most.
        """

        def take() -> bytes | None:
            if len(self._buffer) > limit:
                raise LimitExceededError(f"the peer sent more than {limit} bytes", limit)
            return self._pop(limit) if self._atEnd() else None

        return self._read(take)

    def exactly(self, size: int) -> Deferred[bytes]:
        """
        Read C{size} bytes.
        """

        def take() -> bytes | None:
            if len(self._buffer) >= size:
                return self._pop(size)
            if self._atEnd():
                raise self._incomplete(f"{size} bytes")
            return None

        return self._read(take)

    def until(self, delimiter: bytes, limit: int) -> Deferred[bytes]:
        """
        Read up to and with C{delimiter}, C{limit} bytes at most.
        """
        self._searched = 0

        def take() -> bytes | None:
            start = self._buffer.find(delimiter, self._searched, limit)
            if start >= 0:
                return self._pop(start + len(delimiter))
            if len(self._buffer) >= limit:
                raise LimitExceededError(f"no {delimiter!r} within {limit} bytes", limit)
            if self._atEnd():
                raise self._incomplete(repr(delimiter))
            # The delimiter may have begun already.
            self._searched = max(0, len(self._buffer) - len(delimiter) + 1)
            return None

        return self._read(take)

    def _read(self, take: _Take) -> Deferred[bytes]:
        if self._reader is not None:
            return fail(RuntimeError("another read of this socket is still waiting"))
        try:
            data = take()
        except Exception:
            return fail(Failure())
        if data is not None:
            return succeed(data)
        self._take = take
        self._reader = Deferred(self._cancelled)
        return self._reader

    def _retry(self) -> None:
        if self._reader is None:
            return
        try:
            data = self._take()
        except Exception:
            self._fire(Failure())
        else:
            if data is not None:
                self._fire(data)

    def _fire(self, result: bytes | Failure) -> None:
        reader, self._reader = self._reader, None
        self._take = _nothing
        self._some = 0
        self._passOn = None
        if reader is not None:
            reader.callback(result)
        if isinstance(result, Failure):
            # Whoever read may have caught it, and go on.
            releaseFrames(result)

    def _cancelled(self, reader: Deferred[bytes]) -> None:
        self._reader = None
        self._take = _nothing
        self._some = 0
        self._passOn = None

    def _atEnd(self) -> bool:
        if self._error is not None:
            raise untraced(self._error)
        if self.ended:
            self._endSeen()
        return self.ended

    def _incomplete(self, awaited: str) -> IncompleteReadError:
        partial = self._pop(len(self._buffer))
        return IncompleteReadError(
            f"the peer ended after {len(partial)} bytes, with {awaited} awaited", partial
        )

    def _pop(self, size: int) -> bytes:
        self._searched = 0
        if size >= len(self._buffer):
            data = bytes(self._buffer)
            self._buffer.clear()
            return data
        data = bytes(memoryview(self._buffer)[:size])
        del self._buffer[:size]
        return data
