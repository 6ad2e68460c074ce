"""
Tests for L{netkit.forward.relay}, of what one end does and the other one is told.
"""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.error import ConnectionAborted, ConnectionRefusedError, TCPTimedOutError
from twisted.internet.interfaces import IProtocolNegotiationFactory
from twisted.logger import LogEvent, formatEvent

from netkit.base.sockopts import PeerState
from netkit.base.unread import PERIOD
from netkit.forward import RelayFactory, relay
from netkit.forward.unreachable import PATIENCE

from .ends import Connection, Relayed, Upstream

REQUEST = b"GET / HTTP/1.1\r\nHost: a.example\r\n\r\n"


@pytest.fixture
def relayed() -> Relayed:
    return Relayed()


@pytest.fixture
def ends(relayed: Relayed) -> tuple[Connection, Connection]:
    return relayed.client, relayed.upstream.succeed()


@pytest.fixture(params=["from the client", "from the upstream"])
def fromTo(
    request: pytest.FixtureRequest, ends: tuple[Connection, Connection]
) -> tuple[Connection, Connection]:
    """
    Both directions: what sends, and what receives.
    """
    return ends if request.param == "from the client" else ends[::-1]


def test_octets_go_through(fromTo: tuple[Connection, Connection]) -> None:
    source, sink = fromTo
    source.send(b"one")
    source.send(b"two")
    assert sink.value() == b"onetwo"
    assert source.value() == b""


def test_a_peer_that_does_not_take_holds_up_the_other(
    fromTo: tuple[Connection, Connection],
) -> None:
    source, sink = fromTo
    sink.room = 10
    source.send(b"x" * 11)
    assert source.producerState == "paused"
    assert sink.producerState == "producing"
    sink.flush()
    assert source.producerState == "producing"


def test_half_closes_go_through(fromTo: tuple[Connection, Connection]) -> None:
    source, sink = fromTo
    source.send(b"request")
    source.halfClose()
    assert sink.halfClosing
    assert not source.disconnecting
    assert not sink.disconnecting
    assert not source.halfClosing
    sink.halfClosed()
    sink.send(b"response")
    assert source.value() == b"response"
    sink.halfClose()
    assert source.halfClosing
    assert sink.disconnecting
    assert not source.disconnecting
    source.halfClosed()
    assert source.disconnecting


def test_one_that_has_ended_is_not_read_from_again(fromTo: tuple[Connection, Connection]) -> None:
    """
    Reading again would meet the end again.
    """
    source, sink = fromTo
    sink.room = 10
    source.send(b"x" * 11)
    source.halfClose()
    sink.flush()
    assert source.producerState == "paused"


def test_a_reset_goes_through(fromTo: tuple[Connection, Connection]) -> None:
    source, sink = fromTo
    source.reset()
    assert sink.aborting
    sink.lose(ConnectionAborted())


def test_a_close_goes_through(fromTo: tuple[Connection, Connection]) -> None:
    """
    As a connection without halves is closed: what was passed on is still to arrive.
    """
    source, sink = fromTo
    source.send(b"last")
    source.close()
    assert sink.disconnecting
    assert not sink.aborting
    assert sink.value() == b"last"
    assert sink.producer is None
    sink.close()


@pytest.mark.parametrize("state", list(PeerState))
def test_a_peer_that_breaks_off_while_nobody_reads_from_it(
    monkeypatch: pytest.MonkeyPatch,
    relayed: Relayed,
    fromTo: tuple[Connection, Connection],
    state: PeerState,
) -> None:
    """
    Which the reactor does not tell.
    """
    source, sink = fromTo
    monkeypatch.setattr(relay, "peerState", lambda transport: state)
    sink.room = 10
    source.send(b"x" * 11)
    relayed.clock.advance(PERIOD)
    assert source.aborting == (state is PeerState.BROKEN)
    if source.aborting:
        source.lose(ConnectionAborted())
        assert sink.aborting
    else:
        sink.flush()
    assert not [call for call in relayed.clock.getDelayedCalls() if call.getTime() <= PERIOD * 2]


