"""
The feed of the inspector.
"""

from __future__ import annotations

import json
from collections import deque
from typing import Any

import pytest_twisted
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.python.failure import Failure

from netkit.capture.recorder import Recorder
from netkit.capture.ring import Ring
from netkit.echo import EchoFactory
from netkit.inspector.index import Index
from netkit.inspector.indexing import Indexing
from netkit.websocket import WebSocketClientEndpoint, WebSocketTransport
from netkit.wire.recording import Closed, Direction, End, Event, Octets, Opened, Role
from tests.inspector.conftest import Inspected, Make, reactor


class Watcher:
    """
    Somebody who watches.
    """

    def __init__(self) -> None:
        self.messages: deque[Any] = deque()
        self.transport: WebSocketTransport | None = None
        self._waiting: Deferred[None] | None = None

    def negotiationStarted(self, transport: WebSocketTransport) -> None:
        self.transport = transport

    def negotiationFinished(self) -> None: ...

    def textMessageReceived(self, message: str) -> None:
        self.messages.append(json.loads(message))
        if self._waiting is not None:
            waiting, self._waiting = self._waiting, None
            waiting.callback(None)

    def bytesMessageReceived(self, data: bytes | bytearray) -> None: ...

    def pongReceived(self, payload: bytes) -> None: ...

    def connectionLost(self, reason: Failure) -> None: ...

    def say(self, **message: object) -> None:
        assert self.transport is not None
        self.transport.sendTextMessage(json.dumps(message))

    async def next(self, type: str) -> Any:
        """
        The next message of a type.
        """
        while True:
            while self.messages:
                message = self.messages.popleft()
                if message["type"] == type:
                    return message
            self._waiting = Deferred()
            await self._waiting

    async def rows(self, condition: Any) -> list[Any]:
        """
        Rows, until one is as it is waited for.
        """
        found = []
        while True:
            rows = (await self.next("rows"))["rows"]
            found += rows
            if any(map(condition, rows)):
                return found


class Watchers:
    def buildProtocol(self, url: str) -> Watcher:
        return Watcher()


async def watch(its: Inspected, query: str = "") -> Any:
    endpoint = WebSocketClientEndpoint.new(
        its.reactor, f"ws://127.0.0.1:{its.port}/api/feed{query}"
    )
    watcher = await endpoint.connect(Watchers())
    its.watchers.append(watcher)
    return watcher


def ended(row: dict[str, object]) -> bool:
    return row["state"] == "done"


@pytest_twisted.ensureDeferred
async def test_what_happens_is_told(inspected: Inspected) -> None:
    watcher = await watch(inspected)
    hello = await watcher.next("hello")
    assert (hello["sequence"], hello["resumed"], hello["readOnly"]) == (0, True, False)
    await inspected.ask("/404", port=inspected.http)
    *_, row = await watcher.rows(ended)
    assert (row["id"], row["method"], row["status"]) == ("1.0", "GET", 404)
    seconds = (await watcher.next("stats"))["seconds"]
    assert len(seconds) in (60, 1)


@pytest_twisted.ensureDeferred
async def test_going_on_after_a_gap(inspected: Inspected) -> None:
    first = await watch(inspected)
    session = (await first.next("hello"))["session"]
    await inspected.ask("/200", port=inspected.http)
    *_, row = await first.rows(lambda row: row["how"] == "done")
    await inspected.ask("/404", port=inspected.http)
    again = await watch(inspected, f"?since={row['sequence']}&session={session}")
    assert (await again.next("hello"))["resumed"] is True
    found = await again.rows(lambda row: row["how"] == "done")
    assert {row["id"] for row in found} == {"2.0"}
    other = await watch(inspected, "?since=1&session=other")
    assert (await other.next("hello"))["resumed"] is False
    found = await other.rows(lambda row: row["id"] == "2.0")
    assert {row["id"] for row in found} == {"1.0", "2.0"}


