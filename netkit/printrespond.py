"""
The print-respond service: collect what a client sent until it half-closed, show it, answer, close.
"""

from __future__ import annotations

from io import BytesIO

from twisted.internet.error import ConnectionDone
from twisted.internet.interfaces import IReactorTime
from twisted.internet.protocol import connectionDone
from twisted.logger import Logger
from twisted.protocols.basic import FileSender
from twisted.python.failure import Failure

from .base.addresses import addressText
from .base.budget import BudgetExceededError
from .base.tls import errorText
from .base.twistedprivate import handshakeDone
from .interfaces import IPrinter
from .server import ServerFactory, ServerProtocol

_log = Logger()


class PrintRespondProtocol(ServerProtocol):
    """
    Collects until the client half-closes, hands what came to the factory's printer, and answers
    with the factory's response. Content beyond the factory's C{maxContent}, or beyond what all
    connections may keep together, is refused: logged, told to the client in one line, and dropped.
    """

    factory: PrintRespondFactory

    def connectionMade(self) -> None:
        super().connectionMade()
        self._content: bytearray | None = bytearray()
        self._share = self.factory.budget.share()

    def dataReceived(self, data: bytes) -> None:
        self.silentSweeps = 0
        if self._content is None:
            return
        size = len(self._content) + len(data)
        if size > self.factory.maxContent:
            self._refuse(f"more than {self.factory.maxContent} bytes of content")
            return
        try:
            self._share.keep(size)
        except BudgetExceededError as error:
            self._refuse(str(error))
            return
        self._content += data

    def readConnectionLost(self) -> None:
        if self.lingering:
            self.transport.loseConnection()
            return
        self._print()
        sender = FileSender()
        sent = sender.beginFileTransfer(
            BytesIO(self.factory.response), self.transport, self._progress
        )
        sent.addCallbacks(lambda last: self.transport.loseConnection(), self._unanswered)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        super().connectionLost(reason)
        if self._content is None:
            return
        if not handshakeDone(self.transport):
            self._taken()
            return
        if reason.check(ConnectionDone):
            # An end without a half-close: TLS has none.
            self._print()
            return
        _log.warn(
            "{peer} was lost after {length} bytes of content, which are dropped: {reason}",
            peer=addressText(self.transport.getPeer()),
            length=len(self._content),
            reason=errorText(reason.value),
        )
        self._taken()

    def serviceStopping(self) -> None:
        # Without its end the content is not whole: nothing is printed, nothing answered.
        self.transport.abortConnection()

    def _print(self) -> None:
        content = self._taken()
        if content is not None and self.factory.printer is not None:
            self.factory.printer.received(self.transport.getPeer(), content)

    def _taken(self) -> bytearray | None:
        """
        Keep the content no longer.

        @return: the content; C{None} where there is none any more.
        """
        content, self._content = self._content, None
        self._share.keep(0)
        return content

    def _progress(self, chunk: bytes) -> bytes:
        self.silentSweeps = 0
        return chunk

    def _unanswered(self, reason: Failure) -> None:
        _log.info(
            "{peer} went away before it had the whole response",
            peer=addressText(self.transport.getPeer()),
        )

    def _refuse(self, reason: str) -> None:
        self._taken()
        _log.warn(
            "{peer} refused: {reason}",
            peer=addressText(self.transport.getPeer()),
            reason=reason,
        )
        self.transport.write(f"refused: {reason}\n".encode())
        self.lingeringClose()


class PrintRespondFactory(ServerFactory):
    """
    Makes print-respond connections, within the limits of L{ServerFactory}.
    """

    protocol = PrintRespondProtocol

    def __init__(
        self,
        response: bytes = b"response data",
        *,
        printer: IPrinter | None = None,
        maxContent: int = 64 * 2**20,
        maxConnections: int = 10_000,
        maxBuffered: int = 256 * 2**20,
        idleTimeout: float = 600.0,
        clock: IReactorTime | None = None,
    ) -> None:
        """
        @param response: what every client is answered.
        @param printer: what shows each client's content; nothing by default.
        @param maxContent: how many bytes a client may send before it half-closes.
        @param maxConnections: as in L{ServerFactory}.
        @param maxBuffered: as in L{ServerFactory}.
        @param idleTimeout: as in L{ServerFactory}.
        @param clock: as in L{ServerFactory}.
        """
        super().__init__(
            maxConnections=maxConnections,
            maxBuffered=maxBuffered,
            idleTimeout=idleTimeout,
            clock=clock,
        )
        self.response = response
        self.printer = printer
        self.maxContent = maxContent
