"""
The endpoint strings C{capture:}, of servers and of clients: what goes over the connections of any
Twisted program is recorded.

The string of the endpoint itself is escaped in it: C{capture:tcp\\:8080}, and
C{capture:tcp\\:localhost\\:8080:folder=/var/tmp/mine}.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any
from weakref import WeakKeyDictionary

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import (
    IListeningPort,
    IProtocol,
    IProtocolFactory,
    IStreamClientEndpoint,
    IStreamServerEndpoint,
)
from zope.interface import implementer

from ..base.endpoints import clientEndpoint, serverEndpoint
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


@implementer(IStreamServerEndpoint)
class CaptureServerEndpoint:
    """
    Listens on another endpoint, and records.
    """

    def __init__(
        self, reactor: Any, endpoint: IStreamServerEndpoint, folder: Path, service: str
    ) -> None:
        """
        @param reactor: in whose thread this is used.
        @param endpoint: what to listen on.
        @param folder: where to record.
        @param service: the name of what uses the connections.
        """
        self._endpoint = endpoint
        self._recording = _Recording(reactor, folder, service)

    def listen(self, protocolFactory: IProtocolFactory) -> Deferred[IListeningPort]:
        """
        Listen.

        @param protocolFactory: makes the protocols.
        """
        return Deferred.fromCoroutine(self._listen(protocolFactory))

    async def _listen(self, factory: IProtocolFactory) -> IListeningPort:
        return await self._endpoint.listen(self._recording.of(factory, Role.SERVER))


@implementer(IStreamClientEndpoint)
class CaptureClientEndpoint:
    """
    Connects by another endpoint, and records.
    """

    def __init__(
        self, reactor: Any, endpoint: IStreamClientEndpoint, folder: Path, service: str
    ) -> None:
        """
        @param reactor: in whose thread this is used.
        @param endpoint: what to connect with.
        @param folder: where to record.
        @param service: the name of what uses the connections.
        """
        self._endpoint = endpoint
        self._recording = _Recording(reactor, folder, service)

    def connect(self, protocolFactory: IProtocolFactory) -> Deferred[IProtocol]:
        """
        Connect.

        @param protocolFactory: makes the protocol.
        @return: fires with that protocol.
        """
        return Deferred.fromCoroutine(self._connect(protocolFactory))

    async def _connect(self, factory: IProtocolFactory) -> IProtocol:
        recorded: Any = await self._endpoint.connect(self._recording.of(factory, Role.CLIENT))
        protocol: IProtocol = recorded.wrappedProtocol
        return protocol


def parseServer(
    reactor: Any,
    endpoint: str = "",
    folder: str = "capture",
    service: str = "capture",
    **unknown: str,
) -> CaptureServerEndpoint:
    """
    Make the endpoint of a server's string.

    @param endpoint: the string of the endpoint to listen on.
    @param folder: where to record.
    @param service: the name of what uses the connections.
    @param unknown: what else has an C{=} in it.
    @raise ValueError: it is none.
    """
    _refuse(unknown)
    return CaptureServerEndpoint(reactor, serverEndpoint(reactor, endpoint), Path(folder), service)


def parseClient(
    reactor: Any,
    endpoint: str = "",
    folder: str = "capture",
    service: str = "capture",
    **unknown: str,
) -> CaptureClientEndpoint:
    """
    Make the endpoint of a client's string; as L{parseServer}.
    """
    _refuse(unknown)
    return CaptureClientEndpoint(reactor, clientEndpoint(reactor, endpoint), Path(folder), service)


def _refuse(unknown: dict[str, str]) -> None:
    if unknown:
        name, value = next(iter(unknown.items()))
        raise ValueError(
            f"{name}={value} is unknown; the endpoint in a capture: string is escaped, as in "
            "capture:tcp\\:8080\\:interface\\=127.0.0.1:folder=/var/tmp/mine"
        )
