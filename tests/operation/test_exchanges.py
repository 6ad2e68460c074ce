"""
What is done for each exchange: in C and in Python the same.
"""

from __future__ import annotations

from fractions import Fraction
from gc import collect
from random import Random
from time import time
from types import ModuleType, SimpleNamespace
from typing import Any
from weakref import ref

import pytest
from twisted.internet.task import Clock

from tests.compiled import compiled, languages
from tests.operation.exchanges_fuzz import compareOnce

native = compiled("netkit.operation.exchanges")
exchanges = languages("netkit.operation.exchanges")


def test_a_tally(exchanges: ModuleType) -> None:
    tally = exchanges.Tally((b"GET", b"HEAD"), (0.5, 2.0))
    assert tally.counts() == {}
    for counted, status, seconds in (
        (b"GET / HTTP/1.1\r\n", 200, 0.25),
        (b"GET /HEAD HTTP/1.1\r\n", 299, 0.5),
        (b"HEAD / HTTP/1.1\r\n", 404, 0.75),
        (b"HEADER / HTTP/1.1\r\n", 200, 2.0),
        (None, 999, 1e9),
    ):
        tally.count(counted, status, seconds)
    assert tally.counts() == {
        (b"GET", 2): 2,
        (b"HEAD", 4): 1,
        (None, 2): 1,
        (None, 9): 1,
    }
    assert tally.buckets() == [2, 2, 1]
    assert tally.seconds() == 1000000003.5


@pytest.mark.parametrize("status", [-1, 1000, 10**30])
def test_what_is_no_status_is_not_counted(exchanges: ModuleType, status: int) -> None:
    tally = exchanges.Tally((b"GET",), (0.5,))
    with pytest.raises((ValueError, OverflowError)):
        tally.count(None, status, 0.0)
    assert tally.counts() == {}
    assert tally.buckets() == [0, 0]


def test_what_a_tally_cannot_hold(exchanges: ModuleType) -> None:
    with pytest.raises(ValueError, match="at most 32"):
        exchanges.Tally((b"GET",), (1.0,) * 33)
    with pytest.raises(ValueError, match="at most 32"):
        exchanges.Tally((b"GET",) * 33, ())


class Logged:
    """
    Lines in one of the formats, and what they were made with.
    """

    def __init__(self, exchanges: ModuleType, name: str) -> None:
        self.began = 0
        self.peers: list[object] = []
        self.full = 0
        self.held: object = None
        self.lines = getattr(exchanges, name)(
            self.peer, lambda second: b"%d" % second, self.begun, self.take
        )

    def peer(self, transport: bytes) -> bytes:
        self.peers.append(transport)
        return transport

    def take(self) -> None:
        self.full += 1
        self.taken = self.lines.take()

    def begun(self) -> float:
        self.began += 1
        return 1000.5


def request(section: bytes, target: bytes = b"/") -> Any:
    return SimpleNamespace(
        line=b"GET %b HTTP/1.1\r\n" % target,
        fields=SimpleNamespace(raw=section + b"\r\n"),
    )


def test_combined_lines(exchanges: ModuleType) -> None:
    logged = Logged(exchanges, "CombinedLines")
    sent = request(b'REFERER:\t http://a/ \r\nUser-agent: q"\xff\r\nuser-agent: b\r\n', b"/\\")
    logged.lines.add(sent, 200, 5, 0.25, 1.75, b"a")
    logged.lines.add(None, 400, 0, 0.0, 1.25, b"a")
    logged.lines.add(None, 499, -1, 0.0, 1.5, b"b", b"echo")
    assert logged.lines.take() == (
        (
            b'a - - [1002] "GET /\\x5c HTTP/1.1" 200 5 "http://a/" "q\\x22\\xff"\n'
            b'a - - [1001] "-" 400 0 "-" "-"\n'
            b'b - - [1002] "echo" 499 -1 "-" "-"\n'
        ),
        3,
    )
    assert (logged.began, logged.peers) == (1, [b"a", b"a", b"b"])
    assert logged.lines.take() == (b"", 0)
    logged.lines.add(None, 400, 0, 0.0, 1.25, b"a")
    assert logged.lines.take()[1] == 1
    assert (logged.began, logged.peers) == (2, [b"a", b"a", b"b", b"a"])


