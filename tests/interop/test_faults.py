"""
Faults, as real clients see them.
"""

from __future__ import annotations

import json
import re
import ssl
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import connect

from tests.interop.browser import browse
from tests.interop.peers import (
    HERE,
    PATIENCE,
    SCRIPTS,
    Daemon,
    Program,
    daemonCommand,
    requirePeer,
    run,
)
from tests.interop.test_websocket_browser import keyHash

LISTEN = ("-l", "tcp:0:interface=127.0.0.1", "--format", "none")


@contextmanager
def serving(folder: Path, name: str, *options: str) -> Iterator[Daemon]:
    daemon = Daemon(name, *LISTEN, *options, cwd=folder)
    try:
        yield daemon
    finally:
        daemon.stop()


@pytest.fixture(scope="module")
def http(folder: Path, tlsEndpoint: str) -> Iterator[Daemon]:
    faults = [
        *("status:path=/status", "cut:octets=3,path=/cut", "wrong-length:by=9,path=/length"),
        "wrong-length:by=-9,path=/short",
        *("drop-head:path=/headless", "reset:octets=0,path=/reset"),
        *("truncate:octets=20,path=/truncated", "drip:size=1,delay=1ms,path=/drip"),
        *("delay-head:delay=10ms,path=/late", "black-hole:path=/nothing"),
        *("limit:octets=30,path=/limit", "black-hole:seconds=0.1,path=/hole"),
    ]
    options = [word for fault in faults for word in ("--fault", fault)]
    listen = ("-l", tlsEndpoint, "-l", f"unix:{folder}/faults.sock")
    with serving(folder, "netkit-http", *options, *listen) as daemon:
        yield daemon


@pytest.fixture(scope="module")
def origin(http: Daemon) -> str:
    return http.address("tcp").origin("http")


@pytest.mark.parametrize("transport", ["tcp", "tls", "unix"])
def test_node(http: Daemon, transport: str) -> None:
    address = http.address(transport)
    where = {"socketPath": address.path} if address.path else address.node
    if address.certificate:
        where = {**where, "certificate": address.certificate}
    seen = {
        "/": [200, 13],
        "/status": [503, 8],
        "/cut": [200, "ECONNRESET"],
        "/headless": [0, "HPE_INVALID_CONSTANT"],
        "/reset": [0, "ECONNRESET"],
        "/length": [200, "ECONNRESET"],
        "/short": [0, "HPE_CLOSED_CONNECTION"],
        "/limit": [0, "ECONNRESET"],
        "/hole": [0, "ECONNRESET"],
        "/drip": [200, 13],
        "/late": [200, 13],
    }
    done = run([requirePeer("node"), str(HERE / "faults.mjs"), json.dumps(where), *seen])
    assert json.loads(done.output) == seen, done.errors.decode()


SCRIPT = """
const closed = (url) => new Promise((resolve) => {
    const socket = new WebSocket(url);
    let opened = false;
    socket.onopen = () => {
        opened = true;
        socket.send("hello, world");
    };
    socket.onmessage = () => socket.close(4999);
    socket.onclose = ({ code, wasClean }) => resolve([opened, code, wasClean]);
});
const fetched = async (url) => {
    try {
        const response = await fetch(url, { cache: "no-store" });
        return [response.status, (await response.arrayBuffer()).byteLength];
    } catch (error) {
        return [0, error.name];
    }
};
const seen = {};
for (const path of PATHS) seen[path] = await closed("WS" + path);
for (const path of HTTP_PATHS) seen[path] = await fetched("HTTP" + path);
report(seen);
"""

# What Chromium sees of the faults of HTTP: the status and how many octets, or an error.
FETCHED = {
    "/none": [200, 13],
    "/status": [503, 8],
    "/cut": [0, "TypeError"],
    "/short": [200, 4],
    "/headless": [0, "TypeError"],
    "/reset": [0, "TypeError"],
    "/drip": [200, 13],
    "/late": [200, 13],
}


