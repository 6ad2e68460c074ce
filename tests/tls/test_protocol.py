"""
Tests for L{netkit.tls.protocol}.
"""

from __future__ import annotations

import gc
import ssl
from collections.abc import Callable
from contextlib import suppress
from itertools import cycle, pairwise
from pathlib import Path
from typing import Any
from weakref import ref

import pytest
from hypothesis import given
from hypothesis import strategies as st
from OpenSSL import SSL
from twisted.internet.error import ConnectionAborted, ConnectionDone, ConnectionLost
from twisted.internet.interfaces import (
    IHandshakeListener,
    INegotiated,
    ISSLTransport,
    ITCPTransport,
)
from twisted.internet.protocol import Protocol
from twisted.python.failure import Failure
from zope.interface import alsoProvides

from netkit.base.deadlines import LINGER
from netkit.base.halfclose import hasHalves
from netkit.base.tls import errorText
from netkit.echo import EchoFactory
from netkit.tls import HANDSHAKE_TIMEOUT, HandshakeTimeoutError, TLSProtocol, TruncatedError
from tests.tls.peer import Application, Link, clientContext

VERSIONS = [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3]


def bytewise(data: bytes) -> list[bytes]:
    return [data[index : index + 1] for index in range(len(data))]


def version(which: ssl.TLSVersion) -> ssl.SSLContext:
    return clientContext(minimum_version=which, maximum_version=which)


@pytest.fixture(params=VERSIONS, ids=lambda value: value.name)
def link(request: pytest.FixtureRequest, pem: Path) -> Link:
    made = Link(pem, context=version(request.param))
    made.shake()
    return made


# The handshake.


@pytest.mark.parametrize("which", VERSIONS, ids=lambda value: value.name)
@pytest.mark.parametrize("split", [lambda data: [data], bytewise], ids=["whole", "bytewise"])
def test_a_conversation(pem: Path, which: ssl.TLSVersion, split: Any) -> None:
    link = Link(pem, context=version(which), split=split)
    alsoProvides(link.application, IHandshakeListener)
    link.shake()
    assert link.application.events == ["made", "agreed"]
    link.peer.write(b"question")
    link.send()
    assert link.application.events[2:] == [b"question"]
    link.application.transport.write(b"ans")
    link.application.transport.writeSequence([b"w", b"er"])
    link.receive()
    assert link.peer.received == b"answer"


def _noTLS(link: Link) -> Exception:
    link.protocol.dataReceived(b"GET / HTTP/1.1\r\n\r\n")
    return ConnectionDone()


def _leaves(link: Link) -> Exception:
    return ConnectionDone()


def _late(link: Link) -> Exception:
    link.clock.advance(HANDSHAKE_TIMEOUT)
    return ConnectionAborted()


def _given_up(link: Link) -> Exception:
    link.protocol.loseConnection()
    return ConnectionAborted()


def _agreed(link: Link) -> Exception:
    link.shake()
    return ConnectionLost()


@pytest.mark.parametrize(
    ("ends", "insecure"),
    [(_noTLS, 1), (_leaves, 1), (_late, 1), (_given_up, 0), (_agreed, 0)],
)
def test_connections_without_a_handshake_are_counted(
    pem: Path, ends: Callable[[Link], Exception], insecure: int
) -> None:
    factory = EchoFactory()
    link = Link(pem, factory.buildProtocol(None))
    link.protocol.connectionLost(Failure(ends(link)))
    assert factory.insecure == insecure


def test_a_subclass_sees_what_passes(pem: Path) -> None:
    class Seeing(TLSProtocol):
        received = written = 0

        def dataReceived(self, data: bytes) -> None:
            self.received += 1
            super().dataReceived(data)

        def write(self, data: bytes) -> None:
            self.written += 1
            super().write(data)

    link = Link(pem, protocol=Seeing)
    link.shake()
    assert isinstance(link.protocol, Seeing)
    before = link.protocol.received
    link.peer.write(b"question")
    link.send()
    link.application.transport.write(b"answer")
    link.receive()
    assert link.application.events[-1] == b"question"
    assert link.peer.received == b"answer"
    assert (link.protocol.received, link.protocol.written) == (before + 1, 1)


