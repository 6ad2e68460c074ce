"""
Connecting to no more than some networks.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from twisted.internet.abstract import isIPAddress, isIPv6Address
from twisted.internet.address import IPv4Address, IPv6Address
from twisted.internet.interfaces import (
    IAddress,
    IConnector,
    IHostnameResolver,
    IHostResolution,
    IResolutionReceiver,
)
from zope.interface import implementer

from ..base.listening import ReactorProxy
from .accesslist import AccessList
from .errors import AddressBlockedError


class BlockingReactor(ReactorProxy):
    """
    Connects to the addresses that an access list lets it. Of a name's addresses the others are not
    tried.
    """

    def __init__(self, reactor: Any, accessList: AccessList) -> None:
        """
        @param reactor: the real one.
        @param accessList: which addresses may be connected to.
        """
        super().__init__(reactor)
        self._accessList = accessList

    @property
    def nameResolver(self) -> IHostnameResolver:
        """
        As L{IReactorPluggableNameResolver.nameResolver
        <twisted.internet.interfaces.IReactorPluggableNameResolver.nameResolver>}.
        """
        return IHostnameResolver(_Resolver(self.reactor.nameResolver, self._accessList))

    def connectTCP(self, host: str, port: int, *arguments: Any, **options: Any) -> IConnector:
        """
        As L{IReactorTCP.connectTCP <twisted.internet.interfaces.IReactorTCP.connectTCP>}.

        @raise AddressBlockedError: the address may not be connected to, or is not known, since it
            is a name that is yet to be looked up.
        """
        if not self._allows(host, port):
            raise AddressBlockedError(string=host)
        return IConnector(self.reactor.connectTCP(host, port, *arguments, **options))

    def _allows(self, host: str, port: int) -> bool:
        if isIPAddress(host):
            return self._accessList.allows(IPv4Address("TCP", host, port))
        return isIPv6Address(host) and self._accessList.allows(IPv6Address("TCP", host, port))


@implementer(IHostnameResolver)
class _Resolver:
    """
    Finds the addresses of a name that may be connected to.
    """

    def __init__(self, resolver: IHostnameResolver, accessList: AccessList) -> None:
        self._resolver = resolver
        self._accessList = accessList

    def resolveHostName(
        self,
        resolutionReceiver: IResolutionReceiver,
        hostName: str,
        portNumber: int = 0,
        addressTypes: Sequence[type[IAddress]] | None = None,
        transportSemantics: str = "TCP",
    ) -> IHostResolution:
        receiver = IResolutionReceiver(_Receiver(resolutionReceiver, self._accessList))
        return self._resolver.resolveHostName(
            receiver, hostName, portNumber, addressTypes, transportSemantics
        )


@implementer(IResolutionReceiver)
class _Receiver:
    """
    Passes on the addresses that may be connected to; where there are only others, one of those, to
    fail with.
    """

    def __init__(self, receiver: IResolutionReceiver, accessList: AccessList) -> None:
        self._receiver = receiver
        self._accessList = accessList
        self._blocked: IAddress | None = None
        self._passed = False

    def resolutionBegan(self, resolutionInProgress: IHostResolution) -> None:
        self._receiver.resolutionBegan(resolutionInProgress)

    def addressResolved(self, address: IAddress) -> None:
        if self._accessList.allows(address):
            self._passed = True
            self._receiver.addressResolved(address)
        else:
            self._blocked = address

    def resolutionComplete(self) -> None:
        if self._blocked is not None and not self._passed:
            self._receiver.addressResolved(self._blocked)
        self._receiver.resolutionComplete()
