"""
Tests for L{netkit.base.addresses}.
"""

import pytest
from twisted.internet.address import IPv4Address, IPv6Address, UNIXAddress, _ProcessAddress
from twisted.internet.interfaces import IAddress

from netkit.base.addresses import addressText


@pytest.mark.parametrize(
    ("address", "text"),
    [
        (IPv4Address("TCP", "127.0.0.1", 3200), "127.0.0.1:3200"),
        (IPv6Address("TCP", "::1", 3200), "[::1]:3200"),
        (UNIXAddress(b"/run/echo.sock"), "unix:/run/echo.sock"),
        (UNIXAddress(None), "unix:"),
        (UNIXAddress(b""), "unix:"),
        (UNIXAddress(b"\0hidden"), "unix:@hidden"),
        (UNIXAddress(b"/run/\xff"), r"unix:/run/\xff"),
        (UNIXAddress("/run/\x1b[2J\n\x9b\u202e".encode()), r"unix:/run/\x1b[2J\x0a\x9b\u202e"),
    ],
)
def test_text(address: IAddress, text: str) -> None:
    assert addressText(address) == text


def test_other_kind_of_address() -> None:
    address = _ProcessAddress()
    assert addressText(address) == str(address)