def test_what_is_behind_the_handshake_is_received(pem: Path) -> None:
    link = Link(pem)
    with pytest.raises(ssl.SSLWantReadError):
        link.peer.tls.do_handshake()
    link.send()
    link.peer._incoming.write(link.wire.take())
    link.peer.tls.do_handshake()
    link.peer.write(b"at once")
    link.peer.closeNotify()
    link.send()
    assert link.application.events == ["made", b"at once", "peer ended"]


def test_what_is_written_early_is_sent(pem: Path) -> None:
    link = Link(pem)
    link.application.transport.write(b"early ")
    link.application.transport.write(bytearray(b"words"))
    link.shake()
    assert link.peer.received == b"early words"


def test_a_producer_waits_for_the_handshake(pem: Path) -> None:
    link = Link(pem)
    producer = Producer()
    link.application.transport.registerProducer(producer, True)
    assert producer.events == []
    link.application.transport.write(b"early")
    assert producer.events == ["pause"]
    link.application.transport.write(b"early")
    assert producer.events == ["pause"]
    link.shake()
    assert producer.events == ["pause", "resume"]
    assert link.wire.producer is producer


def test_a_producer_that_is_asked(pem: Path) -> None:
    link = Link(pem)
    pieces = [b"one", b"two", b"three"]

    class Pulled(Producer):
        def resumeProducing(self) -> None:
            if pieces:
                link.application.transport.write(pieces.pop(0))
            else:
                link.application.transport.unregisterProducer()

    link.application.transport.registerProducer(Pulled(), False)
    assert len(pieces) == 3
    link.shake()
    for _ in range(4):
        link.receive()
    assert link.peer.received == b"onetwothree"


def test_pausing_does_not_pause_the_handshake(pem: Path) -> None:
    link = Link(pem)
    link.application.transport.pauseProducing()
    assert link.wire.producerState == "producing"
    link.shake()
    assert link.wire.producerState == "paused"
    link.peer.write(b"later")
    link.send()
    assert link.application.events == ["made"]
    link.application.transport.resumeProducing()
    assert link.wire.producerState == "producing"
    link.clock.advance(0)
    assert link.application.events == ["made", b"later"]


def test_no_tls(pem: Path) -> None:
    link = Link(pem)
    link.protocol.dataReceived(b"GET / HTTP/1.1\r\n\r\n")
    assert link.wire.disconnecting
    link.lose()
    assert errorText(link.application.lost.value) == "http request: the peer does not speak TLS"


@pytest.mark.parametrize("lower", ["half", "whole"])
def test_a_peer_that_leaves_before(pem: Path, lower: str) -> None:
    link = Link(pem)
    if lower == "half":
        link.protocol.readConnectionLost()
    link.lose()
    assert link.application.lost.check(ConnectionLost)
    assert "before TLS was agreed on" in str(link.application.lost.value)


def test_a_handshake_that_takes_too_long(pem: Path) -> None:
    link = Link(pem)
    link.clock.advance(HANDSHAKE_TIMEOUT - 1)
    assert not link.wire.disconnecting
    link.clock.advance(1)
    assert link.wire.disconnected or link.wire.disconnecting
    link.lose(ConnectionAborted)
    assert link.application.lost.check(HandshakeTimeoutError)
    assert str(link.application.lost.value) == (
        "The peer did not agree on TLS in time: 30 seconds."
    )


def test_no_time_runs_when_all_is_agreed_or_over(link: Link, pem: Path) -> None:
    assert link.clock.getDelayedCalls() == []
    other = Link(pem)
    other.lose()
    assert other.clock.getDelayedCalls() == []


def test_renegotiation_is_off(pem: Path) -> None:
    context = SSL.Context(SSL.TLS_METHOD)
    context.set_max_proto_version(SSL.TLS1_2_VERSION)
    peer = SSL.Connection(context, None)
    peer.set_connect_state()
    link = Link(pem)
    for _ in range(3):
        with suppress(SSL.WantReadError):
            peer.do_handshake()
        with suppress(SSL.WantReadError):
            link.protocol.dataReceived(peer.bio_read(2**16))
        if said := link.wire.take():
            peer.bio_write(said)
    assert link.protocol.handshakeDone
    peer.renegotiate()
    with suppress(SSL.WantReadError):
        peer.do_handshake()
    link.protocol.dataReceived(peer.bio_read(2**16))
    # A warning, and nothing that would be a handshake.
    [record] = records(link.wire.take())
    assert record[0] == 21
    peer.bio_write(record)
    with pytest.raises(SSL.Error, match="no renegotiation"):
        peer.do_handshake()


