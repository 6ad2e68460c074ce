"""
What netkit records, read by tshark; and what it shows of it.
"""

from __future__ import annotations

import asyncio
import errno
import json
import os
import re
import signal
import socket
import ssl
import subprocess
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
from websockets.sync.client import connect, unix_connect

from netkit.capture import segments
from netkit.capture.reading import Recordings
from netkit.capture.segments import SegmentFiles
from netkit.wire.recording import Direction, Octets
from tests.interop.peers import (
    PATIENCE,
    SCRIPTS,
    Daemon,
    Program,
    daemonCommand,
    eventually,
    requireModule,
    requirePeer,
    run,
)
from tests.wire.recording.events import Script

NETKIT = str(SCRIPTS / "netkit")


def tshark(folder: Path, *arguments: str) -> list[str]:
    """
    The lines that tshark writes about a folder's only recording.
    """
    [path] = folder.glob("*.pcapng")
    # By what is in it: a port that the system chose may be that of another protocol to tshark.
    what = ("-o", "tcp.try_heuristic_first:TRUE")
    done = run([requirePeer("tshark"), "-r", str(path), *what, *arguments])
    # What a crash cut short is read up to there.
    assert done.status == 0 or b"cut short" in done.errors, done.errors
    return done.output.decode().splitlines()


def fields(folder: Path, wanted: str, *names: str) -> list[list[str]]:
    options = [part for name in names for part in ("-e", name)]
    lines = tshark(folder, "-Y", wanted, "-T", "fields", *options)
    return [line.split("\t") for line in lines]


def seesNoTrouble(folder: Path) -> bool:
    return tshark(folder, "-Y", "tcp.analysis.flags") == []


@pytest.fixture
def capture(tmp_path: Path) -> Path:
    return tmp_path / "capture"


@pytest.fixture
def service(capture: Path, folder: Path, tlsEndpoint: str) -> Iterator[Callable[..., Daemon]]:
    """
    Start a recorded service on TCP, TLS, IPv6 and a UNIX socket.
    """
    daemons: list[Daemon] = []

    def start(name: str, *options: str) -> Daemon:
        path = folder / "captured.sock"
        daemon = Daemon(
            name,
            *("-l", "tcp:0:interface=127.0.0.1"),
            *("-l", tlsEndpoint),
            *("-l", f"unix:{path}"),
            *("-l", "tcp6:0:interface=\\:\\:1"),
            *("--capture", str(capture), "--format", "none"),
            *options,
            cwd=folder,
        )
        daemons.append(daemon)
        return daemon

    yield start
    for daemon in daemons:
        daemon.stop()


def ipv6(daemon: Daemon) -> int:
    [port] = re.findall(r"listens on \[::1\]:(\d+)", daemon.output)
    return int(port)


def test_http(service: Callable[..., Daemon], capture: Path) -> None:
    curl = requirePeer("curl")
    http = service("netkit-http")
    tcp, tls, unix = (http.address(transport) for transport in ("tcp", "tls", "unix"))
    for arguments in (
        [f"{tcp.origin('http')}/tcp", f"{tcp.origin('http')}/again"],
        ["--cacert", str(tls.certificate), f"{tls.origin('http')}/tls"],
        ["--unix-socket", str(unix.path), "http://localhost/unix"],
        [f"http://[::1]:{ipv6(http)}/ipv6", "--data", "x" * 100_000],
    ):
        assert run([curl, "--silent", "--http1.1", *arguments]).status == 0
    http.stop()
    requests = fields(capture, "http.request", "tcp.stream", "http.request.uri")
    assert requests == [
        ["0", "/tcp"],
        ["0", "/again"],
        ["1", "/tls"],
        ["2", "/unix"],
        ["3", "/ipv6"],
    ]
    assert fields(capture, "http.response", "http.response.code") == [["200"]] * 5
    assert seesNoTrouble(capture)
    comments = "\n".join(tshark(capture, "-T", "fields", "-e", "frame.comment"))
    assert "service: http" in comments
    assert f"unix:{unix.path}" in comments
    assert "tls: TLSv1.3" in comments
    assert "alpn: http/1.1" in comments
    # In and out, as Wireshark shows it.
    directions = fields(capture, "http", "frame.packet_flags_direction")
    assert {direction for [direction] in directions} == {"0x00000001", "0x00000002"}