def test_json_lines(exchanges: ModuleType) -> None:
    logged = Logged(exchanges, "JSONLines")
    sent = request(b'Traceparent: 00-1\r\nuser-agent:\r\nReferer: "\\\t\x7f\xe4\r\n', b"/\\")
    logged.lines.add(sent, 200, 5, 0.0000015, 1.9994, b', "peer": "a"')
    logged.lines.add(None, 499, 2**62, 12345.5, 2.0, b"", b', "service": "echo"')
    assert logged.lines.take() == (
        (
            b'{"time": "1002.499+00:00", "peer": "a", "method": "GET", "target": "/\\\\", '
            b'"status": 200, "octets": 5, "seconds": 0.000002, '
            b'"referer": "\\"\\\\\\t\\u007f\\u00e4", "agent": "", "traceparent": "00-1"}\n'
            b'{"time": "1002.500+00:00", "status": 499, "octets": 4611686018427387904, '
            b'"seconds": 12345.500000, "service": "echo"}\n'
        ),
        2,
    )


@pytest.mark.parametrize("name", ["CombinedLines", "JSONLines"])
def test_what_cannot_be_logged_leaves_nothing(exchanges: ModuleType, name: str) -> None:
    logged = Logged(exchanges, name)
    logged.lines.add(None, 200, 5, 0.25, 1.75, b"a")
    for values in ((None, "200"), (object(), 200), (request(b""), 200, None)):
        with pytest.raises((TypeError, AttributeError)):
            logged.lines.add(*(*values, 5, 0.25, 1.75, b"a")[:6])
    with pytest.raises(TypeError):
        logged.lines.add(None, 200, 5, 0.25, 1.75, [])
    with pytest.raises(OverflowError):
        logged.lines.add(None, 200, 5, 0.25, float("inf"), b"a")
    assert logged.lines.take()[1] == 1


def test_lines_are_not_kept_alive_by_whom_they_tell(exchanges: ModuleType) -> None:
    logged = Logged(exchanges, "CombinedLines")
    logged.lines.add(None, 200, 5, 0.25, 1.75, logged.peer(b"a"))
    found = ref(logged)
    del logged
    collect()
    assert found() is None


@pytest.mark.parametrize("name", ["CombinedLines", "JSONLines"])
def test_lines_are_taken_before_they_are_too_many(exchanges: ModuleType, name: str) -> None:
    logged = Logged(exchanges, name)
    sent = request(b"", b"/" + b"x" * 3999)
    for _ in range(50):
        logged.lines.add(sent, 200, 5, 0.25, 1.75, b"a")
    assert logged.full == 0
    for _ in range(40):
        logged.lines.add(sent, 200, 5, 0.25, 1.75, b"a")
    assert logged.full == 1
    assert 50 < logged.taken[1] < 90
    assert len(logged.taken[0]) < 2**18 + 5000
    assert logged.lines.take()[1] == 90 - logged.taken[1]


class Line:
    """
    A line in a format that is neither's.
    """

    def __init__(self) -> None:
        self.values: list[tuple[object, ...]] = []

    def add(self, *values: object) -> None:
        self.values.append(values)


