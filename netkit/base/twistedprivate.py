"""
The private names of Twisted that netkit uses: here, and nowhere else.

Each has a public name here. What Twisted calls under a private name is a method without the
underscore, of a class here that is to be subclassed.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from socket import socket
from typing import TYPE_CHECKING, Any, NamedTuple

from OpenSSL import SSL
from twisted.application.internet import StreamServerEndpointService
from twisted.internet import endpoints, tcp, unix
from twisted.internet._signals import SignalHandling
from twisted.internet.abstract import FileDescriptor
from twisted.internet.address import IPv4Address, IPv6Address
from twisted.internet.base import ReactorBase
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import SSL4ClientEndpoint, TCP4ClientEndpoint, UNIXClientEndpoint
from twisted.internet.error import ConnectionAborted
from twisted.internet.interfaces import (
    IAddress,
    IProtocol,
    IProtocolFactory,
    IReadDescriptor,
    IStreamServerEndpoint,
)
from twisted.internet.posixbase import PosixReactorBase, _ContinuousPolling
from twisted.internet.process import _BaseProcess as BaseProcess
from twisted.internet.protocol import Protocol
from twisted.protocols._tls_legacy import _convertToAppropriateFactory
from twisted.python.failure import Failure

if TYPE_CHECKING:
    from select import epoll

    from twisted.internet.epollreactor import EPollReactor
    from twisted.web.client import Response
    from twisted.web.iweb import IAgentEndpointFactory, IPolicyForHTTPS
    from twisted.web.server import Request

__all__ = [
    "AcceptedConnection",
    "BaseProcess",
    "BufferedConnection",
    "ConnectionTarget",
    "Fired",
    "SignalHandling",
    "SignalHandlingHook",
    "TCPClient",
    "TCPConnector",
    "UNIXClient",
    "UNIXConnector",
    "addInternalReader",
    "addressOf",
    "adoptedConnection",
    "adoptedPort",
    "connectionMaker",
    "connectionPath",
    "connectionTarget",
    "contentEnded",
    "contentReceived",
    "contextFactory",
    "endpointService",
    "halfClose",
    "handshakeDone",
    "initDescriptors",
    "isAborting",
    "isHalfClosing",
    "isStarted",
    "isSupported",
    "isTLSAborted",
    "logPrefix",
    "pauseProducer",
    "plainSignalHandling",
    "putBack",
    "queuedSize",
    "releaseConnector",
    "removeInternalReader",
    "reserveDescriptor",
    "serverContext",
    "shutDownAtEnd",
    "splitEndpoint",
    "standardEndpoints",
    "takeQueue",
    "unsentSize",
    "upgradeChannel",
]

# Endpoints


class ConnectionTarget(NamedTuple):
    """
    Where a client endpoint connects to, and how: what L{HostnameEndpoint
    <twisted.internet.endpoints.HostnameEndpoint>} takes as well.

    @ivar host: a name or an address.
    @ivar port: the port.
    @ivar timeout: for how many seconds to try.
    @ivar bindAddress: where to connect from, host and port.
    """

    host: str
    port: int
    timeout: float
    bindAddress: Any


def connectionTarget(endpoint: TCP4ClientEndpoint | SSL4ClientEndpoint) -> ConnectionTarget:
    """
    Tell where a client endpoint connects to.
    """
    return ConnectionTarget(
        endpoint._host, endpoint._port, endpoint._timeout, endpoint._bindAddress
    )


def connectionPath(endpoint: UNIXClientEndpoint) -> str | bytes:
    """
    Tell which UNIX socket a client endpoint connects to.
    """
    path: str | bytes = endpoint._path
    return path


def contextFactory(endpoint: SSL4ClientEndpoint) -> Any:
    """
    Tell what an C{ssl:} endpoint makes its TLS connections with.
    """
    return endpoint._sslContextFactory


def endpointService(
    endpoint: IStreamServerEndpoint, factory: IProtocolFactory
) -> StreamServerEndpointService:
    """
    Make a service that listens on an endpoint, and fails to start where that fails at once, as
    C{twisted.application.strports.service} does of an endpoint string.
    """
    service = StreamServerEndpointService(endpoint, factory)
    service._raiseSynchronously = True
    return service


def releaseConnector(transport: Any) -> None:
    """
    Have what made a client's connection let go of it, when it is lost. Connector, factory and
    connection have each other, so all that they lead to would be freed by nobody but the collector
    of cycles.

    @param transport: the connection's transport, or what wraps it.
    """
    while (lower := getattr(transport, "transport", None)) is not None:
        transport = lower
    connector = getattr(transport, "connector", None)
    if connector is None:
        return
    connector.transport = None
    if isinstance(connector.factory, endpoints._WrappingFactory):
        # Neither is looked at once there was a connection.
        factory: Any = connector.factory
        factory._connector = factory._onConnection = None


def splitEndpoint(description: str) -> tuple[list[str], dict[str, str]]:
    """
    Split an endpoint string into its parts and those that have a name.
    """
    parts: tuple[list[str], dict[str, str]] = endpoints._parse(description)
    return parts


def serverContext(endpoint: IStreamServerEndpoint) -> SSL.Context | None:
    """
    What makes a server's TLS connections; L{None} where there is no TLS.
    """
    if not isinstance(endpoint, endpoints.SSL4ServerEndpoint):
        return None
    context: SSL.Context = endpoint._sslContextFactory.getContext()
    return context


# Ports


def reserveDescriptor() -> None:
    """
    Have a descriptor in reserve, so that a port can refuse a connection where there is none left.
    """
    tcp._reservedFD.reserve()


def shutDownAtEnd(port: tcp.Port, whether: bool) -> None:
    """
    Say whether a port shuts its socket down when it stops, for whoever else has it as well.
    """
    port._shouldShutdown = whether


def logPrefix(port: tcp.Connection | tcp.Port, logged: object) -> str:
    """
    Tell what a protocol or a factory is called in the log.
    """
    prefix: str = port._getLogPrefix(logged)
    return prefix


def ipv4Address(host: str, port: int) -> IPv4Address:
    """
    Make the address of a TCP connection's end, of what the system says: nothing of it is checked.
    """
    address = _newAddress(IPv4Address)
    address.type = "TCP"
    address.host = host
    address.port = port
    return address


_newAddress = IPv4Address.__new__


def addressOf(port: tcp.Port, address: Any) -> IAddress:
    """
    Make Twisted's address of the system's.
    """
    made: IAddress = port._buildAddr(address)
    return made


def adoptedPort(kind: type[tcp.Port], *arguments: Any) -> tcp.Port:
    """
    Make a port of a socket that listens.

    @param arguments: the reactor, the descriptor, the address family and the factory.
    """
    port: tcp.Port = kind._fromListeningDescriptor(*arguments)
    return port


# Connections


def adoptedConnection(kind: type[tcp.Server], *arguments: Any) -> tcp.Server | None:
    """
    Make a connection of a socket that is connected.

    @param arguments: the descriptor, for TCP the address family, the factory and the reactor.
    """
    connection: tcp.Server | None = kind._fromConnectedSocket(*arguments)
    return connection


class BufferedConnection(tcp.Connection):
    """
    A connection that says itself when its buffers are full, and closes its socket itself.
    """

    def lose(self, reason: Failure) -> None:
        """
        Clean up, and tell the protocol.
        """
        super().connectionLost(reason)

    def closeSocket(self, orderly: bool) -> None:
        """
        Close the socket.

        @param orderly: whether what was written is to arrive.
        """
        super()._closeSocket(orderly)

    def _closeSocket(self, orderly: bool) -> None:
        self.closeSocket(orderly)

    def isSendBufferFull(self) -> bool:
        """
        Whether the producer is to pause.
        """
        return bool(super()._isSendBufferFull())

    def _isSendBufferFull(self) -> bool:
        return self.isSendBufferFull()


class AcceptedConnection(BufferedConnection, tcp.Server):
    """
    A connection that a port accepted, made in one step out of the four that Twisted's classes
    take one after the other, and without its two names: they are made when they are asked for.
    Both name the protocol that the connection began with, whatever took its place since. It ends
    in one step as well.
    """

    # That of the protocol that the connection began with.
    protocolClass: type
    # What it is called in the log, where that is not the name of its class.
    loggedAs: str | None = None
    # The port forgets it when it stops listening.
    portNumber: int | None

    def initAccepted(
        self,
        sock: socket,
        protocol: IProtocol,
        client: Any,
        server: tcp.Port,
        sessionno: int,
        reactor: Any,
    ) -> None:
        """
        In place of C{__init__}, for one that a port accepted.

        @param sock: the socket, which does not block.
        @param protocol: of the connection.
        @param client: the peer's address, as the system has it.
        @param server: the port.
        @param sessionno: the number of the connection among the port's.
        @param reactor: the reactor.
        """
        self.reactor = reactor
        self._tempDataBuffer = []
        self._tempDataLen = 0
        self.socket = sock
        self.protocol = protocol
        if len(client) != 2:
            self._addressType = IPv6Address
        self.server = server
        self.client = client
        self.sessionno = sessionno
        self.hostname = client[0]
        self.portNumber = server._realPortNumber
        self.protocolClass = kind = type(protocol)
        if getattr(kind, "logPrefix", None) is not Protocol.logPrefix:
            self.loggedAs = self._getLogPrefix(protocol)
        self.connected = 1

    def fileno(self) -> int:
        """
        Tell the socket's descriptor; -1 where it is closed.
        """
        return -1 if self.disconnected else self.socket.fileno()

    @cached_property
    def logstr(self) -> str:  # type: ignore[override] # can be assigned to
        prefix = self.loggedAs or self.protocolClass.__name__
        return f"{prefix},{self.sessionno},{self.hostname}"

    @cached_property
    def repstr(self) -> str:  # type: ignore[override] # the same
        return f"<{self.protocolClass.__name__} #{self.sessionno} on {self.portNumber}>"

    def lose(self, reason: Failure) -> None:
        """
        As Twisted's classes do it, one after the other. This one reads and writes no more.
        """
        self.disconnected = 1
        self.connected = 0
        if self.producer is not None:
            self.producer.stopProducing()
            self.producer = None
        self.closeSocket(not isinstance(reason.value, ConnectionAborted))
        protocol = self.protocol
        del self.protocol, self.socket
        protocol.connectionLost(reason)


def queuedSize(connection: FileDescriptor) -> int:
    """
    How many of the octets that were written wait in the queue.
    """
    size: int = connection._tempDataLen
    return size


def unsentSize(connection: FileDescriptor) -> int:
    """
    How many of the octets that were written Twisted has not given to the system.
    """
    return len(connection.dataBuffer) - connection.offset + connection._tempDataLen


def takeQueue(connection: FileDescriptor) -> list[bytes]:
    """
    Take what was written and waits in the queue.
    """
    queue: list[bytes] = connection._tempDataBuffer
    if queue:
        connection._tempDataBuffer = []
        connection._tempDataLen = 0
    return queue


def putBack(connection: FileDescriptor, unsent: list[bytes]) -> None:
    """
    Have octets sent before what waits in the queue.
    """
    connection._tempDataBuffer[:0] = unsent
    connection._tempDataLen += sum(map(len, unsent))


def pauseProducer(connection: FileDescriptor) -> None:
    """
    Have the producer pause if the buffers are full.
    """
    connection._maybePauseProducer()


def isAborting(connection: tcp.Connection) -> bool:
    """
    Whether a connection is about to be aborted: nothing of what was written is to be sent.
    """
    return bool(connection._aborting)


def isHalfClosing(connection: FileDescriptor) -> bool:
    """
    Whether our half of a connection is closed, or to be closed when all is sent.
    """
    return bool(connection._writeDisconnecting)


def halfClose(connection: FileDescriptor) -> Callable[[], object] | None:
    """
    Note that our half of a connection is closed now.

    @return: what closes it; L{None} if that was done.
    """
    if connection._writeDisconnected:
        return None
    connection._writeDisconnected = True
    close: Callable[[], object] = connection._closeWriteConnection
    return close


class TCPClient(tcp.Client):
    """
    A client's connection that says itself what is to be done when it is made.
    """

    def connectDone(self) -> None:
        """
        It is made.
        """
        super()._connectDone()

    def _connectDone(self) -> None:
        self.connectDone()


class TCPConnector(tcp.Connector):
    """
    A connector that says itself what it connects.
    """

    def makeTransport(self) -> tcp.Client:
        """
        Make the connection, which connects.
        """
        return super()._makeTransport()

    def _makeTransport(self) -> tcp.Client:
        return self.makeTransport()


class UNIXClient(unix.Client):
    """
    As L{TCPClient}.
    """

    def connectDone(self) -> None:
        """
        It is made.
        """
        super()._connectDone()

    def _connectDone(self) -> None:
        self.connectDone()


class UNIXConnector(unix.Connector):
    """
    As L{TCPConnector}.
    """

    def makeTransport(self) -> unix.Client:
        """
        Make the connection, which connects.
        """
        made: unix.Client = super()._makeTransport()
        return made

    def _makeTransport(self) -> unix.Client:  # type: ignore[override] # it is so in Twisted
        return self.makeTransport()


# TLS


def connectionMaker(creator: Any, client: bool) -> Callable[[Any], SSL.Connection]:
    """
    Make what makes the TLS connections that a context factory, of any of the kinds that Twisted
    takes, stands for.

    @param creator: the context factory.
    @param client: whether the connections are a client's.
    @return: to be called with what has the interface of a L{TLSMemoryBIOProtocol
        <twisted.protocols.tls.TLSMemoryBIOProtocol>}.
    """
    return _convertToAppropriateFactory(client, creator)


def handshakeDone(transport: object) -> bool:
    """
    Whether a connection's TLS handshake was done, or it never had one to do.

    @param transport: the transport, which may be wrapped as often as one likes.
    """
    return bool(getattr(transport, "_handshakeDone", True))


def isTLSAborted(protocol: IProtocol) -> bool:
    """
    Whether what is to be sent was dropped.

    @param protocol: a L{TLSMemoryBIOProtocol <twisted.protocols.tls.TLSMemoryBIOProtocol>}.
    """
    return bool(protocol._aborted)  # type: ignore[attr-defined]


# Reactors


class SignalHandlingHook(ReactorBase):
    """
    A reactor that says itself how it handles signals.
    """

    def signalHandling(self) -> SignalHandling:
        """
        Make what handles signals.
        """
        return super()._signalsFactory()

    def _signalsFactory(self) -> SignalHandling:
        return self.signalHandling()


def plainSignalHandling(reactor: ReactorBase) -> SignalHandling:
    """
    Make what handles signals, but for SIGCHLD.
    """
    return ReactorBase._signalsFactory(reactor)


def isStarted(reactor: ReactorBase) -> bool:
    """
    Whether a reactor runs, or is about to.
    """
    return reactor._started


def isSupported(reactor: PosixReactorBase, addressFamily: int) -> bool:
    """
    Whether a reactor adopts sockets of an address family.
    """
    return addressFamily in reactor._supportedAddressFamilies


def addInternalReader(reactor: PosixReactorBase, reader: IReadDescriptor) -> None:
    """
    Add a reader that C{removeAll} leaves alone.
    """
    reactor._addInternalReader(reader)


def removeInternalReader(reactor: PosixReactorBase, reader: IReadDescriptor) -> None:
    """
    Remove a reader that C{removeAll} leaves alone.
    """
    reactor._removeInternalReader(reader)


def initDescriptors(descriptors: EPollReactor, reactor: PosixReactorBase, poller: epoll) -> None:
    """
    Make an epoll reactor no more than the set of another one's descriptors.

    @param descriptors: the epoll reactor, whose C{__init__} was not called.
    @param reactor: the other one.
    @param poller: what polls them.
    """
    descriptors._poller = poller
    descriptors._reads = set()
    descriptors._writes = set()
    descriptors._selectables = {}
    descriptors._continuousPolling = _ContinuousPolling(reactor)
    # Which removeAll leaves alone.
    descriptors._internalReaders = reactor._internalReaders


# The Web


def standardEndpoints(
    reactor: object,
    tlsPolicy: IPolicyForHTTPS,
    connectTimeout: float | None,
    bindAddress: bytes | None,
) -> IAgentEndpointFactory:
    """
    Make what an L{Agent <twisted.web.client.Agent>} connects with where it is told nothing else.

    @param reactor: what connects.
    @param tlsPolicy: how to verify certificates.
    @param connectTimeout: how many seconds connecting may take.
    @param bindAddress: the address to connect from.
    """
    # Not for those who have nothing to do with the Web.
    from twisted.web.client import _StandardEndpointFactory

    made: IAgentEndpointFactory = _StandardEndpointFactory(
        reactor, tlsPolicy, connectTimeout, bindAddress
    )
    return made


def contentReceived(response: Response, data: bytes) -> None:
    """
    Have a response of L{twisted.web.client} deliver a piece of its content.
    """
    response._bodyDataReceived(data)


def contentEnded(response: Response, reason: Failure) -> None:
    """
    Have a response of L{twisted.web.client} deliver the end of its content.

    @param reason: L{ConnectionDone <twisted.internet.error.ConnectionDone>} where it is whole.
    """
    response._bodyDataFinished(reason)


def upgradeChannel(request: Request, protocol: IProtocol) -> None:
    """
    Hand the connection of a request of L{twisted.web} over to another protocol.
    """
    request.channel._protocolUpgradeForWebsockets(protocol)


class Fired(Deferred[None]):
    """
    What C{succeed(None)} makes, for a fraction of the price: an object that has nothing of its own
    until somebody adds callbacks to it, and is awaited without any Python.
    """

    called = True
    result = None
    _canceller = None

    if not TYPE_CHECKING:
        # Twisted's makes the list of callbacks that nearly nobody adds.
        __init__ = object.__init__
        __await__ = staticmethod(().__iter__)

    @cached_property
    def _callbacks(self) -> list[Any]:  # type: ignore[override]
        self.__class__ = _Changed
        return []

    def pause(self) -> None:
        self.__class__ = _Changed
        self.pause()


class _Changed(Fired):
    """
    The same once somebody may have made something else of it: awaited as any other.
    """

    if not TYPE_CHECKING:
        pause = Deferred.pause
        __await__ = Deferred.__await__
