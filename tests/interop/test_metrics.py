"""
Prometheus looks at the figures of services.
"""

from __future__ import annotations

import json
import os
import re
import signal
import socket
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from websockets.sync.client import unix_connect

from tests.interop.peers import (
    PATIENCE,
    SCRIPTS,
    Program,
    daemonCommand,
    eventually,
    requirePeer,
    run,
)


@pytest.fixture
def start() -> Iterator[list[Program]]:
    """
    The programs that are ended with the test.
    """
    programs: list[Program] = []
    yield programs
    for program in programs:
        program.stop()
        assert "Traceback" not in program.output, program.output


def get(url: str, *options: str) -> tuple[int, str]:
    """
    The status of a response, and its content.
    """
    done = run([requirePeer("curl"), "-s", "-w", "\n%{http_code}", *options, url])
    content, _, status = done.output.decode().rpartition("\n")
    return int(status), content


@pytest.mark.parametrize("count", [0, 2])
def test_figures(start: list[Program], tmp_path: Path, count: int) -> None:
    promtool, prometheus = requirePeer("promtool"), requirePeer("prometheus")
    service = Program(
        [
            *[str(SCRIPTS / "twistd"), "-n", "--pidfile=", "netkit-http", f"--workers={count}"],
            *["--metrics=tcp:0:interface=127.0.0.1", "--format=none", "--delay=0.1"],
            *["-l", "unix:http.sock", "--grace=30"],
        ],
        cwd=tmp_path,
    )
    start.append(service)
    service.waitForLines(re.compile("http listens on"), 1 + count)
    (found,) = service.waitForLines(re.compile(r"metrics are on 127.0.0.1:(\d+)"))
    origin = f"http://127.0.0.1:{found[1]}"
    assert eventually(lambda: get(f"{origin}/readyz"), lambda each: each[0] == 200)[0] == 200
    assert get(f"{origin}/healthz") == (200, "ok\n")
    assert get(f"{origin}/other")[0] == 404
    path = str(tmp_path / "http.sock")
    for method in ("GET", "PUT", "MADEUP"):
        assert get("http://x/", "--unix-socket", path, "-X", method)[0] == 200
    requests = re.compile(r'^netkit_http_requests_total\{.*status="2xx"\} (\d+)\.0$', re.MULTILINE)
    content = get(f"{origin}/metrics")[1]
    assert [found[1] for found in requests.finditer(content)] == ["1"] * 3
    assert 'method="other"' in content
    assert 'netkit_connections_accepted_total{service="http"} 3.0' in content
    assert 'netkit_http_request_seconds_bucket{le="0.05",service="http"} 0.0' in content
    assert 'netkit_http_request_seconds_count{service="http"} 3.0' in content
    assert ("netkit_workers 2.0" in content) == (count == 2)
    checked = run([promtool, "check", "metrics"], content.encode())
    assert (checked.status, checked.errors) == (0, b"")
    # It scrapes in its own format, OpenMetrics.
    (tmp_path / "prometheus.yml").write_text(
        "global: {scrape_interval: 1s}\nscrape_configs:\n  - job_name: netkit\n"
        f"    static_configs: [{{targets: ['127.0.0.1:{found[1]}']}}]\n"
    )
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    start.append(
        Program(
            [
                *[prometheus, f"--config.file={tmp_path}/prometheus.yml"],
                *[f"--web.listen-address=127.0.0.1:{port}", f"--storage.tsdb.path={tmp_path}/db"],
            ]
        )
    )
    query = f"http://127.0.0.1:{port}/api/v1/query?query=sum(netkit_http_requests_total)"

    def scraped() -> str:
        try:
            return str(json.loads(get(query)[1])["data"]["result"][0]["value"][1])
        except (ValueError, IndexError):
            return ""

    assert eventually(scraped, bool) == "3"
    # It still answers while it drains: somebody uploads.
    with socket.socket(socket.AF_UNIX) as client, client.makefile("rb") as reply:
        client.settimeout(PATIENCE)
        client.connect(path)
        client.sendall(
            b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n"
        )
        assert reply.readline() == b"HTTP/1.1 100 Continue\r\n"
        os.kill(service.pid, signal.SIGTERM)
        drains = eventually(lambda: get(f"{origin}/readyz"), lambda each: each[0] != 200)
        assert drains == (503, "not ready\n")
        client.sendall(b"ab")
        rest = reply.read()
    assert b"HTTP/1.1 200 OK\r\n" in rest
    assert b"\r\nconnection: close\r\n" in rest


