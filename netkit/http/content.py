"""
The content of a request, as its handler reads it.
"""

from __future__ import annotations

from collections.abc import Callable

from twisted.internet.defer import Deferred, fail
from twisted.python.failure import Failure

from ..base.budget import Budget, BudgetExceededError, Share
from ..base.failures import releaseFrames
from ..wire.errors import HTTPProtocolError
from ..wire.http import Fields

_NO_TRAILERS = Fields()


class RequestContent:
    """
    The content of a request, to be read once: piece by piece as it arrives (C{async for}), or all
    of it. While nobody reads, the client is not read from.

    @ivar complete: whether all of it has arrived and was taken.
    @ivar trailers: the trailer section (RFC 9110 section 6.5); empty before C{complete}.
    """

    __slots__ = ("_budget", "_error", "_reader", "_share", "_want", "complete", "trailers")

    def __init__(self, budget: Budget, want: Callable[[bool], None]) -> None:
        """
        @param budget: what is kept of it counts there.
        @param want: called with whether somebody waits for a piece.
        """
        self.complete = False
        self.trailers = _NO_TRAILERS
        self._budget = budget
        self._want = want
        self._share: Share | None = None
        self._reader: Deferred[bytes] | None = None
        self._error: Callable[[], Exception] | None = None

    def __aiter__(self) -> RequestContent:
        return self

    async def __anext__(self) -> bytes:
        piece = b"" if self.complete else await self._next()
        if not piece:
            raise StopAsyncIteration
        return piece

    async def read(self, limit: int | None = None, length: int = 0) -> bytes:
        """
        Read all that was not read yet.

        @param limit: how many octets there may be.
        @param length: how many there will be at least, as far as is known.
        @raise HTTPProtocolError: as L{Request.read <netkit.http.Request.read>}.
        """
        if limit is not None and length > limit:
            raise _tooLarge(limit)
        pieces = []
        size = 0
        async for piece in self:
            size += len(piece)
            if limit is not None and size > limit:
                raise _tooLarge(limit)
            self._keep(len(piece))
            pieces.append(piece)
        return b"".join(pieces)

    def _next(self) -> Deferred[bytes]:
        if self._error is not None:
            return fail(self._error())
        if self._reader is not None:
            return fail(RuntimeError("another read of this content is still waiting"))
        self._reader = reader = Deferred[bytes](self._stoppedWaiting)
        self._want(True)
        return reader

    def _stoppedWaiting(self, reader: Deferred[bytes]) -> None:
        self._reader = None
        self._want(False)

    def _keep(self, length: int) -> None:
        if self._share is None:
            self._share = self._budget.share()
        try:
            self._share.keep(self._share.kept + length)
        except BudgetExceededError as error:
            raise HTTPProtocolError(str(error), 503) from error

    # What the connection brings

    def received(self, data: bytes) -> None:
        """
        Take the piece that was waited for.
        """
        self._fire(data)

    def ended(self, trailers: Fields) -> None:
        """
        Take the end.
        """
        self.complete = True
        self.trailers = trailers
        self._fire(b"")

    def failed(self, error: Exception) -> bool:
        """
        Have the read fail that waits.

        @param error: why.
        @return: whether one did.
        """
        reader, self._reader = self._reader, None
        if reader is None:
            return False
        failure = Failure(error)
        reader.errback(failure)
        # Whoever read may have caught it, and go on.
        releaseFrames(failure)
        return True

    def close(self, error: Callable[[], Exception]) -> None:
        """
        The request is over: nothing more can be read, and nothing is kept.

        @param error: makes what reads fail with.
        """
        if self._share is not None:
            self._share.keep(0)
        if not self.complete:
            self._error = error
            self.failed(error())

    def _fire(self, piece: bytes) -> None:
        reader, self._reader = self._reader, None
        if reader is not None:
            reader.callback(piece)


def _tooLarge(limit: int) -> HTTPProtocolError:
    return HTTPProtocolError(f"the content is larger than {limit} octets", 413)


#: The content of all requests that have none.
NO_CONTENT = RequestContent(Budget(0), lambda wanted: None)
NO_CONTENT.complete = True
