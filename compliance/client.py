"""
Runs the cases of an Autobahn Testsuite fuzzing server with netkit's client:
C{python -m compliance.client URL AGENT}.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass, field
from urllib.parse import quote

from twisted.internet.defer import Deferred, ensureDeferred
from twisted.internet.interfaces import IReactorCore
from twisted.internet.task import react
from twisted.python.failure import Failure

from netkit.websocket import (
    WebSocketClientEndpoint,
    WebSocketOptions,
    WebSocketProtocol,
    WebSocketTransport,
)

# The suite measures how a client behaves, not where it says stop: 9.x sends up to 16 MiB.
_OPTIONS = WebSocketOptions(maxMessageSize=0, pingInterval=0)


@dataclass
class Echo(WebSocketProtocol):
    """
    Sends back what it receives; keeps the last text.
    """

    last: str = ""
    closed: Deferred[None] = field(default_factory=Deferred)

    def negotiationStarted(self, transport: WebSocketTransport) -> None:
        self._transport = transport

    def textMessageReceived(self, message: str) -> None:
        self.last = message
        self._transport.sendTextMessage(message)

    def bytesMessageReceived(self, data: bytes | bytearray) -> None:
        self._transport.sendBytesMessage(data)

    def connectionLost(self, reason: Failure) -> None:
        self.closed.callback(None)


class _Factory:
    def buildProtocol(self, url: str) -> Echo:
        return Echo()


async def _visit(reactor: IReactorCore, url: str) -> str:
    endpoint = WebSocketClientEndpoint.new(reactor, url, options=_OPTIONS)
    echo = await endpoint.connect(_Factory())
    await echo.closed
    return echo.last


async def _run(reactor: IReactorCore, url: str, agent: str) -> None:
    count = int(await _visit(reactor, f"{url}/getCaseCount"))
    for case in range(1, count + 1):
        await _visit(reactor, f"{url}/runCase?case={case}&agent={quote(agent)}")
        print(f"\r{case} of {count}", end="", file=sys.stderr, flush=True)
    print(file=sys.stderr)
    await _visit(reactor, f"{url}/updateReports?agent={quote(agent)}")


if __name__ == "__main__":
    react(lambda reactor: ensureDeferred(_run(reactor, *sys.argv[1:3])))
