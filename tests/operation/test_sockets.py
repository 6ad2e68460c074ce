"""
Tests for L{netkit.operation.sockets}.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Generator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
import pytest_twisted
from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.protocol import Factory, Protocol

from netkit.operation.sockets import Sockets


class Counting(Factory[Protocol]):
    """
    Counts the connections that are made, and refuses them.
    """

    made = 0

    def buildProtocol(self, addr: object) -> None:
        self.made += 1


@pytest.mark.parametrize("kind", ["tcp", "unix"])
@pytest_twisted.inlineCallbacks
def test_who_shares_a_socket_accepts_one_in_a_turn(
    tmp_path: Path, kind: str
) -> Generator[Deferred[Any], Any, None]:
    factory = Counting()
    path = str(tmp_path / "socket")
    with ExitStack() as stack:
        if kind == "tcp":
            listening = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
        else:
            listening = stack.enter_context(socket.socket(socket.AF_UNIX))
            listening.bind(path)
            listening.listen()
        # As those are that Twisted has made.
        listening.setblocking(False)
        for _ in range(3):
            client = stack.enter_context(socket.socket(listening.family))
            client.connect(listening.getsockname())
        key = "tcp 127.0.0.1 0" if kind == "tcp" else f"unix {path}"
        sockets = Sockets(reactor, [(key, os.dup(listening.fileno()))])
        port: Any
        if kind == "tcp":
            port = sockets.listenTCP(0, factory, interface="127.0.0.1")
        else:
            port = sockets.listenUNIX(path, factory)
        for turn in (1, 2, 3, 3):
            port.doRead()
            assert factory.made == turn
        yield port.stopListening()