def test_what_is_no_http(start: list[Program], tmp_path: Path) -> None:
    """
    WebSockets and connections of TCP services have their lines and figures, which do not fall when
    a worker is gone.
    """
    service = Program(
        [
            *[str(SCRIPTS / "twistd"), "-n", "--pidfile=", "netkit", "--workers=1"],
            *["--without=http", "--without=print-respond", "--format=none"],
            *["--echo=unix:echo.sock", "--websocket=unix:websocket.sock"],
            *["--access-log=access", "--access-log-format=json"],
            *["--metrics=tcp:0:interface=127.0.0.1", "--fault=latency:delay=1ms"],
        ],
        cwd=tmp_path,
    )
    start.append(service)
    service.waitForLines(re.compile("worker 1 serves"))
    (found,) = service.waitForLines(re.compile(r"metrics are on 127.0.0.1:(\d+)"))
    (worker,) = service.waitForLines(re.compile(r"worker 1 is process (\d+)"))

    with unix_connect(str(tmp_path / "websocket.sock"), "ws://x/chat?a") as connection:
        connection.send("hello")
        assert connection.recv(PATIENCE) == "hello"
    with socket.socket(socket.AF_UNIX) as client:
        client.settimeout(PATIENCE)
        client.connect(str(tmp_path / "echo.sock"))
        client.sendall(b"12345")
        client.shutdown(socket.SHUT_WR)
        assert client.makefile("rb").read() == b"12345"

    def logged() -> list[dict[str, Any]]:
        lines = (tmp_path / "access").read_text().splitlines(keepends=True)
        return [json.loads(line) for line in lines if line.endswith("\n")]

    entries = eventually(logged, lambda entries: len(entries) == 2)
    chat, echo = sorted(entries, key=lambda entry: "service" in entry)
    assert (chat["method"], chat["target"], chat["status"], chat["code"]) == (
        *("GET", "/chat?a"),
        *(101, 1000),
    )
    assert (chat["messages_received"], chat["messages_sent"]) == (1, 1)
    # The response 101, a message, a Close frame.
    assert chat["octets"] > 100
    assert (echo["service"], echo["status"], echo["received"], echo["octets"]) == (
        *("echo", 200),
        *(5, 5),
    )

    def figures() -> list[str]:
        return get(f"http://127.0.0.1:{found[1]}/metrics")[1].splitlines()

    counters = {
        'netkit_octets_total{direction="received",service="echo"} 5.0',
        'netkit_octets_total{direction="sent",service="echo"} 5.0',
        'netkit_websocket_messages_total{direction="received",service="websocket"} 1.0',
        'netkit_websocket_closed_total{code="1000",service="websocket"} 1.0',
        'netkit_faults_struck_total{fault="latency-1",service="echo"} 1.0',
    }
    assert counters <= set(figures())
    # The dashboard shows nothing else than what there is.
    assert get("http://x/", "--unix-socket", str(tmp_path / "websocket.sock"))[0] == 426
    dashboard = (Path(__file__).parents[2] / "examples" / "grafana.json").read_text()
    shown = set(re.findall(r"\bnetkit_(?!http)\w+", dashboard))
    assert shown <= {re.split("[{ ]", line)[0] for line in figures()}
    os.kill(int(worker[1]), signal.SIGKILL)
    service.waitForLines(re.compile("worker 1 serves"), 2)
    after = set(figures())
    assert counters <= after
    assert "netkit_workers_ended_total 1.0" in after


