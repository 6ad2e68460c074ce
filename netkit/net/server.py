"""
Listening.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from types import TracebackType
from typing import Any

from twisted.internet.defer import Deferred, maybeDeferred
from twisted.internet.error import ConnectError, ConnectionAborted, ConnectionClosed
from twisted.internet.interfaces import (
    IAddress,
    IListeningPort,
    IReactorTime,
    IStreamServerEndpoint,
)
from twisted.logger import Logger
from twisted.python.failure import Failure

from ..base.addresses import addressText
from ..base.arguments import (
    callableName,
    checkCallable,
    checkCount,
    checkFlag,
    checkReactor,
    checkSeconds,
)
from ..base.budget import BudgetExceededError
from ..base.coroutines import maybeCoroutine
from ..base.endpoints import serverEndpoint
from ..base.failures import releaseFrames
from ..base.listening import UNIXReactor
from ..base.listenoptions import MOST_BACKLOG, ListenOptions
from ..base.notes import note
from ..server import ServerFactory, ServerProtocol
from .accesslist import AccessList, Network
from .errors import (
    CannotListenOnEndpointError,
    IncompleteReadError,
    LimitExceededError,
    WriteAfterEndError,
    whileListening,
)
from .protocol import SocketOptions, SocketProtocol
from .socket import HIGH_WATER_MARK, Socket

_log = Logger()

# What the network and its peers cause: told in one line, where another error has its traceback.
_NETWORK = (ConnectionClosed, ConnectError, IncompleteReadError, LimitExceededError)

Callback = Callable[[Socket], object]
Dropped = Callable[[IAddress | None], object]


def createServer(
    callback: Callback,
    *,
    allowHalfOpen: bool = False,
    noDelay: bool = False,
    keepAlive: bool = False,
    keepAliveInitialDelay: float = 0.0,
    highWaterMark: int = HIGH_WATER_MARK,
    timeout: float = 600.0,
    maxConnections: int = 10_000,
    maxBuffered: int = 256 * 2**20,
    dropped: Dropped | None = None,
    allow: Iterable[Network] | None = None,
    deny: Iterable[Network] = (),
    reactor: IReactorTime | None = None,
) -> Server:
    """
    Make a server, which listens once L{Server.listen} is called.

    @param callback: called with the L{Socket} of each connection, once it may be used; a function
        or a coroutine function. What it raises is logged and cuts that connection alone.
    @param allowHalfOpen: whether our half of a connection stays open when the client has closed
        its own: to answer what was read to its end. Otherwise it follows as soon as all is read
        that came before that end.
    @param noDelay: whether small writes are sent at once, as by L{Socket.setNoDelay}.
    @param keepAlive: whether the system probes silent clients, as by L{Socket.setKeepAlive}.
    @param keepAliveInitialDelay: seconds of silence before the first probe; 0 for the system's
        own.
    @param highWaterMark: how many bytes may wait in a socket, for each direction.
    @param timeout: seconds of idleness after which a connection is ended; 0 for none.
    @param maxConnections: how many connections may be open at once; 0 for no limit. One more is
        closed as soon as it is accepted.
    @param maxBuffered: how many bytes may wait in all sockets together, to be read and to be sent;
        0 for no limit. The connection that goes over it is cut, its reads and writes failing with
        L{BudgetExceededError <netkit.net.BudgetExceededError>}.
    @param dropped: called with the address of each client that was not let in; a function or a
        coroutine function. What it raises is logged.
    @param allow: the networks whose clients are let in; all of them by default. What is looked at
        is who connects to us: behind a proxy the proxy, unless C{haproxy:} tells of its client. On
        a UNIX socket everybody is let in.
    @param deny: the networks whose clients are not.
    @param reactor: what listens; the global reactor by default.
    @raise TypeError: an argument is of another type.
    @raise ValueError: a number is out of range, an entry of C{allow} or C{deny} is not a network.
    """
    checkCallable("callback", callback)
    if dropped is not None:
        checkCallable("dropped", dropped)
    checkCount("maxConnections", maxConnections)
    checkCount("maxBuffered", maxBuffered)
    checkReactor(reactor)
    options = SocketOptions(
        allowHalfOpen=allowHalfOpen,
        noDelay=noDelay,
        keepAlive=keepAlive,
        keepAliveInitialDelay=keepAliveInitialDelay,
        highWaterMark=highWaterMark,
        timeout=timeout,
    )
    return Server(
        _SocketServerFactory(
            callback,
            options,
            AccessList(allow, deny),
            dropped,
            maxConnections,
            maxBuffered,
            reactor,
        )
    )


class Server:
    """
    Listens on any number of endpoints. L{createServer} makes one.
    """

    def __init__(self, factory: _SocketServerFactory) -> None:
        """
        @param factory: makes the connections.
        """
        self._factory = factory
        self._ports: list[IListeningPort] = []
        self._pending: dict[Deferred[IListeningPort], str] = {}

    @property
    def maxConnections(self) -> int:
        """
        How many connections may be open at once; 0 for no limit. May be changed at any time.
        """
        return self._factory.maxConnections

    @maxConnections.setter
    def maxConnections(self, value: int) -> None:
        checkCount("maxConnections", value)
        self._factory.maxConnections = value

    @property
    def droppedConnections(self) -> int:
        """
        How many clients were not let in.
        """
        return self._factory.refused

    def getConnections(self) -> int:
        """
        Tell how many connections are open.
        """
        return len(self._factory.connections)

    def address(self) -> IAddress | None:
        """
        Tell where this server listens: the first place, if it is several; L{None} if it does not.
        """
        return self._ports[0].getHost() if self._ports else None

    def listen(
        self,
        endpoint: str | IStreamServerEndpoint,
        *,
        backlog: int | None = None,
        ipv6Only: bool = False,
        reusePort: bool = False,
    ) -> Deferred[IAddress]:
        """
        Listen on one endpoint more.

        @param endpoint: a server endpoint or the string for one: C{tcp:3200:interface=localhost},
            C{unix:/run/echo.sock:mode=660}.
        @param backlog: how many connections may wait to be accepted; 511 by default, unless the
            string has its own. This and the other two are for strings of Twisted's own endpoints:
            C{tcp:}, C{ssl:}, C{tls:} and C{unix:}.
        @param ipv6Only: whether to leave the IPv4 counterpart of an IPv6 address alone.
        @param reusePort: whether other sockets may listen on the same port, and get their share.
        @return: fires with the address, which has the port where 0 was asked for; fails with
            L{CannotListenError <twisted.internet.error.CannotListenError>}, also where L{close}
            was called meanwhile, or with C{ValueError} where the string is not an endpoint's.
        @raise TypeError: C{backlog} is no whole number, or another option neither C{True} nor
            C{False}.
        @raise ValueError: C{backlog} is out of range.
        """
        if backlog is not None:
            checkCount("backlog", backlog, least=1, most=MOST_BACKLOG)
        checkFlag("ipv6Only", ipv6Only)
        checkFlag("reusePort", reusePort)
        return Deferred.fromCoroutine(self._listen(endpoint, backlog, ipv6Only, reusePort))

    async def _listen(
        self,
        endpoint: str | IStreamServerEndpoint,
        backlog: int | None,
        ipv6Only: bool,
        reusePort: bool,
    ) -> IAddress:
        name = str(endpoint)
        if isinstance(endpoint, str):
            reactor: Any = UNIXReactor(self._factory.clock)
            if backlog is not None or ipv6Only or reusePort:
                reactor = ListenOptions(reactor, backlog, ipv6Only, reusePort)
            endpoint = serverEndpoint(reactor, endpoint)
        elif not IStreamServerEndpoint.providedBy(endpoint):
            raise ValueError(
                f"{endpoint!r} is not a server endpoint: write tcp:3200:interface=localhost, "
                "unix:/run/echo.sock or the like"
            )
        elif backlog is not None or ipv6Only or reusePort:
            raise ValueError(
                "backlog, ipv6Only and reusePort go with an endpoint string; "
                f"{endpoint!r} has its own way to listen"
            )
        try:
            port = await self._port(endpoint, name)
        except Exception as error:
            told = whileListening(error, name)
            if told is error:
                raise
            raise told from error
        return port.getHost()

    def _port(self, endpoint: IStreamServerEndpoint, name: str) -> Deferred[IListeningPort]:
        """
        Have an endpoint listen. Who stops to wait for the port, or closes the server, does not get
        it any more: it stops to listen as soon as there is one.
        """
        opening: Deferred[IListeningPort] = Deferred()
        self._pending[opening] = name

        def opened(port: IListeningPort) -> object:
            self._pending.pop(opening, None)
            if opening.called:
                return port.stopListening()
            self._ports.append(port)
            opening.callback(port)
            return None

        def failed(failure: Failure) -> None:
            self._pending.pop(opening, None)
            if not opening.called:
                opening.errback(failure)
            else:
                _log.info(
                    "{endpoint}: listening was given up, and failed: {reason}",
                    endpoint=name,
                    reason=failure.getErrorMessage(),
                )

        maybeDeferred(endpoint.listen, self._factory).addCallback(opened).addErrback(failed)
        return opening

    def close(self, grace: float | None = None) -> Deferred[None]:
        """
        Listen no longer, and wait for the connections to end. A L{listen} that waits fails.

        @param grace: after how many seconds those still open are aborted, their sockets failing
            with L{ConnectionAborted <twisted.internet.error.ConnectionAborted>}; by default they
            may take as long as they like.
        @return: fires when the last connection has ended.
        @raise TypeError: C{grace} is no number.
        @raise ValueError: C{grace} is negative or infinite.
        """
        if grace is not None:
            checkSeconds("grace", grace)
        return Deferred.fromCoroutine(self._close(grace))

    async def __aenter__(self) -> Server:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """
        Close: where the block succeeds, when the connections have ended; else at once.
        """
        await self.close(None if kind is None else 0)

    async def _close(self, grace: float | None) -> None:
        pending, self._pending = self._pending, {}
        for opening, name in pending.items():
            if not opening.called:
                opening.errback(CannotListenOnEndpointError(name, "the server was closed"))
        ports, self._ports = self._ports, []
        for port in ports:
            await maybeDeferred(port.stopListening)
        await self._factory.closeConnections(grace)


class _SocketServerProtocol(SocketProtocol, ServerProtocol):
    """
    One connection of a server's.
    """

    factory: _SocketServerFactory

    def serviceStopping(self) -> None:
        """
        It is the callback's to end what it does.
        """

    def graceOver(self) -> None:
        """
        Abort, and say in which state the connection was found.
        """
        if self.socket is None:
            super().graceOver()
            return
        unsent, unread = self.socket.writableLength, self.socket.readableLength
        left = f"{unsent} bytes unsent and {unread} unread"
        error = ConnectionAborted(f"{self.endpoint}: the server was closed, with {left}")
        _log.info("aborted: {reason}", reason=str(error))
        note(self.transport, f"did not close in time: aborted with {left}")
        self.socket.destroy(error)


class _SocketServerFactory(ServerFactory):
    """
    Makes the connections of a server.
    """

    def __init__(
        self,
        callback: Callback,
        options: SocketOptions,
        accessList: AccessList,
        dropped: Dropped | None,
        maxConnections: int,
        maxBuffered: int,
        clock: IReactorTime | None,
    ) -> None:
        # Idleness is each socket's own: its time-out can be set for it alone.
        super().__init__(
            maxConnections=maxConnections, maxBuffered=maxBuffered, idleTimeout=0, clock=clock
        )
        self._callback = callback
        self._options = options
        self._accessList = accessList
        self._dropped = dropped

    def logPrefix(self) -> str:
        """
        As the callback is called.
        """
        return callableName(self._callback)

    def protocol(self) -> ServerProtocol:
        """
        Make the protocol of one connection.
        """
        return _SocketServerProtocol(
            self._options, self.clock, self._connected, self._unused, budget=self.budget
        )

    def buildProtocol(self, addr: IAddress | None) -> ServerProtocol:
        """
        Look at who comes, and make the protocol.
        """
        if not self._accessList.allows(addr):
            _log.info(
                "{peer} refused: its network is not let in",
                peer=addressText(addr) if addr else "a client",
            )
            return self.refuse(addr, "its network is not let in")
        return super().buildProtocol(addr)

    def refuse(self, addr: IAddress | None, reason: str) -> ServerProtocol:
        """
        Tell who asked to be told.
        """
        if self._dropped is not None:
            maybeCoroutine(self._dropped, addr).addErrback(
                lambda failure: _log.failure(
                    "the callback for a dropped connection failed", failure
                )
            )
        return super().refuse(addr, reason)

    def _connected(self, socket: Socket) -> None:
        maybeCoroutine(self._callback, socket).addErrback(self._failed, socket)

    def _failed(self, failure: Failure, socket: Socket) -> None:
        peer = socket.endpoint
        if failure.check(BudgetExceededError):
            # Its socket told.
            pass
        elif failure.check(*_NETWORK) and not failure.check(WriteAfterEndError):
            _log.warn("{peer}: closed: {reason}", peer=peer, reason=failure.getErrorMessage())
        else:
            _log.failure("{peer}: the connection's callback failed: closed", failure, peer=peer)
        releaseFrames(failure)
        socket.destroy()

    def _unused(self, error: Exception) -> None:
        _log.info("a client agreed on no connection: {reason}", reason=str(error))
