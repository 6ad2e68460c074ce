"""
Ports: who accepts, and who does not.
"""

from __future__ import annotations

from pathlib import Path
from socket import AF_INET, AF_UNIX, SHUT_RDWR, socket
from typing import Any, cast

import pytest
from twisted.internet.defer import Deferred, maybeDeferred
from twisted.internet.protocol import Factory, Protocol
from twisted.logger import ILogObserver, globalLogPublisher
from twisted.python import log

from netkit.reactor import UvloopReactor
from tests.reactor.conftest import Run
from tests.reactor.peers import later


class Accepting(Factory[Protocol]):
    """
    Logs each connection, refuses it, and tells when there were so many.
    """

    noisy = False

    def __init__(self, expected: int) -> None:
        self.expected = expected
        self.all = Deferred[None]()

    def buildProtocol(self, addr: object) -> None:
        log.msg("accepted")
        self.expected -= 1
        if not self.expected:
            self.all.callback(None)


def listen(reactor: UvloopReactor, kind: str, path: Path, factory: Factory[Any]) -> Any:
    if kind == "unix":
        return reactor.listenUNIX(bytes(path / "socket"), factory, backlog=200)
    return reactor.listenTCP(0, factory, backlog=200, interface="127.0.0.1")


def connect(port: Any) -> socket:
    client = socket(AF_UNIX if port.socket.family == AF_UNIX else AF_INET)
    client.connect(port.socket.getsockname())
    return client


@pytest.mark.parametrize("kind", ["tcp", "unix"])
def test_accepts_all_that_wait_and_whoever_comes_later(
    run: Run, tmp_path: Path, kind: str
) -> None:
    async def scenario(reactor: UvloopReactor) -> None:
        for number in (1, 120, 2):
            factory = Accepting(number)
            port = listen(reactor, kind, tmp_path, factory)
            clients = [connect(port) for _ in range(number)]
            await factory.all
            for client in clients:
                client.close()
            await port.stopListening()

    run(scenario)


@pytest.mark.parametrize("kind", ["tcp", "unix"])
def test_accepts_nobody_while_it_does_not_read(run: Run, tmp_path: Path, kind: str) -> None:
    async def scenario(reactor: UvloopReactor) -> None:
        factory = Accepting(1)
        port = listen(reactor, kind, tmp_path, factory)
        for stop, start in (
            (port.stopReading, port.startReading),
            (lambda: reactor.removeReader(port), lambda: reactor.addReader(port)),
            (reactor.removeAll, port.startReading),
        ):
            factory.expected = 1
            factory.all = Deferred[None]()
            assert port in reactor.getReaders()
            stop()
            assert port not in reactor.getReaders()
            with connect(port):
                for _ in range(3):
                    await later(reactor)
                assert not factory.all.called
                start()
                await factory.all
                # It may look for one more in this turn.
                await later(reactor)
        await port.stopListening()
        assert port not in reactor.getReaders()

    run(scenario)


@pytest.mark.parametrize("kind", ["tcp", "unix"])
def test_accepts_nobody_else_once_it_was_stopped(run: Run, tmp_path: Path, kind: str) -> None:
    async def scenario(reactor: UvloopReactor) -> None:
        factory = Accepting(3)
        port = listen(reactor, kind, tmp_path, factory)
        port.stopReading()
        clients = [connect(port) for _ in range(3)]
        build = factory.buildProtocol

        def buildOne(addr: object) -> None:
            port.stopReading()
            return build(addr)

        factory.buildProtocol = buildOne  # type: ignore[method-assign]
        for left in (2, 1, 0):
            port.startReading()
            # Nothing that is to be written changes that.
            port.startWriting()
            reactor.addWriter(port)
            while port in reactor.getReaders():
                await later(reactor)
            assert factory.expected == left
        for client in clients:
            client.close()
        await port.stopListening()

    run(scenario)


def test_ends_when_somebody_else_shuts_its_socket_down(run: Run, tmp_path: Path) -> None:
    async def scenario(reactor: UvloopReactor) -> None:
        port = listen(reactor, "tcp", tmp_path, Accepting(1))
        with port.socket.dup() as other:
            other.shutdown(SHUT_RDWR)
        while port in reactor.getReaders():
            await later(reactor)
        assert not port.connected
        await maybeDeferred(port.stopListening)

    run(scenario)


def test_logs_under_the_name_of_its_factory(run: Run, tmp_path: Path) -> None:
    systems = []

    def observe(event: Any) -> None:
        if "accepted" in event.get("message", ()):
            systems.append(event["system"])

    async def scenario(reactor: UvloopReactor) -> None:
        factory = Accepting(1)
        port = listen(reactor, "tcp", tmp_path, factory)
        with connect(port):
            await factory.all
        await port.stopListening()

    globalLogPublisher.addObserver(cast(ILogObserver, observe))
    try:
        run(scenario)
    finally:
        globalLogPublisher.removeObserver(cast(ILogObserver, observe))
    assert systems == [f"{__name__}.Accepting"]