def test_nothing_is_kept_of_a_connection_that_is_over(
    relayed: Relayed, fromTo: tuple[Connection, Connection]
) -> None:
    source, sink = fromTo
    source.reset()
    sink.reset()
    assert not relayed.factory.connections
    assert source.producer is None
    assert sink.producer is None


def test_what_the_upstream_sends_is_traffic() -> None:
    relayed = Relayed(idleTimeout=4.0)
    upstream = relayed.upstream.succeed()
    for _ in range(10):
        upstream.send(b"x")
        relayed.clock.advance(1)
    assert not relayed.client.aborting
    relayed.clock.pump([1] * 5)
    assert relayed.client.aborting


@pytest.mark.parametrize("host", [None, b"b.example"])
def test_what_the_client_sends_is_traffic(host: bytes | None) -> None:
    """
    Each time, with much or nothing in between two looks.
    """
    relayed = Relayed(idleTimeout=4.0, host=host)
    relayed.upstream.succeed()
    for pieces in (1, 3, 0, 2, 0, 0, 1):
        for _ in range(pieces):
            relayed.client.send(REQUEST)
        relayed.clock.advance(1)
    relayed.clock.pump([1] * 3)
    assert not relayed.client.aborting
    relayed.clock.advance(1)
    assert relayed.client.aborting


def test_one_that_nobody_sends_anything_over_is_idle_from_the_start() -> None:
    relayed = Relayed(idleTimeout=4.0)
    relayed.upstream.succeed()
    relayed.clock.pump([1] * 4)
    assert not relayed.client.aborting
    relayed.clock.advance(1)
    assert relayed.client.aborting


def test_what_comes_when_the_other_one_is_gone_is_dropped(
    fromTo: tuple[Connection, Connection],
) -> None:
    source, sink = fromTo
    source.send(b"one")
    sink.close()
    source.send(b"late")
    assert sink.value() == b"one"
    assert source.disconnecting


def test_connected_is_noted(relayed: Relayed) -> None:
    relayed.upstream.succeed()
    assert relayed.client.notes == ["connected to 192.168.1.1:54321"]


def test_an_upstream_that_breaks_off_is_noted(relayed: Relayed) -> None:
    relayed.upstream.succeed().reset()
    [said] = relayed.client.notes[1:]
    assert said.startswith("the connection to the upstream broke: ")
    other = Relayed()
    upstream = other.upstream.succeed()
    other.client.reset()
    upstream.lose(ConnectionAborted())
    assert other.client.notes[1:] == []


def test_what_is_no_http_is_noted_where_the_host_is_set() -> None:
    relayed = Relayed(host=b"b.example")
    relayed.upstream.succeed()
    relayed.client.send(b"\x16\x03\x01")
    [_, said] = relayed.client.notes
    assert "Host" in said


# Before the upstream is there


def test_a_client_waits_for_the_upstream(relayed: Relayed) -> None:
    client = relayed.client
    client.send(b"early")
    assert client.producerState == "paused"
    assert relayed.factory.budget.used == 5
    upstream = relayed.upstream.succeed()
    assert client.producerState == "producing"
    assert upstream.value() == b"early"
    assert relayed.factory.budget.used == 0
    client.send(b" late")
    assert upstream.value() == b"early late"


def test_a_client_that_half_closes_first(relayed: Relayed) -> None:
    relayed.client.halfClose()
    assert not relayed.client.disconnecting
    assert relayed.upstream.succeed().halfClosing


def test_a_client_that_leaves_first(relayed: Relayed) -> None:
    relayed.client.send(b"early")
    relayed.client.reset()
    assert relayed.upstream.cancelled == 1
    assert relayed.factory.budget.used == 0
    assert relayed.upstream.succeed().aborting


def test_a_client_that_is_too_much(logged: list[LogEvent]) -> None:
    relayed = Relayed(maxBuffered=4)
    relayed.client.send(b"early")
    assert relayed.client.aborting
    assert "refused" in formatEvent(logged[-1])


# An upstream that cannot be had