def test_what_an_observer_is_told(exchanges: ModuleType) -> None:
    logged = Logged(exchanges, "CombinedLines")
    tally = exchanges.Tally((b"GET",), (0.5,))
    clock = Clock()
    observer = exchanges.Observer(tally, logged.lines, clock.seconds)
    first, second = (exchanges.ObservedConnection(observer, peer) for peer in (b"a", b"b"))
    first.received(b"123")
    clock.advance(1)
    second.received(b"45")
    clock.advance(0.25)
    for connection, status in ((first, 200), (second, 404)):
        connection.done(request(b""), status, 5)
        connection.sent(b"12345678")
    # It was received with the one before it, and began when that was over.
    clock.advance(0.25)
    first.answered(None, b"GET / HTTP/1.1\r\n", b"Referer: a\r\n\r\n", 503, 5, b"12345678")
    second.done(None, 400, 0)
    second.sentFile(2**40)
    assert observer.octets() == (5, 2**40 + 24)
    assert tally.counts() == {(b"GET", 2): 1, (b"GET", 4): 1, (b"GET", 5): 1, (None, 4): 1}
    assert (tally.buckets(), tally.seconds()) == ([3, 1], 1.75)
    assert logged.lines.take() == (
        (
            b'a - - [1001] "GET / HTTP/1.1" 200 5 "-" "-"\n'
            b'b - - [1001] "GET / HTTP/1.1" 404 5 "-" "-"\n'
            b'a - - [1002] "GET / HTTP/1.1" 503 5 "a" "-"\n'
            b'b - - [1002] "-" 400 0 "-" "-"\n'
        ),
        4,
    )
    # Once a connection.
    assert logged.peers == [b"a", b"b"]
    for values in ((None, "200", 5), (None, 200.0, 5), (None, 1000, 5), (object(), 200, 5)):
        with pytest.raises((TypeError, ValueError, AttributeError)):
            first.done(*values)
    wrong: list[tuple[Any, Any, Any]] = [
        *(("200", 5, b""), (200.0, 5, b""), (1000, 5, b""), (200, None, b""), (200, 5, None)),
    ]
    for told in wrong:
        with pytest.raises((TypeError, ValueError)):
            first.answered(None, b"GET / HTTP/1.1\r\n", b"\r\n", *told)
    assert tally.buckets() == [3, 1]
    assert logged.lines.take() == (b"", 0)


@pytest.mark.parametrize("name", ["CombinedLines", "JSONLines"])
def test_the_fields_of_each_request_are_its_own(exchanges: ModuleType, name: str) -> None:
    logged = Logged(exchanges, name)
    observer = exchanges.Observer(exchanges.Tally((), ()), logged.lines, Clock().seconds)
    connection = exchanges.ObservedConnection(observer, b"a")
    same, other = b"Referer: same\r\n\r\n", b"User-Agent: other\r\n\r\n"
    for section in (same, same, other, same, b"\r\n", other, other):
        connection.answered(None, b"GET / HTTP/1.1\r\n", section, 200, 5, b"12345678")
    connection.done(None, 400, 0)
    connection.done(request(same), 200, 5)
    lines, _ = logged.lines.take()
    found = [
        [value for value in (b'"same"', b'"other"') if value in line]
        for line in lines.splitlines()
    ]
    referer, agent = [b'"same"'], [b'"other"']
    assert found == [referer, referer, agent, referer, [], agent, agent, [], referer]


def test_what_is_received_while_a_request_is_under_way_begins_none(exchanges: ModuleType) -> None:
    tally, clock = exchanges.Tally((), ()), Clock()
    connection = exchanges.ObservedConnection(exchanges.Observer(tally, None, clock.seconds), b"a")
    connection.received(b"GET /")
    clock.advance(8)
    connection.received(b" HTTP/1.1\r\n\r\n")
    clock.advance(1)
    connection.begun()
    clock.advance(1)
    connection.received(b"the content")
    clock.advance(0.5)
    connection.done(request(b""), 200, 5)
    assert tally.seconds() == 2.5
    clock.advance(8)
    connection.received(b"GET / HTTP/1.1\r\n\r\n")
    clock.advance(0.25)
    connection.done(request(b""), 200, 5)
    assert tally.seconds() == 2.75
    connection.received(b"GET / HTTP/1.1\r\n\r\n")
    # To a clock that is set back it took no time at least.
    clock.advance(-1)
    connection.done(request(b""), 200, 5)
    assert tally.seconds() == 2.75


