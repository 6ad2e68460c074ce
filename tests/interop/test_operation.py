"""
Services are stopped, reloaded and killed in part while real clients use them.
"""

from __future__ import annotations

import json
import os
import re
import select
import signal
import socket
import ssl
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect

from netkit.capture.reading import Recordings
from netkit.operation.repeats import MOST
from netkit.wire.recording import Opened, Role
from tests.certificates import Authority
from tests.interop.peers import (
    PATIENCE,
    SCRIPTS,
    Program,
    daemonCommand,
    eventually,
    requirePeer,
    run,
)

COUNTING = """
from twisted.application.service import Application
from twisted.internet import reactor
from twisted.internet.task import deferLater
from netkit.http import HTTPFactory, Response
from netkit.service import ListeningService

begun = 0

async def handler(request):
    global begun
    begun += 1
    if begun == 500:
        print("500 begun", flush=True)
    await deferLater(reactor, 0.02)
    return Response(200, b"done")

class Counted(ListeningService):
    async def _stop(self):
        await super().stopService()
        print("begun", begun)

    def stopService(self):
        from twisted.internet.defer import Deferred
        return Deferred.fromCoroutine(self._stop())

application = Application("counting")
Counted("tcp:0:interface=127.0.0.1", HTTPFactory(handler)).setServiceParent(application)
"""


def test_no_request_that_was_taken_is_lost(tmp_path: Path) -> None:
    wrk = requirePeer("wrk")
    (tmp_path / "counting.tac").write_text(COUNTING)
    service = Program(
        [str(SCRIPTS / "twistd"), "-n", "--pidfile=", "-y", "counting.tac"], cwd=tmp_path
    )
    (found,) = service.waitForLines(re.compile(r"listens on 127.0.0.1:(\d+)"))
    client = Program([wrk, "-t1", "-c20", "-d2", f"http://127.0.0.1:{found[1]}/"])
    # They are in full swing.
    service.waitForLines(re.compile("500 begun"))
    service.stop()
    (begun,) = re.findall(r"begun (\d+)", service.output)
    (answered,) = client.waitForLines(re.compile(r"(\d+) requests in"))
    client.stop()
    assert int(begun) > 0
    assert answered[1] == begun


@pytest.fixture(params=["epoll", "uvloop"])
def reactor(request: pytest.FixtureRequest) -> str:
    """
    Run a test under either reactor.
    """
    return f"--reactor={request.param}"


@pytest.fixture
def start(tmp_path: Path) -> Iterator[list[Program]]:
    """
    The programs that are ended with the test.
    """
    programs: list[Program] = []
    yield programs
    for program in programs:
        program.stop()
        assert "Traceback" not in program.output, program.output


def http(
    programs: list[Program], folder: Path, launcher: str, *options: str
) -> tuple[Program, int]:
    """
    Start an HTTP service that answers what is in a file, on TCP and on a UNIX socket.

    @return: it, and its TCP port.
    """
    (folder / "answer").write_text("before")
    service = Program(
        [
            *[str(SCRIPTS / launcher), *options, "netkit-http", "--response-file=answer"],
            *["--format=none", "-l", "tcp:0:interface=127.0.0.1", "-l", "unix:http.sock"],
        ],
        cwd=folder,
    )
    programs.append(service)
    (found,) = service.waitForLines(re.compile(r"http listens on 127.0.0.1:(\d+)"))
    return service, int(found[1])


def answered(folder: Path, port: int) -> set[bytes]:
    """
    What is answered, over TCP and over the UNIX socket.
    """
    curl = requirePeer("curl")
    return {
        run([curl, "-s", f"http://127.0.0.1:{port}/"]).output,
        run([curl, "-s", "--unix-socket", str(folder / "http.sock"), "http://x/"]).output,
    }


def test_a_reload_loses_nothing(start: list[Program], reactor: str, tmp_path: Path) -> None:
    wrk = requirePeer("wrk")
    service, port = http(start, tmp_path, "twistd", "-n", "--pidfile=", reactor)
    assert answered(tmp_path, port) == {b"before"}
    client = Program([wrk, "-t1", "-c20", "-d6", f"http://127.0.0.1:{port}/"])
    start.append(client)
    for count, answer in enumerate(("after", "at last"), 1):
        (tmp_path / "answer").write_text(answer)
        os.kill(service.pid, signal.SIGHUP)
        service.waitForLines(re.compile("The fresh workers serve"), count)
        assert answered(tmp_path, port) == {answer.encode()}
    client.waitForLines(re.compile("requests in"))
    assert "Socket errors" not in client.output
    assert "Non-2xx" not in client.output
    # What cannot come up does not: those before go on.
    (tmp_path / "answer").unlink()
    os.kill(service.pid, signal.SIGHUP)
    service.waitForLines(re.compile("A fresh worker did not come up"))
    assert answered(tmp_path, port) == {b"at last"}
    assert service.stop() == -signal.SIGTERM
    assert not (tmp_path / "http.sock").exists()