# Half-close.


def test_an_answer_to_what_ended(link: Link) -> None:
    """
    Data and close_notify in one read: the answer goes out.
    """
    link.peer.write(b"question")
    link.peer.closeNotify()
    link.send()
    assert link.application.events == ["made", b"question", "peer ended"]
    link.application.transport.write(b"answer")
    link.receive()
    assert (link.peer.received, link.peer.ended) == (b"answer", False)
    # The transport may end in the same way meanwhile.
    link.protocol.readConnectionLost()
    link.application.transport.write(b"!")
    link.application.transport.loseConnection()
    link.receive()
    assert (link.peer.received, link.peer.ended) == (b"answer!", True)
    assert link.wire.disconnecting
    link.lose()
    assert link.application.lost.check(ConnectionDone)


def test_reading_goes_on_behind_our_end(link: Link) -> None:
    link.application.transport.write(b"question")
    link.application.transport.loseWriteConnection()
    link.application.transport.write(b"no more")
    assert link.application.events == ["made"]
    link.receive()
    assert (link.peer.received, link.peer.ended) == (b"question", True)
    assert link.application.events == ["made", "all sent"]
    link.peer.write(b"answer")
    link.send()
    assert not link.wire.disconnecting
    assert link.application.events == ["made", "all sent", b"answer"]
    link.peer.closeNotify()
    link.send()
    assert link.application.events[3:] == ["peer ended"]
    # Nothing is left to say, by either side.
    assert link.wire.disconnecting
    link.lose()
    assert link.application.lost.check(ConnectionDone)


def test_our_end_with_something_unread(link: Link) -> None:
    """
    OpenSSL takes what is unread for an error when it ends our half.
    """
    link.application.transport.pauseProducing()
    link.peer.write(b"unread")
    link.send()
    link.application.transport.loseWriteConnection()
    link.receive()
    assert link.peer.ended
    link.application.transport.resumeProducing()
    link.clock.advance(0)
    assert b"unread" in link.application.events


def test_our_end_waits_for_the_producer(link: Link) -> None:
    link.application.transport.registerProducer(Producer(), True)
    link.application.transport.loseWriteConnection()
    link.application.transport.write(b"last")
    link.receive()
    assert (link.peer.received, link.peer.ended) == (b"last", False)
    link.application.transport.unregisterProducer()
    link.receive()
    assert link.peer.ended
    assert link.wire.producer is None


def test_halves(link: Link) -> None:
    alsoProvides(link.wire, ITCPTransport)
    assert hasHalves(link.application.transport)
    assert INegotiated.providedBy(link.application.transport)
    assert ISSLTransport(link.application.transport).getPeerCertificate() is None


def test_the_end_is_told_when_reading_goes_on(link: Link) -> None:
    link.application.transport.pauseProducing()
    link.peer.write(b"unread")
    link.peer.closeNotify()
    link.send()
    assert link.application.events == ["made"]
    link.application.transport.resumeProducing()
    assert link.application.events == ["made"]
    link.clock.advance(0)
    assert link.application.events == ["made", b"unread", "peer ended"]


def test_a_protocol_that_knows_no_halves(pem: Path) -> None:
    class Echo(Protocol):
        transport: Any

        def dataReceived(self, data: bytes) -> None:
            self.transport.write(data)

    link = Link(pem, Echo())
    link.shake()
    link.peer.write(b"data")
    link.peer.closeNotify()
    link.send()
    link.receive()
    assert (link.peer.received, link.peer.ended) == (b"data", True)
    assert link.wire.disconnecting


@pytest.mark.parametrize("closing", [False, True])
def test_a_producer_of_one_that_knows_no_halves(pem: Path, closing: bool) -> None:
    """
    It is told, and holds up nothing, as on TCP.
    """
    link = Link(pem, Protocol())
    link.shake()
    producer = Producer()
    link.application.transport.registerProducer(producer, True)
    if closing:
        link.application.transport.loseConnection()
    link.peer.closeNotify()
    link.send()
    link.receive()
    assert producer.events == ["stop"]
    assert link.peer.ended
    assert link.wire.disconnecting


