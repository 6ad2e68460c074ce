"""
The reactor as a whole: how it is installed, and asyncio code next to Twisted's.
"""

from __future__ import annotations

import asyncio
import subprocess
import sys
import tracemalloc
from pathlib import Path

import pytest
from twisted.internet.asyncioreactor import AsyncioSelectorReactor
from twisted.internet.defer import Deferred, maybeDeferred
from twisted.internet.epollreactor import EPollReactor
from twisted.internet.error import UnsupportedAddressFamily
from twisted.internet.interfaces import (
    IReactorCore,
    IReactorFDSet,
    IReactorMulticast,
    IReactorProcess,
    IReactorSocket,
    IReactorSSL,
    IReactorTCP,
    IReactorThreads,
    IReactorTime,
    IReactorUDP,
    IReactorUNIX,
    IReactorUNIXDatagram,
)
from twisted.internet.protocol import Factory
from twisted.internet.threads import deferToThreadPool
from twisted.logger import LogEvent
from zope.interface.verify import verifyObject

from netkit.reactor import UvloopReactor
from tests.narrow import tcpAddress
from tests.reactor.conftest import Run
from tests.reactor.peers import Peer, later
from tests.reactor.test_stream import Echo, failures

ROOT = Path(__file__).parents[2]


def python(code: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-W", "error", "-c", code],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
    )


def test_provides_what_the_epoll_reactor_does(run: Run) -> None:
    async def scenario(reactor: UvloopReactor) -> None:
        for interface in (
            IReactorCore,
            IReactorFDSet,
            IReactorMulticast,
            IReactorProcess,
            IReactorSocket,
            IReactorSSL,
            IReactorTCP,
            IReactorThreads,
            IReactorTime,
            IReactorUDP,
            IReactorUNIX,
            IReactorUNIXDatagram,
        ):
            assert verifyObject(interface, reactor)

    run(scenario)


def test_is_known_as_an_asyncio_reactor(run: Run) -> None:
    async def scenario(reactor: UvloopReactor) -> None:
        # As Scrapy and Daphne look at it,
        assert isinstance(reactor, AsyncioSelectorReactor)
        assert reactor._asyncioEventloop is reactor.eventloop is asyncio.get_running_loop()
        # and Synapse, which measures what an epoll reactor's poller does.
        assert not isinstance(reactor, EPollReactor)

    run(scenario)


def test_is_installed_by_hand() -> None:
    ran = python(
        "import asyncio, netkit.reactor\n"
        "installed = netkit.reactor.install()\n"
        "from twisted.internet import reactor\n"
        "assert reactor is installed\n"
        "assert asyncio.get_event_loop() is reactor.eventloop\n"
        "reactor.callWhenRunning(reactor.callLater, 0.01, reactor.stop)\n"
        "reactor.run()\n"
        "print('ended')\n"
    )
    assert (ran.stdout, ran.stderr, ran.returncode) == ("ended\n", "", 0)