@pytest.mark.parametrize(
    ("launcher", "number"),
    [("twistd", signal.SIGHUP), ("twist", signal.SIGHUP), ("twist", signal.SIGTERM)],
)
def test_uploads_and_websockets_at_a_stop_and_at_a_reload(
    start: list[Program], tmp_path: Path, launcher: str, number: signal.Signals
) -> None:
    """
    What is being uploaded is answered, WebSockets are closed with 1001.
    """
    curl = requirePeer("curl")
    local = "tcp:0:interface=127.0.0.1"
    service = Program(
        daemonCommand(
            *["netkit", "--http", local, "--websocket", local, "--format=none"],
            # Nothing waits for it to be over at a stop.
            f"--grace={1 if number == signal.SIGHUP else 60}",
            *["--echo=unix:echo", "--print-respond=unix:print", "--without=inspector"],
            launcher=launcher,
        ),
        cwd=tmp_path,
    )
    start.append(service)
    (http,) = service.waitForLines(re.compile(r"http listens on 127.0.0.1:(\d+)"))
    (websocket,) = service.waitForLines(re.compile(r"websocket listens on 127.0.0.1:(\d+)"))
    with ExitStack() as stack:

        def opened() -> ClientConnection:
            connection = stack.enter_context(connect(f"ws://127.0.0.1:{websocket[1]}"))
            connection.send("hello")
            assert connection.recv() == "hello"
            return connection

        connections = [opened() for _ in range(10)]
        os.mkfifo(tmp_path / "upload")
        upload = os.open(tmp_path / "upload", os.O_RDWR)
        client = Program(
            [
                *[curl, "-sv", "-H", "Expect: 100-continue", "-T", "upload"],
                f"http://127.0.0.1:{http[1]}/",
            ],
            cwd=tmp_path,
        )
        start.append(client)
        client.waitForLines(re.compile("HTTP/1.1 100"))
        os.kill(service.pid, number)
        if number == signal.SIGHUP:
            service.waitForLines(re.compile("The fresh workers serve"))
            fresh = opened()
        # Who is silent is told last, after the grace, by a process that was replaced.
        for connection in connections:
            with pytest.raises(ConnectionClosed) as closed:
                connection.recv(PATIENCE)
            assert closed.value.rcvd is not None
            assert closed.value.rcvd.code == 1001
        os.write(upload, b"the rest")
        os.close(upload)
        client.waitForLines(re.compile("HTTP/1.1 200"))
        if number == signal.SIGHUP:
            fresh.send("hello again")
            assert fresh.recv() == "hello again"


def workers(service: Program, count: int) -> list[int]:
    """
    The process ids of workers that serve.
    """
    service.waitForLines(re.compile(r"worker \d serves"), count)
    return [int(each[1]) for each in service.waitForLines(re.compile(r"is process (\d+)"), count)]


def test_workers(start: list[Program], reactor: str, tmp_path: Path) -> None:
    """
    One that is killed is replaced; all end with their parent, however that ends.
    """
    command = ["--workers=2", "-l", "tcp:0:interface=127.0.0.1", "-l", "unix:http.sock"]
    service = Program(
        [str(SCRIPTS / "twistd"), "-n", "--pidfile=", reactor, "netkit-http", *command],
        cwd=tmp_path,
    )
    start.append(service)
    first, second = workers(service, 2)
    found = service.waitForLines(re.compile(r"http listens on 127.0.0.1:(\d+)"))
    port = int(found[0][1])
    os.kill(first, signal.SIGKILL)
    third = workers(service, 3)[2]
    assert answered(tmp_path, port) == {b"response data"}
    # Whoever is left behind notices.
    left = [os.pidfd_open(pid) for pid in (second, third)]
    os.kill(service.pid, signal.SIGKILL)
    for descriptor in left:
        assert select.select([descriptor], [], [], PATIENCE)[0]
        os.close(descriptor)
    start.remove(service)
    service.stop()


