"""
The print-respond service: take what a client sends until it half-closes, and answer. What it sent
is shown by whatever records the connection.
"""

from __future__ import annotations

from dataclasses import dataclass
from io import BytesIO

from twisted.internet.error import ConnectionDone
from twisted.internet.interfaces import IReactorTime
from twisted.internet.protocol import connectionDone
from twisted.logger import Logger
from twisted.protocols.basic import FileSender
from twisted.python.failure import Failure

from .base.arguments import checkCount, checkFlag, checkOctets, checkSeconds
from .base.deadlines import IdleTimer
from .base.notes import tell
from .base.quantities import parseSeconds
from .base.tls import errorText, handshakeDone
from .server import ServerFactory, ServerProtocol

_log = Logger()


@dataclass(frozen=True, slots=True)
class Until:
    """
    When a client has sent all that it has to say. Its half-close always means that.

    @ivar line: the first line feed does as well.
    @ivar idle: so do as many seconds in which nothing arrives, once something did; 0 for never.
    """

    line: bool = False
    idle: float = 0.0

    def __post_init__(self) -> None:
        checkFlag("line", self.line)
        checkSeconds("idle", self.idle)

    @classmethod
    def parse(cls, text: str) -> Until:
        """
        Parse C{end}, C{line} or C{idle:SECONDS}.

        @raise ValueError: it is none of them.
        """
        kind, colon, argument = text.partition(":")
        if kind == "idle" and colon:
            return cls(idle=parseSeconds(argument, zero=False))
        if text not in ("end", "line"):
            raise ValueError(f"{text!r} is neither end nor line nor idle:SECONDS")
        return cls(line=text == "line")


class PrintRespondProtocol(ServerProtocol):
    """
    Takes what comes until the client half-closes, or the factory's C{until} says so, answers with
    the factory's response, and closes. Content beyond the factory's C{maxContent} is refused:
    logged, and told to the client in one line.
    """

    factory: PrintRespondFactory
    _idle: IdleTimer | None = None
    _halfClosed = False

    def connectionMade(self) -> None:
        super().connectionMade()
        # How much came; None once it is answered, refused or lost.
        self._length: int | None = 0
        if self.factory.banner:
            self.transport.write(self.factory.banner)

    def dataReceived(self, data: bytes) -> None:
        self.idleTicks = 0
        if self._length is None:
            return
        self._length += len(data)
        if self._length > self.factory.maxContent:
            self._refuse(f"more than {self.factory.maxContent} bytes of content")
            return
        until = self.factory.until
        if until.line and b"\n" in data:
            self._respond()
        elif self._idle is not None:
            self._idle.moved()
        elif until.idle:
            self._idle = IdleTimer(self.factory.clock)
            self._idle.start(until.idle, self._respond)

    def readConnectionLost(self) -> None:
        self._halfClosed = True
        if self.lingering:
            self.transport.loseConnection()
        elif self._length is not None:
            self._respond()

    def _respond(self) -> None:
        self._end()
        sender = FileSender()
        sent = sender.beginFileTransfer(
            BytesIO(self.factory.response), self.transport, self._progress
        )
        sent.addCallbacks(self._responded, self._unanswered)

    def _responded(self, last: bytes) -> None:
        if self._halfClosed:
            self.transport.loseConnection()
        else:
            # The client may still be sending.
            self.lingeringClose()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        super().connectionLost(reason)
        length = self._length
        self._end()
        # Without a half-close TLS ends in good order; where there is no handshake, nothing came.
        if length is None or reason.check(ConnectionDone) or not handshakeDone(self.transport):
            return
        tell(
            _log.warn,
            self.transport,
            "was lost after {length} bytes of content: {reason}",
            length=length,
            reason=errorText(reason.value),
        )

    def serviceStopping(self) -> None:
        # Who has begun to say something may go on to its end, and is answered.
        if self._length == 0:
            self._end()
            self.transport.loseConnection()

    def _end(self) -> None:
        """
        Take nothing more.
        """
        self._length = None
        if self._idle is not None:
            self._idle.stop()

    def _progress(self, chunk: bytes) -> bytes:
        self.idleTicks = 0
        return chunk

    def _unanswered(self, reason: Failure) -> None:
        tell(_log.info, self.transport, "went away before it had the whole response")

    def _refuse(self, reason: str) -> None:
        self._end()
        tell(_log.warn, self.transport, "refused: {reason}", reason=reason)
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
        banner: bytes = b"",
        until: Until = Until(),
        maxContent: int = 64 * 2**20,
        maxConnections: int = 10_000,
        maxBuffered: int = 256 * 2**20,
        idleTimeout: float = 600.0,
        clock: IReactorTime | None = None,
    ) -> None:
        """
        @param response: what every client is answered.
        @param banner: what every client is sent as soon as it has connected.
        @param until: when a client has sent all that it has to say.
        @param maxContent: how many bytes a client may send until then.
        @param maxConnections: as in L{ServerFactory}.
        @param maxBuffered: as in L{ServerFactory}.
        @param idleTimeout: as in L{ServerFactory}.
        @param clock: as in L{ServerFactory}.
        @raise TypeError: an argument is of another type.
        @raise ValueError: an argument is out of range.
        """
        checkCount("maxContent", maxContent)
        if not isinstance(until, Until):
            raise TypeError(f"until is an Until, not {until!r}: write Until(line=True)")
        super().__init__(
            maxConnections=maxConnections,
            maxBuffered=maxBuffered,
            idleTimeout=idleTimeout,
            clock=clock,
        )
        self.response = checkOctets("response", response)
        self.banner = checkOctets("banner", banner)
        self.until = until
        self.maxContent = maxContent