def test_refusals_and_pings(start: list[Program], tmp_path: Path, tlsEndpoint: str) -> None:
    """
    Connections that are refused are counted by reason, and how long answers to pings take.
    """
    service = Program(
        daemonCommand(
            *["netkit-websocket", "--metrics=unix:metrics", "--format=none"],
            *["--max-connections=2", "--ping-interval=0.05"],
            *["-l", "unix:plain", "-l", "haproxy:unix:proxied", "-l", tlsEndpoint],
        ),
        cwd=tmp_path,
    )
    start.append(service)
    (found,) = service.waitForLines(re.compile(r"websocket listens on 127.0.0.1:(\d+)"))
    service.waitForLines(re.compile("metrics are on"))
    plain, proxied, tls = *(str(tmp_path / "plain"), str(tmp_path / "proxied")), int(found[1])

    def isEnded(address: str | int, data: bytes = b"") -> None:
        with socket.socket(
            socket.AF_UNIX if isinstance(address, str) else socket.AF_INET
        ) as client:
            client.settimeout(PATIENCE)
            # It may be before we know that we were connected.
            with suppress(ConnectionError):
                client.connect(address if isinstance(address, str) else ("127.0.0.1", address))
                client.sendall(data)
                while client.recv(1000):
                    pass

    def figures() -> dict[str, float]:
        content = get("http://x/metrics", "--unix-socket", str(tmp_path / "metrics"))[1]
        lines = [line.rpartition(" ") for line in content.splitlines() if line[:1] != "#"]
        return {name: float(value) for name, _, value in lines}

    def refused(found: dict[str, float]) -> list[float]:
        reasons = [("limit", "websocket"), ("tls", "websocket"), ("proxy", "")]
        return [
            found[f'netkit_connections_refused_total{{reason="{reason}",service="{service}"}}']
            for reason, service in reasons
        ]

    assert refused(figures()) == [0, 0, 0]
    # What is no TLS; who leaves within the handshake; what is no PROXY header.
    isEnded(tls, b"GET / HTTP/1.0\r\n\r\n")
    socket.create_connection(("127.0.0.1", tls)).close()
    isEnded(proxied, b"GET / HTTP/1.0\r\n\r\n")
    assert eventually(lambda: refused(figures()), lambda found: found[1] == 2) == [0, 2, 1]
    with unix_connect(plain, "ws://x/"), unix_connect(plain, "ws://x/"):
        for address in (plain, plain, tls):
            isEnded(address)
        pings = 'netkit_websocket_ping_seconds_count{service="websocket"}'
        assert eventually(lambda: figures()[pings], lambda number: number > 2) > 2
    assert refused(figures()) == [3, 2, 1]


def test_what_the_container_runs(start: list[Program], tmp_path: Path) -> None:
    """
    What is built into it cannot be had here: its command, elsewhere.
    """
    file = (Path(__file__).parents[2] / "examples" / "Containerfile").read_text()
    command = [
        part.replace("/opt/netkit/bin", str(SCRIPTS))
        .replace("=tcp:8080", "=unix:http.sock")
        .replace("=tcp:9100", "=unix:metrics.sock")
        for name in ("ENTRYPOINT", "CMD")
        for part in json.loads(re.findall(rf"^{name} (.*)$", file, re.MULTILINE)[0])
    ]
    service = Program(command, cwd=tmp_path)
    start.append(service)
    service.waitForLines(re.compile("listens on unix:http.sock"))
    for path, name in (("", "http"), ("readyz", "metrics")):
        assert get(f"http://x/{path}", "--unix-socket", str(tmp_path / f"{name}.sock"))[0] == 200
    assert service.stop() == -signal.SIGTERM
    assert '"GET / HTTP/1.1" 200' in service.output