@pytest.mark.parametrize("transport", ["tcp", "tls"])
def test_chromium(
    folder: Path,
    tmp_path: Path,
    tlsEndpoint: str,
    certificate: dict[str, str],
    http: Daemon,
    transport: str,
) -> None:
    """
    A browser, which has messages compressed, tells each close code; and what it fetched.
    """
    struck = {
        "close:code=1011": [True, 1011, True],
        "close:code=4000": [True, 4000, True],
        # No code that a frame may have (RFC 6455 section 7.4.1).
        "close:code=1006": [True, 1006, False],
        "invalid-utf8": [True, 1006, False],
        "cut-frame": [True, 1006, False],
        "reset": [False, 1006, False],
        "refuse-handshake": [False, 1006, False],
        "close:upstream,code=4001": [True, 4001, True],
        "no-pong": [True, 4999, True],
        "fragment:size=1": [True, 4999, True],
        "slice:size=1": [True, 4999, True],
    }
    paths = [f"/{number}" for number in range(len(struck))]
    faults = [
        f"{fault}{',' if ':' in fault else ':'}path={path}"
        for path, fault in zip(paths, struck, strict=True)
    ]
    options = [word for fault in faults for word in ("--fault", fault)]
    with serving(folder, "netkit-websocket", *options, "-l", tlsEndpoint) as daemon:
        script = SCRIPT.replace("HTTP_PATHS", json.dumps(list(FETCHED)))
        script = script.replace("PATHS", json.dumps(paths))
        script = script.replace("WS", daemon.address(transport).origin("ws"))
        seen = browse(
            script.replace("HTTP", http.address(transport).origin("http")),
            tmp_path,
            f"--ignore-certificate-errors-spki-list={keyHash(certificate['cert'])}",
            # The page is of another origin.
            "--disable-web-security",
        )
    assert {path: seen.pop(path) for path in FETCHED} == FETCHED
    assert dict(zip(struck, seen.values(), strict=True)) == struck


@pytest.mark.parametrize("transport", ["tcp", "tls", "unix"])
def test_npm_ws(folder: Path, tmp_path: Path, tlsEndpoint: str, transport: str) -> None:
    """
    Each fault of WebSocket as npm's ws sees it, and as the recording tells it.
    """
    struck: dict[str, list[object]] = {
        "close:code=1011": ["closed", 1011],
        "invalid-utf8": ["WS_ERR_INVALID_UTF8"],
        "cut-frame": ["closed", 1006],
        "refuse-handshake:status=401": ["Unexpected server response: 401"],
        "hang-handshake": ["Opening handshake has timed out"],
        "no-pong": ["message", "no pong"],
        "fragment:size=1": ["message", "pong"],
        "close:upstream,code=4001": ["closed", 4001],
        "invalid-utf8:upstream": ["closed", 1007],
    }
    options = ["-l", tlsEndpoint, "-l", f"unix:{folder}/ws.sock"]
    options += ["--capture", str(tmp_path), "--grace", "0"]
    for number, fault in enumerate(struck):
        options += ["--fault", f"{fault}{',' if ':' in fault else ':'}path=/{number}"]
    with serving(folder, "netkit-websocket", *options) as daemon:
        address = daemon.address(transport)
        paths = [f"/{number}" for number in range(len(struck))]
        where = {
            "ca": address.certificate,
            "hanging": paths[list(struck).index("hang-handshake")],
            "url": f"ws+unix:{address.path}:" if address.path else address.origin("ws"),
        }
        script = str(HERE / "websocket_faults.mjs")
        done = run([requirePeer("node"), script, json.dumps(where), *paths])
    seen = json.loads(done.output or b"{}")
    assert dict(zip(struck, seen.values(), strict=True)) == struck, done.errors.decode()
    told = " ".join(notes(tmp_path))
    assert [fault for fault in struck if f"({fault.split(':')[0]}:" not in told] == []


