"""
Addresses as people write them.
"""

from __future__ import annotations

from twisted.internet.address import IPv4Address, IPv6Address, UNIXAddress
from twisted.internet.interfaces import IAddress

from ..wire.addresses import Address, address_text
from .terminal import printableLine


def plainAddress(address: IAddress) -> Address:
    """
    Make an address that L{netkit.wire} understands.

    @param address: any L{IAddress}; one of another kind is its own C{str}.
    """
    if isinstance(address, IPv4Address | IPv6Address):
        return address.host, address.port
    if isinstance(address, UNIXAddress):
        # Twisted keeps the name as bytes.
        return (address.name or b"").decode(errors="backslashreplace")
    return str(address)


def addressText(address: IAddress) -> str:
    """
    Write an address as C{127.0.0.1:3200}, C{[::1]:3200} or C{unix:/run/echo.sock}; the end of a
    UNIX socket that is bound to no name, as a client's is, reads C{unix:}. What would control a
    terminal is escaped.

    @param address: any L{IAddress}; one of another kind is written as its own C{str}.
    """
    plain = plainAddress(address)
    known = isinstance(address, IPv4Address | IPv6Address | UNIXAddress)
    # A client chooses the name of its own end.
    return printableLine(address_text(plain) if known else str(plain))
