"""
Addresses of connections, and how they are written.
"""

from __future__ import annotations

#: A host and a port; or the name of a UNIX socket, empty for an unnamed one, with a first
#: character of NUL for an abstract one.
Address = tuple[str, int] | str


def address_text(address: Address) -> str:
    """
    Write an address: C{127.0.0.1:80}, C{[::1]:80}, C{unix:/run/echo.sock}, C{unix:@abstract}.
    """
    if isinstance(address, str):
        return "unix:" + (f"@{address[1:]}" if address.startswith("\0") else address)
    host, port = address
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def read_address(text: str) -> Address:
    """
    Read such an address back.

    @raise ValueError: it is none.
    """
    if text.startswith("unix:"):
        name = text[5:]
        return f"\0{name[1:]}" if name.startswith("@") else name
    host, _, port = text.rpartition(":")
    return host.removeprefix("[").removesuffix("]"), int(port)
