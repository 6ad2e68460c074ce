"""
The http service, and clients and proxies that nobody here wrote.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from http.client import HTTPConnection
from pathlib import Path

import httpx
import pytest

from benchmarks.running import freePort
from tests.interop.http_peers import waitFor
from tests.interop.peers import HERE, Address, Daemon, Program, requirePeer, run

# What the load generators send, in all and at a time.
REQUESTS, CONNECTIONS = 2000, 20

NGINX = """
daemon off;
pid {folder}/proxy.pid;
error_log stderr error;
worker_processes 1;
events {{ }}
http {{
    access_log off;
    client_body_temp_path {folder}/proxy-1;
    proxy_temp_path {folder}/proxy-2;
    fastcgi_temp_path {folder}/proxy-3;
    uwsgi_temp_path {folder}/proxy-4;
    scgi_temp_path {folder}/proxy-5;
    keepalive_requests 100000;
    upstream netkit {{
        server 127.0.0.1:{behind};
        keepalive 8;
        keepalive_requests 100000;
    }}
    server {{
        listen 127.0.0.1:{port};
        location / {{
            proxy_pass http://netkit;
            proxy_http_version 1.1;
            proxy_set_header Connection "";
            proxy_request_buffering off;
        }}
    }}
}}
"""

HAPROXY = """
defaults
    mode http
    timeout connect 10s
    timeout client 60s
    timeout server 60s
    http-reuse always
listen proxy
    bind 127.0.0.1:{port}
    server netkit 127.0.0.1:{behind}