FAILURES = [
    (ConnectionRefusedError(), b"502 Bad Gateway"),
    (TCPTimedOutError(), b"504 Gateway Timeout"),
    (ValueError("what a connection failed with"), b"502 Bad Gateway"),
]


@pytest.mark.parametrize(("error", "status"), FAILURES)
@pytest.mark.parametrize("early", [True, False])
@pytest.mark.parametrize("size", [1, 2**16])
def test_http_is_answered(
    relayed: Relayed, error: Exception, status: bytes, early: bool, size: int
) -> None:
    client = relayed.client
    if early:
        client.send(REQUEST[:size])
    else:
        relayed.upstream.fail(error)
        client.send(REQUEST[:size])
    if early:
        relayed.upstream.fail(error)
    assert client.producerState == "producing"
    for start in range(size, len(REQUEST), size):
        client.send(REQUEST[start : start + size])
    assert client.value().startswith(b"HTTP/1.1 " + status + b"\r\nconnection: close\r\n")
    assert client.halfClosing
    answer = client.value()
    client.send(b"what follows")
    assert client.value() == answer
    client.halfClose()
    assert client.disconnecting
    client.close()
    assert not relayed.clock.getDelayedCalls()


def test_head_has_no_content(relayed: Relayed) -> None:
    relayed.upstream.fail(ConnectionRefusedError())
    relayed.client.send(b"HEAD" + REQUEST[3:])
    assert relayed.client.value().endswith(b"\r\n\r\n")


@pytest.mark.parametrize(
    "data", [b"\x16\x03\x01", b"EHLO\r\n", b"GET /\r\n", b"PRI * HTTP/2.0\r\n"]
)
@pytest.mark.parametrize("early", [True, False])
def test_what_is_not_http_is_reset(relayed: Relayed, data: bytes, early: bool) -> None:
    client = relayed.client
    if early:
        client.send(data)
    relayed.upstream.fail(ConnectionRefusedError())
    if not early:
        client.send(data)
    assert client.aborting
    assert client.value() == b""
    client.reset()
    assert not relayed.clock.getDelayedCalls()


def test_who_says_nothing_is_reset(relayed: Relayed) -> None:
    relayed.upstream.fail(ConnectionRefusedError())
    assert not relayed.client.aborting
    relayed.client.send(b"GE")
    relayed.clock.advance(PATIENCE)
    assert relayed.client.aborting


def test_who_half_closes_before_is_reset(relayed: Relayed) -> None:
    relayed.client.halfClose()
    relayed.upstream.fail(ConnectionRefusedError())
    assert relayed.client.aborting


def test_it_takes_too_long(logged: list[LogEvent]) -> None:
    relayed = Relayed(connectTimeout=3.0, name="tcp:192.0.2.1:80")
    relayed.client.send(REQUEST)
    relayed.clock.advance(3.0)
    assert relayed.upstream.cancelled == 1
    assert relayed.client.value().startswith(b"HTTP/1.1 504 ")
    said = "cannot be connected to tcp:192.0.2.1:80: no connection within 3 seconds"
    assert said in formatEvent(logged[-1])
    assert relayed.client.notes == [said]
    assert relayed.upstream.succeed().aborting


def test_it_may_take_for_ever() -> None:
    relayed = Relayed(connectTimeout=0, idleTimeout=0)
    assert not relayed.clock.getDelayedCalls()


def test_lost_before_it_could_be_used(relayed: Relayed) -> None:
    """
    As an endpoint does that tells of its connection, and then agrees on TLS in vain.
    """
    factory, _ = relayed.upstream.attempts[0]
    protocol: Any = factory.buildProtocol(None)  # type: ignore[arg-type] # as Twisted calls it
    relayed.upstream.fail(ValueError("the reason"))
    assert "the reason" in relayed.client.notes[0]
    assert protocol is not None


# The service stops


def test_what_is_under_way_may_go_on(relayed: Relayed) -> None:
    upstream = relayed.upstream.succeed()
    stopping = relayed.factory.closeConnections(5.0)
    relayed.client.send(b"data")
    assert upstream.value() == b"data"
    relayed.clock.advance(5.0)
    assert relayed.client.aborting
    relayed.client.reset()
    assert upstream.aborting
    assert stopping.called


