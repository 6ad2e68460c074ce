"""
What an application is to the library, and the library to an application.

L{WebSocketProtocol} and L{WebSocketTransport} are those of L{twisted.web.websocket}, the latter
with more methods. What an application may do beyond is in small protocols of their own: to define
the method is to ask for the event.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any, Protocol, TypeAlias, TypeVar, runtime_checkable

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IAddress, IProducer
from twisted.python.failure import Failure

from ..base.arguments import checkCount
from ..wire.websocket.lifecycle import State
from .arguments import checkResponseFields


class WebSocketTransport(Protocol):
    """
    The connection, as its application uses it.

    What is sent while nothing can be raises L{NotConnected <netkit.websocket.NotConnected>}:
    before C{negotiationFinished}; after C{loseConnection}, C{loseWriteConnection} or
    C{abortConnection}; after the peer's Close frame was answered; after C{connectionLost}.

    @ivar subprotocol: the subprotocol that was agreed on, if any.
    @ivar latency: how many seconds the peer took to answer the last ping of ours; L{None} until
        it answered one.
    """

    subprotocol: str | None
    latency: float | None

    @property
    def state(self) -> State:
        """
        Where the connection is: C{CONNECTING}; C{OPEN}; C{CLOSING} from the first Close frame on,
        whoever sent it; C{CLOSED}.
        """

    @property
    def bufferedAmount(self) -> int:
        """
        How many octets were sent and wait here, because the peer does not take them.
        """

    def ready(self) -> Deferred[None]:
        """
        Wait until more should be sent.

        @return: fires at once, where the peer takes what it is sent; fails where the connection is
            lost before.
        """

    def sendTextMessage(self, text: str) -> None:
        """
        Send a text message.
        """

    def sendBytesMessage(self, data: bytes | bytearray | memoryview) -> None:
        """
        Send a binary message.
        """

    def sendTextPiece(self, text: str, finished: bool) -> None:
        """
        Send a text message piece by piece.

        @param text: the next piece.
        @param finished: whether the message ends with it.
        """

    def sendBytesPiece(self, data: bytes, finished: bool) -> None:
        """
        Send a binary message piece by piece.

        @param data: the next piece.
        @param finished: whether the message ends with it.
        """

    def ping(self, payload: bytes = b"") -> None:
        """
        Send a Ping frame.

        @param payload: up to 125 octets, which come back with C{pongReceived}.
        """

    def loseConnection(self, code: int = 1000, reason: str = "") -> None:
        """
        Close the connection: what was sent before arrives, what the peer still sends is dropped.
        Where it is closing already, or closed, there is nothing more to do.

        @param code: the close code: 1000, 1001, 1008, 1011, 3000 to 4999 ...
        @param reason: why, in words for whoever debugs it: up to 123 octets.
        """

    def loseWriteConnection(self, code: int = 1000, reason: str = "") -> None:
        """
        Send the Close frame, and go on receiving until the peer's comes, which most peers send at
        once.

        @param code: as in C{loseConnection}.
        @param reason: as in C{loseConnection}.
        """

    def abortConnection(self) -> None:
        """
        Cut the connection, without a closing handshake.
        """

    def pauseProducing(self) -> None:
        """
        Deliver no more messages, and read no more, until C{resumeProducing}.
        """

    def resumeProducing(self) -> None:
        """
        Go on after C{pauseProducing}.
        """

    def attachProducer(self, producer: IProducer, streaming: bool = True) -> None:
        """
        Let the connection pause C{producer} while the peer does not take what was sent, and
        resume it after. As long as it is attached, what is received is not held up by that.

        @param streaming: whether it is an L{IPushProducer
            <twisted.internet.interfaces.IPushProducer>}; else it is pulled from.
        """

    def detachProducer(self) -> None:
        """
        Undo C{attachProducer}.
        """

    def getPeer(self) -> IAddress:
        """
        The peer's address.
        """

    def getHost(self) -> IAddress:
        """
        Our address.
        """


class WebSocketProtocol(Protocol):
    """
    What receives the events of a WebSocket connection. Subclass it, and each method does nothing
    until you define it; or define them all.
    """

    def negotiationStarted(self, transport: WebSocketTransport) -> None:
        """
        The opening handshake is under way.

        @param transport: what to send through, once it is done.
        """
        return

    def negotiationFinished(self) -> None:
        """
        The opening handshake is done: messages can be sent.
        """
        return

    def textMessageReceived(self, message: str) -> None:
        """
        A text message was received.
        """
        return

    def bytesMessageReceived(self, data: bytes | bytearray) -> None:
        """
        A binary message was received.
        """
        return

    def pongReceived(self, payload: bytes) -> None:
        """
        The answer to a C{ping} was received.
        """
        return

    def connectionLost(self, reason: Failure) -> None:
        """
        The connection is closed.

        @param reason: L{WebSocketClosed <netkit.websocket.WebSocketClosed>} after a Close frame;
            L{ConnectionDone <twisted.internet.error.ConnectionDone>} where the peer just hung
            up; L{ConnectionLost <twisted.internet.error.ConnectionLost>} or
            L{ConnectionAborted <twisted.internet.error.ConnectionAborted>} where it was cut.
        """
        return


class PieceReceiver(Protocol):
    """
    A L{WebSocketProtocol} that takes messages in pieces, as they arrive, instead of whole. The
    limit on a message's size counts all the same.
    """

    def textPieceReceived(self, text: str, finished: bool) -> None:
        """
        A piece of a text message was received.

        @param text: the piece; may be empty.
        @param finished: whether the message ends with it.
        """

    def bytesPieceReceived(self, data: bytes, finished: bool) -> None:
        """
        A piece of a binary message was received.

        @param data: the piece; may be empty.
        @param finished: whether the message ends with it.
        """


class PingReceiver(Protocol):
    """
    A L{WebSocketProtocol} that wants to know of pings, which are answered without it.
    """

    def pingReceived(self, payload: bytes) -> None:
        """
        A ping was received, and answered.
        """


class CloseReceiver(Protocol):
    """
    A L{WebSocketProtocol} that answers the peer's Close frame itself, by C{loseConnection}; until
    then it can still send.
    """

    def closeReceived(self, code: int, reason: str) -> None:
        """
        The peer's Close frame was received: it sends nothing more.

        @param code: the close code; 1005 where there is none.
        @param reason: the reason.
        """


ProtocolT_co = TypeVar("ProtocolT_co", covariant=True, bound=WebSocketProtocol)


class WebSocketServerFactory(Protocol[ProtocolT_co]):
    """
    Makes the application's side of each connection to a server.
    """

    # A method named differently from its request's type: WebSocketFactory gives a
    # WebSocketRequest, WebSocketResource one of twisted.web, and both have the same names.
    @property
    def buildProtocol(self) -> Callable[..., ProtocolT_co | None]:
        """
        Called with the request, returns what receives the connection's events, or L{None} to
        refuse it.
        """


class WebSocketClientFactory(Protocol[ProtocolT_co]):
    """
    Makes the application's side of a connection to a server.
    """

    def buildProtocol(self, url: str) -> ProtocolT_co:
        """
        Make what receives the connection's events.

        @param url: where it leads.
        """


@dataclass(frozen=True, slots=True, kw_only=True)
class Acceptance:
    """
    A request is accepted.

    @ivar subprotocol: which of the client's subprotocols to take.
    @ivar headers: more header fields for the response.
    """

    subprotocol: str | None = None
    headers: tuple[tuple[bytes, bytes], ...] = ()

    def __post_init__(self) -> None:
        checkResponseFields(101, self.headers)


@dataclass(frozen=True, slots=True, kw_only=True)
class Rejection:
    """
    A request is refused.

    @ivar status: the HTTP status: 200 to 599.
    @ivar headers: header fields for the response.
    @ivar body: the response's content.
    """

    status: int = 403
    headers: tuple[tuple[bytes, bytes], ...] = ()
    body: bytes = b""

    def __post_init__(self) -> None:
        checkCount("status", self.status, 200, 599)
        checkResponseFields(self.status, self.headers)
        if not isinstance(self.body, bytes):
            raise TypeError(f"body is bytes, not {self.body!r}")


Decision: TypeAlias = Acceptance | Rejection | None


@runtime_checkable
class ConnectionAcceptor(Protocol):
    """
    A L{WebSocketServerFactory} that decides about each request.
    """

    @property
    def acceptConnection(
        self,
    ) -> Callable[..., Decision | Deferred[Decision] | Coroutine[Deferred[Any], Any, Decision]]:
        """
        Called with the request before anything is built for it. Returns an L{Acceptance}, a
        L{Rejection}, or L{None} to accept as if it had not been asked; or any of these later.
        """