def test_websocket(service: Callable[..., Daemon], capture: Path) -> None:
    websocket = service("netkit-websocket")
    tcp, tls, unix = (websocket.address(transport) for transport in ("tcp", "tls", "unix"))
    trusting = ssl.create_default_context(cafile=tls.certificate)
    plain: dict[str, Any] = {"compression": None, "proxy": None}
    for opening in (
        lambda: connect(f"{tcp.origin('ws')}/chat", **plain),
        lambda: connect(f"{tls.origin('ws')}/chat", ssl=trusting, **plain),
        # Compressed, as websockets does it where it is not told otherwise.
        lambda: unix_connect(str(unix.path), "ws://localhost/chat"),
        lambda: connect(f"ws://[::1]:{ipv6(websocket)}/chat", **plain),
    ):
        with opening() as connection:
            for message in ("hello, wire", b"\xff\1\2"):
                connection.send(message)
                assert connection.recv(PATIENCE) == message
    websocket.stop()
    told = fields(
        capture,
        "websocket.payload.text",
        *("tcp.stream", "frame.packet_flags_direction", "websocket.payload.text"),
    )
    # Both ways: in, and out.
    assert sorted(told) == [
        [stream, direction, "hello, wire"]
        for stream in "0123"
        for direction in ("0x00000001", "0x00000002")
    ]
    # Of each stream the close frames of both ends, too.
    assert len(fields(capture, "websocket.opcode == 8", "tcp.stream")) == 8
    assert seesNoTrouble(capture)
    # netkit reads them as well.
    done = run([NETKIT, "show", str(capture), "--format", "json", "--print", "received"])
    entries = list(map(json.loads, done.output.splitlines()))
    assert [entry["data"] for entry in entries] == ["hello, wire", "/wEC"] * 4


def test_echo_and_how_it_ends(service: Callable[..., Daemon], capture: Path) -> None:
    echo = service("netkit-echo")
    tcp, tls, unix = (echo.address(transport) for transport in ("tcp", "tls", "unix"))
    trusting = ssl.create_default_context(cafile=tls.certificate)

    def secured() -> socket.socket:
        plain = socket.create_connection(("127.0.0.1", present(tls.port)))
        return trusting.wrap_socket(plain, server_hostname="127.0.0.1")

    def local() -> socket.socket:
        client = socket.socket(socket.AF_UNIX)
        client.connect(str(unix.path))
        return client

    openings: list[Callable[[], socket.socket]] = [
        lambda: socket.create_connection(("127.0.0.1", present(tcp.port))),
        secured,
        local,
        lambda: socket.create_connection(("::1", ipv6(echo))),
    ]
    for number, opening in enumerate(openings):
        with opening() as client:
            client.sendall(b"hello %d" % number)
            assert client.recv(100) == b"hello %d" % number
            if isinstance(client, ssl.SSLSocket):
                # close_notify, both ways.
                client.unwrap()
            else:
                client.shutdown(socket.SHUT_WR)
                assert client.recv(100) == b""
    client = socket.create_connection(("127.0.0.1", present(tcp.port)))
    client.sendall(b"x")
    client.recv(1)
    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    client.close()
    done = eventually(
        lambda: run([NETKIT, "show", str(capture)]).output, lambda said: said.count(b"reset") == 1
    )
    lines = done.decode().splitlines()
    assert len(lines) == 5
    for line in lines[:4]:
        assert "7 B in, 7 B out" in line
        assert " done" in line
    assert "1 B in, 1 B out" in lines[4]
    echo.stop()
    told = fields(
        capture, "tcp.len > 1", "tcp.stream", "frame.packet_flags_direction", "tcp.payload"
    )
    assert told == [
        [str(number), direction, (b"hello %d" % number).hex()]
        for number in range(4)
        for direction in ("0x00000001", "0x00000002")
    ]
    assert fields(capture, "tcp.flags.reset == 1", "tcp.stream") == [["4"]]
    ended = fields(capture, "tcp.flags.fin == 1", "tcp.stream")
    assert ended == [[str(number)] for number in range(4) for _ in range(2)]
    assert fields(capture, "ipv6 && tcp.len > 0", "ipv6.src") == [["::1"]] * 2
    assert seesNoTrouble(capture)


def present(port: int | None) -> int:
    assert port is not None
    return port


