"""
The PROXY header that tells an upstream whom it is connected for.
"""

from __future__ import annotations

from ipaddress import ip_address
from typing import Any

from twisted.internet.address import IPv4Address, IPv6Address, UNIXAddress
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import (
    IAddress,
    IHalfCloseableProtocol,
    IProtocol,
    IProtocolFactory,
    IStreamClientEndpoint,
    ITCPTransport,
    ITransport,
)
from twisted.internet.protocol import Factory, Protocol, connectionDone
from twisted.python.failure import Failure
from zope.interface import implementer

from ..base.switching import SwitchedProtocol
from ..base.tls import tlsAgreement
from ..wire.proxyprotocol import (
    PP2_TYPE_ALPN,
    PP2_TYPE_AUTHORITY,
    Address,
    InternetAddress,
    ProxyHeader,
    encode_v1,
    encode_v2,
)

#: The versions of the PROXY protocol.
VERSIONS = ("v1", "v2")


def proxyHeader(transport: ITCPTransport, version: str) -> bytes:
    """
    Write the header of a client's connection.

    @param transport: the client's.
    @param version: one of L{VERSIONS}. The second tells as well which name and which protocol a
        client of TLS asked for.
    """
    source, destination = _address(transport.getPeer()), _address(transport.getHost())
    if source is None or destination is None or not _alike(source, destination):
        # There is nothing to tell: the upstream takes our own address.
        header = ProxyHeader()
    elif version == "v1":
        header = ProxyHeader(source, destination)
    else:
        header = ProxyHeader(source, destination, tlvs=_tlvs(transport))
    return encode_v1(header) if version == "v1" else encode_v2(header)


def _address(address: IAddress) -> Address | None:
    if isinstance(address, IPv4Address | IPv6Address):
        # What is behind % is the name of an interface of ours.
        return InternetAddress(ip_address(address.host.partition("%")[0]), address.port)
    if isinstance(address, UNIXAddress):
        return address.name or b""
    return None


def _alike(source: Address, destination: Address) -> bool:
    if isinstance(source, InternetAddress) and isinstance(destination, InternetAddress):
        return source.host.version == destination.host.version
    return isinstance(source, bytes) and isinstance(destination, bytes)


def _tlvs(transport: ITCPTransport) -> tuple[tuple[int, bytes], ...]:
    agreement = tlsAgreement(transport)
    if agreement is None:
        return ()
    pairs = (PP2_TYPE_AUTHORITY, agreement.serverName), (PP2_TYPE_ALPN, agreement.protocol)
    return tuple((type_, value) for type_, value in pairs if value)


@implementer(IStreamClientEndpoint)
class PrefacedEndpoint:
    """
    Connects by another endpoint, and sends something before all else.
    """

    def __init__(self, endpoint: IStreamClientEndpoint, preface: bytes) -> None:
        """
        @param endpoint: what to connect with.
        @param preface: what to send first.
        """
        self._endpoint = endpoint
        self._preface = preface

    def connect(self, protocolFactory: IProtocolFactory) -> Deferred[IProtocol]:
        """
        Connect.

        @param protocolFactory: makes the protocol.
        @return: fires with that protocol.
        """
        connecting: Deferred[Any] = self._endpoint.connect(
            _PrefacedFactory(protocolFactory, self._preface)
        )
        return connecting.addCallback(lambda prefaced: prefaced.protocol)


class _PrefacedFactory(Factory["_Prefaced"]):
    noisy = False

    def __init__(self, factory: IProtocolFactory, preface: bytes) -> None:
        self._factory = factory
        self._preface = preface

    def buildProtocol(self, addr: IAddress | None) -> _Prefaced:
        protocol = self._factory.buildProtocol(addr)  # type: ignore[arg-type] # as Twisted calls it
        if protocol is None:
            return None  # type: ignore[return-value] # as IProtocolFactory has it
        return _Prefaced(protocol, self._preface)


@implementer(IHalfCloseableProtocol)
class _Prefaced(Protocol):
    transport: ITransport
    _switched: SwitchedProtocol

    def __init__(self, protocol: IProtocol, preface: bytes) -> None:
        self.protocol = protocol
        self._preface = preface

    def connectionMade(self) -> None:
        self.transport.write(self._preface)
        self._switched = SwitchedProtocol(self.protocol, self.transport)

    def dataReceived(self, data: bytes) -> None:
        self._switched.dataReceived(data)

    def readConnectionLost(self) -> None:
        self._switched.readConnectionLost()

    def writeConnectionLost(self) -> None:
        self._switched.writeConnectionLost()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self._switched.connectionLost(reason)