def test_pausing_while_something_is_received(pem: Path) -> None:
    """
    What arrived behind it waits, and so does the end.
    """

    class Pausing(Application):
        def dataReceived(self, data: bytes) -> None:
            super().dataReceived(data)
            self.transport.pauseProducing()

    link = Link(pem, Pausing())
    link.shake()
    link.peer.write(b"data")
    link.peer.closeNotify()
    link.send()
    assert link.application.events == ["made", b"data"]
    link.application.transport.resumeProducing()
    link.clock.advance(0)
    assert link.application.events == ["made", b"data", "peer ended"]


# The ends that are none.


@pytest.mark.parametrize("lower", ["half", "whole"])
def test_truncation(link: Link, lower: str) -> None:
    link.peer.write(b"and then")
    link.send()
    if lower == "half":
        link.protocol.readConnectionLost()
        assert link.wire.disconnecting
    link.lose()
    assert link.application.events == ["made", b"and then"]
    assert link.application.lost.check(TruncatedError, ConnectionLost)
    assert "may be cut short" in str(link.application.lost.value)


@pytest.mark.parametrize("how", ["it leaves", "it stays"])
def test_what_was_changed_on_the_way(link: Link, how: str) -> None:
    link.peer.write(b"data")
    record = bytearray(link.peer.take())
    record[-1] ^= 1
    link.protocol.dataReceived(bytes(record))
    assert link.application.events == ["made"]
    with pytest.raises(ssl.SSLError, match="alert bad record mac"):
        link.receive()
    # The peer gets to read that.
    link.send()
    assert not link.wire.disconnecting
    if how == "it leaves":
        link.protocol.readConnectionLost()
    else:
        link.clock.advance(LINGER)
    assert link.wire.disconnecting
    link.lose()
    assert link.application.lost.check(ConnectionLost)
    assert "bad record mac" in str(link.application.lost.value)


def test_the_transport_is_lost(link: Link) -> None:
    link.lose(ConnectionLost)
    assert link.application.lost.check(ConnectionLost)
    link.application.transport.write(b"nobody hears this")
    link.application.transport.loseConnection()
    producer = Producer()
    link.application.transport.registerProducer(producer, True)
    assert producer.events == ["stop"]


def test_nothing_is_left_of_it(pem: Path) -> None:
    """
    What OpenSSL has for a connection is much: it goes at once, not when cycles are collected.
    """
    gc.disable()
    try:
        link = Link(pem)
        link.shake()
        link.peer.write(b"x")
        link.send()
        link.lose()
        link.application.transport.loseWriteConnection()
        link.application.transport.loseConnection()
        assert link.clock.getDelayedCalls() == []
        protocol = ref(link.protocol)
        # The factory of these tests keeps what it made.
        link.application.transport = None
        del link
        assert protocol() is None
    finally:
        gc.enable()


# Closing.


def test_closing_waits_for_a_moment(link: Link) -> None:
    """
    So that what is under way from the peer does not reset the connection.
    """
    link.application.transport.write(b"last")
    link.application.transport.loseConnection()
    link.application.transport.loseConnection()
    link.receive()
    assert (link.peer.received, link.peer.ended) == (b"last", True)
    assert not link.wire.disconnecting
    link.peer.write(b"dropped")
    link.send()
    assert link.application.events == ["made"]
    link.clock.advance(LINGER)
    assert link.wire.disconnecting
    link.lose()
    assert link.application.lost.check(ConnectionDone)


@pytest.mark.parametrize("how", ["close_notify", "end"])
def test_closing_ends_with_the_peer(link: Link, how: str) -> None:
    link.application.transport.pauseProducing()
    link.application.transport.loseConnection()
    assert link.wire.producerState == "producing"
    if how == "close_notify":
        link.peer.closeNotify()
        link.send()
    else:
        link.protocol.readConnectionLost()
    assert link.wire.disconnecting
    link.lose()
    assert link.application.lost.check(ConnectionDone)
    assert link.clock.getDelayedCalls() == []


def test_closing_before_the_handshake(pem: Path) -> None:
    link = Link(pem)
    link.application.transport.loseConnection()
    assert link.wire.disconnecting
    early = Link(pem)
    early.application.transport.write(b"early")
    early.application.transport.loseConnection()
    assert not early.wire.disconnecting
    early.shake()
    assert (early.peer.received, early.peer.ended) == (b"early", True)


def test_closing_waits_for_the_producer(link: Link) -> None:
    link.application.transport.registerProducer(Producer(), True)
    link.application.transport.loseConnection()
    link.application.transport.write(b"last")
    link.receive()
    assert not link.peer.ended
    link.application.transport.unregisterProducer()
    link.receive()
    assert (link.peer.received, link.peer.ended) == (b"last", True)


