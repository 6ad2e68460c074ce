"""
Who keeps a connection from being read.
"""

from __future__ import annotations

from typing import Final, Protocol, cast

from twisted.internet.interfaces import IPushProducer, ITransport

PAUSED_BY_APPLICATION: Final = 1
PAUSED_BY_PEER: Final = 2
PAUSED_FOR_OTHERS: Final = 4


class Reader(Protocol):
    """
    What reads a transport.
    """

    def deliverBuffered(self) -> None:
        """
        Go through what arrived while the transport was paused. It may be paused again by that.
        """


class ReadFlow:
    """
    Pauses a transport for as long as anybody wants that.

    @ivar paused: who does: C{PAUSED_BY_APPLICATION}, which asked for it; C{PAUSED_BY_PEER}, which
        does not take what it is sent; C{PAUSED_FOR_OTHERS}, the other connections, whose turn it
        is; some of these together, or 0 for nobody.
    """

    __slots__ = ("_closing", "_reader", "_transport", "paused")

    def __init__(self, transport: ITransport, reader: Reader) -> None:
        """
        @param transport: what is paused.
        @param reader: what reads it.
        """
        self.paused = 0
        self._closing = False
        self._reader = reader
        self._transport: IPushProducer | None = cast(IPushProducer, transport)

    def pause(self, by: int) -> None:
        """
        Read no more.
        """
        if self._closing or self._transport is None:
            return
        if not self.paused:
            self._transport.pauseProducing()
        self.paused |= by

    def resume(self, by: int) -> None:
        """
        Undo L{pause}.
        """
        if not self.paused & by:
            return
        self.paused &= ~by
        if self.paused:
            return
        self._reader.deliverBuffered()
        if not self.paused and self._transport is not None:
            self._transport.resumeProducing()

    def close(self) -> None:
        """
        Pause no more: from here on, what arrives is the end of the connection, or dropped.
        """
        self._closing = True
        self.resume(self.paused)

    def end(self) -> None:
        """
        Leave the transport alone: it was told to close.
        """
        self._transport = None

    def lost(self) -> None:
        """
        The transport is gone: let go of it and of its reader, which would be freed by nobody but
        the collector of cycles else.
        """
        self.end()
        self._reader = _NOBODY


class _Nobody:
    """
    What reads a transport that is gone.
    """

    def deliverBuffered(self) -> None:
        """
        Nothing is delivered any more.
        """


_NOBODY = _Nobody()
