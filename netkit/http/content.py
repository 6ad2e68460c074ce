"""
The content of a request, as its handler reads it.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable

from twisted.internet.defer import Deferred, fail
from twisted.python.failure import Failure

from ..base.budget import Budget, BudgetExceededError
from ..base.coroutines import Arrival
from ..base.failures import releaseFrames
from ..base.malloc import raiseTrimThreshold
from ..wire.errors import HTTPProtocolError
from ..wire.http import Fields

_NO_TRAILERS = Fields()


class RequestContent:
    """
    The content of a request, to be read once: piece by piece as it arrives (C{async for}), or all
    of it. While nobody reads, the client is not read from.

    @ivar budget: what all connections together may keep.
    @ivar complete: whether all of it has arrived and was taken.
    @ivar trailers: the trailer section (RFC 9110 section 6.5); empty before C{complete}.
    """

    __slots__ = ("_error", "_reader", "_take", "_want", "_whole", "budget", "complete", "trailers")

    def __init__(
        self, budget: Budget, want: Callable[[bool], None], take: Callable[[], bytes | None]
    ) -> None:
        """
        @param budget: what is kept of it counts there.
        @param want: called with whether somebody waits for a piece.
        @param take: takes all that is still to come, where that has arrived.
        """
        self.complete = False
        self.trailers = _NO_TRAILERS
        self.budget = budget
        self._want = want
        self._take = take
        self._whole: _Whole | None = None
        self._reader: Arrival[bytes] | None = None
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
        @raise RuntimeError: it was read before.
        """
        if limit is not None and length > limit:
            raise _tooLarge(limit)
        if self.complete:
            if self._whole is not None:
                raise RuntimeError(
                    "the content was read already: keep what the first read returned"
                )
            return b""
        whole = _Whole(self.budget, limit)
        if self._reader is None and self._error is None:
            # Most contents are short, and arrive with their heads: nobody has to wait then.
            content = self._take()
            if content is not None:
                self.complete = True
                whole.add(content)
                self._whole = whole
                return whole.join()
        return await self._next(whole)

    async def pieces(self, limit: int | None = None, length: int = 0) -> AsyncIterator[bytes]:
        """
        Read piece by piece all that was not read yet; the arguments are those of L{read}.
        """
        if limit is not None and length > limit:
            raise _tooLarge(limit)
        size = 0
        async for piece in self:
            size += len(piece)
            if limit is not None and size > limit:
                raise _tooLarge(limit)
            yield piece

    def _next(self, whole: _Whole | None = None) -> Deferred[bytes]:
        """
        Wait for the next piece, or for all that is still to come.
        """
        if self._error is not None:
            return fail(self._error())
        if self._reader is not None:
            return fail(RuntimeError("another read of this content is still waiting"))
        if whole is not None:
            self._whole = whole
        self._reader = reader = Arrival[bytes](self._stoppedWaiting)
        self._want(True)
        return reader

    def _stoppedWaiting(self, reader: Deferred[bytes]) -> None:
        self._reader = None
        self._forget()
        self._want(False)

    # What the connection brings

    def received(self, data: bytes) -> None:
        """
        Take the piece that was waited for.
        """
        reader, whole = self._reader, self._whole
        if reader is None:
            return
        if whole is None:
            self._reader = None
            reader.arrived(data)
            return
        try:
            whole.add(data)
        except HTTPProtocolError as error:
            self.failed(error)
        else:
            self._want(True)

    def ended(self, trailers: Fields) -> None:
        """
        Take the end.
        """
        self.complete = True
        self.trailers = trailers
        reader, self._reader = self._reader, None
        if reader is not None:
            reader.arrived(b"" if self._whole is None else self._whole.join())

    def failed(self, error: Exception) -> bool:
        """
        Have the read fail that waits.

        @param error: why.
        @return: whether one did.
        """
        reader, self._reader = self._reader, None
        if reader is None:
            return False
        self._forget()
        failure = Failure(error)
        reader.failed(failure)
        # Whoever read may have caught it, and go on.
        releaseFrames(failure)
        return True

    def close(self, error: Callable[[], Exception]) -> None:
        """
        The request is over: nothing more can be read, and nothing is kept.

        @param error: makes what reads fail with.
        """
        self._forget()
        if not self.complete:
            self._error = error
            self.failed(error())

    def _forget(self) -> None:
        whole, self._whole = self._whole, None
        if whole is not None:
            whole.forget()


class _Whole:
    """
    A content that is read as a whole, as far as it has arrived.
    """

    __slots__ = ("_most", "_pieces", "_share")

    def __init__(self, budget: Budget, limit: int | None) -> None:
        """
        @param budget: what is kept of it counts there.
        @param limit: how many octets there may be.
        """
        # Its memory goes and comes with each request.
        raiseTrimThreshold()
        self._pieces: list[bytes] = []
        self._share = budget.share()
        self._most = limit

    def add(self, piece: bytes) -> None:
        """
        Keep a piece.

        @raise HTTPProtocolError: 413 or 503: it is too much.
        """
        share = self._share
        size = share.kept + len(piece)
        if self._most is not None and size > self._most:
            raise _tooLarge(self._most)
        try:
            share.keep(size)
        except BudgetExceededError as error:
            raise HTTPProtocolError(str(error), 503) from error
        self._pieces.append(piece)

    def join(self) -> bytes:
        """
        Give all of it to who reads it. It counts as long as the request is under way.
        """
        pieces, self._pieces = self._pieces, []
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    def forget(self) -> None:
        """
        Keep nothing any more.
        """
        self._pieces = []
        self._share.keep(0)


def _tooLarge(limit: int) -> HTTPProtocolError:
    return HTTPProtocolError(f"the content is larger than {limit} octets", 413)


#: The content of all requests that have none.
NO_CONTENT = RequestContent(Budget(0), lambda wanted: None, lambda: b"")
NO_CONTENT.complete = True