@pytest.fixture(scope="module")
def strict(folder: Path) -> Iterator[tuple[Daemon, Path, Path]]:
    """
    A service with small limits, what it prints of all that happens, and what it records.
    """
    printed, capture = folder / "strict", folder / "strict-capture"
    http = Daemon(
        *("netkit-http", "-l", "tcp:0:interface=127.0.0.1", "--capture", str(capture)),
        *("--output", str(printed), "--format", "json", "--print", "all"),
        *("--head-timeout", "1", "--content-timeout", "1", "--max-content", "100"),
        *("--max-header-section", "200"),
        cwd=folder,
    )
    yield http, printed, capture
    http.stop()


@pytest.mark.parametrize(
    ("sent", "ending", "wrong", "note"),
    [
        (b"GET / HTTP/1.1\r\n\r\n", "close", "there is no Host", "400: there is no Host"),
        (b"GET / HTTP/1.1\nHost: x\n\n", "close", "LF", "400: "),
        (b"GET /\xff HTTP/1.1\r\nHost: x\r\n\r\n", "close", "target", "400: "),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", "close", "not HTTP/1", "400: "),
        (
            b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nhalf",
            "close",
            "6 octets",
            "400",
        ),
        (b"GET / HT", "close", "in the middle of a head", "400: "),
        (b"GET / HTTP/1.1\r\nHo", "wait", "in the middle of a head", "408: "),
        (
            b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nh",
            "wait",
            "9 octets",
            "408: ",
        ),
        (b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 101\r\n\r\nx", "close", "", "413: "),
        (b"GET / HTTP/1.1\r\nHost: x\r\nX: %b\r\n\r\n" % (b"x" * 300), "close", "", "431: "),
        (
            b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: x, chunked\r\n\r\n",
            "close",
            "",
            "501: ",
        ),
        (
            b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nhalf",
            "reset",
            "non-clean",
            "",
        ),
        (b"GET / HTTP/1.1\r\nHos", "reset", "non-clean", ""),
    ],
)
def test_what_is_refused_is_printed_and_recorded(
    sent: bytes, ending: str, wrong: str, note: str, strict: tuple[Daemon, Path, Path]
) -> None:
    """
    With what came, and why.
    """
    http, printed, capture = strict
    before = printed.stat().st_size
    with socket.create_connection(("127.0.0.1", present(http.address("tcp").port))) as client:
        client.sendall(sent)
        if ending == "reset":
            # Once what was sent is there.
            eventually(printed.read_bytes, lambda said: b'"opened"' in said[before:])
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        else:
            if ending == "close":
                client.shutdown(socket.SHUT_WR)
            while client.recv(1000):
                pass
    said = eventually(printed.read_bytes, lambda said: b'"closed"' in said[before:])[before:]
    entries = list(map(json.loads, said.splitlines()))
    [came] = [entry for entry in entries if entry["direction"] == "received"]
    assert wrong in came.get("wrong", "")
    notes = [entry["text"] for entry in entries if entry["kind"] == "note"]
    if note:
        assert any(text.startswith(f"refused with {note}") for text in notes), notes
    number = came["connection"]
    assert eventually(lambda: recorded(capture, number), lambda found: found == sent) == sent


def recorded(capture: Path, number: int) -> bytes:
    """
    What a client sent, read back from the files.
    """
    with Recordings(capture) as recordings:
        return b"".join(
            event.data
            for event in recordings.read()
            if isinstance(event, Octets)
            and event.connection == number
            and event.direction is Direction.RECEIVED
        )


def test_notes_are_comments(strict: tuple[Daemon, Path, Path]) -> None:
    http, _, capture = strict
    with socket.create_connection(("127.0.0.1", present(http.address("tcp").port))) as client:
        client.sendall(b"TRACE\r\n\r\n")
        while client.recv(1000):
            pass
    said = "refused with 400: "
    comments = eventually(
        lambda: "\n".join(tshark(capture, "-T", "fields", "-e", "frame.comment")),
        lambda comments: said in comments,
    )
    assert said in comments


def test_a_websocket_that_breaks_the_protocol_is_printed(tmp_path: Path, folder: Path) -> None:
    printed = tmp_path / "printed"
    websocket = Daemon(
        *("netkit-websocket", "-l", "tcp:0:interface=127.0.0.1", "--output", str(printed)),
        *("--print", "all"),
        cwd=folder,
    )
    port = present(websocket.address("tcp").port)
    with socket.create_connection(("127.0.0.1", port)) as client:
        client.sendall(
            b"GET /chat HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
            b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
            b"\x81\x05hello"
        )
        while client.recv(1000):
            pass
    entries = list(
        map(
            json.loads,
            eventually(printed.read_bytes, lambda said: b'"closed"' in said).splitlines(),
        )
    )
    websocket.stop()
    kinds = [entry["kind"] for entry in entries]
    assert kinds[:3] == ["opened", "handshake", "handshake"]
    assert any("mask" in entry.get("wrong", "") for entry in entries)
    assert [entry["code"] for entry in entries if entry["kind"] == "close"] == [1002]
    assert kinds[-1] == "closed"
    # The view says what is wrong with the octets, the service what it did about them.
    [note] = [entry["text"] for entry in entries if "text" in entry]
    assert note.startswith("broke the WebSocket protocol, closed with 1002: ")


def test_any_program_by_its_endpoint_string(tmp_path: Path) -> None:
    """
    Twisted's own web server, and a client of netkit's.
    """
    (tmp_path / "index.html").write_text("<p>hello")
    options = "folder=served:service=web"
    web = Program(
        daemonCommand(
            *("web", "--path", str(tmp_path)),
            *("--listen", rf"capture:tcp\:0\:interface\=127.0.0.1:{options}"),
        ),
        cwd=tmp_path,
    )
    [found] = web.waitForLines(re.compile(r"Site starting on (\d+)"))
    request = b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
    client = rf"capture:tcp\:127.0.0.1\:{found[1]}:folder=sent"
    with subprocess.Popen(
        [NETKIT, "send", client], stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=tmp_path
    ) as sending:
        assert sending.stdin is not None
        assert sending.stdout is not None
        # Not behind the end of what is sent: twisted.web takes that for the end of the client.
        sending.stdin.write(request)
        sending.stdin.flush()
        answer = b""
        while not answer.endswith(b"<p>hello"):
            answer += os.read(sending.stdout.fileno(), 65536)
    web.stop()
    for folder, role in (("served", "web"), ("sent", "capture")):
        lines = run([NETKIT, "show", str(tmp_path / folder)]).output.decode().splitlines()
        assert len(lines) == 1, lines
        assert f" {role} " in lines[0]
        assert "GET /" in lines[0]
        assert fields(tmp_path / folder, "http.response", "http.response.code") == [["200"]]
        assert seesNoTrouble(tmp_path / folder)


def test_live(service: Callable[..., Daemon], capture: Path) -> None:
    """
    What C{wireshark -k -i -} is given.
    """
    echo = service("netkit-echo")
    show = subprocess.Popen(
        [NETKIT, "show", "-w", "-", "--follow", str(capture)], stdout=subprocess.PIPE
    )
    follow = subprocess.Popen(
        [
            *(requirePeer("tshark"), "-l", "-i", "-", "-Y", "tcp.len > 0"),
            *("-T", "fields", "-e", "tcp.payload"),
        ],
        stdin=show.stdout,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )
    assert follow.stdout is not None
    try:
        run([NETKIT, "send", echo.address("tcp").client], b"live")
        assert follow.stdout.readline() == b"live".hex().encode() + b"\n"
    finally:
        for process in (show, follow):
            process.send_signal(signal.SIGTERM)
        for process in (show, follow):
            process.communicate(timeout=PATIENCE)


def test_a_disk_that_was_full(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """
    What follows is a section of the same file, in which tools see no trouble.
    """
    made = Script()
    made.opened()
    made.received(b"one")
    files = SegmentFiles(tmp_path, size=2**20, count=2, application="netkit's tests")
    files.write(made.events)

    def full(descriptor: int, pieces: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(segments, "writePieces", full)
        with pytest.raises(OSError, match="No space"):
            files.write([made.events[1]])
    made.dropped(3, 0)
    made.sent(b"two")
    made.closed()
    files.write(made.events[2:])
    files.close()
    assert seesNoTrouble(tmp_path)
    assert fields(tmp_path, "tcp.len > 0", "tcp.payload") == [[b"one".hex()], [b"two".hex()]]
    shown = run([NETKIT, "show", str(tmp_path)]).output
    assert b"3 B in, 3 B out, " in shown
    assert b"  and 3 B in, 0 B out that are not recorded" in shown


def test_a_crash_leaves_what_was_flushed(folder: Path, capture: Path) -> None:
    """
    Killed in full flow.
    """
    echo = Daemon(
        *("netkit-echo", "-l", "tcp:0:interface=127.0.0.1", "--capture", str(capture)), cwd=folder
    )
    with socket.create_connection(("127.0.0.1", present(echo.address("tcp").port))) as client:
        for _ in range(100):
            client.sendall(os.urandom(10_000))
            client.recv(10_000)
        [path] = eventually(lambda: list(capture.glob("*.pcapng")), bool)
        eventually(lambda: path.stat().st_size, lambda size: size > 100_000)
        os.kill(echo.pid, signal.SIGKILL)
    Program.stop(echo)
    assert len(fields(capture, "tcp.len > 0", "tcp.len")) > 10
    assert b" echo " in run([NETKIT, "show", str(capture)]).output


def test_har(service: Callable[..., Daemon], capture: Path) -> None:
    curl = requirePeer("curl")
    http = service("netkit-http", "--header", "Set-Cookie: a=b; Path=/")
    origin = http.address("tcp").origin("http")
    run([curl, "--silent", f"{origin}/one?x=y", "--data", "k=v", "--cookie", "secret=1"])
    run([curl, "--silent", f"{origin}/two"])
    http.stop()
    log = json.loads(run([NETKIT, "export", "--har", str(capture)]).output)["log"]
    assert log["version"] == "1.2"
    first, second = log["entries"]
    assert first["request"]["method"] == "POST"
    assert first["request"]["url"] == f"{origin}/one?x=y"
    assert first["request"]["queryString"] == [{"name": "x", "value": "y"}]
    assert first["request"]["postData"]["text"] == "k=v"
    assert {"name": "Cookie", "value": "redacted"} in first["request"]["headers"]
    assert first["response"]["status"] == 200
    assert first["response"]["content"]["text"] == "response data"
    assert first["request"]["cookies"] == [{"name": "secret", "value": "redacted"}]
    assert first["response"]["cookies"][0]["value"] == "redacted"
    assert "secret=1" not in json.dumps(log)
    assert second["request"]["url"] == f"{origin}/two"
    requireModule("haralyzer")
    read = import_module("haralyzer").HarParser({"log": log})
    [page] = read.pages
    assert [entry.request.url for entry in page.entries] == [f"{origin}/one?x=y", f"{origin}/two"]
    assert [entry.response.status for entry in page.entries] == [200, 200]
    whole = run([NETKIT, "export", "--har", "--with-secrets", str(capture)]).output
    assert b"secret=1" in whole


def test_har_of_a_websocket(service: Callable[..., Daemon], capture: Path) -> None:
    websocket = service("netkit-websocket")
    with connect(f"{websocket.address('tcp').origin('ws')}/chat", proxy=None) as connection:
        for message in ("hello", b"\0\1\2"):
            connection.send(message)
            connection.recv(PATIENCE)
    websocket.stop()
    log = json.loads(run([NETKIT, "export", "--har", str(capture)]).output)["log"]
    [entry] = log["entries"]
    assert entry["_resourceType"] == "websocket"
    assert entry["response"]["status"] == 101
    assert entry["request"]["url"].startswith("ws://")
    said = [(m["type"], m["opcode"], m["data"]) for m in entry["_webSocketMessages"]]
    assert said == [
        ("send", 1, "hello"),
        ("receive", 1, "hello"),
        ("send", 2, "AAEC"),
        ("receive", 2, "AAEC"),
    ]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["show", "nowhere"], "'nowhere' does not exist"),
        (["show", "."], "has no recording in it"),
        (["show", "text"], "not a pcapng file"),
        (["export", "--har", "text"], "not a pcapng file"),
    ],
)
def test_what_cannot_be_read(arguments: list[str], message: str, tmp_path: Path) -> None:
    (tmp_path / "text").write_text("this is no recording, and long enough to tell\n")
    done = run([NETKIT, *arguments], cwd=tmp_path)
    assert done.status == 1
    assert done.output == b""
    assert message in done.errors.decode()
    assert done.errors.count(b"\n") == 1