def test_one_inspector_shows_all_workers(start: list[Program], tmp_path: Path) -> None:
    """
    What it changes reaches them, and those that take their place.
    """
    curl = requirePeer("curl")
    service = Program(
        daemonCommand(
            *["netkit", "--workers=1", "--inspect=tcp:0:interface=127.0.0.1", "--format=none"],
            *["--echo=unix:echo", "--http=unix:http", "--print-respond=unix:print"],
            *["--without=websocket", "--capture=recorded"],
        ),
        cwd=tmp_path,
    )
    start.append(service)
    (killed,) = workers(service, 1)
    (found,) = service.waitForLines(re.compile(r"inspector is at (http://127.0.0.1:\d+)"))

    def api(path: str, *options: str, given: object = None) -> Any:
        if given is not None:
            options = (*options, "-H", "Content-Type: application/json", "-d", json.dumps(given))
        return json.loads(run([curl, "-s", *options, f"{found[1]}/api{path}"]).output)

    def connections(count: int, ended: int) -> dict[int, Any]:
        def closed(found: dict[int, Any]) -> int:
            return sum(each["closed"] is not None for each in found.values())

        return eventually(
            lambda: {each["id"]: each for each in api("/connections")["connections"]},
            lambda found: (len(found), closed(found)) == (count, ended),
        )

    def struck() -> int:
        return int(api("/services/http")["faults"][0]["struck"])

    def asked(path: str, status: int) -> None:
        done = run([curl, "-s", "-i", "--unix-socket", str(tmp_path / "http"), f"http://x{path}"])
        assert done.output.split()[1] == b"%d" % status

    with socket.socket(socket.AF_UNIX) as client:
        client.connect(str(tmp_path / "echo"))
        client.sendall(b"hello")
        assert client.recv(5) == b"hello"
        for number in range(3):
            asked(f"/{number}", 200)
        assert set(connections(4, ended=3)) == {1, 2, 3, 4}
        fault = {"name": "mine", "type": "status", "attributes": {"status": 503, "path": "/bad"}}
        assert api("/services/http/faults", given=fault)["struck"] == 0
        assert api("/services/http/answer", "-X", "PUT", given={"status": 201})["status"] == 201
        asked("/bad", 503)
        asked("/good", 201)
        # Told in time, by who is to be killed.
        assert eventually(struck, lambda count: count == 1) == 1
        connections(6, ended=5)
        os.kill(killed, signal.SIGKILL)
        assert client.recv(1) == b""
    workers(service, 2)
    asked("/bad", 503)
    asked("/good", 201)
    known = connections(8, ended=8)
    assert set(known) == set(range(1, 9))
    assert (known[1]["how"], known[1]["reason"]) == (
        *("aborted", "the process that served it has ended"),
    )
    assert eventually(struck, lambda count: count == 2) == 2
    # The parent is a client as well, and records that.
    assert api("/send", given={"exchange": "8.0"})["connection"] in (9, 10)
    assert set(connections(10, ended=10)) == set(range(1, 11))
    service.stop()
    with Recordings(tmp_path / "recorded") as recordings:
        roles = Counter(each.role for each in recordings.read() if isinstance(each, Opened))
    # That of the killed one may not have been written in time.
    assert roles[Role.CLIENT] == 1
    assert roles[Role.SERVER] >= 3


@pytest.mark.parametrize("count", [0, 1])
def test_signals_while_it_drains(start: list[Program], tmp_path: Path, count: int) -> None:
    """
    Rotation of logs, or a reload that comes too late, does not end what waits for its clients.
    """
    command = ["netkit-http", "-l", "unix:http.sock", "--format=none", f"--workers={count}"]
    service = Program(daemonCommand(*command, "--grace=60", "--access-log=access"), cwd=tmp_path)
    start.append(service)
    service.waitForLines(re.compile("worker 1 serves" if count else "http listens on "))
    with socket.socket(socket.AF_UNIX) as client:
        client.settimeout(PATIENCE)
        client.connect(str(tmp_path / "http.sock"))
        client.sendall(b"PUT / HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n")
        client.sendall(b"Expect: 100-continue\r\n\r\n")
        reply = client.makefile("rb")
        assert reply.readline() == b"HTTP/1.1 100 Continue\r\n"
        os.kill(service.pid, signal.SIGTERM)
        service.waitForLines(re.compile(r"Port .*Closed\)"), 1 + count)
        for number in (signal.SIGUSR1, signal.SIGHUP) * 3:
            os.kill(service.pid, number)
        (tmp_path / "access").rename(tmp_path / "moved")
        os.kill(service.pid, signal.SIGUSR1)
        eventually((tmp_path / "access").exists, bool)
        client.sendall(b"ab")
        assert b"HTTP/1.1 200 OK\r\n" in reply.read()
        reply.close()
    service.waitForLines(re.compile("Server Shut Down"), 1 + count)
    assert service.stop() == -signal.SIGTERM
    assert (tmp_path / "access").read_text().count('"PUT / HTTP/1.1" 200') == 1


