"""
The echo service, and programs that nobody here wrote.
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable

import pytest

from tests.interop.peers import HERE, Daemon, requirePeer, run

# Enough to fill every buffer on the way, with every byte value in it.
CONTENT = random.Random(862).randbytes(8 * 2**20)


@pytest.fixture(scope="module")
def echo(serve: Callable[..., Daemon]) -> Daemon:
    """
    The service under C{twistd}.
    """
    return serve("netkit-echo")


def test_socat(echo: Daemon, transport: str) -> None:
    """
    socat half-closes at the end of its input, and gets all of it back.
    """
    # -t: for how many seconds socat waits for the rest once it has half-closed.
    command = [requirePeer("socat"), "-t", "60", "-", echo.address(transport).socat]
    done = run(command, CONTENT)
    assert (done.status, done.errors) == (0, b"")
    assert done.output == CONTENT


def test_ncat(echo: Daemon, transport: str) -> None:
    """
    ncat half-closes at the end of its input, and gets all of it back.
    """
    done = run([requirePeer("ncat"), *echo.address(transport).ncat], CONTENT)
    assert (done.status, done.errors) == (0, b"")
    assert done.output == CONTENT


def test_node(echo: Daemon, transport: str) -> None:
    """
    Node's C{net.Socket} ends its side, gets all of it back, and then sees our side end.
    """
    options = json.dumps(echo.address(transport).node)
    done = run([requirePeer("node"), str(HERE / "client.mjs"), options], CONTENT)
    assert (done.status, done.errors) == (0, b"")
    assert done.output == CONTENT


def test_twist(serve: Callable[..., Daemon], transport: str) -> None:
    """
    The service is the same under C{twist}.
    """
    echo = serve("netkit-echo", launcher="twist")
    done = run([requirePeer("socat"), "-t", "60", "-", echo.address(transport).socat], CONTENT)
    assert done.status == 0
    assert done.output == CONTENT
