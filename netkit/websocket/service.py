"""
A client that stays connected.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Generic, TypeVar

from twisted.application.internet import ClientService
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import (
    IProtocol,
    IProtocolFactory,
    IReactorTime,
    IStreamClientEndpoint,
)
from twisted.internet.protocol import Factory, Protocol, connectionDone
from zope.interface import implementer

from .client import WebSocketClientConnection
from .endpoint import WebSocketClientEndpoint
from .protocol import WebSocketClientFactory, WebSocketProtocol

ProtocolT = TypeVar("ProtocolT", bound=WebSocketProtocol)


class WebSocketClientService(ClientService, Generic[ProtocolT]):
    """
    Connects to a URL, and again whenever the connection is lost or refused: each time after a
    longer and partly random delay, up to a minute. It closes with 1001 when it is stopped.
    """

    def __init__(
        self,
        endpoint: WebSocketClientEndpoint,
        factory: WebSocketClientFactory[ProtocolT],
        *,
        retryPolicy: Callable[[int], float] | None = None,
        clock: IReactorTime | None = None,
    ) -> None:
        """
        @param endpoint: where to connect to.
        @param factory: makes the application's side of each connection.
        @param retryPolicy: as in C{ClientService}: how many seconds to wait after so many
            failures in a row.
        @param clock: what tells the time; the global reactor by default.
        """
        self._sessions: _SessionFactory[ProtocolT] = _SessionFactory()
        super().__init__(
            _SessionEndpoint(endpoint, factory, self._sessions),
            self._sessions,
            retryPolicy=retryPolicy,
            clock=clock,
        )

    def whenConnected(  # type: ignore[override] # what is connected here is an application
        self, failAfterFailures: int | None = None
    ) -> Deferred[ProtocolT]:
        """
        Wait for a connection.

        @param failAfterFailures: as in C{ClientService}.
        @return: fires with what the factory made for it, once its opening handshake is done.
        """
        connected: Deferred[Any] = super().whenConnected(failAfterFailures)
        return connected.addCallback(lambda session: session.application)


class _Session(Protocol, Generic[ProtocolT]):
    """
    The protocol that C{ClientService} tracks: connected for as long as the WebSocket is open.
    """

    def __init__(self, application: ProtocolT) -> None:
        self.application = application


class _SessionFactory(Factory[Protocol], Generic[ProtocolT]):
    """
    Makes the session of an application: C{whenConnected} of C{ClientService} gives the protocol
    that its factory made.
    """

    noisy = False
    application: ProtocolT

    def buildProtocol(self, addr: object) -> _Session[ProtocolT]:
        return _Session(self.application)


class _SessionTransport:
    """
    The transport of a session, on which C{ClientService} calls C{loseConnection} when it stops,
    and nothing else.
    """

    def __init__(self, connection: WebSocketClientConnection) -> None:
        self._connection = connection

    def loseConnection(self) -> None:
        self._connection.serviceStopping()


@implementer(IStreamClientEndpoint)
class _SessionEndpoint(Generic[ProtocolT]):
    """
    Connects, and makes a session when the opening handshake is done.
    """

    def __init__(
        self,
        endpoint: WebSocketClientEndpoint,
        factory: WebSocketClientFactory[ProtocolT],
        sessions: _SessionFactory[ProtocolT],
    ) -> None:
        self._endpoint = endpoint
        self._factory = factory
        self._sessions = sessions

    def connect(self, protocolFactory: IProtocolFactory) -> Deferred[IProtocol]:
        return Deferred.fromCoroutine(self._connect(protocolFactory))

    async def _connect(self, protocolFactory: IProtocolFactory) -> IProtocol:
        connection, application = await self._endpoint.establish(self._factory)
        self._sessions.application = application
        session = protocolFactory.buildProtocol(connection.transport.getPeer())
        assert session is not None
        session.makeConnection(_SessionTransport(connection))  # type: ignore[arg-type]
        # Why it was lost is for the application, which is told.
        connection.closed.addCallback(lambda _: session.connectionLost(connectionDone))
        return session
