"""
Listening on UNIX sockets.
"""

from __future__ import annotations

import errno
import os
import socket
import stat
from contextlib import suppress
from typing import Any, Self

from twisted.internet import tcp, unix
from twisted.internet.address import UNIXAddress
from twisted.internet.error import CannotListenError
from twisted.internet.interfaces import IProtocolFactory
from twisted.logger import Logger
from twisted.python import log
from twisted.python.failure import Failure

from .twistedprivate import logPrefix, reserveDescriptor, shutDownAtEnd

_log = Logger()


class UNIXPort(unix.Port):
    """
    A port that touches nothing but its own.

    The file of its socket is removed when it stops, unless another server has put its own there
    meanwhile. A file that is there when it starts is removed where nobody listens on it any more,
    and is left alone otherwise; so is the lock beside it. A socket that was L{adopted <adopt>},
    and its file, belong to whoever made them. A name that begins with a zero octet is an abstract
    one, which has no file.
    """

    _adopted: socket.socket | None = None
    _file: _OwnFile | None = None
    _lock: _OwnFile | None = None

    def __init__(
        self,
        fileName: str | bytes,
        factory: IProtocolFactory,
        backlog: int = 50,
        mode: int = 0o666,
        reactor: Any = None,
        wantPID: bool = False,
    ) -> None:
        """
        @param fileName: the path, or an abstract name.
        @param factory: makes the protocols.
        @param backlog: how many connections may wait to be accepted.
        @param mode: the permissions of the file.
        @param reactor: the reactor.
        @param wantPID: whether to hold a lock beside the file while this listens.
        """
        self._path = UNIXAddress(fileName).name or b""
        super().__init__(self._path, factory, backlog, mode, reactor, wantPID)

    @classmethod
    def adopt(cls, fileDescriptor: int, factory: IProtocolFactory, reactor: Any) -> Self:
        """
        Make a port of a socket that listens already, as systemd hands them over.

        @param fileDescriptor: the socket's; the port has a copy.
        @param factory: makes the protocols.
        @param reactor: the reactor.
        """
        adopted = socket.fromfd(fileDescriptor, socket.AF_UNIX, socket.SOCK_STREAM)
        port = cls(adopted.getsockname(), factory, reactor=reactor)
        port._adopted = adopted
        return port

    def startListening(self) -> None:
        """
        Bind the socket, unless it was adopted, and accept connections.

        @raise CannotListenError: the socket cannot be had.
        """
        reserveDescriptor()
        # Whoever made an adopted socket goes on to use it.
        shutDownAtEnd(self, self._adopted is None)
        self.socket, self._adopted = self._adopted or self._bind(), None
        # As Twisted's own ports say it.
        log.msg(f"{logPrefix(self, self.factory)} starting on {os.fsdecode(self._path)!r}")
        if self.factory is not None:
            self.factory.doStart()
        self.connected = True
        self.fileno = self.socket.fileno  # type: ignore[method-assign]
        self.numberAccepts = 100
        self.startReading()

    def connectionLost(self, reason: Failure) -> None:
        """
        Clean up.
        """
        self._removeFiles()
        # Not unix.Port's, which removes whatever there is at the path.
        tcp.Port.connectionLost(self, reason)

    def _removeFiles(self) -> None:
        # The lock last: it is for whoever finds the file.
        for own in (self._file, self._lock):
            if own is not None:
                own.remove()

    def _bind(self) -> socket.socket:
        inFilesystem = not self._path.startswith(b"\0")
        try:
            bound: socket.socket = self.createInternetSocket()
        except OSError as error:
            raise CannotListenError(None, self._path, error) from error
        try:
            if self.wantPID and inFilesystem:
                self._lock = _locked(self._path)
            try:
                bound.bind(self._path)
            except OSError as error:
                taken = inFilesystem and error.errno == errno.EADDRINUSE
                if not (taken and _removeStale(self._path)):
                    raise
                bound.bind(self._path)
            if inFilesystem:
                self._file = _OwnFile(self._path)
                os.chmod(self._path, self.mode)
            bound.listen(self.backlog)
        except OSError as error:
            bound.close()
            self._removeFiles()
            raise CannotListenError(None, self._path, error) from error
        except CannotListenError:
            bound.close()
            raise
        return bound


class _OwnFile:
    """
    A file that we made.
    """

    def __init__(self, path: bytes) -> None:
        self._path = path
        self._status = os.lstat(path)

    def remove(self) -> None:
        """
        Remove it, unless another one has taken its place.
        """
        with suppress(FileNotFoundError):
            if os.path.samestat(os.lstat(self._path), self._status):
                os.unlink(self._path)


def _locked(path: bytes) -> _OwnFile:
    """
    Take the lock beside a UNIX socket: a symbolic link to the number of our process, as Twisted
    has it.

    @raise CannotListenError: another process has it, or what is there is no lock.
    """
    name = path + b".lock"
    while True:
        try:
            os.symlink(str(os.getpid()), name)
            return _OwnFile(name)
        except FileExistsError:
            _freeLock(path, name)


def _freeLock(path: bytes, name: bytes) -> None:
    """
    Remove the lock of a server that is gone, though its process number may be another's by now.

    @raise CannotListenError: it is not.
    """
    try:
        found = _OwnFile(name)
        holder = os.readlink(name)
        if not (holder.isdigit() and int(holder)):
            raise OSError(errno.EINVAL, "not a process")
    except FileNotFoundError:
        return
    except OSError as error:
        reason = f"{os.fsdecode(name)!r} is no lock: see what it is, and remove it"
        raise CannotListenError(None, path, reason) from error
    if _runs(int(holder)) and not _removeStale(path):
        process = f"process {int(holder)}"
        if os.path.lexists(path):
            reason = f"another server listens there, {process}"
        else:
            reason = f"{process} holds the lock {os.fsdecode(name)!r}"
        raise CannotListenError(None, path, reason)
    found.remove()


def _runs(process: int) -> bool:
    try:
        os.kill(process, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:
        # It runs, as somebody else's.
        return True
    return True


def _removeStale(path: bytes) -> bool:
    """
    Remove a UNIX socket that nobody listens on any more.

    @return: whether there was one.
    """
    try:
        if not stat.S_ISSOCK(os.lstat(path).st_mode):
            return False
    except FileNotFoundError:
        return False
    with socket.socket(socket.AF_UNIX) as probe:
        # A live server with a full backlog would hold up a blocking connect.
        probe.setblocking(False)
        try:
            probe.connect(path)
        except ConnectionRefusedError:
            os.unlink(path)
            _log.info("{path!r}: removed, its server is gone", path=os.fsdecode(path))
            return True
        except OSError:
            pass
    return False
