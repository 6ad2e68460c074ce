"""
Connecting.
"""

from __future__ import annotations

from twisted.internet.defer import Deferred
from twisted.internet.error import TimeoutError
from twisted.internet.interfaces import IAddress, IReactorTime, IStreamClientEndpoint
from twisted.internet.protocol import Factory

from ..base.arguments import checkReactor, checkSeconds
from ..base.endpoints import clientEndpoint
from .errors import withEndpoint
from .protocol import SocketOptions, SocketProtocol
from .socket import HIGH_WATER_MARK, Socket


def createConnection(
    endpoint: str | IStreamClientEndpoint,
    *,
    connectTimeout: float = 30.0,
    allowHalfOpen: bool = False,
    noDelay: bool = False,
    keepAlive: bool = False,
    keepAliveInitialDelay: float = 0.0,
    highWaterMark: int = HIGH_WATER_MARK,
    timeout: float = 0.0,
    reactor: IReactorTime | None = None,
) -> Deferred[Socket]:
    """
    Connect to a server.

    @param endpoint: a client endpoint or the string for one: C{tcp:localhost:3200},
        C{unix:/run/echo.sock}, C{tls:example.org:443}.
    @param connectTimeout: for how many seconds to try, a TLS handshake included; 0 for as long as
        the endpoint itself tries.
    @param allowHalfOpen: whether our half stays open when the peer has closed its own.
    @param noDelay: whether small writes are sent at once, as by L{Socket.setNoDelay}.
    @param keepAlive: whether the system probes a silent peer, as by L{Socket.setKeepAlive}.
    @param keepAliveInitialDelay: seconds of silence before the first probe.
    @param highWaterMark: how many bytes may wait in the socket, for each direction.
    @param timeout: seconds of idleness after which the connection is ended; 0 for none.
    @param reactor: what connects; the global reactor by default.
    @return: fires with the connected L{Socket}; fails with Twisted's error, its message naming the
        endpoint, or with C{ValueError} when what is given is not one. Cancelling it ends the
        attempt.
    @raise TypeError: an option is of another type.
    @raise ValueError: a number is out of range.
    """
    checkSeconds("connectTimeout", connectTimeout)
    checkReactor(reactor)
    if reactor is None:
        from twisted.internet import reactor as globalReactor

        reactor = IReactorTime(globalReactor)
    options = SocketOptions(
        allowHalfOpen=allowHalfOpen,
        noDelay=noDelay,
        keepAlive=keepAlive,
        keepAliveInitialDelay=keepAliveInitialDelay,
        highWaterMark=highWaterMark,
        timeout=timeout,
    )
    connecting = Deferred.fromCoroutine(_connect(endpoint, options, reactor))
    if connectTimeout:

        def late(result: object, seconds: float) -> object:
            raise TimeoutError(string=f"{endpoint}: no connection within {seconds:g} seconds")

        connecting.addTimeout(connectTimeout, reactor, late)
    return connecting


async def _connect(
    endpoint: str | IStreamClientEndpoint, options: SocketOptions, reactor: IReactorTime
) -> Socket:
    name = str(endpoint)
    if isinstance(endpoint, str):
        endpoint = clientEndpoint(reactor, endpoint)
    elif not IStreamClientEndpoint.providedBy(endpoint):
        raise ValueError(
            f"{endpoint!r} is not a client endpoint: write tcp:localhost:3200, "
            "unix:/run/echo.sock or the like"
        )
    factory = _SocketFactory(options, reactor, name)
    try:
        await endpoint.connect(factory)
    except Exception as error:
        told = withEndpoint(error, name)
        if told is error:
            raise
        raise told from error
    return await factory.opened


class _SocketFactory(Factory[SocketProtocol]):
    """
    Makes the protocol of one connection.

    @ivar opened: fires with the connection's socket.
    """

    noisy = False
    opened: Deferred[Socket]

    def __init__(self, options: SocketOptions, clock: IReactorTime, endpoint: str) -> None:
        self._options = options
        self._clock = clock
        self._endpoint = endpoint

    def buildProtocol(self, addr: IAddress | None) -> SocketProtocol:
        opened: Deferred[Socket] = Deferred(lambda _: protocol.transport.abortConnection())
        protocol = SocketProtocol(
            self._options, self._clock, opened.callback, opened.errback, self._endpoint
        )
        self.opened = opened
        return protocol
