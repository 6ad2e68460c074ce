"""
The http service, and curl.
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.interop.peers import Address, Daemon, Finished, eventually, requirePeer, run

CONTENT = random.Random(9112).randbytes(2**20)


@pytest.fixture(scope="module")
def printed(folder: Path) -> Path:
    """
    The file that the service prints to.
    """
    return folder / "printed"


@pytest.fixture(scope="module")
def http(serve: Callable[..., Daemon], printed: Path) -> Daemon:
    """
    The service under C{twistd}.
    """
    return serve("netkit-http", "--output", str(printed))


@pytest.fixture
def news(http: Daemon, printed: Path) -> Callable[[], bytes]:
    """
    What the service printed since the test began.
    """
    start = printed.stat().st_size

    def read() -> bytes:
        with printed.open("rb") as file:
            file.seek(start)
            return file.read()

    return read


def curl(address: Address, *arguments: str, data: bytes = b"") -> Finished:
    """
    Run curl with paths for URLs, and see that it had no trouble.
    """
    origin = "http://localhost" if address.port is None else f"http://127.0.0.1:{address.port}"
    command = [requirePeer("curl"), "--silent", "--show-error", "--http1.1", "--max-time", "60"]
    if address.path is not None:
        command += ["--unix-socket", address.path]
    urls = [origin + each if each.startswith("/") else each for each in arguments]
    done = run([*command, *urls], data)
    assert done.status == 0, done.errors
    return done


def test_get(http: Daemon, transport: str, news: Callable[[], bytes]) -> None:
    """
    The request is printed as curl sent it; the response has what it takes.
    """
    done = curl(http.address(transport), "/a/b?c=d", "--include", "-H", "X-Mixed:  Case ")
    head, content = done.output.decode().split("\r\n\r\n")
    status, *lines = head.split("\r\n")
    assert re.fullmatch(r"HTTP/1.1 200 \w*", status)
    fields = dict(line.lower().split(": ", 1) for line in lines)
    assert fields["content-type"] == "text/plain"
    assert fields["content-length"] == "13"
    assert content == "response data"

    request = eventually(news, lambda said: said.endswith(b"\r\n\r\n")).decode()
    assert request.startswith("GET /a/b?c=d HTTP/1.1\r\nHost: ")
    assert "\r\nX-Mixed:  Case \r\n" in request
    assert request.endswith("\r\n\r\n")


def test_head(http: Daemon, transport: str) -> None:
    done = curl(http.address(transport), "/", "--head")
    assert b"\r\ncontent-length: 13\r\n" in done.output.lower()
    assert done.output.endswith(b"\r\n\r\n")


def test_keep_alive(http: Daemon, transport: str, news: Callable[[], bytes]) -> None:
    """
    curl sends all of its requests on one connection.
    """
    done = curl(http.address(transport), "--verbose", "/one", "/two", "/three", "-d", "content")
    assert done.output == b"response data" * 3
    assert len(re.findall(rb"\* Connected to", done.errors)) == 1
    assert len(re.findall(rb"\* Re-using existing connection", done.errors)) == 2
    printed = eventually(news, lambda said: said.count(b"\r\n\r\ncontent") == 3)
    assert re.findall(rb"POST (\S+) HTTP/1.1\r\n", printed) == [b"/one", b"/two", b"/three"]
    assert printed.count(b"\r\n\r\ncontent") == 3


def test_post_a_file(
    http: Daemon, transport: str, news: Callable[[], bytes], tmp_path: Path
) -> None:
    """
    curl asks first, with Expect: 100-continue, and the content is printed byte for byte.
    """
    file = tmp_path / "content"
    file.write_bytes(CONTENT)
    done = curl(
        http.address(transport),
        "--verbose",
        "/",
        "--data-binary",
        f"@{file}",
        "-H",
        "Expect: 100-continue",
    )
    assert done.output == b"response data"
    assert b"< HTTP/1.1 100 " in done.errors
    said = eventually(news, lambda said: CONTENT in said)
    head, content = said.split(b"\r\n\r\n", 1)
    assert b"\r\nContent-Length: %d" % len(CONTENT) in head
    assert content == CONTENT


def test_post_a_form(http: Daemon, transport: str, news: Callable[[], bytes]) -> None:
    done = curl(http.address(transport), "/", "-F", "file=@-;filename=f", data=CONTENT)
    assert done.output == b"response data"
    assert CONTENT in eventually(news, lambda said: CONTENT in said)


def test_chunked_upload(http: Daemon, transport: str, news: Callable[[], bytes]) -> None:
    """
    curl uploads its input, whose length it does not know, in chunks; they are printed as sent.
    """
    done = curl(http.address(transport), "/", "--upload-file", "-", data=CONTENT)
    assert done.output == b"response data"
    said = eventually(news, lambda said: said.endswith(b"\r\n0\r\n\r\n"))
    head, chunks = said.split(b"\r\n\r\n", 1)
    assert b"\r\nTransfer-Encoding: chunked" in head
    content = b""
    while chunks:
        size, rest = chunks.split(b"\r\n", 1)
        content += rest[: int(size, 16)]
        assert rest[int(size, 16) :].startswith(b"\r\n")
        chunks = rest[int(size, 16) + 2 :]
    assert content == CONTENT


def test_configured_response(serve: Callable[..., Daemon], transport: str, tmp_path: Path) -> None:
    file = tmp_path / "response"
    file.write_bytes(CONTENT)
    http = serve(
        *("netkit-http", "--format", "none", "--status", "404", "--response-file", str(file)),
        *("--header", "X-Answer: 42", "--header", "Content-Type: application/octet-stream"),
    )
    done = curl(http.address(transport), "/", "--include")
    head, content = done.output.split(b"\r\n\r\n", 1)
    assert head.startswith(b"HTTP/1.1 404 ")
    assert b"\r\nx-answer: 42" in head.lower()
    assert b"\r\ncontent-type: application/octet-stream" in head.lower()
    assert content == CONTENT


def test_too_much_content(serve: Callable[..., Daemon], transport: str) -> None:
    """
    The client is told, though it would send on.
    """
    http = serve("netkit-http", "--max-content", "1000", "--format", "none")
    done = curl(
        *(http.address(transport), "/", "--include", "--data-binary", "@-", "-H", "Expect:"),
        data=CONTENT,
    )
    assert done.output.startswith(b"HTTP/1.1 413 ")


def test_http_1_0(http: Daemon, transport: str) -> None:
    """
    A client of HTTP/1.0 has its connection closed after the response.
    """
    done = curl(http.address(transport), "/", "--http1.0", "--include")
    assert done.output.endswith(b"\r\n\r\nresponse data")
