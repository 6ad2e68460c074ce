"""
Tests for L{netkit.services.http}.
"""

from __future__ import annotations

from pathlib import Path

import pytest
import pytest_twisted
from twisted.internet.endpoints import clientFromString
from twisted.python.usage import UsageError

from netkit.services import http

from ..clients import connect


def parsed(*arguments: str) -> http.Options:
    options = http.Options()
    options.parseOptions(list(arguments))
    return options


async def exchange(tmp_path: Path, octets: bytes, *arguments: str) -> tuple[bytes, bytes]:
    """
    Run the service, send it something, and return what it answered and what it printed.
    """
    from twisted.internet import reactor

    printed = tmp_path / "printed"
    service = http.makeService(parsed("-l", f"unix:{tmp_path}/s", "-o", str(printed), *arguments))
    service.startService()
    client = await connect(clientFromString(reactor, f"unix:{tmp_path}/s"))
    client.transport.write(octets)
    client.transport.loseWriteConnection()
    await client.lost
    await service.stopService()
    return bytes(client.received), printed.read_bytes()


REQUESTS = (
    b"GET /a?b HTTP/1.1\r\nHOST:a\r\nx-Y:  z \r\n\r\n"
    b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello"
    b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
    b"5;x\r\nhello\r\n0\r\nA: b\r\n\r\n"
)


@pytest_twisted.ensureDeferred
async def test_requests_are_printed_as_sent_and_answered(tmp_path: Path) -> None:
    received, printed = await exchange(tmp_path, REQUESTS)
    assert printed == REQUESTS
    assert received.count(b"HTTP/1.1 200 OK\r\ndate: ") == 3
    answer = b"\r\ncontent-type: text/plain\r\ncontent-length: 13\r\n\r\nresponse data"
    assert received.count(answer) == 3


@pytest_twisted.ensureDeferred
async def test_the_answer_can_be_chosen(tmp_path: Path) -> None:
    received, _ = await exchange(
        tmp_path,
        REQUESTS,
        "--status=404",
        "--header=content-TYPE:text/html",
        "--header",
        "X-A:  b: c ",
        "--response=<p>",
    )
    assert received.count(b"HTTP/1.1 404 Not Found\r\n") == 3
    answer = b"\r\ncontent-TYPE: text/html\r\nX-A: b: c\r\ncontent-length: 3\r\n\r\n<p>"
    assert received.count(answer) == 3


@pytest_twisted.ensureDeferred
async def test_content_over_the_limit_is_refused(tmp_path: Path) -> None:
    received, printed = await exchange(tmp_path, REQUESTS, "--max-content=4")
    assert received.count(b"HTTP/1.1 ") == 2
    assert b"HTTP/1.1 413 " in received
    assert printed == REQUESTS


@pytest_twisted.ensureDeferred
@pytest.mark.parametrize(
    ("option", "status"),
    [
        ("--max-request-line=10", 414),
        ("--max-header-section=10", 431),
        ("--max-fields=1", 431),
        ("--max-chunk-extensions=1", 413),
        ("--max-trailer-section=3", 431),
    ],
)
async def test_each_limit_is_an_option(tmp_path: Path, option: str, status: int) -> None:
    received, _ = await exchange(tmp_path, REQUESTS, option)
    assert b"HTTP/1.1 %d " % status in received


@pytest_twisted.ensureDeferred
async def test_each_timeout_is_an_option(tmp_path: Path) -> None:
    from twisted.internet import reactor

    timeouts = ["--head-timeout=0.01", "--content-timeout=0.01", "-o", str(tmp_path / "o")]
    service = http.makeService(parsed("-l", f"unix:{tmp_path}/s", *timeouts))
    service.startService()
    for octets in (b"GET / HTTP/1.1\r\n", REQUESTS[:-1]):
        client = await connect(clientFromString(reactor, f"unix:{tmp_path}/s"))
        client.transport.write(octets)
        await client.lost
        assert b"HTTP/1.1 408 " in client.received
    await service.stopService()


@pytest.mark.parametrize(
    ("arguments", "names"),
    [
        (["--status", "abc"], ["--status", "'abc'"]),
        (["--status", "100"], ["100"]),
        (["--status", "1000"], ["1000"]),
        (["--header", "nocolon"], ["--header", "'nocolon'", "colon"]),
        (["--header", ": v"], ["--header", "token"]),
        (["--header", "A: b\r\nC: d"], ["--header", "control character"]),
        (["--header", "Content-Length: 3"], ["--header", "Content-Length"]),
        (["--max-content", "-1"], ["--max-content"]),
        (["-l", "9872"], ["tcp:9872"]),
    ],
)
def test_a_mistake_is_one_clear_line(arguments: list[str], names: list[str]) -> None:
    with pytest.raises(UsageError) as caught:
        parsed(*arguments)
    line = str(caught.value)
    assert "\n" not in line
    for name in names:
        assert name in line


def test_defaults() -> None:
    options = parsed()
    assert options["listen"] == ["tcp:3202:interface=127.0.0.1"]
    assert (options["status"], options["max-content"]) == (200, 64 * 2**20)


@pytest_twisted.ensureDeferred
async def test_the_answer_can_wait(tmp_path: Path) -> None:
    received, printed = await exchange(tmp_path, REQUESTS, "--delay=0.01")
    assert received.count(b"HTTP/1.1 200 OK\r\n") == 3
    assert printed == REQUESTS


@pytest_twisted.ensureDeferred
async def test_routes_are_off_unless_asked_for(tmp_path: Path) -> None:
    octets = b"GET /status/404 HTTP/1.1\r\nHost: a\r\n\r\n"
    received, _ = await exchange(tmp_path, octets)
    assert received.startswith(b"HTTP/1.1 200 ")
    received, _ = await exchange(tmp_path, octets + REQUESTS, "--routes")
    assert received.startswith(b"HTTP/1.1 404 ")
    assert received.count(b"response data") == 3


@pytest_twisted.ensureDeferred
async def test_what_is_kept_for_all_connections_has_a_limit(tmp_path: Path) -> None:
    kept = b"POST /anything HTTP/1.1\r\nHost: h\r\nContent-Length: 50\r\n\r\n" + b"x" * 50
    received, printed = await exchange(tmp_path, kept, "--max-buffered=40", "--routes")
    assert b"HTTP/1.1 503 " in received
    assert printed == kept


@pytest_twisted.ensureDeferred
@pytest.mark.parametrize("path", [b"/", b"/status/404", b"/nothing"])
async def test_pages_of_any_origin_may_read_the_answers(tmp_path: Path, path: bytes) -> None:
    request = b"GET " + path + b" HTTP/1.1\r\nHost: a\r\nOrigin: https://b\r\n\r\n"
    received, _ = await exchange(tmp_path, request, "--cors", "--routes", "--header=X-A: b")
    assert b"\r\naccess-control-allow-origin: *\r\n" in received
    assert b"\r\naccess-control-expose-headers: *\r\n" in received
    assert b"\r\nX-A: b\r\n" in received


@pytest_twisted.ensureDeferred
async def test_an_origin_of_ones_own(tmp_path: Path) -> None:
    own = "Access-Control-Allow-Origin: https://b"
    received, _ = await exchange(tmp_path, REQUESTS, "--cors", "--header", own)
    assert received.count(own.encode()) == received.lower().count(b"access-control-allow-o") == 3


@pytest_twisted.ensureDeferred
async def test_pages_of_other_origins_read_nothing_unless_told(tmp_path: Path) -> None:
    received, _ = await exchange(tmp_path, REQUESTS)
    assert b"access-control" not in received.lower()
