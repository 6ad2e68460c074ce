"""
The log of twistd and twist on standard output: a pipe or a terminal whose reader stalls holds up
nobody.
"""

from __future__ import annotations

import atexit
import os
import stat
import sys
from contextlib import suppress
from io import TextIOBase
from threading import Event
from typing import Any, TextIO, cast

from twisted.internet.interfaces import IReactorCore, IReactorFromThreads
from twisted.logger import ILogObserver, textFileLogObserver
from twisted.python.logfile import LogFile
from twisted.python.usage import Options

from ..base.descriptors import writeAll
from ..base.worker import Worker
from ..operation.supervisor import supervisor

# How many octets may wait to be read.
_MOST = 2**20

# For how many seconds a process that ends waits for a line of its log to be read.
_PATIENCE = 0.4


def untroubleLog(options: Options) -> None:
    """
    Have the log go by a thread where it goes to standard output or standard error, and that is
    something whose reader may stall.

    @param options: those of twistd or twist, not of a plugin.
    """
    values = cast(dict[str, Any], options)
    if "logFile" in values:
        # twist
        if values["logFile"] in (sys.stdout, sys.stderr) and _mayStall(values["logFile"]):
            values["logFile"] = StandardLog(values["logFile"])
    elif (
        (values.get("nodaemon") or values.get("debug"))
        and values.get("logfile") in (None, "", "-")
        and not values.get("syslog")
        and not values.get("logger")
        and _mayStall(sys.stdout)
    ):
        # As an option of twistd has it.
        values["logger"] = f"{__name__}.standardObserver"
    elif (
        not (values.get("syslog") or values.get("logger"))
        and values.get("logfile") != "-"
        and (values.get("logfile") or not values.get("nodaemon"))
    ):
        # twistd's own would rename the file at SIGUSR1, which logrotate has done by then.
        values["logger"] = f"{__name__}.fileObserver"
        _path[:] = [values.get("logfile") or "twistd.log"]


# The file that twistd is to log to.
_path: list[str] = []


def fileObserver() -> ILogObserver:
    """
    Make the observer that twistd logs to a file with, which is opened again at SIGUSR1.
    """
    from twisted.internet import reactor

    file = LogFile.fromFullPath(_path[0])
    supervisor(reactor).onReopen(file.reopen)
    return textFileLogObserver(cast(TextIO, file))


def standardObserver() -> ILogObserver:
    """
    Make the observer that twistd logs with.
    """
    return textFileLogObserver(cast(TextIO, StandardLog(sys.stdout)))


def _mayStall(file: TextIO) -> bool:
    try:
        found = os.fstat(file.fileno())
    except (OSError, ValueError):
        # It is no descriptor.
        return False
    null = stat.S_ISCHR(found.st_mode) and found.st_rdev == os.stat(os.devnull).st_rdev
    return not (stat.S_ISREG(found.st_mode) or null)


class StandardLog(TextIOBase):
    """
    A file that a thread writes to. What does not fit in its queue is lost, and counted there.
    """

    def __init__(self, file: TextIO) -> None:
        """
        @param file: where it goes.
        """
        from twisted.internet import reactor

        self._file = file
        self._descriptor = file.fileno()
        self._lost = 0
        # Whether what is logged is waited for, as it is at the end, and whether that is of use.
        self._waits = False
        self._isRead = True
        self._worker: Worker[bytes | Event] = Worker(
            "netkit log", self._work, IReactorFromThreads(reactor), maxQueued=_MOST
        )
        self._worker.onDrain(self._drained)
        self._worker.start()
        # A process that ends by a signal, as twistd does, gets to the first alone.
        IReactorCore(reactor).addSystemEventTrigger("after", "shutdown", self._end)
        atexit.register(self._end)

    def write(self, text: str) -> int:
        """
        Write a line, or count it.
        """
        data = text.encode(self._file.encoding or "utf-8", "backslashreplace")
        if self._worker.hasRoom(len(data)):
            self._worker.put(data, len(data))
        else:
            self._lost += 1
        if self._waits:
            self._wait()
        return len(text)

    def flush(self) -> None:
        """
        Do nothing: nobody is to wait.
        """

    def isatty(self) -> bool:
        """
        Whether it is a terminal.
        """
        return self._file.isatty()

    def _work(self, data: bytes | Event) -> None:
        if isinstance(data, Event):
            data.set()
            return
        # Nobody is left to be told where it cannot be written.
        with suppress(OSError):
            writeAll(self._descriptor, data)

    def _end(self) -> None:
        """
        Wait from here on, within bounds, until what is logged was read.
        """
        self._waits = True
        self._wait()

    def _wait(self) -> None:
        if self._isRead:
            read = Event()
            self._worker.put(read, 0)
            self._isRead = read.wait(_PATIENCE)

    def _drained(self) -> None:
        lost, self._lost = self._lost, 0
        if lost:
            self.write(f"... {lost} lines of the log are lost: they were not read\n")