def test_aborting_says_nothing_more(link: Link) -> None:
    link.application.transport.abortConnection()
    link.application.transport.write(b"x")
    assert link.wire.value() == b""
    link.peer.write(b"dropped")
    link.send()
    assert link.application.events == ["made"]


# Much.


def test_much_at_once(pem: Path) -> None:
    """
    What a service writes in answer to what it receives goes out in as few records as hold it.
    """

    class Stutter(Application):
        def dataReceived(self, data: bytes) -> None:
            for octet in data:
                self.transport.write(bytes([octet]))

    link = Link(pem, Stutter())
    link.shake()
    link.wire.take()
    link.peer.write(b"stutter")
    link.send()
    [record] = records(link.wire.value())
    link.receive()
    assert link.peer.received == b"stutter"
    assert len(record) < 50


def test_a_large_write(link: Link) -> None:
    content = bytes(range(256)) * 4096
    link.application.transport.write(content)
    assert max(len(record) for record in records(link.wire.value())) <= 2**14 + 256 + 5
    link.receive()
    assert link.peer.received == content


def test_a_peer_that_does_not_read(pem: Path) -> None:
    """
    Echo does not read from it either, TLS or not.
    """
    link = Link(pem, EchoFactory().buildProtocol(None))
    link.shake()
    producer = link.wire.producer
    assert producer is not None
    producer.pauseProducing()
    assert link.wire.producerState == "paused"
    producer.resumeProducing()
    assert link.wire.producerState == "producing"
    link.lose()


_STEPS = st.lists(
    st.tuples(
        st.sampled_from(["peer", "we", "send", "receive", "pause", "resume"]),
        st.sampled_from([1, 100, 2**14, 2**14 + 1, 50_000]),
    ),
    max_size=12,
)


@given(cuts=st.lists(st.lists(st.floats(0, 1), max_size=4), min_size=1, max_size=9), steps=_STEPS)
def test_any_interleaving(
    pem: Path, cuts: list[list[float]], steps: list[tuple[str, int]]
) -> None:
    """
    Whatever is said in whichever pieces, both sides hear all of it, in order, and then the ends.
    """

    turns = cycle(cuts)

    def split(octets: bytes) -> list[bytes]:
        ends = [*sorted(int(len(octets) * part) for part in next(turns)), len(octets)]
        return [octets[begin:end] for begin, end in pairwise([0, *ends]) if end > begin]

    link = Link(pem, split=split)
    link.shake()
    said = {"peer": b"", "we": b""}
    transport = link.application.transport
    for step, size in steps:
        content = bytes([len(said["peer"]) % 251]) * size
        if step == "peer":
            link.peer.write(content)
            said["peer"] += content
        elif step == "we":
            transport.write(content)
            said["we"] += content
        elif step == "pause":
            transport.pauseProducing()
        elif step == "resume":
            transport.resumeProducing()
            link.clock.advance(0)
        else:
            getattr(link, step)()
    link.peer.closeNotify()
    link.send()
    transport.resumeProducing()
    link.clock.advance(0)
    transport.loseConnection()
    link.receive()
    received = b"".join(event for event in link.application.events if isinstance(event, bytes))
    assert (received, link.application.events[-1]) == (said["peer"], "peer ended")
    assert (link.peer.received, link.peer.ended) == (said["we"], True)
    assert link.wire.disconnecting


class Producer:
    """
    A producer that remembers what it was told.
    """

    def __init__(self) -> None:
        self.events: list[str] = []

    def pauseProducing(self) -> None:
        self.events.append("pause")

    def resumeProducing(self) -> None:
        self.events.append("resume")

    def stopProducing(self) -> None:
        self.events.append("stop")


def records(octets: bytes) -> list[bytes]:
    found = []
    while octets:
        size = 5 + int.from_bytes(octets[3:5])
        found.append(octets[:size])
        octets = octets[size:]
    return found


def test_a_failure_while_a_producer_waits(link: Link) -> None:
    """
    It is told, since the transport would wait for it.
    """
    producer = Producer()
    link.application.transport.registerProducer(producer, False)
    link.protocol.dataReceived(b"\x17\x03\x03\x00\x20" + b"x" * 32)
    assert producer.events[-1] == "stop"
    assert link.wire.producer is None
    link.protocol.connectionLost(Failure(ConnectionDone()))
