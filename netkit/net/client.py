"""
Connecting.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.error import TimeoutError
from twisted.internet.interfaces import IAddress, IReactorTime, IStreamClientEndpoint
from twisted.internet.protocol import Factory

from ..base.arguments import checkReactor, checkSeconds
from ..base.endpoints import clientEndpoint
from .accesslist import AccessList, Network
from .blocking import BlockingReactor
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
    allow: Iterable[Network] | None = None,
    deny: Iterable[Network] = (),
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
    @param allow: the networks that are connected to; all of them by default. What is looked at is
        each address before it is tried: those that a name has, and behind a proxy the proxy's. The
        two are for endpoint strings, and a UNIX socket is always connected to.
    @param deny: the networks that are not.
    @param reactor: what connects; the global reactor by default.
    @return: fires with the connected L{Socket}; fails with Twisted's error, its message naming the
        endpoint, with L{AddressBlockedError <netkit.net.AddressBlockedError>} when none of the
        addresses may be connected to, or with C{ValueError} when what is given is not an endpoint.
        Cancelling it ends the attempt.
    @raise TypeError: an option is of another type.
    @raise ValueError: a number is out of range, an entry of C{allow} or C{deny} is not a network.
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
    accessList = AccessList(allow, deny)
    connecting = Deferred.fromCoroutine(_connect(endpoint, options, accessList, reactor))
    if connectTimeout:

        def late(result: object, seconds: float) -> object:
            raise TimeoutError(string=f"{endpoint}: no connection within {seconds:g} seconds")

        connecting.addTimeout(connectTimeout, reactor, late)
    return connecting


async def _connect(
    endpoint: str | IStreamClientEndpoint,
    options: SocketOptions,
    accessList: AccessList,
    reactor: IReactorTime,
) -> Socket:
    name = str(endpoint)
    if isinstance(endpoint, str):
        connecting: Any = reactor
        if not accessList.open:
            connecting = BlockingReactor(reactor, accessList)
        endpoint = clientEndpoint(connecting, endpoint)
    elif not IStreamClientEndpoint.providedBy(endpoint):
        raise ValueError(
            f"{endpoint!r} is not a client endpoint: write tcp:localhost:3200, "
            "unix:/run/echo.sock or the like"
        )
    elif not accessList.open:
        raise ValueError(
            f"allow and deny go with an endpoint string; {endpoint!r} has its own way to connect"
        )
    factory = _SocketFactory(options, reactor, name)
    try:
        await endpoint.connect(factory)
    except Exception as error:
        told = withEndpoint(error, name)
        if told is error:
            raise
        raise told from error
    # Its result is the socket, by which the factory would be known to itself.
    opened = factory.opened
    del factory.opened
    return await opened


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
