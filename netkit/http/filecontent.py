"""
Content that is in a file.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator

from twisted.internet.defer import Deferred, succeed
from twisted.internet.threads import deferToThread

from ..base.filerange import FileRange

# So much is read at once, and twice as much each time that the client took it, up to the largest:
# a piece costs the way to a thread and back, and who takes none is to hold few octets in memory.
# One piece is read while another one is sent.
_PIECE = 2**18
_LARGEST_PIECE = 2**20


class FileContent:
    """
    The content of a response that is a range of a file: in pieces that threads read, for whoever
    goes through them; where it is sent as it is, the system may send it instead.

    @ivar range: the range.
    """

    def __init__(self, range: FileRange) -> None:
        """
        @param range: the range.
        """
        self.range = range
        self._pieces = _pieces(range)

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self._pieces

    async def aclose(self) -> None:
        """
        Read no more.
        """
        await self._pieces.aclose()
        if self.range.left:
            deferToThread(self.range.close)


async def _pieces(range: FileRange) -> AsyncGenerator[bytes, None]:
    size = _PIECE
    reading = _read(range, size)
    try:
        # None come where somebody cut the file: the response ends before its length.
        while piece := await reading:
            size = min(2 * size, _LARGEST_PIECE)
            reading = _read(range, size)
            yield piece
    finally:
        # Whoever is told of the end is not told of what was read ahead.
        reading.addErrback(lambda failure: None)


def _read(range: FileRange, size: int) -> Deferred[bytes]:
    return deferToThread(range.read, size) if range.left else succeed(b"")
