"""
Who may connect.
"""

from __future__ import annotations

from collections.abc import Iterable
from ipaddress import IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

from twisted.internet import address
from twisted.internet.interfaces import IAddress

#: A network: C{10.0.0.0/8}, C{::1}, or one of Python's C{ipaddress}.
Network = str | IPv4Network | IPv6Network


class AccessList:
    """
    Lists of networks whose clients are allowed, or are not.
    """

    def __init__(self, allow: Iterable[Network] | None, deny: Iterable[Network]) -> None:
        """
        @param allow: only these; L{None} for all.
        @param deny: but not these.
        @raise ValueError: when one is not a network.
        """
        self._allow = None if allow is None else [ip_network(network) for network in allow]
        self._deny = [ip_network(network) for network in deny]

    def allows(self, peer: IAddress | None) -> bool:
        """
        Tell whether a client may connect. One that has no IP address, as on a UNIX socket, may.

        @param peer: its address.
        """
        if not isinstance(peer, address.IPv4Address | address.IPv6Address):
            return True
        host = ip_address(peer.host)
        if isinstance(host, IPv6Address) and host.ipv4_mapped is not None:
            # An IPv4 client of an IPv6 socket.
            host = host.ipv4_mapped
        if any(host in network for network in self._deny):
            return False
        return self._allow is None or any(host in network for network in self._allow)
