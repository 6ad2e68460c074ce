"""
Tests for L{netkit.services.listening}.
"""

from __future__ import annotations

import os
import socket
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
import pytest_twisted
from twisted.internet.endpoints import clientFromString
from twisted.internet.error import ConnectError
from twisted.logger import LogEvent

from netkit.base.addresses import addressText
from netkit.capture.capture import Capture
from netkit.capture.reading import Recordings
from netkit.echo import EchoFactory
from netkit.service import CannotStart
from netkit.services import echo, http, printrespond
from netkit.services.listening import PluginService

from ..clients import Client, connect
from ..narrow import tcpAddress

# Twisted leaves a socket that it could not bind to the garbage collector.
pytestmark = pytest.mark.filterwarnings("ignore:unclosed <socket:ResourceWarning")


EXPECTED = b"PUT / HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n"
CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"


def service(*descriptions: str) -> PluginService:
    from twisted.internet import reactor

    return PluginService("echo", EchoFactory(), descriptions, Capture(reactor))


async def client(address: str) -> Client:
    from twisted.internet import reactor

    return await connect(clientFromString(reactor, address))


@pytest_twisted.ensureDeferred
async def test_several_endpoints(tmp_path: Path, logged: list[LogEvent]) -> None:
    listening = service(
        "tcp:0:interface=127.0.0.1", f"unix:{tmp_path}/s", "tcp6:0:interface=\\:\\:1"
    )
    listening.privilegedStartService()
    listening.startService()
    tcp, unix, tcp6 = listening.addresses
    for address in (
        f"tcp:127.0.0.1:{tcpAddress(tcp).port}",
        addressText(unix),
        f"tcp:\\:\\:1:{tcpAddress(tcp6).port}",
    ):
        its = await client(address)
        its.transport.write(b"hello")
        its.transport.loseWriteConnection()
        await its.lost
        assert its.received == b"hello"
    await listening.stopService()
    assert not (tmp_path / "s").exists()
    told = [event["address"] for event in logged if "description" in event]
    assert told == [addressText(address) for address in listening.addresses]


@pytest_twisted.ensureDeferred
async def test_stop_ends_connections_and_closes_the_output(tmp_path: Path) -> None:
    options = printrespond.Options()
    options.parseOptions(["-l", f"unix:{tmp_path}/s", "-o", str(tmp_path / "o"), "--grace=0.1"])
    listening = printrespond.makeService(options)
    listening.startService()
    open_ = await client(f"unix:{tmp_path}/s")
    open_.transport.write(b"never ended")
    await listening.stopService()
    await open_.lost
    with pytest.raises(ConnectError):
        await client(f"unix:{tmp_path}/s")
    assert (tmp_path / "o").exists()


@pytest.mark.parametrize(
    ("plugin", "option", "sent", "answer", "told"),
    [
        (echo, "--format=none", b"12345", b"12345", '"echo" 200 5 '),
        (printrespond, "--on-connect=who", b"never ended", b"who", '"print-respond" 500 3 '),
        (http, "--format=none", EXPECTED, CONTINUE, '"PUT / HTTP/1.1" 499 0 '),
    ],
    ids=["echo", "print-respond", "http"],
)
@pytest_twisted.ensureDeferred
async def test_the_connection_that_ends_last_is_in_the_access_log(
    plugin: Any, option: str, sent: bytes, answer: bytes, told: str, tmp_path: Path
) -> None:
    options = plugin.Options()
    access = tmp_path / "access"
    options.parseOptions(
        ["-l", f"unix:{tmp_path}/s", option, "--access-log", str(access), "--grace=0.1"]
    )
    listening = plugin.makeService(options)
    listening.startService()
    its = await client(f"unix:{tmp_path}/s")
    its.transport.write(sent)
    assert await its.receive(len(answer)) == answer
    await listening.stopService()
    await its.lost
    assert told in access.read_text()


@pytest_twisted.ensureDeferred
async def test_prints_to_the_output(tmp_path: Path) -> None:
    options = echo.Options()
    options.parseOptions(["-l", f"unix:{tmp_path}/s", "-o", str(tmp_path / "o"), "-f", "text"])
    listening = echo.makeService(options)
    listening.startService()
    its = await client(f"unix:{tmp_path}/s")
    its.transport.write(b"hello")
    its.transport.loseWriteConnection()
    await its.lost
    await listening.stopService()
    assert (tmp_path / "o").read_bytes() == b"hello"


@pytest_twisted.ensureDeferred
async def test_many_clients_at_the_same_time(tmp_path: Path) -> None:
    """
    Those that come within one turn of the reactor all wait to be accepted.
    """
    listening = service(f"unix:{tmp_path}/s")
    listening.startService()
    with ExitStack() as clients:
        for _ in range(200):
            waiting = clients.enter_context(socket.socket(socket.AF_UNIX))
            waiting.setblocking(False)
            # It would raise BlockingIOError.
            waiting.connect(f"{tmp_path}/s")
    await listening.stopService()


