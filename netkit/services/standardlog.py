"""
The log of twistd and twist on standard output: a pipe or a terminal whose reader stalls holds up
nobody.
"""

from __future__ import annotations

import atexit
import os
import stat
import sys
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from io import TextIOBase
from threading import Event
from typing import Any, TextIO, cast

from twisted.internet.interfaces import IReactorCore, IReactorFromThreads
from twisted.logger import (
    FileLogObserver,
    ILogObserver,
    jsonFileLogObserver,
    textFileLogObserver,
)
from twisted.python.logfile import LogFile
from twisted.python.usage import Options

from ..base.descriptors import writeAll
from ..base.outputstream import tellKept
from ..base.worker import Worker
from ..operation.child import OBSERVER
from ..operation.jsonlog import jsonLogObserver
from ..operation.repeats import Summed
from ..operation.supervisor import supervisor

# How many octets may wait to be read.
_MOST = 2**20

# For how many seconds a process that ends waits for a line of its log to be read.
_PATIENCE = 0.4


#: The values of C{--log-format}.
LOG_FORMATS: dict[str, Callable[[TextIO], FileLogObserver]] = {
    "text": textFileLogObserver,
    "json": jsonLogObserver,
}


class LogFormatError(ValueError):
    """
    What logs has a format of its own.
    """


def untroubleLog(options: Options, format: str | None = None) -> None:
    """
    Have the log go by a thread where it goes to standard output or standard error, and that is
    something whose reader may stall; and what is logged again and again summed up.

    @param options: those of twistd or twist, not of a plugin.
    @param format: one of L{LOG_FORMATS}; as twistd or twist has it by default.
    @raise LogFormatError: there can be no C{format}.
    """
    values = cast(dict[str, Any], options)
    if "logFile" in values:
        # twist
        if values["logFile"] in (sys.stdout, sys.stderr):
            values["logFile"] = _standard(values["logFile"])
        # What twist takes where nothing is said.
        default = textFileLogObserver if values["logFile"].isatty() else jsonFileLogObserver
        make = LOG_FORMATS[format] if format else values.get("fileLogObserverFactory", default)
        values["fileLogObserverFactory"] = partial(_summed, make)
        return
    if values.get("syslog") or values.get("logger"):
        if format is not None and values.get("logger") != OBSERVER:
            raise LogFormatError("twistd's --syslog and --logger have formats of their own")
        return
    _settings.format = format or "text"
    path = values.get("logfile")
    foreground = values.get("nodaemon") or values.get("debug")
    # As an option of twistd has it.
    if foreground and path in (None, "", "-"):
        values["logger"] = f"{__name__}.standardObserver"
    elif path != "-":
        # twistd's own would rename the file at SIGUSR1, which logrotate has done by then.
        values["logger"] = f"{__name__}.fileObserver"
        _settings.path = path or "twistd.log"


class _Settings:
    """
    What the observers, which twistd makes by their names, go by.
    """

    path = "twistd.log"
    format = "text"


_settings = _Settings()


def fileObserver() -> ILogObserver:
    """
    Make the observer that twistd logs to a file with, which is opened again at SIGUSR1.
    """
    from twisted.internet import reactor

    file = LogFile.fromFullPath(_settings.path)
    supervisor(reactor).onReopen(lambda: _reopen(file))
    return _summed(LOG_FORMATS[_settings.format], cast(TextIO, file))


def _reopen(file: LogFile) -> None:
    try:
        # One that fails to do it by itself is closed for good.
        with open(file.path, "ab"):
            pass
    except OSError as error:
        tellKept(file.path, error)
    else:
        file.reopen()


def standardObserver() -> ILogObserver:
    """
    Make the observer that twistd logs with.
    """
    return _summed(LOG_FORMATS[_settings.format], _standard(sys.stdout))


def _summed(make: Callable[[TextIO], ILogObserver], file: TextIO) -> ILogObserver:
    from twisted.internet import reactor

    return Summed(make(file), reactor)


def _standard(file: TextIO) -> TextIO:
    return cast(TextIO, StandardLog(file)) if _mayStall(file) else file


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
