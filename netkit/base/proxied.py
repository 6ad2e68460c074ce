"""
Connections that a proxy makes for its clients, and begins with a PROXY header: what is behind the
header is served as if the client itself had connected.
"""

from __future__ import annotations

from twisted.internet.address import IPv4Address, IPv6Address, UNIXAddress
from twisted.internet.interfaces import (
    IAddress,
    IProtocolFactory,
    IReactorTime,
    ITCPTransport,
)
from twisted.internet.protocol import Protocol, connectionDone
from twisted.logger import Logger
from twisted.protocols.policies import WrappingFactory
from twisted.python.failure import Failure

from ..wire import proxyprotocol
from ..wire.proxyprotocol import InvalidProxyHeader, ProxyHeader, ProxyHeaderReceiver
from .addresses import addressText
from .deadlines import Deadline
from .refused import REFUSED
from .wrapping import TransparentProtocol

_log = Logger()

#: In how many seconds the header has to come. The specification asks for three at least, so that a
#: lost packet may be sent again.
HEADER_TIMEOUT = 10.0

#: How many connections may be without their header at a time.
MAX_PENDING = 1000


class ProxiedProtocol(TransparentProtocol):
    """
    A proxied connection: the transport of the protocol that serves the client, on which
    C{getPeer} and C{getHost} tell the addresses that the header has. All else is passed on as it
    is, in both directions.
    """

    factory: ProxiedFactory
    _peer: IAddress | None = None
    _host: IAddress | None = None

    def __init__(self, factory: ProxiedFactory) -> None:
        """
        @param factory: what made this.
        """
        super().__init__(factory, _HeaderProtocol(self, factory))

    def logPrefix(self) -> str:
        return self.factory.logPrefix()

    def begin(self, header: ProxyHeader, data: bytes) -> None:
        """
        The header has come: connect the protocol that serves the client.

        @param header: the header.
        @param data: what came behind it.
        """
        if header.source is not None and header.destination is not None:
            self._peer = _twisteds(header.source, header.datagram)
            self._host = _twisteds(header.destination, header.datagram)
        protocol = self.factory.wrappedFactory.buildProtocol(self.getPeer())
        if protocol is None:
            self.transport.abortConnection()
            return
        self.replace(protocol)
        if data and not getattr(self.transport, "disconnecting", False):
            self.dataReceived(data)

    def getPeer(self) -> IAddress:
        """
        Tell the address of the client.
        """
        return self._peer or self.transport.getPeer()

    def getHost(self) -> IAddress:
        """
        Tell the address that the client connected to.
        """
        return self._host or self.transport.getHost()


class _HeaderProtocol(Protocol):
    """
    Reads the header of a connection.
    """

    transport: ITCPTransport

    def __init__(self, connection: ProxiedProtocol, factory: ProxiedFactory) -> None:
        self._connection = connection
        self._factory = factory
        self._receiver = ProxyHeaderReceiver()
        self._begun = False
        self._deadline = Deadline(factory.clock, self._late)

    def connectionMade(self) -> None:
        self._factory.pending.add(self)
        self._deadline.start(HEADER_TIMEOUT)

    def dataReceived(self, data: bytes) -> None:
        self._begun = True
        try:
            header = self._receiver.receive(data)
        except InvalidProxyHeader as error:
            self._refuse(str(error))
            return
        if header is not None:
            self._done()
            self._connection.begin(header, self._receiver.trailing)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        # Who looks whether there is a server connects, and says nothing.
        if self._deadline.pending and self._begun:
            self._tell("the connection ended within it")
        self._done()

    def _late(self) -> None:
        self._refuse(f"it did not come within {HEADER_TIMEOUT:g} seconds")

    def _refuse(self, reason: str) -> None:
        self._done()
        self._tell(reason)
        self.transport.abortConnection()

    def _tell(self, reason: str) -> None:
        REFUSED["proxy"] += 1
        peer = addressText(self.transport.getPeer())
        _log.warn("{peer} refused, for want of a PROXY header: {reason}", peer=peer, reason=reason)

    def _done(self) -> None:
        self._factory.pending.discard(self)
        self._deadline.end()


class ProxiedFactory(WrappingFactory[ProxiedProtocol]):
    """
    Makes proxied connections, and has another factory make the protocols that serve the clients,
    each once its header has come: that factory is given the client's address.

    @ivar pending: those whose header is still to come.
    """

    noisy = False

    def __init__(self, wrappedFactory: IProtocolFactory, *, clock: IReactorTime) -> None:
        """
        @param wrappedFactory: makes the protocols.
        @param clock: what tells the time.
        """
        super().__init__(wrappedFactory)
        self.clock = clock
        self.pending: set[_HeaderProtocol] = set()
        self._full = False

    def logPrefix(self) -> str:
        return f"{type(self.wrappedFactory).__name__} (PROXY)"

    def buildProtocol(self, addr: IAddress | None) -> ProxiedProtocol:
        """
        Make the protocol of a new connection.

        @return: L{None} where too many are without their header, for the reactor to close this.
        """
        full, self._full = self._full, len(self.pending) >= MAX_PENDING
        if not self._full:
            return ProxiedProtocol(self)
        REFUSED["proxy"] += 1
        if not full:
            _log.warn(
                "{peer} refused: {limit} connections have sent no PROXY header yet, the limit; "
                "so is each one more",
                peer=addressText(addr) if addr else "a proxy",
                limit=MAX_PENDING,
            )
        return None  # type: ignore[return-value] # as IProtocolFactory has it

    def doStop(self) -> None:
        super().doStop()
        for protocol in list(self.pending):
            protocol.transport.abortConnection()


def _twisteds(address: proxyprotocol.Address, datagram: bool) -> IAddress:
    if isinstance(address, bytes):
        return UNIXAddress(address or None)
    kind = IPv4Address if address.host.version == 4 else IPv6Address
    return kind("UDP" if datagram else "TCP", str(address.host), address.port)
