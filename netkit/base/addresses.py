"""
Addresses as people write them.
"""

from __future__ import annotations

from twisted.internet.address import IPv4Address, IPv6Address, UNIXAddress
from twisted.internet.interfaces import IAddress

from .terminal import printableLine


def addressText(address: IAddress) -> str:
    """
    Write an address as C{127.0.0.1:3200}, C{[::1]:3200} or C{unix:/run/echo.sock}; the end of a
    UNIX socket that is bound to no name, as a client's is, reads C{unix:}. What would control a
    terminal is escaped.

    @param address: any L{IAddress}; one of another kind is written as its own C{str}.
    """
    if isinstance(address, IPv4Address):
        return f"{address.host}:{address.port}"
    if isinstance(address, IPv6Address):
        return f"[{address.host}]:{address.port}"
    if isinstance(address, UNIXAddress):
        # Twisted keeps the name as bytes; an abstract one begins with a zero byte, shown as @.
        name = (address.name or b"").decode(errors="backslashreplace")
        # A client chooses the name of its own end.
        return "unix:" + printableLine(f"@{name[1:]}" if name.startswith("\0") else name)
    return printableLine(str(address))
