"""
The print-respond service, and programs that nobody here wrote.
"""

from __future__ import annotations

import json
import random
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.interop.peers import HERE, Daemon, eventually, requirePeer, run

CONTENT = random.Random(3201).randbytes(2**20)
RESPONSE = b"netkit answers:\r\n" + random.Random(1023).randbytes(2**20)


@pytest.fixture(scope="module")
def printed(folder: Path) -> Path:
    """
    The file that the service prints to.
    """
    return folder / "printed"


@pytest.fixture(scope="module")
def respond(serve: Callable[..., Daemon], folder: Path, printed: Path) -> Daemon:
    """
    The service under C{twistd}.
    """
    response = folder / "response"
    response.write_bytes(RESPONSE)
    return serve(
        "netkit-print-respond", "--response-file", str(response), "--output", str(printed)
    )


@pytest.fixture
def news(respond: Daemon, printed: Path) -> Callable[[], bytes]:
    """
    What the service printed since the test began.
    """
    start = printed.stat().st_size

    def read() -> bytes:
        with printed.open("rb") as file:
            file.seek(start)
            return file.read()

    return read


def test_socat(respond: Daemon, transport: str, news: Callable[[], bytes]) -> None:
    # -t: for how many seconds socat waits for the rest once it has half-closed.
    command = [requirePeer("socat"), "-t", "60", "-", respond.address(transport).socat]
    done = run(command, CONTENT)
    assert (done.status, done.errors) == (0, b"")
    assert done.output == RESPONSE
    assert eventually(news, CONTENT.__eq__) == CONTENT


def test_ncat(respond: Daemon, transport: str, news: Callable[[], bytes]) -> None:
    done = run([requirePeer("ncat"), *respond.address(transport).ncat], CONTENT)
    assert (done.status, done.errors) == (0, b"")
    assert done.output == RESPONSE
    assert eventually(news, CONTENT.__eq__) == CONTENT


def test_node(respond: Daemon, transport: str, news: Callable[[], bytes]) -> None:
    options = json.dumps(respond.address(transport).node)
    done = run([requirePeer("node"), str(HERE / "client.mjs"), options], CONTENT)
    assert (done.status, done.errors) == (0, b"")
    assert done.output == RESPONSE
    assert eventually(news, CONTENT.__eq__) == CONTENT


def test_nothing_sent(respond: Daemon, transport: str, news: Callable[[], bytes]) -> None:
    options = json.dumps(respond.address(transport).node)
    done = run([requirePeer("node"), str(HERE / "client.mjs"), options])
    assert (done.status, done.output) == (0, RESPONSE)
    assert news() == b""


def test_too_much_content(serve: Callable[..., Daemon], transport: str, folder: Path) -> None:
    """
    The client reads why it is refused, though it is still sending.
    """
    printed = folder / f"{transport}-refused"
    respond = serve("netkit-print-respond", "--max-content", "1000", "--output", str(printed))
    options = json.dumps(respond.address(transport).node)
    done = run([requirePeer("node"), str(HERE / "client.mjs"), options], CONTENT)
    assert done.output == b"refused: more than 1000 bytes of content\n"
    respond.waitForLines(re.compile("refused: more than 1000 bytes of content"))
    respond.stop()
    # What came is shown, as far as it was read.
    assert CONTENT.startswith(printed.read_bytes()[:1000])


def test_json(serve: Callable[..., Daemon], transport: str, folder: Path) -> None:
    """
    Each line is one object, which any reader of JSON takes.
    """
    printed = folder / f"{transport}-json"
    respond = serve("netkit-print-respond", "--format", "json", "--output", str(printed))
    options = json.dumps(respond.address(transport).node)
    for content in (b"one\n", "zwei €".encode(), b"\xff\x00"):
        run([requirePeer("node"), str(HERE / "client.mjs"), options], content)
    read = "for (const line of require('fs').readFileSync(0, 'utf8').trim().split('\\n'))"
    show = (
        "{ const o = JSON.parse(line); console.log(o.service, o.direction, o.encoding, o.data) }"
    )
    lines = eventually(printed.read_bytes, lambda said: said.count(b"\n") == 3)
    done = run([requirePeer("node"), "-e", read + show], lines)
    assert done.output.decode().splitlines() == [
        "print-respond received utf-8 one",
        "",
        "print-respond received utf-8 zwei €",
        "print-respond received base64 /wA=",
    ]


@pytest.mark.parametrize("until", ["line", "idle:0.2"])
def test_a_client_that_never_half_closes(
    serve: Callable[..., Daemon], transport: str, folder: Path, until: str
) -> None:
    printed = folder / f"{transport}-{until[:4]}"
    options = ["--until", until, "--on-connect", "hello ", "--output", str(printed)]
    respond = serve("netkit-print-respond", *options)
    ncat = [requirePeer("ncat"), "--no-shutdown", *respond.address(transport).ncat]
    assert run(ncat, b"a line\n").output == b"hello response data"
    line = b"a line\n"
    assert eventually(printed.read_bytes, line.__eq__) == line


def test_a_client_of_tls(serve: Callable[..., Daemon], tlsEndpoint: str, folder: Path) -> None:
    """
    This one reads nothing behind its own close_notify: it waits for the answer with its side open.
    """
    printed = folder / "tls-line"
    respond = serve(
        *("netkit-print-respond", "-l", tlsEndpoint, "--until", "line", "--output", str(printed))
    )
    port = respond.address("tls").port
    client = [requirePeer("openssl"), "s_client", "-quiet"]
    done = run([*client, "-connect", f"127.0.0.1:{port}"], b"a line\n")
    assert done.output == b"response data"
    line = b"a line\n"
    assert eventually(printed.read_bytes, line.__eq__) == line
