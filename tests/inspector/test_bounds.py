"""
Much of everything costs what it may, and holds nobody up.
"""

from __future__ import annotations

import time
from typing import Any

import pytest_twisted

from netkit.capture.ring import Ring
from netkit.capture.secrets import masked
from netkit.inspector.api.lookup import Lookup
from netkit.inspector.api.search import Search
from netkit.inspector.api.threads import Threads
from netkit.inspector.filters import Filter, parseFilter
from netkit.inspector.index import Index
from netkit.inspector.indexing import Indexing
from netkit.inspector.rows import Row
from netkit.wire.recording import Closed, Direction, End, Event, Octets, Opened, Role
from tests.inspector.conftest import Inspected, Make, reactor

RECEIVED, SENT = Direction


def opened(number: int) -> Opened:
    return Opened(number, 10**18, Role.SERVER, "http", ("127.0.0.1", 5000), ("127.0.0.1", 80))


def exchange(number: int, target: str = "/", content: bytes = b"") -> list[Event]:
    fields = b"Host: x\r\nCookie: secret\r\nContent-Length: %d" % len(content)
    request = b"POST %b HTTP/1.1\r\n%b\r\n\r\n%b" % (target.encode(), fields, content)
    response = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi"
    return [
        Octets(number, 10**18, direction, data, len(data))
        for direction, data in ((RECEIVED, request), (SENT, response))
    ]


def takesLong(row: Row) -> bool:
    time.sleep(0.001)
    return True


@pytest_twisted.ensureDeferred
async def test_others_have_their_turn_while_rows_are_looked_at() -> None:
    index = Index(Ring())
    lookup = Lookup(Indexing(index, reactor, lambda: None), Threads(reactor))
    row = Row("1.0", 1, opened(1), 10**18)
    turns: list[None] = []

    def turn() -> None:
        turns.append(None)
        call[0] = reactor.callLater(0, turn)

    call = [reactor.callLater(0, turn)]
    slow = Filter(tests=(takesLong,))
    found = await Search(lookup, reactor).find([row] * 96, slow, 1000)
    call[0].cancel()
    assert (len(found.rows), found.last) == (96, None)
    assert len(turns) > 2


@pytest_twisted.ensureDeferred
async def test_a_search_that_takes_too_long_is_gone_on_with(
    inspect: Make, monkeypatch: Any
) -> None:
    monkeypatch.setattr("netkit.inspector.api.search._LONGEST", 0)
    its: Inspected = await inspect()
    its.ring.take([opened(1), *(each for n in range(100) for each in exchange(1, f"/{n}"))], 1)
    for order, name in (("newest", "before"), ("oldest", "after")):
        targets: list[str] = []
        query, asked = "", 0
        while True:
            told = await its.ask(f"/api/exchanges?filter=path:9&order={order}{query}")
            targets += [row["target"] for row in told.json["exchanges"]]
            asked += 1
            if told.json["next"] is None:
                break
            assert told.json["incomplete"]
            query = f"&{name}={told.json['next']}"
        wanted = [f"/{n}" for n in range(100) if "9" in str(n)]
        assert sorted(targets, key=lambda each: int(each[1:])) == wanted
        assert 1 < asked <= 8
    assert (await its.ask("/api/export?format=har&filter=path:9")).status == 413


@pytest_twisted.ensureDeferred
async def test_all_exchanges_of_a_connection_are_looked_at_once(
    inspect: Make, monkeypatch: Any
) -> None:
    its: Inspected = await inspect()
    its.ring.take([opened(1), *(each for n in range(50) for each in exchange(1, f"/{n}"))], 1)
    calls: list[object] = []

    def counted(*arguments: Any) -> list[Event]:
        calls.append(arguments)
        return masked(*arguments)

    monkeypatch.setattr("netkit.inspector.details.masked", counted)
    har = await its.ask("/api/export?format=har")
    urls = [entry["request"]["url"] for entry in har.json["log"]["entries"]]
    assert urls == [f"http://x/{n}" for n in range(50)]
    assert b"secret" not in har.content
    assert len(calls) == 1


@pytest_twisted.ensureDeferred
async def test_content_stays_what_it_is_where_older_rows_are_gone(
    inspect: Make, monkeypatch: Any
) -> None:
    monkeypatch.setattr("netkit.inspector.rows.MOST_ROWS", 4)
    its: Inspected = await inspect()
    content = b"Cookie: of a cook\n"
    events = [each for n in range(10) for each in exchange(1, f"/{n}", content)]
    its.ring.take([opened(1), *events, Closed(1, 10**18, End.DONE)], 1)
    octets = (await its.ask("/api/exchanges/1.9/request/octets")).content
    assert b"Cookie: ******\r\n" in octets
    assert octets.endswith(content)


@pytest_twisted.ensureDeferred
async def test_a_row_has_the_beginning_of_a_long_target(inspect: Make) -> None:
    its: Inspected = await inspect()
    target = "/" + "x" * 60_000
    its.ring.take([opened(1), *exchange(1, target)], 1)
    (row,) = (await its.ask("/api/exchanges")).json["exchanges"]
    assert row["target"] == target[:2000] + "\u2026"
    told = (await its.ask("/api/exchanges/1.0")).json
    assert told["target"] == target
    assert told["request"]["line"] == f"POST {target} HTTP/1.1"


def test_words_of_a_filter_are_looked_for_in_one_text() -> None:
    row = Row("1.0", 1, opened(1), 10**18, method="GET", target="/a/b")
    assert parseFilter(f"{'a ' * 500} get -post").matches(row)
    assert not parseFilter(f"{'a ' * 500} -get").matches(row)