@pytest_twisted.ensureDeferred
async def test_a_filter_and_a_pause(inspected: Inspected) -> None:
    watcher = await watch(inspected, "?filter=status:404")
    await inspected.ask("/200", port=inspected.http)
    await inspected.ask("/404", port=inspected.http)
    found = await watcher.rows(ended)
    assert {row["target"] for row in found} == {"/404"}
    watcher.say(type="filter", filter="nothing:x")
    assert "'nothing'" in (await watcher.next("error"))["error"]
    watcher.say(type="other")
    assert "ack" in (await watcher.next("error"))["error"]
    watcher.say(type="filter", filter="status:200")
    watcher.say(type="pause")
    await inspected.ask("/200", port=inspected.http)
    await watcher.next("stats")
    assert not [each for each in watcher.messages if each["type"] == "rows" and each["rows"]]
    watcher.say(type="resume")
    found = await watcher.rows(ended)
    assert {row["id"] for row in found} == {"3.0"}


def opened(number: int) -> Opened:
    return Opened(number, 10**18, Role.SERVER, "echo", ("127.0.0.1", 5), ("127.0.0.1", 80))


def over(number: int) -> list[Event]:
    octets = Octets(number, 10**18, Direction.RECEIVED, b"x", 1)
    return [opened(number), octets, Closed(number, 10**18 + 1, End.DONE)]


@pytest_twisted.ensureDeferred
async def test_who_is_slow_is_told_how_much_was_skipped(inspect: Make, monkeypatch: Any) -> None:
    monkeypatch.setattr("netkit.inspector.rows.MOST_ROWS", 100)
    its: Inspected = await inspect()
    watcher = await watch(its)
    watcher.say(type="pause")
    await watcher.next("stats")
    for number in range(1, 1001):
        its.ring.take(over(number), 600)
    assert (await its.ask("/api")).json["exchanges"] == 100
    watcher.say(type="resume")
    told, skipped = 0, 0
    while told + skipped < 1000:
        message = await watcher.next("rows")
        told += len(message["rows"])
        skipped += message["skipped"]
    assert 1000 <= told + skipped < 1010
    # Those that are kept, and what was under way when it paused.
    assert 100 <= told < 500
    assert message["events"] == 3000


@pytest_twisted.ensureDeferred
async def test_who_acknowledges_gets_only_so_much(inspect: Make) -> None:
    its: Inspected = await inspect()
    watcher = await watch(its)
    # That there is nothing yet.
    await watcher.next("rows")
    watcher.say(type="ack", sequence=0)
    got = []
    for number in range(1, 9):
        its.ring.take(over(number), 600)
        got.append(await watcher.next("rows"))
    its.ring.take(over(100), 600)
    # Nothing but statistics comes, until something is acknowledged.
    watcher.messages.clear()
    await watcher.next("stats")
    assert not [each for each in watcher.messages if each["type"] == "rows"]
    watcher.say(type="ack", sequence=got[-1]["sequence"])
    (row,) = (await watcher.next("rows"))["rows"]
    assert row["id"] == "100.0"


@pytest_twisted.ensureDeferred
async def test_clearing(inspected: Inspected) -> None:
    await inspected.ask("/200", port=inspected.http)
    watcher = await watch(inspected)
    await watcher.rows(ended)
    assert (await inspected.ask("/api/exchanges", "DELETE")).status == 204
    await watcher.next("clear")
    about = (await inspected.ask("/api")).json
    assert about["exchanges"] == 0
    assert about["ring"]["used"] == 0
    await inspected.ask("/404", port=inspected.http)
    found = await watcher.rows(ended)
    assert {row["id"] for row in found} == {"2.0"}


@pytest_twisted.ensureDeferred
async def test_what_is_lost_before_it_is_looked_at(inspect: Make) -> None:
    its: Inspected = await inspect(size=10_000)
    port = await its.serve("echo", EchoFactory())
    for number in range(10, 200):
        its.ring.take(over(number), 600)
    about = (await its.ask("/api")).json
    assert about["skipped"] == about["ring"]["evicted"]["events"] > 0
    assert about["behind"] == 0
    assert port
    listed = (await its.ask("/api/exchanges?limit=1000")).json["exchanges"]
    assert len(listed) == len(its.ring.connections)


@pytest_twisted.ensureDeferred
async def test_what_is_under_way_to_the_ring_is_told_too() -> None:
    """
    Who watches does not wait for the recorder's delay as well: here that never ends.
    """
    ring = Ring()
    recorder = Recorder([ring], Clock())
    index = Index(ring)
    indexing = Indexing(index, reactor, recorder.flush)
    told: Deferred[int] = Deferred()

    def tell(seconds: float) -> None:
        if not told.called:
            told.callback(len(index.rows))

    indexing.watch(tell)
    recorder.event(opened(1))
    assert await told == 1
    indexing.stop()
