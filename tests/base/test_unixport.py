"""
Tests for L{netkit.base.unixport}, under the reactor that the tests run on: another one makes its
UNIX ports by way of endpoint strings, the uvloop reactor by itself.
"""

from __future__ import annotations

import os
import socket
import stat
from pathlib import Path

import pytest
import pytest_twisted
from twisted.internet.defer import maybeDeferred
from twisted.internet.endpoints import AdoptedStreamServerEndpoint
from twisted.internet.error import CannotListenError
from twisted.internet.interfaces import IListeningPort

from netkit.base.endpoints import clientEndpoint, serverEndpoint
from netkit.base.listening import UNIXReactor
from netkit.echo import EchoFactory

from ..clients import connect


async def listening(path: Path, options: str = "") -> IListeningPort:
    from twisted.internet import reactor

    return await serverEndpoint(reactor, f"unix:{path}{options}").listen(EchoFactory())


def identity(path: Path) -> tuple[int, int]:
    status = path.stat()
    return status.st_ino, status.st_mode


async def stop(port: IListeningPort) -> None:
    await maybeDeferred(port.stopListening)


async def echoes(path: Path) -> bool:
    from twisted.internet import reactor

    client = await connect(clientEndpoint(reactor, f"unix:{path}"))
    client.transport.write(b"hello")
    client.transport.loseWriteConnection()
    await client.lost
    return client.received == b"hello"


async def refusal(path: Path, options: str = "") -> str:
    with pytest.raises(CannotListenError) as caught:
        await listening(path, options)
    line = str(caught.value)
    assert "\n" not in line
    return line


@pytest_twisted.ensureDeferred
@pytest.mark.parametrize(("options", "mode"), [("", 0o666), (":mode=640", 0o640)])
async def test_its_files_come_and_go(tmp_path: Path, options: str, mode: int) -> None:
    path = tmp_path / "s"
    port = await listening(path, options)
    assert stat.S_IMODE(path.stat().st_mode) == mode
    assert os.readlink(f"{path}.lock") == str(os.getpid())
    assert await echoes(path)
    await stop(port)
    assert list(tmp_path.iterdir()) == []


@pytest_twisted.ensureDeferred
@pytest.mark.parametrize("options", ["", ":lockfile=0"])
async def test_a_successor_keeps_its_socket(tmp_path: Path, options: str) -> None:
    path = tmp_path / "s"
    first = await listening(path, options)
    # As a careful administrator does, or a server that renames its socket into place.
    for file in list(tmp_path.iterdir()):
        file.unlink()
    second = await listening(path, options)
    await stop(first)
    assert await echoes(path)
    await stop(second)
    assert not path.exists()


@pytest_twisted.ensureDeferred
async def test_files_that_are_gone_already(tmp_path: Path) -> None:
    port = await listening(tmp_path / "s")
    for file in list(tmp_path.iterdir()):
        file.unlink()
    await stop(port)


@pytest_twisted.ensureDeferred
@pytest.mark.parametrize("target", ["abc", "", "-1", "0", "12 ", "/etc/passwd"])
async def test_a_lock_that_names_no_process(tmp_path: Path, target: str) -> None:
    path = tmp_path / "s"
    lock = tmp_path / "s.lock"
    if target:
        lock.symlink_to(target)
    else:
        lock.write_text("1234")
    said = await refusal(path)
    assert f"{str(lock)!r} is no lock" in said
    assert os.path.lexists(lock)
    assert not path.exists()


@pytest_twisted.ensureDeferred
async def test_a_lock_that_a_folder_is(tmp_path: Path) -> None:
    (tmp_path / "s.lock").mkdir()
    assert "is no lock" in await refusal(tmp_path / "s")


