"""
Child processes: each is watched through a descriptor of its own.

Not through SIGCHLD, which has one handler per process: libuv takes it for the children of asyncio
programs and gives it back as it pleases. A process descriptor belongs to one child, needs neither
a signal handler nor the main thread, and leaves everybody else's children alone.
"""

from __future__ import annotations

import os
from contextlib import suppress
from threading import Thread

from twisted.internet.interfaces import IReadDescriptor
from twisted.internet.posixbase import PosixReactorBase
from twisted.python.failure import Failure
from zope.interface import implementer

from netkit.base.twistedprivate import BaseProcess, addInternalReader, removeInternalReader


def watch(reactor: PosixReactorBase, process: BaseProcess) -> None:
    """
    Reap C{process} as soon as it has ended.

    @param process: a child that was just started.
    """
    pid = process.pid
    if pid is None:
        # It ended already, and was reaped.
        return
    try:
        descriptor = os.pidfd_open(pid)
    except OSError:
        # No descriptor to be had: a thread can wait as well.
        Thread(target=_wait, args=(reactor, process, pid), daemon=True).start()
    else:
        addInternalReader(reactor, _Child(reactor, process, descriptor))


def _reap(process: BaseProcess) -> None:
    # Something else may have reaped it: Twisted looks when the pipes of a child are closed.
    if process.pid is not None:
        process.reapProcess()


def _wait(reactor: PosixReactorBase, process: BaseProcess, pid: int) -> None:
    # No such child: it was reaped meanwhile. No such loop: it was closed, nobody wants to know.
    with suppress(ChildProcessError, RuntimeError):
        os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
        reactor.callFromThread(_reap, process)


@implementer(IReadDescriptor)
class _Child:
    """
    A process descriptor: readable when the process has ended.
    """

    def __init__(self, reactor: PosixReactorBase, process: BaseProcess, descriptor: int) -> None:
        self._reactor = reactor
        self._process = process
        self._descriptor = descriptor

    def fileno(self) -> int:
        return self._descriptor

    def logPrefix(self) -> str:
        return "child"

    def doRead(self) -> None:
        removeInternalReader(self._reactor, self)
        self.connectionLost(None)
        _reap(self._process)

    def connectionLost(self, reason: Failure | None) -> None:
        if self._descriptor != -1:
            os.close(self._descriptor)
            self._descriptor = -1
