"""
An inspector, and who asks it.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import pytest
import pytest_twisted
from twisted.internet import reactor as globalReactor
from twisted.internet.defer import Deferred, ensureDeferred, maybeDeferred
from twisted.internet.endpoints import HostnameEndpoint, serverFromString
from twisted.internet.interfaces import IListeningPort
from twisted.internet.protocol import Protocol, connectionDone
from twisted.python.failure import Failure
from twisted.web.client import Agent
from twisted.web.http_headers import Headers
from twisted.web.iweb import IBodyProducer
from zope.interface import implementer

from netkit import net
from netkit.capture.capture import Capture
from netkit.capture.recorded import RecordedFactory
from netkit.capture.ring import Ring
from netkit.faults import Faults
from netkit.http import HTTPFactory, Request, Response
from netkit.inspector.access import Access
from netkit.inspector.faulting import FaultControl
from netkit.inspector.inspector import Inspector
from netkit.inspector.services import InspectedService
from netkit.server import ServerFactory
from netkit.services import http as httpservice

reactor: Any = globalReactor


@implementer(IBodyProducer)
class _Body:
    def __init__(self, content: bytes) -> None:
        self.length = len(content)
        self._content = content

    async def _write(self, consumer: Any) -> None:
        consumer.write(self._content)

    def startProducing(self, consumer: Any) -> Any:
        return Deferred.fromCoroutine(self._write(consumer))

    def stopProducing(self) -> None: ...

    def pauseProducing(self) -> None: ...

    def resumeProducing(self) -> None: ...


class _Received(Protocol):
    def __init__(self) -> None:
        self._content = b""
        self.done: Deferred[bytes] = Deferred()

    def dataReceived(self, data: bytes) -> None:
        self._content += data

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self.done.callback(self._content)


class Answer:
    """
    What somebody was answered.
    """

    def __init__(self, status: int, fields: dict[str, str], content: bytes) -> None:
        self.status = status
        self.fields = fields
        self.content = content

    @property
    def json(self) -> Any:
        assert self.fields["content-type"] == "application/json"
        return json.loads(self.content)


class Inspected:
    """
    Services that are recorded, and their inspector.
    """

    def __init__(self, **arguments: Any) -> None:
        self.reactor = reactor
        self.ring = Ring(arguments.pop("size", 2**24))
        self.capture = Capture(reactor, ring=self.ring)
        self.services: list[InspectedService] = []
        self.access = Access(arguments.pop("hosts", ()))
        if not arguments.pop("token", False):
            self.access.trustConnections()
        self.inspector = Inspector(
            self.ring,
            reactor,
            access=self.access,
            flush=self.capture.flush,
            recorder=self.capture.recorder(),
            services=self.services,
            **arguments,
        )
        self.watchers: list[Any] = []
        self._ports: list[IListeningPort] = []
        self.port = 0
        self.http = 0

    async def start(self) -> None:
        self.port = await self._listen(self.inspector.factory)

    async def serve(self, name: str, factory: ServerFactory) -> int:
        """
        Have a service recorded.

        @return: its port.
        """
        recorder = self.capture.recorder()
        assert recorder is not None
        return await self._listen(RecordedFactory(factory, recorder, name))

    async def serveHTTP(self) -> None:
        """
        Have an HTTP service, which answers the status that is the path, and faults recorded.
        """

        async def answer(request: Request) -> Response:
            content = await request.read()
            status = int(request.path[1:] or b"200")
            return Response(status, content or b"hello", [(b"Set-Cookie", b"secret=1")])

        self.faults = Faults()
        self.handler = httpservice.ConfiguredHandler(
            Response(), [], delay=0, routes=False, cors=False, clock=reactor
        )
        service = InspectedService(
            "http", list, lambda: 0, self.handler, FaultControl(self.faults)
        )
        self.services.append(service)
        self.http = await self.serve("http", HTTPFactory(answer))

    async def _listen(self, factory: Any) -> int:
        endpoint = serverFromString(reactor, "tcp:0:interface=127.0.0.1")
        port: Any = await endpoint.listen(factory)
        self._ports.append(port)
        number: int = port.getHost().port
        return number

    async def say(self, octets: bytes) -> bytes:
        """
        Send octets to the inspector.

        @return: what comes back, up to the end of a head.
        """
        socket = await net.createConnection(f"tcp:127.0.0.1:{self.port}", reactor=reactor)
        await socket.write(octets)
        found = b""
        async for data in socket:
            found += data
            if b"\r\n\r\n" in found:
                break
        socket.destroy()
        return found

    async def stop(self) -> None:
        for watcher in self.watchers:
            watcher.transport.abortConnection()
        self.inspector.stop()
        for port in self._ports:
            await maybeDeferred(port.stopListening)
        await self.inspector.factory.closeConnections(0)

    async def ask(
        self,
        target: str,
        method: str = "GET",
        content: object = None,
        *,
        port: int | None = None,
        **fields: str,
    ) -> Answer:
        """
        Ask the inspector, or a service.
        """
        names = {name.replace("_", "-"): [value] for name, value in fields.items()}
        producer = None
        if content is not None:
            octets = content if isinstance(content, bytes) else json.dumps(content).encode()
            if not isinstance(content, bytes):
                names.setdefault("content-type", ["application/json"])
            producer = _Body(octets)
        agent = Agent.usingEndpointFactory(reactor, _Endpoints(port or self.port))
        host = names.pop("host", [f"127.0.0.1:{port or self.port}"])[0]
        response: Any = await agent.request(
            method.encode(), f"http://{host}{target}".encode(), Headers(names), producer
        )
        body = _Received()
        response.deliverBody(body)
        found = await body.done
        heads = {
            name.decode().lower(): b", ".join(values).decode()
            for name, values in response.headers.getAllRawHeaders()
        }
        return Answer(response.code, heads, found)


class _Endpoints:
    def __init__(self, port: int) -> None:
        self._port = port

    def endpointForURI(self, uri: Any) -> Any:
        return HostnameEndpoint(reactor, b"127.0.0.1", self._port)


Make = Callable[..., Any]


@pytest.fixture
def inspect() -> Iterator[Make]:
    """
    Make an inspector, with a service that says what it is asked to.
    """
    made: list[Inspected] = []

    async def make(**arguments: Any) -> Inspected:
        inspected = Inspected(**arguments)
        made.append(inspected)
        await inspected.start()
        return inspected

    yield make

    async def stop() -> None:
        for each in made:
            await each.stop()

    pytest_twisted.blockon(ensureDeferred(stop()))


@pytest_twisted.async_yield_fixture
async def inspected(inspect: Make) -> AsyncIterator[Inspected]:
    """
    An inspector, and a service named http.
    """
    its = await inspect()

    await its.serveHTTP()
    yield its