@pytest.fixture(params=["ours", "somebody else's"])
def foreign(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> int:
    """
    The number of a process that runs and is no server, which we may send a signal or may not.
    """
    kill = os.kill

    def denied(process: int, number: int) -> None:
        if process == os.getppid():
            raise PermissionError
        kill(process, number)

    if request.param != "ours":
        monkeypatch.setattr(os, "kill", denied)
    return os.getppid()


@pytest_twisted.ensureDeferred
async def test_a_lock_of_a_foreign_process(tmp_path: Path, foreign: int) -> None:
    path = tmp_path / "s"
    lock = tmp_path / "s.lock"
    lock.symlink_to(str(foreign))
    said = await refusal(path)
    assert f"process {foreign} holds the lock {str(lock)!r}" in said
    assert os.readlink(lock) == str(foreign)


@pytest_twisted.ensureDeferred
async def test_a_lock_of_a_foreign_process_beside_a_dead_socket(
    tmp_path: Path, foreign: int
) -> None:
    # The server that has left them had the number before.
    path = tmp_path / "s"
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(path))
    (tmp_path / "s.lock").symlink_to(str(foreign))
    port = await listening(path)
    assert await echoes(path)
    await stop(port)


@pytest_twisted.ensureDeferred
@pytest.mark.parametrize("number", ["999999999", "9" * 40])
async def test_a_lock_of_a_process_that_is_gone(tmp_path: Path, number: str) -> None:
    (tmp_path / "s.lock").symlink_to(number)
    port = await listening(tmp_path / "s")
    assert await echoes(tmp_path / "s")
    await stop(port)
    assert list(tmp_path.iterdir()) == []


@pytest_twisted.ensureDeferred
async def test_a_dead_lock_beside_a_live_socket(tmp_path: Path) -> None:
    path = tmp_path / "s"
    with socket.socket(socket.AF_UNIX) as live:
        live.bind(str(path))
        live.listen()
        (tmp_path / "s.lock").symlink_to("999999999")
        assert "already in use" in await refusal(path)
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(str(path))
    assert [file.name for file in tmp_path.iterdir()] == ["s"]


@pytest_twisted.ensureDeferred
async def test_a_second_server(tmp_path: Path) -> None:
    path = tmp_path / "s"
    port = await listening(path)
    assert f"another server listens there, process {os.getpid()}" in await refusal(path)
    assert "already in use" in await refusal(path, ":lockfile=0")
    assert await echoes(path)
    await stop(port)


@pytest_twisted.ensureDeferred
async def test_what_cannot_be_bound_leaves_nothing_behind(tmp_path: Path) -> None:
    assert "No such file" in await refusal(tmp_path / "no" / "s")
    assert "too long" in await refusal(tmp_path / ("x" * 110))
    (tmp_path / "s").write_text("precious")
    assert "already in use" in await refusal(tmp_path / "s")
    assert (tmp_path / "s").read_text() == "precious"
    assert [file.name for file in tmp_path.iterdir()] == ["s"]


@pytest_twisted.ensureDeferred
async def test_an_adopted_socket_is_left_as_it_is(tmp_path: Path) -> None:
    from twisted.internet import reactor

    path = tmp_path / "s"
    with socket.socket(socket.AF_UNIX) as made:
        made.bind(str(path))
        made.listen(5)
        path.chmod(0o600)
        before = identity(path)
        for _ in range(2):
            # The endpoint closes the descriptor that it is given.
            passed = os.dup(made.fileno())
            endpoint = AdoptedStreamServerEndpoint(UNIXReactor(reactor), passed, socket.AF_UNIX)
            port = await endpoint.listen(EchoFactory())
            assert identity(path) == before
            assert await echoes(path)
            await stop(port)
            assert identity(path) == before
        # It listens still: whoever made it may have another server serve this client.
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(str(path))
    assert [file.name for file in tmp_path.iterdir()] == ["s"]


@pytest_twisted.ensureDeferred
async def test_a_port_that_has_stopped_may_start_again(tmp_path: Path) -> None:
    port = await listening(tmp_path / "s")
    await stop(port)
    port.startListening()
    assert await echoes(tmp_path / "s")
    await stop(port)