# Its arguments


def test_an_endpoint_for_each_client() -> None:
    relayed = Relayed()
    clients: list[object] = []

    def endpointFor(transport: object) -> Upstream:
        clients.append(transport)
        return relayed.upstream

    relayed.factory = RelayFactory(endpointFor, clock=relayed.clock)
    client = relayed.accept()
    assert clients == [client]
    relayed.upstream.succeed().send(b"data")
    assert client.value() == b"data"


def test_no_endpoint_for_a_client(relayed: Relayed) -> None:
    def endpointFor(transport: object) -> Upstream:
        raise ValueError("the reason")

    relayed.factory = RelayFactory(endpointFor, clock=relayed.clock)
    client = relayed.accept()
    assert "the reason" in client.notes[0]


def test_what_to_agree_on_with_tls_clients() -> None:
    assert not IProtocolNegotiationFactory.providedBy(Relayed().factory)
    factory = Relayed(acceptableProtocols=[b"h2", b"http/1.1"]).factory
    assert IProtocolNegotiationFactory(factory).acceptableProtocols() == [b"h2", b"http/1.1"]


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"connectTimeout": -1}, ValueError),
        ({"connectTimeout": "1"}, TypeError),
        ({"host": "a.example"}, TypeError),
        ({"host": b"a example"}, ValueError),
        ({"host": b""}, ValueError),
    ],
)
def test_wrong_arguments(options: dict[str, Any], error: type[Exception]) -> None:
    with pytest.raises(error):
        Relayed(**options)
    with pytest.raises(TypeError, match="upstream"):
        RelayFactory("tcp:localhost:80")  # type: ignore[arg-type]


def test_the_host_is_rewritten() -> None:
    relayed = Relayed(host=b"b.example:80")
    relayed.client.send(REQUEST[:20])
    upstream = relayed.upstream.succeed()
    assert upstream.value() == b""
    relayed.client.send(REQUEST[20:] + REQUEST[:20])
    assert upstream.value() == b"GET / HTTP/1.1\r\nHost: b.example:80\r\n\r\n"
    # What does not become a request goes through as it is.
    relayed.client.halfClose()
    assert upstream.value().endswith(b"\r\n\r\n" + REQUEST[:20])


# Whatever the order

STEPS = st.lists(
    st.tuples(st.booleans(), st.one_of(st.binary(min_size=1, max_size=40), st.just(b"")))
)


@given(steps=STEPS, connected=st.integers(0, 10), host=st.booleans(), room=st.integers(0, 60))
def test_any_interleaving_arrives_equal(
    steps: list[tuple[bool, bytes]], connected: int, host: bool, room: int
) -> None:
    """
    Octets, and half-closes (which are no octets here), in any order on both sides; the upstream is
    there at some point.
    """
    relayed = Relayed(host=b"b.example" if host else None)
    client, upstream = relayed.client, None
    sent = {True: b"", False: b""}
    arrived = {True: b"", False: b""}
    ended: set[bool] = set()

    def flush() -> None:
        for fromClient, sink in ((True, upstream), (False, client)):
            if sink is not None:
                arrived[fromClient] += sink.flush()

    for number, (fromClient, data) in enumerate(steps):
        if number == connected:
            upstream = relayed.upstream.succeed()
            upstream.room = client.room = room
        source = client if fromClient else upstream
        if source is None or fromClient in ended:
            continue
        if source.producerState == "paused":
            flush()
        if source.producerState == "paused":
            # It is not there yet.
            continue
        if data:
            source.send(data)
            sent[fromClient] += data
        else:
            ended.add(fromClient)
            source.halfClose()
    if upstream is None:
        upstream = relayed.upstream.succeed()
    flush()
    for fromClient, source, sink in ((True, client, upstream), (False, upstream, client)):
        if fromClient not in ended:
            source.halfClose()
        assert sink.halfClosing
    flush()
    assert arrived == sent
    client.halfClosed()
    upstream.halfClosed()
    assert client.disconnecting
    assert upstream.disconnecting
