"""
A process that serves in the place of the one which started it.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Sequence
from math import inf
from pathlib import Path
from typing import Any, Protocol

from twisted.internet.defer import Deferred
from twisted.internet.protocol import ProcessProtocol
from twisted.logger import Logger
from twisted.python.failure import Failure

from ..base.waiters import Waiters
from .child import ENVIRONMENT
from .figures import LAG, Figures, fromJSON
from .repeats import RELAYED

_log = Logger()

# systemd's sockets begin at this descriptor.
_FIRST = 3

# For how many seconds to wait for a worker's figures.
_ANSWER = 1.0


class Recorded(Protocol):
    """
    What takes what a worker records.
    """

    def dataReceived(self, data: bytes) -> None:
        """
        Some of it has come.
        """

    def ended(self) -> None:
        """
        The worker has ended.
        """


class WorkerProcess(ProcessProtocol):
    """
    A worker, as its parent has it.

    @ivar ready: fires when it serves; fails, with what it ended by, where it ends before.
    @ivar serves: whether it does.
    @ivar servesSince: since when, by the reactor's clock; infinite where it never did.
    @ivar ended: fires when it has ended.
    @ivar told: the figures that it told last.
    """

    def __init__(self, name: str, reactor: Any) -> None:
        """
        @param name: its name, for the log.
        @param reactor: what starts it.
        """
        self.name = name
        self.ready: Deferred[None] = Deferred()
        self.ended: Deferred[None] = Deferred()
        self.servesSince = inf
        self.serves = False
        self.told: Figures = {}
        self._asked: Waiters[None] = Waiters()
        self._reactor = reactor
        self._lines: dict[int, bytes] = {}
        self._said: dict[int, Callable[[str], None]] = {2: self._logged}
        self._recorded: Recorded | None = None
        self._events = -1

    def start(
        self, sockets: Sequence[tuple[str, int]], numbers: int, recorded: Recorded | None = None
    ) -> None:
        """
        Start it: the same command line as that of this process.

        @param sockets: what it is to listen on: what each is for, and its descriptor.
        @param numbers: the descriptor that all count their connections with.
        @param recorded: takes what it records; nothing is passed on by default.
        """
        passed, environment = _systemdSockets()
        childFDs: dict[int, Any] = {0: "w", 1: 1, 2: "r", **_places(passed, dict(sockets))}
        control = _FIRST + len(passed)
        childFDs[control] = "r"
        self._said[control] = self._told
        childFDs[control + 1] = numbers
        told: dict[str, Any] = {"argv": sys.argv, "control": control, "numbers": control + 1}
        if recorded is not None:
            self._recorded = recorded
            self._events = told["events"] = control + 2
            childFDs[self._events] = "r"
        listening = told["sockets"] = []
        for number, (key, descriptor) in enumerate(sockets, control + 3):
            childFDs[number] = descriptor
            listening.append((key, number))
        environment[ENVIRONMENT] = json.dumps(told)
        command = [sys.executable, "-m", "netkit.operation.child"]
        if passed:
            # For whom systemd's sockets are is told by a process id, which the shell hands on.
            command = ["/bin/sh", "-c", 'LISTEN_PID=$$ exec "$@"', "sh", *command]
        transport = self._reactor.spawnProcess(
            self, command[0], command, environment, childFDs=childFDs
        )
        _log.info("{name} is process {pid}", name=self.name, pid=transport.pid)

    def tell(self, what: str) -> None:
        """
        Have it C{stop}, C{drain}, C{reopen} its files, or take what is C{shared}.
        """
        if self.transport is not None and self.transport.pid is not None:
            self.transport.write(f"{what}\n".encode())

    def figures(self) -> Deferred[None]:
        """
        Ask for its figures.

        @return: fires when C{told} has them; fails where it does not tell them in time.
        """
        self.tell("figures")
        return self._asked.wait().addTimeout(_ANSWER, self._reactor)

    def kill(self) -> None:
        """
        End it at once.
        """
        if self.transport is not None and self.transport.pid is not None:
            self.transport.signalProcess("KILL")

    def childDataReceived(self, childFD: int, data: bytes) -> None:
        """
        It logged, recorded or tells something.
        """
        if childFD == self._events and self._recorded is not None:
            self._recorded.dataReceived(data)
            return
        *lines, self._lines[childFD] = (self._lines.get(childFD, b"") + data).split(b"\n")
        for line in lines:
            self._said[childFD](line.decode(errors="backslashreplace"))

    def processEnded(self, reason: Failure) -> None:
        """
        It has ended.
        """
        self.serves = False
        if self._recorded is not None:
            self._recorded.ended()
        if not self.ready.called:
            self.ready.errback(reason)
        self.ended.callback(None)

    def _logged(self, line: str) -> None:
        _log.info("{name}: {line}", name=self.name, line=line, **{RELAYED: True})

    def _told(self, line: str) -> None:
        if line != "ready":
            # The worst of all times is told to who looks at it, whoever asked in between.
            before = self.told.get((LAG,), 0.0)
            self.told = fromJSON(json.loads(line))
            if (LAG,) in self.told:
                self.told[LAG,] = max(before, self.told[LAG,])
            self._asked.succeed(None)
        elif not self.ready.called:
            self.serves = True
            self.servesSince = self._reactor.seconds()
            _log.info("{name} serves", name=self.name)
            self.ready.callback(None)


def _places(passed: range, sockets: dict[str, int]) -> dict[int, int]:
    """
    Where systemd's sockets are by now: a port has a copy, and closes what it was made of. In the
    place of one that is for this process alone, standard error keeps the others' numbers.
    """
    places = {}
    for each in passed:
        descriptor = sockets.get(f"adopted {each}", each)
        try:
            os.fstat(descriptor)
        except OSError:
            descriptor = 2
        places[each] = descriptor
    return places


def _systemdSockets() -> tuple[range, dict[str, str]]:
    """
    The descriptors of the sockets that systemd passed on to this process, and the environment to
    pass them on with.
    """
    environment = dict(os.environ)
    try:
        entries = os.fsdecode(Path("/proc/self/environ").read_bytes()).split("\0")
    except OSError:
        return range(0), environment
    # Twisted took them out of the environment.
    atStart = dict(entry.partition("=")[::2] for entry in entries)
    count = atStart.get("LISTEN_FDS", "")
    if not count.isdigit() or atStart.get("LISTEN_PID") != str(os.getpid()):
        return range(0), environment
    for name in ("LISTEN_FDS", "LISTEN_FDNAMES"):
        if name in atStart:
            environment[name] = atStart[name]
    return range(_FIRST, _FIRST + int(count)), environment
