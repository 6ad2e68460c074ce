"""
What is written to a connection: together where it can leave together, and held back while the
client does not take it.
"""

from __future__ import annotations

from collections.abc import Callable

from twisted.internet.interfaces import IPushProducer, ITransport

from ..base.backpressure import Backpressure
from ..base.filerange import FileRange
from ..base.sendfile import LEAST, FileSender, socketTransport
from ..base.wrapping import writer

# So much is written without waiting for what follows: one more write is cheaper than a copy then.
_TOGETHER = 2**13


class WriteFlow(Backpressure):
    """
    Writes to a connection, and knows whether the client takes it.

    @ivar pending: what waits for something else to leave with.
    @ivar producer: what is paused with it, where there is something.
    """

    __slots__ = ("_transport", "_writer", "pending", "producer")

    def __init__(self, transport: ITransport, onDrain: Callable[[], None]) -> None:
        """
        @param transport: the connection.
        @param onDrain: called when the client has taken what was waiting.
        """
        super().__init__(onDrain=onDrain)
        self.pending = b""
        self.producer: IPushProducer | None = None
        self._transport = transport
        self._writer = writer(transport)
        self.register(transport)

    def write(self, octets: bytes, more: bool = False) -> None:
        """
        Write.

        @param octets: what to write, behind all that was written before.
        @param more: whether something may follow that can leave with it; if nothing does,
            L{flush} has to be called.
        """
        if self.pending:
            octets = self.pending + octets
            self.pending = b""
        if more and len(octets) < _TOGETHER:
            self.pending = octets
        else:
            self._writer.write(octets)

    def flush(self) -> None:
        """
        Write what waits for something else to leave with.
        """
        octets, self.pending = self.pending, b""
        self._writer.write(octets)

    async def sendFile(self, file: FileRange, sent: Callable[[int], object]) -> None:
        """
        Have the system send a range of a file, behind all that was written before, if it is worth
        that and the system can. What is left of the range is to be written.

        @param file: the range.
        @param sent: called with how many octets were sent since it was called last.
        """
        connection = socketTransport(self._transport) if file.left >= LEAST else None
        if connection is None:
            return
        # Meanwhile the transport has another producer, which pauses this one.
        self.unregister()
        try:
            await FileSender(connection, file, self, sent).send()
        finally:
            self.register(self._transport)

    def end(self) -> None:
        """
        Nothing more is written. A transport does not close before it was told so.
        """
        if self.pending:
            self.flush()
        self.unregister()
        # Nor is anything called any more.
        self.forget()

    def pauseProducing(self) -> None:
        super().pauseProducing()
        if self.producer is not None:
            self.producer.pauseProducing()

    def resumeProducing(self) -> None:
        super().resumeProducing()
        # It may be paused again, by what was written now.
        if self.producer is not None and not self.paused:
            self.producer.resumeProducing()
