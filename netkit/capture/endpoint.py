"""
The endpoint strings C{capture:}, of servers and of clients: what goes over the connections of any
Twisted program is recorded.

The string of the endpoint itself is escaped in it: C{capture:tcp\\:8080}, and
C{capture:tcp\\:localhost\\:8080:folder=/var/tmp/mine}.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any
from weakref import WeakKeyDictionary

from twisted.internet.interfaces import IProtocolFactory

from ..base.endpoints import clientEndpoint, serverEndpoint
from ..base.wrappingendpoints import WrappingClientEndpoint, WrappingServerEndpoint
from ..wire.recording import Role
from .capture import Capture, CaptureSettings
from .recorded import RecordedFactory
from .recorder import Recorder

# A folder has one recording, whoever in the process adds to it.
_captures: WeakKeyDictionary[Any, dict[Path, Recorder]] = WeakKeyDictionary()


class _Recording:
    """
    The recording of a folder, to which an endpoint's connections are added.
    """

    def __init__(self, reactor: Any, folder: Path, service: str) -> None:
        self._reactor = reactor
        self._folder = folder
        self._service = service

    def of(self, factory: IProtocolFactory, role: Role) -> RecordedFactory:
        """
        The factory, with its connections recorded.

        @raise OSError: the folder cannot be had.
        """
        return RecordedFactory(factory, self._recorder(), self._service, role)

    def _recorder(self) -> Recorder:
        """
        The recorder of the folder, which ends with the reactor.
        """
        recorders = _captures.setdefault(self._reactor, {})
        folder = self._folder.absolute()
        recorder = recorders.get(folder)
        if recorder is None:
            capture = Capture(self._reactor, CaptureSettings(folder))
            recorder = capture.recorder()
            assert recorder is not None
            capture.start()
            self._reactor.addSystemEventTrigger("after", "shutdown", capture.finish)
            recorders[folder] = recorder
        return recorder


def parseServer(
    reactor: Any,
    endpoint: str = "",
    folder: str = "capture",
    service: str = "capture",
    **unknown: str,
) -> WrappingServerEndpoint:
    """
    Make the endpoint of a server's string.

    @param endpoint: the string of the endpoint to listen on.
    @param folder: where to record.
    @param service: the name of what uses the connections.
    @param unknown: what else has an C{=} in it.
    @raise ValueError: it is none.
    """
    _refuse(unknown)
    recording = _Recording(reactor, Path(folder), service)
    wrap = partial(recording.of, role=Role.SERVER)
    return WrappingServerEndpoint(serverEndpoint(reactor, endpoint), wrap)


def parseClient(
    reactor: Any,
    endpoint: str = "",
    folder: str = "capture",
    service: str = "capture",
    **unknown: str,
) -> WrappingClientEndpoint:
    """
    Make the endpoint of a client's string; as L{parseServer}.
    """
    _refuse(unknown)
    recording = _Recording(reactor, Path(folder), service)
    wrap = partial(recording.of, role=Role.CLIENT)
    return WrappingClientEndpoint(clientEndpoint(reactor, endpoint), wrap)


def _refuse(unknown: dict[str, str]) -> None:
    if unknown:
        name, value = next(iter(unknown.items()))
        raise ValueError(
            f"{name}={value} is unknown; the endpoint in a capture: string is escaped, as in "
            "capture:tcp\\:8080\\:interface\\=127.0.0.1:folder=/var/tmp/mine"
        )