@pytest.mark.parametrize(
    ("path", "code", "status", "content"),
    [
        ("/", 0, "200", b"response data"),
        ("/status", 0, "503", b"a fault\n"),
        # Partial file, an HTTP/0.9 of a sort, a failure to receive, a time-out.
        ("/cut", 18, "200", b"res"),
        ("/headless", 1, "000", b""),
        ("/reset", 56, "000", b""),
        ("/truncated", 28, "200", b""),
        ("/nothing", 28, "000", b""),
        ("/drip", 0, "200", b"response data"),
        ("/late", 0, "200", b"response data"),
    ],
)
def test_curl(
    origin: str, tmp_path: Path, path: str, code: int, status: str, content: bytes
) -> None:
    command = [requirePeer("curl"), "--silent", "--max-time", "1" if code == 28 else "20"]
    command += ["--output", str(tmp_path / "content"), "--write-out", "%{http_code}"]
    done = run([*command, origin + path])
    assert (done.status, done.output.decode()) == (code, status)
    written = tmp_path / "content"
    assert (written.read_bytes() if written.exists() else b"") == content


def test_a_wrong_length_is_noticed(origin: str) -> None:
    done = run([requirePeer("curl"), "--silent", "--max-time", "1", f"{origin}/length"])
    assert (done.status, done.output) == (28, b"response data")


def notes(capture: Path) -> list[str]:
    """
    What a recording says of faults, once it is written.
    """
    command = [str(SCRIPTS / "netkit"), "show", "--print", "all", "--format", "json"]
    said = run([*command, str(capture)]).output.decode()
    return re.findall(r'"(fault [^"]*)"', said)


def test_each_fault_of_http_stands_in_the_recording(folder: Path, tmp_path: Path) -> None:
    kinds = [
        *("status", "drop-head", "delay-head:delay=0", "wrong-length", "cut", "drip:delay=0"),
        *("latency:delay=0", "throttle:rate=1000000", "slice:size=9", "limit", "reset"),
        *("half-close", "truncate", "black-hole:seconds=0.1", "flip:share=1", "reset-peer"),
        "timeout:seconds=0.1",
    ]
    options = ["--capture", str(tmp_path), "--grace", "0"]
    for fault in kinds:
        path = f"path=/{fault.partition(':')[0]}"
        options += ["--fault", f"{fault}{',' if ':' in fault else ':'}{path}"]
    with serving(folder, "netkit-http", *options) as daemon:
        origin = daemon.address("tcp").origin("http")
        paths = ",".join(fault.partition(":")[0] for fault in kinds)
        # Each on a connection of its own, none of which waits for another one.
        command = [requirePeer("curl"), "--silent", "--parallel", "--parallel-immediate"]
        command += ["--header", "Connection: close", "--output", "/dev/null"]
        run([*command, f"{origin}/{{{paths}}}"])
    told = " ".join(notes(tmp_path))
    assert [fault for fault in kinds if f"({fault.partition(':')[0]}:" not in told] == []


def test_the_same_seed_gives_the_same_run(folder: Path, tmp_path: Path) -> None:
    found = []
    for number in range(2):
        capture = tmp_path / str(number)
        faults = ["--fault", "status:probability=0.5", "--fault", "slice:size=9,variation=5"]
        options = [*faults, "--fault-seed", "7", "--capture", str(capture)]
        with serving(folder, "netkit-http", *options) as daemon:
            origin = daemon.address("tcp").origin("http")
            command = [requirePeer("curl"), "--silent", "--output", "/dev/null"]
            run([*command, f"{origin}/[1-20]"])
        found.append(notes(capture))
    assert found[0] == found[1]
    assert 4 < sum("status" in note for note in found[0]) < 16


@pytest.mark.parametrize(
    ("fault", "code"),
    [
        ("close:code=1011", 1011),
        ("invalid-utf8", 1007),
        ("cut-frame", 1006),
        ("reset:octets=400", 1006),
    ],
)
def test_close_codes(folder: Path, fault: str, code: int) -> None:
    with serving(folder, "netkit-websocket", "--fault", fault) as daemon:
        url = daemon.address("tcp").origin("ws")
        with connect(url, proxy=None, compression=None) as client:

            def talk() -> None:
                for _ in range(20):
                    client.send("x" * 50)
                    client.recv(PATIENCE)

            with pytest.raises(ConnectionClosed) as closed:
                talk()
            received = closed.value.rcvd
            # What websockets itself finds wrong it says to the server.
            sent = closed.value.sent if received is None else received
            assert (1006 if sent is None else sent.code) == code


