"""
Plain HTTP on a connection that may be upgraded to a WebSocket.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, cast

from twisted.internet.interfaces import IProtocolFactory, ITransport
from twisted.internet.protocol import connectionDone
from twisted.python.failure import Failure
from zope.interface import directlyProvides, providedBy

from ..base.switching import SwitchedProtocol
from ..wire.errors import HTTPProtocolError
from ..wire.http.connection import ResponseReceiver
from ..wire.http.content import EndOfMessage
from ..wire.http.head import RequestHead, ResponseHead
from ..wire.http.limits import Limits

# The responses are our own side's: how large they are is not for us to say.
_LIMITS = Limits(
    request_line=2**20,
    header_section=2**24,
    fields=2**20,
    content=0,
    chunk_extensions=2**20,
    trailer_section=2**24,
    interim_responses=2**62,
)


class PlainHTTP:
    """
    The protocol that answers the plain requests of a connection. Parses its responses, to know
    when all requests are answered.

    @ivar followed: whether the responses can be parsed: false for good once the protocol writes
        what is not HTTP, or switches protocols itself.
    """

    def __init__(
        self, factory: IProtocolFactory, transport: ITransport, progressed: Callable[[], None]
    ) -> None:
        """
        @param factory: makes the protocol.
        @param transport: the connection.
        @param progressed: called from within the protocol's C{write}: when all requests are
            answered, and when C{followed} becomes false.
        """
        self.followed = True
        self._progressed = progressed
        self._unanswered = 0
        self._final = False
        self._responses = ResponseReceiver(_LIMITS)
        self._transport = _Transport(transport, self._wrote)
        self._protocol: SwitchedProtocol | None = None
        protocol = factory.buildProtocol(transport.getPeer())
        if protocol is None:
            transport.loseConnection()
        else:
            self._protocol = SwitchedProtocol(protocol, cast(ITransport, self._transport))

    @property
    def idle(self) -> bool:
        """
        Whether all requests are answered.
        """
        return self.followed and not self._unanswered

    @property
    def closing(self) -> bool:
        """
        Whether the protocol closes the connection.
        """
        return self._transport.closing

    def requestReceived(self, head: RequestHead) -> None:
        """
        Expect the response to a request that is about to be passed on.

        @param head: its head.
        """
        self._unanswered += 1
        self._responses.request_sent(head.method)
        # What follows CONNECT may be a tunnel's.
        self.followed &= head.method != b"CONNECT"

    def dataReceived(self, data: bytes) -> None:
        """
        Pass on octets that arrived.
        """
        if self._protocol is not None:
            self._protocol.dataReceived(data)

    def readConnectionLost(self) -> None:
        """
        The peer closed its half.
        """
        if self._protocol is not None:
            self._protocol.readConnectionLost()

    def writeConnectionLost(self) -> None:
        """
        Our half is closed.
        """
        if self._protocol is not None:
            self._protocol.writeConnectionLost()

    def connectionLost(self, reason: Failure) -> None:
        """
        The connection is lost.
        """
        protocol, self._protocol = self._protocol, None
        if protocol is not None:
            protocol.connectionLost(reason)

    @property
    def stoppable(self) -> bool:
        """
        Whether the protocol ends the connection in good order itself when the service stops.
        """
        return self._protocol is not None and self._protocol.stoppable

    def serviceStopping(self) -> None:
        """
        The service stops.
        """
        if self._protocol is not None:
            self._protocol.serviceStopping()

    def leave(self) -> None:
        """
        Take the connection away from the protocol, which is told that it is lost.
        """
        self._transport.detach()
        self.connectionLost(connectionDone)

    def _wrote(self, data: bytes) -> None:
        if not self.followed:
            return
        responses = self._responses
        responses.receive(data)
        try:
            while self.followed and (event := responses.next_event()) is not None:
                if isinstance(event, ResponseHead):
                    self._final = event.status >= 200
                    self.followed = event.status != 101
                elif isinstance(event, EndOfMessage) and self._final:
                    self._unanswered -= 1
        except HTTPProtocolError:
            self.followed = False
        if self.idle or not self.followed:
            self._progressed()


class _Transport:
    """
    The transport that the plain protocol writes to: reports what is written, and can be detached
    from the connection.

    @ivar closing: whether the protocol closes the connection, or our half of it.
    """

    def __init__(self, transport: ITransport, wrote: Callable[[bytes], None]) -> None:
        directlyProvides(self, providedBy(transport))
        # None where it was taken away.
        self._open: Any = transport
        self._transport = transport
        self._wrote = wrote
        self._producing = self._paused = self.closing = False

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)

    def write(self, data: bytes) -> None:
        if self._open is not None:
            self._open.write(data)
            self._wrote(data)

    def writeSequence(self, data: Iterable[bytes]) -> None:
        self.write(b"".join(data))

    def loseConnection(self) -> None:
        if self._open is not None:
            self.closing = True
            self._open.loseConnection()

    def loseWriteConnection(self) -> None:
        if self._open is not None:
            self.closing = True
            self._open.loseWriteConnection()

    def abortConnection(self) -> None:
        if self._open is not None:
            self.closing = True
            self._open.abortConnection()

    def registerProducer(self, producer: Any, streaming: bool) -> None:
        if self._open is not None:
            self._open.registerProducer(producer, streaming)
            self._producing = True

    def unregisterProducer(self) -> None:
        if self._open is not None:
            self._producing = False
            self._open.unregisterProducer()

    def pauseProducing(self) -> None:
        if self._open is not None:
            self._paused = True
            self._open.pauseProducing()

    def resumeProducing(self) -> None:
        if self._open is not None:
            self._paused = False
            self._open.resumeProducing()

    def detach(self) -> None:
        """
        Do nothing from now on. The producer is unregistered, and reading resumed.
        """
        if self._producing:
            self.unregisterProducer()
        if self._paused:
            self.resumeProducing()
        self._open = None