class Stalled:
    """
    A reader of a service's output that stops reading.
    """

    def __init__(self, path: Path) -> None:
        os.mkfifo(path)
        self.descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK)


def test_a_reader_of_the_output_that_stalls(tmp_path: Path, folder: Path) -> None:
    """
    It holds up who is printed, and nobody else; when it goes on, nothing is lost.
    """
    fifo = tmp_path / "fifo"
    reader = Stalled(fifo)
    ports = {name: free() for name in ("echo", "print-respond", "http", "websocket")}
    options = [f"--{name}=tcp:{port}:interface=127.0.0.1" for name, port in ports.items()]
    services = Program(
        daemonCommand("netkit", *options, "--output", str(fifo), "--grace", "2"), cwd=folder
    )
    services.waitForLines(re.compile("websocket .*listens on|websocket +127"))
    content = os.urandom(2**20)

    async def post() -> bytes:
        reading, writing = await asyncio.open_connection("127.0.0.1", ports["print-respond"])
        writing.write(content)
        writing.write_eof()
        answer = await reading.read()
        writing.close()
        return answer

    async def posts() -> list[bytes]:
        return await asyncio.gather(*(post() for _ in range(20)), return_exceptions=False)

    async def scene() -> None:
        posting = asyncio.create_task(posts())
        # The pipe is full long before all have come, and the echo answers all the same.
        for _ in range(20):
            reading, writing = await asyncio.open_connection("127.0.0.1", ports["echo"])
            writing.write(b"still there?")
            assert await asyncio.wait_for(reading.readexactly(12), PATIENCE) == b"still there?"
            writing.close()
        os.set_blocking(reader.descriptor, True)
        received = await asyncio.to_thread(readAll, reader.descriptor, 20 * len(content))
        assert await posting == [b"response data"] * 20
        assert received == content * 20

    # In a thread: the tests' own reactor may be on a loop of asyncio's.
    with ThreadPoolExecutor(1) as thread:
        thread.submit(lambda: asyncio.run(scene())).result()
    assert services.stop() in (0, -signal.SIGTERM)
    os.close(reader.descriptor)


