"""
Who may connect, or be connected to.
"""

from __future__ import annotations

from collections.abc import Iterable
from ipaddress import (
    IPv4Address,
    IPv4Network,
    IPv6Address,
    IPv6Network,
    ip_address,
    ip_network,
)

from twisted.internet import address
from twisted.internet.interfaces import IAddress

#: A network: C{10.0.0.0/8}, C{::1}, or an address or a network of Python's C{ipaddress}.
Network = str | IPv4Address | IPv4Network | IPv6Address | IPv6Network

# How IPv4 addresses read on a socket of IPv6: the last 32 of 128 bits (RFC 4291 section 2.5.5.2).
_MAPPED = IPv6Network("::ffff:0:0/96")


class AccessList:
    """
    Networks whose clients are let in, or which are connected to; or are not. IPv4 addresses and
    networks that are written as IPv6 ones (C{::ffff:10.0.0.0/104}) mean the same as in IPv4.
    """

    def __init__(self, allow: Iterable[Network] | None, deny: Iterable[Network]) -> None:
        """
        @param allow: only these; L{None} for all.
        @param deny: but not these.
        @raise TypeError: one is no collection of networks.
        @raise ValueError: an entry is not a network.
        """
        self._allow = None if allow is None else _networks("allow", allow)
        self._deny = _networks("deny", deny)

    @property
    def open(self) -> bool:
        """
        Whether it allows everybody.
        """
        return self._allow is None and not self._deny

    def allows(self, peer: IAddress | None) -> bool:
        """
        Tell whether a peer may connect, or be connected to. One that has no IP address, as on a
        UNIX socket, may.

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


def _networks(name: str, entries: Iterable[Network]) -> list[IPv4Network | IPv6Network]:
    # A text, or a single network, can be gone through as well: for other things than networks.
    if isinstance(entries, str | bytes | IPv4Network | IPv6Network) or not isinstance(
        entries, Iterable
    ):
        raise TypeError(f"{name} is a list of networks, not {entries!r}: write [{entries!r}]")
    return [_network(name, entry) for entry in entries]


def _network(name: str, entry: Network) -> IPv4Network | IPv6Network:
    if not isinstance(entry, str | IPv4Address | IPv4Network | IPv6Address | IPv6Network):
        raise TypeError(f"{name} has networks, such as '10.0.0.0/8': {entry!r} is none")
    try:
        network = ip_network(entry)
    except ValueError as error:
        raise ValueError(f"{name} has an entry that is no network: {error}") from error
    if isinstance(network, IPv6Network) and network.subnet_of(_MAPPED):
        return IPv4Network(
            (int(network.network_address) & 0xFFFFFFFF, network.prefixlen - _MAPPED.prefixlen)
        )
    return network
