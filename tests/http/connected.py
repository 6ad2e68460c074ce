"""
An L{HTTPProtocol} on a transport that is none.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from twisted.internet.error import ConnectionDone
from twisted.internet.interfaces import IHalfCloseableProtocol
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.python.failure import Failure

from netkit.http import Handler, HTTPFactory, HTTPProtocol, Request, Response

from ..narrow import present

_DATE = re.compile(rb"date: Thu, 01 Jan 1970 00:\d\d:\d\d GMT\r\n")


class Transport(StringTransport):
    """
    A transport with a half-close, that leaves it to the test what ending it does.

    @ivar writes: the length of each thing written.
    @ivar wrote: called after each write.
    """

    def __init__(self) -> None:
        super().__init__()
        self.aborted = self.halfClosed = False
        self.writes: list[int] = []
        self.wrote: Callable[[], None] = lambda: None

    def write(self, data: bytes) -> None:
        super().write(data)
        self.writes.append(len(data))
        self.wrote()

    def abortConnection(self) -> None:
        self.aborted = True

    def loseWriteConnection(self) -> None:
        self.halfClosed = True


class Connection:
    """
    A client's view of one connection to a handler.

    @ivar requests: the requests that the handler was called with.
    """

    def __init__(
        self, handler: Handler | None = None, factory: HTTPFactory | None = None, **settings: Any
    ) -> None:
        """
        @param handler: answers.
        @param factory: another connection's, to be one more of it.
        @param settings: for a factory of its own.
        """
        self.clock = Clock()
        self.requests: list[Request] = []
        self._handler = handler or (lambda request: Response(200, b"hello"))
        self.factory = factory or HTTPFactory(self._handle, clock=self.clock, **settings)
        protocol = self.factory.buildProtocol(None)
        assert isinstance(protocol, HTTPProtocol)
        self.protocol = protocol
        self.transport = Transport()
        protocol.makeConnection(self.transport)

    def _handle(self, request: Request) -> Any:
        self.requests.append(request)
        return self._handler(request)

    def send(self, octets: bytes) -> None:
        self.protocol.dataReceived(octets)

    def end(self) -> None:
        """
        Close the client's half.
        """
        IHalfCloseableProtocol(self.protocol).readConnectionLost()

    @property
    def producer(self) -> Any:
        """
        What the transport pauses while the client takes nothing.
        """
        return present(self.transport.producer)

    def lose(self, reason: Exception | None = None) -> None:
        """
        Lose the connection.
        """
        if self.transport.producer is not None:
            self.transport.producer.stopProducing()
        self.protocol.connectionLost(Failure(reason or ConnectionDone()))

    @property
    def closing(self) -> bool:
        """
        Whether the server closed it, at once or after what the client still sends.
        """
        return bool(self.transport.disconnecting) or self.transport.halfClosed

    def take(self) -> bytes:
        """
        Take what the server wrote, without the date.
        """
        octets = self.transport.value()
        self.transport.clear()
        return _DATE.sub(b"", octets)

    def statuses(self) -> list[int]:
        """
        Take what the server wrote, and tell the statuses in it.
        """
        return [int(part[1:4]) for part in self.take().split(b"HTTP/1.1")[1:]]


def get(target: bytes = b"/", *lines: bytes, version: bytes = b"1.1") -> bytes:
    return b"GET %b HTTP/%b\r\nHost: a\r\n%b\r\n" % (
        target,
        version,
        b"".join(line + b"\r\n" for line in lines),
    )


def post(content: bytes, *lines: bytes, length: int | None = None) -> bytes:
    length = len(content) if length is None else length
    return get(b"/", b"Content-Length: %d" % length, *lines).replace(b"GET", b"POST") + content


def answer(content: bytes = b"hello", *lines: bytes, status: bytes = b"200 OK") -> bytes:
    return b"HTTP/1.1 %b\r\n%bcontent-length: %d\r\n\r\n%b" % (
        status,
        b"".join(line + b"\r\n" for line in lines),
        len(content),
        content,
    )


CLOSE = b"connection: close"


async def readAll(request: Request) -> Response:
    return Response(200, await request.read())