def test_workers_that_cannot_start(tmp_path: Path) -> None:
    done = run(
        [
            *[str(SCRIPTS / "twistd"), "-n", "--pidfile=", "netkit-echo", "--workers=1"],
            *["-l", "unix:x.sock", "--format=text", "--output=/nowhere/x"],
        ],
        cwd=tmp_path,
    )
    assert done.status == 1
    assert b"/nowhere/x': No such file or directory" in done.output + done.errors


def test_certificates_whose_files_change(start: list[Program], tmp_path: Path) -> None:
    """
    Who connects from then on is shown the new ones; where they are wrong, those before, also by
    workers, and after a reload that cannot be.
    """
    authority = Authority(tmp_path)
    pem = tmp_path / "shown.pem"
    before, after = (authority.issue(f"{name}.example").read_text() for name in ("a", "b"))
    pem.write_text(before)
    services = []
    for count in (0, 1):
        listen = f"ssl:0:interface=127.0.0.1:privateKey={pem}:certKey={pem}"
        command = daemonCommand("netkit-http", "--format=none", f"--workers={count}", "-l", listen)
        services.append(Program(command, cwd=tmp_path))
        start.append(services[-1])
    addresses = []
    for service in services:
        (found,) = service.waitForLines(re.compile(r"http listens on 127.0.0.1:(\d+)"))
        addresses.append(("127.0.0.1", int(found[1])))

    def shown() -> list[bool]:
        """
        Whether each service shows the new one.
        """
        found = list(map(ssl.get_server_certificate, addresses))
        assert all(each in before or each in after for each in found)
        return [each in after for each in found]

    # Nobody has looked at the files since they were read.
    services[1].waitForLines(re.compile("worker 1 serves"))
    pem.write_text(after)
    assert eventually(shown, all) == [True, True]
    pem.write_text("nothing")
    left = re.compile("certificates of TLS changed, and are left as they were: .*shown.pem")

    def told() -> list[bool]:
        assert shown() == [True, True]
        return [bool(left.search(service.output)) for service in services]

    assert eventually(told, all) == [True, True]
    for service in services:
        os.kill(service.pid, signal.SIGHUP)
    for service in services:
        service.waitForLines(re.compile("A fresh worker did not come up"))
    assert shown() == [True, True]


def lines(folder: Path) -> list[str]:
    """
    The paths that were asked for, as the access logs in a folder have them.
    """
    return [
        re.findall('"GET /(.*?) HTTP', line)[0]
        for path in sorted(folder.glob("access*"))
        for line in path.read_text().splitlines()
    ]


@pytest.mark.parametrize("count", [0, 1])
def test_logrotate(start: list[Program], reactor: str, tmp_path: Path, count: int) -> None:
    """
    No line is lost or doubled, of the access log, of what is printed, of the log.
    """
    logrotate, curl = requirePeer("logrotate"), requirePeer("curl")
    service = Program(
        [
            *[str(SCRIPTS / "twistd"), "-n", "--pidfile=", "--logfile=log", reactor],
            *["netkit-http", "--access-log=access", "--output=output", "--format=text"],
            *["-l", "unix:http.sock", f"--workers={count}"],
        ],
        cwd=tmp_path,
    )
    start.append(service)
    eventually((tmp_path / "http.sock").exists, bool)
    (tmp_path / "rotate").write_text(
        f"{tmp_path}/access {tmp_path}/output {tmp_path}/log {{\n"
        "su root root\ncreate\nrotate 9\nsharedscripts\n"
        f"postrotate\nkill -USR1 {service.pid}\nendscript\n}}\n"
    )
    os.chmod(tmp_path / "rotate", 0o644)
    os.chmod(tmp_path, 0o755)
    asked = []
    for number in range(30):
        path = f"{number}"
        assert run([curl, "-s", "--unix-socket", "http.sock", f"http://x/{path}"], cwd=tmp_path)
        asked.append(path)
        if number % 10 == 9:
            done = run([logrotate, "-f", "-s", str(tmp_path / "state"), str(tmp_path / "rotate")])
            assert done.status == 0, done
    eventually(lambda: sorted(lines(tmp_path), key=int), lambda found: len(found) >= 30)
    service.stop()
    assert sorted(lines(tmp_path), key=int) == asked
    printed = "".join(path.read_text() for path in tmp_path.glob("output*"))
    assert sorted(re.findall("GET /(.*?) HTTP", printed), key=int) == asked
    assert len(list(tmp_path.glob("log*"))) == 4
    logged = "".join(path.read_text() for path in tmp_path.glob("log*"))
    assert logged.count("starting up.") == 1 + count
    assert logged.count("Server Shut Down.") == 1 + count


