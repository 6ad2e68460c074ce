"""
Types narrower than an annotation promises, made sure of.
"""

from __future__ import annotations

from typing import TypeVar

from twisted.internet.address import IPv4Address, IPv6Address
from twisted.internet.interfaces import IAddress

T = TypeVar("T")


def present(value: T | None) -> T:
    """
    What is not C{None}, such as the pipe of a process that was started with one.
    """
    assert value is not None
    return value


def tcpAddress(address: IAddress | None) -> IPv4Address | IPv6Address:
    """
    An address that has a host and a port.
    """
    assert isinstance(address, IPv4Address | IPv6Address)
    return address