@pytest.mark.parametrize(
    ("octets", "error"),
    [
        *((2**63, OverflowError), (-(2**63) - 1, OverflowError), (-1, ValueError)),
        *((1.5, TypeError), (1.0, TypeError), ("1", TypeError), (None, TypeError)),
    ],
)
def test_what_no_file_has_is_not_counted(
    exchanges: ModuleType, octets: object, error: type[Exception]
) -> None:
    observer = exchanges.Observer(exchanges.Tally((), ()), None, time)
    connection = exchanges.ObservedConnection(observer, b"a")
    connection.sentFile(2**63 - 1)
    with pytest.raises(error):
        connection.sentFile(octets)
    assert observer.octets() == (0, 2**63 - 1)


@pytest.mark.parametrize(
    ("told", "error"),
    [
        *((None, TypeError), ("1", TypeError), (b"1", TypeError), (1j, TypeError)),
        (10**400, OverflowError),
    ],
)
def test_a_clock_that_tells_no_number(
    exchanges: ModuleType, told: object, error: type[Exception]
) -> None:
    tally = exchanges.Tally((), ())
    connection = exchanges.ObservedConnection(exchanges.Observer(tally, None, lambda: told), b"a")
    with pytest.raises(error):
        connection.received(b"")
    for sent in (None, request(b"")):
        with pytest.raises(error):
            connection.done(sent, 200, 5)
    assert (tally.counts(), tally.seconds()) == ({}, 0.0)


def test_a_clock_tells_any_real_number(exchanges: ModuleType) -> None:
    tally, lines = exchanges.Tally((), ()), Line()
    times: list[object] = [1, Fraction(3, 2), True, None, Fraction(5, 2)]
    observer = exchanges.Observer(tally, lines, lambda: times.pop(0))
    connection = exchanges.ObservedConnection(observer, b"a")
    connection.received(b"")
    connection.done(request(b""), 200, 5)
    connection.received(b"")
    # It began when that was told last.
    with pytest.raises(TypeError):
        connection.received(b"")
    connection.done(request(b""), 200, 5)
    assert [repr(values[3:5]) for values in lines.values] == ["(0.5, 1.5)", "(1.5, 2.5)"]
    assert tally.seconds() == 2.0


def test_an_observer_has_lines_of_any_kind_or_none(exchanges: ModuleType) -> None:
    tally = exchanges.Tally((b"GET",), (0.5,))
    clock, lines, head = Clock(), Line(), request(b"")
    connection = exchanges.ObservedConnection(
        exchanges.Observer(tally, lines, clock.seconds), b"a"
    )
    connection.received(b"")
    clock.advance(2)
    connection.done(head, 200, 5)
    assert lines.values == [(head, 200, 5, 2.0, 2.0, b"a")]
    exchanges.ObservedConnection(exchanges.Observer(tally, None, clock.seconds), b"a").done(
        None, 400, 5
    )
    assert tally.buckets() == [1, 1]


def test_the_systems_clock(exchanges: ModuleType) -> None:
    lines = Line()
    tally = exchanges.Tally((), ())
    connection = exchanges.ObservedConnection(exchanges.Observer(tally, lines, time), b"a")
    before = time()
    connection.received(b"")
    connection.done(request(b""), 200, 5)
    after = time()
    values: Any = lines.values[0]
    assert before <= values[4] <= after
    assert 0 <= values[3] <= after - before


def test_connections_are_not_kept_alive_by_their_observer(exchanges: ModuleType) -> None:
    logged = Logged(exchanges, "CombinedLines")
    observer = exchanges.Observer(exchanges.Tally((), ()), logged.lines, logged.begun)
    logged.held = exchanges.ObservedConnection(observer, logged)
    found = ref(logged)
    del logged, observer
    collect()
    assert found() is None


def test_both_languages_do_the_same() -> None:
    if native is None:
        pytest.skip("exchanges are not counted in C: there was no compiler")
    for seed in range(100):
        compareOnce(Random(seed))
