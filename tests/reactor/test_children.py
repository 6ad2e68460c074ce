"""
Child processes: Twisted's and asyncio's, side by side.
"""

from __future__ import annotations

import asyncio
import os
import signal

import pytest
from twisted.internet.defer import Deferred, gatherResults
from twisted.internet.error import ProcessDone, ProcessTerminated
from twisted.internet.protocol import ProcessProtocol
from twisted.python.failure import Failure

from netkit.reactor import UvloopReactor
from tests.narrow import present
from tests.reactor.conftest import Run


class Child(ProcessProtocol):
    def __init__(self) -> None:
        self.output = b""
        self.ended = Deferred[BaseException | None]()

    def outReceived(self, data: bytes) -> None:
        self.output += data

    def processEnded(self, reason: Failure) -> None:
        self.ended.callback(reason.value)


def spawn(reactor: UvloopReactor, command: str, **options: object) -> Child:
    child = Child()
    reactor.spawnProcess(child, "/bin/sh", ["sh", "-c", command], **options)
    return child


def test_reaps_children(run: Run) -> None:
    async def scenario(reactor: UvloopReactor) -> None:
        # Some have ended before anybody looks, some outlive their pipes.
        children = [
            spawn(reactor, f"echo {code}; exec >&- 2>&-; sleep 0.0{code}; exit {code}")
            for code in range(5)
        ]
        for code, child in enumerate(children):
            reason = await child.ended
            assert child.output == b"%d\n" % code
            assert isinstance(reason, ProcessDone if code == 0 else ProcessTerminated)
            assert reason.exitCode == code

    run(scenario)


def test_reaps_what_was_killed(run: Run) -> None:
    async def scenario(reactor: UvloopReactor) -> None:
        child = spawn(reactor, "exec sleep 60", usePTY=True)
        present(child.transport).signalProcess("KILL")
        reason = await child.ended
        assert isinstance(reason, ProcessTerminated)
        assert reason.signal == signal.SIGKILL

    run(scenario)


def test_reaps_without_process_descriptors(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(pid: int) -> int:
        raise OSError("no more descriptors")

    monkeypatch.setattr(os, "pidfd_open", refuse)
    test_reaps_children(run)


def test_leaves_asyncios_children_alone(run: Run) -> None:
    async def asynciosChild(code: int) -> tuple[bytes, int | None]:
        process = await asyncio.create_subprocess_exec(
            "/bin/sh", "-c", f"sleep 0.0{code}; echo {code}; exit {code}", stdout=-1
        )
        output, _ = await process.communicate()
        return output, process.returncode

    async def scenario(reactor: UvloopReactor) -> None:
        loop = reactor.eventloop
        theirs = [Deferred.fromFuture(loop.create_task(asynciosChild(code))) for code in range(5)]
        ours = [spawn(reactor, f"sleep 0.0{code}; exit {code}") for code in range(5)]
        assert await gatherResults(theirs) == [(b"%d\n" % code, code) for code in range(5)]
        for code, child in enumerate(ours):
            reason = await child.ended
            assert isinstance(reason, (ProcessDone, ProcessTerminated))
            assert reason.exitCode == code

    run(scenario)