def test_is_installed_by_twistd(tmp_path: Path) -> None:
    application = tmp_path / "application.py"
    application.write_text(
        "from twisted.application.service import Application\n"
        "from twisted.internet import reactor\n"
        "application = Application('test')\n"
        "reactor.callLater(0.01, reactor.stop)\n"
    )
    twistd = [
        *(sys.executable, "-c", "from twisted.scripts.twistd import run; run()"),
        *("-n", "--reactor=uvloop"),
        *("--pidfile=", f"--rundir={tmp_path}", f"--python={application}"),
    ]
    ran = subprocess.run(twistd, cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert ran.returncode == 0, ran.stderr
    assert "reactor class: netkit.reactor.core.UvloopReactor." in ran.stdout


@pytest.mark.parametrize(
    ("launcher", "command"),
    [
        ("twisted.scripts.twistd", ["--reactor=uvloop", "-n", "web"]),
        ("twisted.application.twist._twist", ["--reactor=uvloop", "web"]),
        ("twisted.scripts.trial", ["--reactor=uvloop", "twisted.test.test_amp"]),
    ],
)
def test_says_that_uvloop_is_missing(launcher: str, command: list[str]) -> None:
    ran = python(
        "import sys; sys.modules['uvloop'] = None\n"
        f"sys.argv = {['launcher', *command]}\n"
        f"import {launcher} as launcher\n"
        "launcher.Twist.main() if hasattr(launcher, 'Twist') else launcher.run()\n"
    )
    assert (ran.stdout, ran.stderr, ran.returncode) == (
        "",
        "uvloop is not installed (pip install uvloop)\n",
        1,
    )


def test_cannot_be_imported_without_uvloop() -> None:
    ran = python("import sys; sys.modules['uvloop'] = None; import netkit.reactor")
    assert ran.stderr.endswith(
        "ModuleNotFoundError: uvloop is not installed (pip install uvloop)\n"
    )


def test_stops_on_signals() -> None:
    for name in ("SIGINT", "SIGTERM"):
        ran = python(
            "import netkit.reactor, os, signal\n"
            "reactor = netkit.reactor.install()\n"
            "lost = reactor.addSystemEventTrigger('before', 'shutdown', print, 'stopping')\n"
            f"reactor.callLater(0.01, os.kill, os.getpid(), signal.{name})\n"
            "reactor.run()\n"
        )
        assert (ran.stdout, ran.stderr) == ("stopping\n", "")


def test_runs_after_a_crash() -> None:
    ran = python(
        "import netkit.reactor\n"
        "reactor = netkit.reactor.install()\n"
        "for time in range(3):\n"
        "    reactor.callLater(0.01, reactor.crash)\n"
        "    reactor.run()\n"
        "reactor.callLater(0.01, print, 'one turn at a time')\n"
        "reactor.iterate(0.05)\n"
        "reactor.crash()\n"
        "reactor.iterate()\n"
    )
    assert (ran.stdout, ran.stderr, ran.returncode) == ("one turn at a time\n", "", 0)


def test_keeps_what_was_there_before_from_the_garbage_collector() -> None:
    ran = python(
        "import gc, netkit.reactor, weakref\n"
        "reactor = netkit.reactor.install()\n"
        "class Thing: pass\n"
        "before = Thing()\n"
        "def isWatched(): return any(each is before for each in gc.get_objects())\n"
        "def isFreed():\n"
        "    made = Thing()\n"
        "    made.itself = made\n"
        "    made = weakref.ref(made)\n"
        "    gc.collect()\n"
        "    return made() is None\n"
        "reactor.callLater(0, lambda: print(isWatched(), isFreed()))\n"
        "reactor.callLater(0, reactor.stop)\n"
        "print(isWatched())\n"
        "reactor.run()\n"
        "print(isWatched())\n"
    )
    assert (ran.stdout, ran.stderr) == ("True\nFalse True\nTrue\n", "")


def test_runs_on_when_asyncio_code_stops_the_loop(run: Run) -> None:
    async def scenario(reactor: UvloopReactor) -> None:
        reactor.eventloop.stop()
        await later(reactor, 0.01)

    run(scenario)


def test_awaits_asyncio(run: Run) -> None:
    async def scenario(reactor: UvloopReactor) -> None:
        loop = reactor.eventloop
        assert asyncio.get_running_loop() is loop
        answer = Deferred.fromFuture(loop.create_task(asyncio.sleep(0.01, "answer")))
        assert await answer == "answer"

        async def awaitsTwisted() -> str:
            await later(reactor, 0.01).asFuture(loop)
            return "waited"

        assert await Deferred.fromFuture(loop.create_task(awaitsTwisted())) == "waited"

    run(scenario)


def test_serves_asyncio_clients(run: Run) -> None:
    async def scenario(reactor: UvloopReactor) -> None:
        server = Echo()
        port = reactor.listenTCP(0, Factory.forProtocol(lambda: server), interface="127.0.0.1")

        async def client() -> bytes:
            reader, writer = await asyncio.open_connection(
                "127.0.0.1", tcpAddress(port.getHost()).port
            )
            writer.write(b"between two worlds\n")
            line = await reader.readline()
            writer.close()
            await writer.wait_closed()
            return line

        task = reactor.eventloop.create_task(client())
        assert await Deferred.fromFuture(task) == b"between two worlds\n"
        await server.lost
        await maybeDeferred(port.stopListening)

    run(scenario)


def test_logs_what_asyncio_code_did_wrong(run: Run, logged: list[LogEvent]) -> None:
    def broken() -> None:
        raise ZeroDivisionError

    async def scenario(reactor: UvloopReactor) -> None:
        reactor.eventloop.call_soon(broken)
        reactor.eventloop.call_exception_handler({"message": "no exception"})
        await later(reactor, 0.01)

    run(scenario)
    assert "no exception" in [event.get("message") for event in logged]
    assert failures(logged) == [ZeroDivisionError]


def test_leaves_an_exception_handler_alone() -> None:
    loop = UvloopReactor().eventloop
    loop.set_exception_handler(handler := lambda loop, error: None)
    try:
        assert UvloopReactor(loop).eventloop.get_exception_handler() is handler
    finally:
        loop.close()


def test_calls_from_threads_in_order(run: Run) -> None:
    async def scenario(reactor: UvloopReactor) -> None:
        order: list[int] = []

        def thread() -> None:
            for number in range(1000):
                reactor.callFromThread(order.append, number)

        await deferToThreadPool(reactor, reactor.getThreadPool(), thread)
        assert order == list(range(1000))

    run(scenario)


def test_calls_from_its_own_thread_in_order(run: Run) -> None:
    async def scenario(reactor: UvloopReactor) -> None:
        order: list[str] = []
        reactor.callLater(0, order.append, "later")
        reactor.callFromThread(order.append, "from a thread")
        await later(reactor, 0.01)
        # As with every reactor: a turn begins with the calls from threads.
        assert order == ["from a thread", "later"]

    run(scenario)


def test_calls_from_threads_that_are_made_by_others(run: Run) -> None:
    async def scenario(reactor: UvloopReactor) -> None:
        done = Deferred[None]()

        def again(left: int) -> None:
            if left:
                reactor.callFromThread(again, left - 1)
            else:
                done.callback(None)

        again(100)
        await done

    run(scenario)


def test_wakes_up_once_for_many_calls_from_threads(run: Run) -> None:
    async def scenario(reactor: UvloopReactor) -> None:
        made = 0

        def call() -> None:
            nonlocal made
            made += 1

        tracemalloc.start()
        try:
            before, _ = tracemalloc.get_traced_memory()
            for _ in range(10_000):
                reactor.callFromThread(call)
            after, _ = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        # What Twisted keeps of each, and nothing of the loop's.
        assert (after - before) / 10_000 < 200
        await later(reactor, 0.01)
        assert made == 10_000

    run(scenario)


def test_refuses_a_foreign_family(run: Run) -> None:
    async def scenario(reactor: UvloopReactor) -> None:
        for adopt in (reactor.adoptStreamPort, reactor.adoptStreamConnection):
            with pytest.raises(UnsupportedAddressFamily):
                adopt(0, -1, Factory.forProtocol(Peer))

    run(scenario)