def test_port_taken() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        description = f"tcp:{taken.getsockname()[1]}:interface=127.0.0.1"
        with pytest.raises(CannotStart) as caught:
            service(description).startService()
    line = str(caught.value)
    assert line.startswith(f"echo: cannot listen: Address already in use: {description!r}; ")
    assert "\n" not in line


@pytest.mark.parametrize(
    ("description", "reason"),
    [
        ("tcp:0:backlog=99999999999", "maximum"),
        ("unix:/no/such/folder/s", "No such file or directory"),
        ("unix:" + "x" * 200, "too long"),
    ],
)
def test_cannot_listen(
    description: str, reason: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Twisted leaves a lock file behind where the socket's path is too long.
    monkeypatch.chdir(tmp_path)
    with pytest.raises(CannotStart, match=reason):
        service(description).startService()


def test_output_is_opened_before_anything_listens() -> None:
    for given, told in (
        ("--output=/no/such/o", "'/no/such/o': No such"),
        ("--capture=/proc/no/such", "'/proc/no"),
        ("--access-log=", "print-respond: '': No such file"),
    ):
        options = printrespond.Options()
        options.parseOptions(["-l", "tcp:0", given])
        listening = printrespond.makeService(options)
        with pytest.raises(CannotStart, match=told):
            listening.privilegedStartService()
        assert listening.addresses == []


@pytest_twisted.ensureDeferred
async def test_records_to_a_folder(tmp_path: Path) -> None:
    options = echo.Options()
    folder = tmp_path / "capture"
    options.parseOptions(["-l", f"unix:{tmp_path}/s", "--capture", str(folder)])
    listening = echo.makeService(options)
    listening.startService()
    its = await client(f"unix:{tmp_path}/s")
    its.transport.write(b"hello")
    its.transport.loseWriteConnection()
    await its.lost
    await listening.stopService()
    with Recordings(folder) as recordings:
        kinds = [type(event).__name__ for event in recordings.read()]
    assert kinds == ["Opened", "Octets", "Octets", "HalfClosed", "Closed"]


@pytest_twisted.ensureDeferred
@pytest.mark.parametrize("lock", [None, "dead", "another"])
async def test_socket_file_of_a_dead_server_is_removed(tmp_path: Path, lock: str | None) -> None:
    path = str(tmp_path / "s")
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(path)
    if lock is not None:
        # Twisted's lock names its process: one that is gone, or one that has that number now.
        os.symlink("999999999" if lock == "dead" else str(os.getppid()), path + ".lock")
    listening = service(f"unix:{path}")
    listening.startService()
    its = await client(f"unix:{path}")
    its.transport.loseConnection()
    await its.lost
    await listening.stopService()


@pytest_twisted.ensureDeferred
@pytest.mark.parametrize("options", ["", ":lockfile=0"])
async def test_socket_file_of_a_live_server_is_kept(tmp_path: Path, options: str) -> None:
    path = str(tmp_path / "s")
    live = service(f"unix:{path}{options}")
    live.startService()
    for again in ("", ":lockfile=0"):
        with pytest.raises(CannotStart, match=r"(?i)another server|already in use"):
            service(f"unix:{path}{again}").startService()
    its = await client(f"unix:{path}")
    its.transport.write(b"still there")
    its.transport.loseWriteConnection()
    await its.lost
    assert its.received == b"still there"
    await live.stopService()


def test_socket_file_of_another_program_is_kept_at_every_try(tmp_path: Path) -> None:
    path = str(tmp_path / "s")
    with socket.socket(socket.AF_UNIX) as live:
        live.bind(path)
        live.listen()
        for _ in range(2):
            with pytest.raises(CannotStart, match="already in use"):
                service(f"unix:{path}").startService()
            assert os.listdir(tmp_path) == ["s"]


def test_socket_file_of_a_server_with_a_full_backlog_is_kept(tmp_path: Path) -> None:
    path = str(tmp_path / "s")
    with socket.socket(socket.AF_UNIX) as busy, socket.socket(socket.AF_UNIX) as waiting:
        busy.bind(path)
        busy.listen(0)
        waiting.connect(path)
        with pytest.raises(CannotStart, match="already in use"):
            service(f"unix:{path}:lockfile=0").startService()
        assert os.path.exists(path)


def test_a_file_that_is_no_socket_is_kept(tmp_path: Path) -> None:
    path = tmp_path / "s"
    path.write_text("precious")
    with pytest.raises(CannotStart, match="already in use"):
        service(f"unix:{path}").startService()
    assert path.read_text() == "precious"
