"""
C{netkit ws}, and programs that nobody here wrote.
"""

from __future__ import annotations

import os
import re
import socket
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.certificates import Authority
from tests.interop.peers import PATIENCE, SCRIPTS, Daemon, Program, requirePeer

WS = [str(SCRIPTS / "netkit"), "ws"]


@pytest.fixture(scope="module")
def proxy() -> Iterator[str]:
    """
    The address of ncat as a proxy.
    """
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    ncat = Program(
        [requirePeer("ncat"), "-l", "-k", "-v", "--proxy-type", "http", "127.0.0.1", str(port)]
    )
    ncat.waitForLines(re.compile("Listening on"))
    yield f"http://127.0.0.1:{port}"
    ncat.stop()


@pytest.mark.parametrize("variable", ["HTTP_PROXY", "ALL_PROXY", "--proxy"])
def test_through_a_proxy(serve: Callable[..., Daemon], proxy: str, variable: str) -> None:
    port = serve("netkit-websocket", "--format", "none").address("tcp").port
    given = variable.startswith("-")
    done = subprocess.run(
        [*WS, *([variable, proxy] if given else []), f"ws://127.0.0.1:{port}/"],
        input=b"hello\n",
        capture_output=True,
        timeout=PATIENCE,
        check=False,
        env={**os.environ, **({} if given else {variable: proxy})},
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, b"hello\n", b"")


def test_through_a_proxy_with_tls(
    serve: Callable[..., Daemon], proxy: str, tmp_path: Path
) -> None:
    authority = Authority(tmp_path)
    pem = authority.issue("127.0.0.1")
    endpoint = f"ssl:0:interface=127.0.0.1:privateKey={pem}:certKey={pem}"
    daemon = serve("netkit-websocket", "--format", "none", "-l", endpoint)
    url = f"wss://127.0.0.1:{daemon.address('tls').port}/"
    for arguments, status, output in [
        (["--ca", str(authority.path)], 0, b"hello\n"),
        ([], 1, b""),
    ]:
        done = subprocess.run(
            [*WS, *arguments, url],
            input=b"hello\n",
            capture_output=True,
            timeout=PATIENCE,
            check=False,
            env={**os.environ, "HTTPS_PROXY": proxy},
        )
        assert (done.returncode, done.stdout) == (status, output)
        assert done.stderr.count(b"\n") == status
