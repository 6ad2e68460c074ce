"""
What the tests with HTTP servers and proxies share.
"""

from __future__ import annotations

import socket
from time import monotonic, sleep

from tests.interop.peers import PATIENCE, Address


def opened(address: Address) -> socket.socket:
    """
    A connection.
    """
    if address.path is not None:
        connection = socket.socket(socket.AF_UNIX)
        try:
            connection.connect(address.path)
        except BaseException:
            connection.close()
            raise
    else:
        connection = socket.create_connection(("127.0.0.1", address.port or 0))
    connection.settimeout(PATIENCE)
    return connection


def waitFor(address: Address) -> None:
    """
    Wait until a server listens that does not tell when it does.
    """
    deadline = monotonic() + PATIENCE
    while True:
        try:
            opened(address).close()
        except OSError:
            if monotonic() > deadline:
                raise
            sleep(0.02)
        else:
            return