def test_files_that_cannot_be_opened_anew(start: list[Program], tmp_path: Path) -> None:
    """
    What was open goes on, and the next signal has what there is then.
    """
    curl = requirePeer("curl")
    folder, moved = tmp_path / "folder", tmp_path / "moved"
    folder.mkdir()
    service = Program(
        [
            *[str(SCRIPTS / "twistd"), "-n", "--pidfile=", "--logfile=folder/log"],
            *["netkit-http", "--access-log=folder/access", "--output=folder/output"],
            *["-l", "unix:http.sock"],
        ],
        cwd=tmp_path,
    )
    start.append(service)
    eventually((tmp_path / "http.sock").exists, bool)
    folder.rename(moved)
    os.kill(service.pid, signal.SIGUSR1)
    names = ["access", "log", "output"]
    found = eventually(
        lambda: re.findall(r"folder/(\w+)' cannot be opened anew: No such", log(moved)),
        lambda found: len(found) >= len(names),
    )
    assert sorted(found) == names
    assert run([curl, "-s", "--unix-socket", "http.sock", "http://x/kept"], cwd=tmp_path)
    eventually(lambda: lines(moved), bool)
    folder.mkdir()
    os.kill(service.pid, signal.SIGUSR1)
    eventually(lambda: sorted(os.listdir(folder)), lambda found: found == names)
    assert run([curl, "-s", "--unix-socket", "http.sock", "http://x/anew"], cwd=tmp_path)
    service.stop()
    assert (lines(moved), lines(folder)) == (["kept"], ["anew"])
    assert "GET /anew HTTP" in (folder / "output").read_text()
    assert "Server Shut Down." in log(folder)


def log(folder: Path) -> str:
    return (folder / "log").read_text()


def test_a_log_in_json_that_sums_up_clients_who_get_no_descriptor(
    start: list[Program], reactor: str, tmp_path: Path
) -> None:
    prlimit, curl = requirePeer("prlimit"), requirePeer("curl")
    service = Program(
        [
            *[prlimit, "--nofile=40", str(SCRIPTS / "twistd"), "-n", "--pidfile=", reactor],
            *["netkit-echo", "--format=none", "-l", "unix:echo.sock", "--log-format=json"],
            "--metrics=unix:metrics.sock",
        ],
        cwd=tmp_path,
    )
    start.append(service)
    service.waitForLines(re.compile("echo listens on "))
    connections = []
    for _ in range(100):
        connection = socket.socket(socket.AF_UNIX)
        connection.connect(str(tmp_path / "echo.sock"))
        connections.append(connection)
    # The last one is closed, or served as well: both are after all others.
    connections[-1].settimeout(PATIENCE)
    with suppress(OSError):
        connections[-1].send(b"x")
        connections[-1].recv(1)
    for connection in connections:
        connection.close()

    def refused() -> list[bytes]:
        done = run([curl, "-s", "--unix-socket", "metrics.sock", "http://x/metrics"], cwd=tmp_path)
        return re.findall(rb'refused_total{reason="descriptors",service=""} (\d+)', done.output)

    # There are descriptors again.
    assert int(eventually(refused, bool)[0]) > 50
    service.stop()
    told = [json.loads(line) for line in service.output.splitlines()]
    assert {"time", "level", "namespace", "message"} == set(told[0])
    messages = [each["message"] for each in told]
    closed = [each for each in messages if each.startswith("EMFILE recovery: Closed socket")]
    assert 1 < len(closed) <= MOST
    [more] = [each for each in messages if "of which this is the last: EMFILE recovery" in each]
    assert int(more.split()[0]) > 0