def test_an_open_websocket(folder: Path, tlsEndpoint: str, certificate: dict[str, str]) -> None:
    """
    A fault that is added by the inspector strikes it, in TLS.
    """
    listen = ("-l", tlsEndpoint, "--inspect", "tcp:0:interface=127.0.0.1", "--format", "none")
    daemon = Daemon("netkit-websocket", *listen, cwd=folder, listening=2)
    try:
        trusted = ssl.create_default_context(cafile=certificate["cert"])
        url = daemon.address("tls").origin("ws")
        with connect(url, proxy=None, ssl=trusted, compression=None) as client:
            client.send("hello")
            assert client.recv(PATIENCE) == "hello"
            inspector = daemon.address("tcp").origin("http")
            add = ["--json", '{"specification": "close:code=1013"}']
            command = [requirePeer("curl"), "--silent", "--fail", *add]
            assert not run([*command, f"{inspector}/api/services/websocket/faults"]).status
            client.send("hello")
            with pytest.raises(ConnectionClosed) as closed:
                client.recv(PATIENCE)
            assert closed.value.rcvd is not None
            assert closed.value.rcvd.code == 1013
    finally:
        daemon.stop()


def test_a_refused_handshake(folder: Path) -> None:
    with serving(folder, "netkit-websocket", "--fault", "refuse-handshake:first=1") as daemon:
        url = daemon.address("tcp").origin("ws")
        with pytest.raises(InvalidStatus) as refused:
            connect(url, proxy=None)
        assert refused.value.response.status_code == 403
        with connect(url, proxy=None) as client:
            client.send("hello")
            assert client.recv(PATIENCE) == "hello"


def test_fragments_and_lost_pongs(folder: Path) -> None:
    faults = ["--fault", "fragment:size=3", "--fault", "no-pong"]
    with (
        serving(folder, "netkit-websocket", *faults) as daemon,
        connect(daemon.address("tcp").origin("ws"), proxy=None, compression=None) as client,
    ):
        client.send("hello, world")
        assert list(client.recv_streaming()) == ["hel", "lo,", " wo", "rld"]
        pong = client.ping()
        client.send("hello")
        assert client.recv(PATIENCE) == "hello"
        assert not pong.is_set()


def test_any_program_by_its_endpoint_string(folder: Path) -> None:
    (folder / "file").write_bytes(b"content")
    string = r"fault:tcp\:0\:interface\=127.0.0.1:status=status\=502,path\=/file:seed=3"
    web = Program(daemonCommand("web", "--path", str(folder), "--listen", string), cwd=folder)
    try:
        [found] = web.waitForLines(re.compile(r"Site starting on (\d+)"))
        command = [requirePeer("curl"), "--silent", "--write-out", "%{http_code}"]
        assert run([*command, f"http://127.0.0.1:{found[1]}/file"]).output == b"a fault\n502"
        sent = [
            str(SCRIPTS / "netkit"),
            "send",
            rf"fault:tcp\:127.0.0.1\:{found[1]}:truncate=upstream",
        ]
        assert run([*sent, "GET / HTTP/1.0\r\n\r\n"]).output == b""
    finally:
        web.stop()


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        (["--fault", "nothing"], "'nothing' is no kind of fault"),
        (["--fault", "latency:delay=x"], "latency: delay=x is not a number of seconds"),
        (["--faults", "missing"], "--faults 'missing': No such file or directory"),
        (["--faults", "faults"], "--faults 'faults', line 3: latency: delay= has to be said"),
    ],
)
def test_mistakes_are_one_line(folder: Path, options: list[str], problem: str) -> None:
    (folder / "faults").write_text("# mine\nrefuse:first=1 # once\nlatency\n")
    command = [sys.executable, str(SCRIPTS / "twistd"), "-n", "--pidfile=", "netkit-http"]
    done = run([*command, *options], cwd=folder)
    assert done.status == 1
    assert problem in done.output.decode() + getattr(done, "errors", b"").decode()