def readAll(descriptor: int, length: int) -> bytes:
    pieces: list[bytes] = []
    while length > 0:
        pieces.append(os.read(descriptor, 2**20))
        length -= len(pieces[-1])
    return b"".join(pieces)


def free() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port: int = server.getsockname()[1]
        return port


def test_secrets_of_tls(tmp_path: Path, folder: Path, tlsEndpoint: str) -> None:
    """
    Both ends of a connection have the same.
    """
    ours, theirs = tmp_path / "ours", tmp_path / "theirs"
    http = Daemon("netkit-http", "-l", tlsEndpoint, "--keylog", str(ours), cwd=folder)
    address = http.address("tls")
    done = subprocess.run(
        [requirePeer("curl"), "--cacert", str(address.certificate), address.origin("http")],
        env={**os.environ, "SSLKEYLOGFILE": str(theirs)},
        capture_output=True,
        timeout=PATIENCE,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    expected = set(theirs.read_bytes().splitlines())
    assert any(line.startswith(b"CLIENT_TRAFFIC_SECRET_0 ") for line in expected)
    eventually(ours.read_bytes, lambda said: set(said.splitlines()) >= expected)
    assert set(ours.read_bytes().splitlines()) >= expected
    assert ours.stat().st_mode & 0o777 == 0o600
    http.stop()


def test_what_is_recorded_of_a_tls_handshake_that_fails(
    service: Callable[..., Daemon], capture: Path
) -> None:
    http = service("netkit-http")
    port = present(http.address("tls").port)
    with socket.create_connection(("127.0.0.1", port)) as client:
        client.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        while client.recv(1000):
            pass
    http.stop()
    shown = run([NETKIT, "show", str(capture), "--print", "all", "--format", "json"])
    entries = list(map(json.loads, shown.output.splitlines()))
    assert [entry["kind"] for entry in entries] == ["opened", "closed"]
    assert "does not speak TLS" in entries[1]["reason"]


def test_the_client_of_a_proxy(tmp_path: Path, folder: Path) -> None:
    capture = tmp_path / "capture"
    echo = Daemon(
        *("netkit-echo", "-l", "haproxy:tcp:0:interface=127.0.0.1", "--capture", str(capture)),
        cwd=folder,
    )
    with socket.create_connection(("127.0.0.1", present(echo.address("tcp").port))) as client:
        client.sendall(b"PROXY TCP4 192.0.2.7 192.0.2.8 4711 80\r\nhello")
        assert client.recv(100) == b"hello"
    echo.stop()
    assert b" 192.0.2.7:4711  5 B in, 5 B out" in run([NETKIT, "show", str(capture)]).output
    assert ["192.0.2.7", "192.0.2.8"] in fields(capture, "tcp", "ip.src", "ip.dst")