"""


@pytest.fixture(scope="module")
def http(serve: Callable[..., Daemon]) -> Daemon:
    """
    The service under C{twistd}, with its routes.
    """
    return serve("netkit-http", "--routes", "--format", "none")


@pytest.fixture(scope="module")
def origin(http: Daemon) -> str:
    """
    Its URL.
    """
    return f"http://127.0.0.1:{http.address('tcp').port}"


def test_wrk(origin: str) -> None:
    done = run([requirePeer("wrk"), "-t1", f"-c{CONNECTIONS}", "-d1s", f"{origin}/"])
    assert done.status == 0, done.errors
    assert int(re.search(rb"(\d+) requests in", done.output)[1]) > 0  # type: ignore[index]
    assert b"Socket errors" not in done.output
    assert b"Non-2xx" not in done.output


@pytest.mark.parametrize("options", [[], ["-k"], ["-k", "-p", "content"], ["-p", "content"]])
def test_ab(origin: str, options: list[str], folder: Path) -> None:
    """
    ab speaks HTTP/1.0, with and without keep-alive.
    """
    (folder / "content").write_bytes(b"x" * 3000)
    options = [str(folder / each) if each == "content" else each for each in options]
    limits = ["-n", str(REQUESTS), "-c", str(CONNECTIONS)]
    done = run([requirePeer("ab"), "-q", *limits, *options, f"{origin}/"])
    assert done.status == 0, done.errors
    assert b"Complete requests:      %d\n" % REQUESTS in done.output
    assert b"Failed requests:        0\n" in done.output
    assert b"Non-2xx" not in done.output
    kept = re.search(rb"Keep-Alive requests: +(\d+)", done.output)
    assert (kept is not None and int(kept[1]) == REQUESTS) is ("-k" in options)


@pytest.mark.parametrize("options", [[], ["-m", "POST", "-d", "content"], ["-disable-keepalive"]])
def test_hey(origin: str, options: list[str]) -> None:
    limits = ["-n", str(REQUESTS), "-c", str(CONNECTIONS)]
    done = run([requirePeer("hey"), *limits, *options, f"{origin}/"])
    assert done.status == 0, done.errors
    assert b"[200]\t%d responses" % REQUESTS in done.output
    assert b"Error distribution" not in done.output


def test_http_client(http: Daemon) -> None:
    """
    Python's own client.
    """
    client = HTTPConnection("127.0.0.1", http.address("tcp").port)
    for number in range(50):
        client.request("POST", f"/anything/{number}", iter([b"a", b"b" * number]))
        response = client.getresponse()
        told = json.load(response)
        assert (response.status, told["target"]) == (200, f"/anything/{number}")
        assert told["content"] == "a" + "b" * number
    client.close()


def test_httpx(origin: str) -> None:
    with httpx.Client() as client:
        assert client.get(f"{origin}/status/404").status_code == 404
        told = client.post(f"{origin}/anything?a=b", json={"a": "b"}).json()
        assert (told["target"], json.loads(told["content"])) == ("/anything?a=b", {"a": "b"})
        with client.stream("GET", f"{origin}/stream/3") as response:
            assert list(response.iter_lines()) == ["line 0", "line 1", "line 2"]
        assert client.get(f"{origin}/drip?numbytes=5&duration=0.1").content == b"*****"


def test_node_fetch(origin: str) -> None:
    done = run([requirePeer("node"), str(HERE / "http_client.mjs"), origin, "20"])
    assert done.status == 0, done.errors
    assert json.loads(done.output) == [
        [200, "POST" if number % 2 else "GET", f"/anything/{number}", number % 2 * number * 1000]
        for number in range(20)
    ]


def test_chromium(origin: str) -> None:
    chromium = requirePeer("chromium")
    options = ["--headless", "--no-sandbox", "--disable-gpu", "--dump-dom"]
    done = run([chromium, *options, f"{origin}/anything?q={{a|b}}"])
    assert done.status == 0, done.errors
    assert b'"target": "/anything?q={a|b}"' in done.output
    assert b"Chrome" in done.output


@pytest.mark.parametrize("count", [0, 1, 10**7])
def test_curl_downloads(origin: str, count: int) -> None:
    done = run([requirePeer("curl"), "-sS", "--http1.1", f"{origin}/bytes/{count}"])
    assert (done.status, len(done.output)) == (0, count)


def mixed(port: int, count: int) -> int:
    """
    Send mixed requests on one connection, and count those that were answered right.
    """
    right = 0
    client = HTTPConnection("127.0.0.1", port, timeout=60)
    for number in range(count):
        content = b"%d" % number * (number % 50)
        if number % 4 == 0:
            client.request("GET", f"/anything/{number}")
            content = b""
        elif number % 4 == 1:
            client.request("POST", f"/anything/{number}", content)
        elif number % 4 == 2:
            client.request("PUT", f"/anything/{number}", iter([content, b"!"]))
            content += b"!"
        else:
            client.request("GET", f"/bytes/{number}")
            right += len(client.getresponse().read()) == number
            continue
        told = json.load(client.getresponse())
        right += told["target"] == f"/anything/{number}" and told["content"] == content.decode()
    client.close()
    return right


@pytest.fixture(params=["nginx", "haproxy"])
def proxy(request: pytest.FixtureRequest, http: Daemon, folder: Path) -> Iterator[Address]:
    """
    A proxy in front of the service.
    """
    address = Address(port=freePort())
    places = {"folder": folder, "port": address.port, "behind": http.address("tcp").port}
    config = folder / "proxy.conf"
    if request.param == "nginx":
        config.write_text(NGINX.format(**places))
        command = [requirePeer("nginx"), "-c", str(config)]
    else:
        config.write_text(HAPROXY.format(**places))
        command = [requirePeer("haproxy"), "-db", "-f", str(config)]
    program = Program(command)
    try:
        waitFor(address)
        yield address
    finally:
        program.stop()


def test_behind_a_proxy(proxy: Address) -> None:
    """
    Ten thousand mixed requests on four connections, none lost, none taken for another.
    """
    assert proxy.port is not None
    with ThreadPoolExecutor(4) as threads:
        counts = list(threads.map(mixed, [proxy.port] * 4, [2500] * 4))
    assert counts == [2500] * 4
