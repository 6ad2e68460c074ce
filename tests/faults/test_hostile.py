"""
Tests for L{netkit.faults.faulty}: several faults at a time, and services and peers that do not
wait for each other.
"""

from __future__ import annotations

import tracemalloc

import pytest
from twisted.internet.error import ConnectionDone
from twisted.internet.interfaces import IPushProducer
from twisted.logger import LogEvent
from twisted.python.failure import Failure

from netkit.faults import parseFault
from netkit.wire.websocket.codec import serialize_frame
from tests.faults.test_faulty import REQUEST, RESPONSE, SWITCHING, UPGRADE, Scene


class Producer:
    """
    Notes what it is told.
    """

    paused = stopped = False

    def pauseProducing(self) -> None:
        self.paused = True

    def resumeProducing(self) -> None:
        self.paused = False

    def stopProducing(self) -> None:
        self.stopped = True


def lose(scene: Scene) -> None:
    scene.protocol.connectionLost(Failure(ConnectionDone()))


def test_a_service_that_waits_long_is_read_for_again() -> None:
    scene = Scene("latency:upstream,delay=1")
    service = IPushProducer(scene.service.transport)
    scene.protocol.dataReceived(bytes(100_000))
    service.pauseProducing()
    scene.clock.advance(1)
    service.resumeProducing()
    assert len(scene.service.received) == 100_000
    assert scene.transport.producerState == "producing"


def test_a_producer_that_comes_while_much_is_held() -> None:
    scene = Scene("latency:delay=1")
    producer = Producer()
    scene.service.transport.write(bytes(100_000))
    scene.service.transport.registerProducer(producer, True)
    assert producer.paused
    scene.clock.advance(1)
    assert not producer.paused


def test_what_is_sent_behind_an_upgrade_is_bounded() -> None:
    scene = Scene("delay-head:delay=0")
    scene.protocol.dataReceived(UPGRADE)
    for _ in range(3):
        scene.protocol.dataReceived(bytes(30_000))
    assert scene.transport.producerState == "paused"
    scene.service.transport.write(SWITCHING)
    assert scene.transport.producerState == "producing"


@pytest.mark.parametrize(
    "fault",
    [
        *("black-hole:upstream", "half-close:upstream", "half-close:upstream,octets=5"),
        *("reset:upstream,octets=5", "reset:seconds=2", "reset-peer:upstream,seconds=1"),
        *("timeout:upstream,seconds=1", "limit:upstream,octets=5", "truncate:upstream"),
        *("slow-close:upstream,delay=1", "slice:upstream,size=1,delay=1"),
    ],
)
def test_the_service_is_told_that_the_connection_is_lost(fault: str) -> None:
    """
    No fault keeps that from it, late as it may be.
    """
    scene = Scene("latency:upstream,delay=1", fault)
    scene.protocol.dataReceived(b"first")
    scene.clock.advance(1)
    scene.protocol.dataReceived(b"late")
    lose(scene)
    for _ in range(9):
        scene.clock.advance(1)
    assert scene.service.lost is not None


def test_a_fault_that_goes_while_a_lost_connection_waits_for_it() -> None:
    scene = Scene("throttle:upstream,rate=1")
    [fault] = scene.faults
    scene.protocol.dataReceived(bytes(100_000))
    lose(scene)
    scene.faults.add(parseFault("black-hole:upstream"))
    scene.faults.remove(fault.name)
    assert scene.service.received == bytes(100_000)
    assert scene.service.lost is not None


@pytest.mark.parametrize("ask", ["abortConnection", "loseConnection", "pauseProducing"])
def test_whatever_it_asks_of_a_connection_that_is_gone(ask: str) -> None:
    scene = Scene("latency:upstream,delay=1")
    scene.protocol.dataReceived(b"late")
    lose(scene)
    getattr(scene.service.transport, ask)()
    scene.clock.advance(1)
    assert scene.service.lost is not None


def test_a_service_that_fails_late_loses_its_connection(
    monkeypatch: pytest.MonkeyPatch, logged: list[LogEvent]
) -> None:
    """
    As one does that fails in time.
    """
    scene = Scene("latency:upstream,delay=1")

    def fail(data: bytes) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(scene.service, "dataReceived", fail)
    scene.protocol.dataReceived(b"late")
    scene.clock.advance(1)
    assert scene.transport.aborted
    [event] = [event for event in logged if "log_failure" in event]
    logged.remove(event)
    assert event["log_failure"].check(ZeroDivisionError)


@pytest.mark.parametrize("ask", ["loseConnection", "loseWriteConnection"])
def test_a_producer_ends_before_the_connection(ask: str) -> None:
    """
    What is asked to end, does when nobody produces for it any more.
    """
    scene = Scene("latency:delay=1")
    scene.service.transport.registerProducer(Producer(), True)
    getattr(scene.service.transport, ask)()
    scene.service.transport.write(b"last")
    scene.service.transport.unregisterProducer()
    assert scene.transport.producer is None
    scene.clock.advance(1)
    assert scene.sent == b"last"
    assert scene.transport.disconnecting or scene.transport.halfClosed


def test_a_fault_that_ends_the_connection_stops_who_produces() -> None:
    scene = Scene("limit:octets=1")
    producer = Producer()
    scene.service.transport.registerProducer(producer, True)
    scene.service.transport.write(b"ab")
    assert producer.stopped
    assert scene.transport.disconnecting


def test_an_end_goes_on_when_a_black_hole_is_removed() -> None:
    scene = Scene("black-hole")
    scene.service.transport.write(b"lost")
    scene.service.transport.loseConnection()
    scene.faults.clear()
    assert (scene.sent, scene.transport.disconnecting) == (b"", True)


def test_faults_of_an_open_websocket_come_and_go() -> None:
    scene = Scene("no-pong")
    scene.protocol.dataReceived(UPGRADE)
    scene.service.transport.write(SWITCHING)
    frame, pong = serialize_frame(0x81, b"hello", None), serialize_frame(0x8A, b"", None)
    scene.service.transport.write(pong)
    assert scene.sent == SWITCHING
    scene.faults.clear()
    scene.service.transport.write(pong)
    assert scene.sent == SWITCHING + pong
    scene.faults.add(parseFault("close:code=1013"))
    scene.service.transport.write(frame)
    assert scene.sent == SWITCHING + pong + b"\x88\x02\x03\xf5"


@pytest.mark.parametrize("fault", ["reset:seconds=1", "black-hole:seconds=1"])
def test_time_of_a_request_that_never_came(fault: str) -> None:
    scene = Scene(f"{fault},path=/slow")
    scene.protocol.dataReceived(REQUEST % b"/other")
    scene.service.transport.write(RESPONSE)
    scene.clock.advance(2)
    assert not scene.transport.aborted
    assert not scene.transport.disconnecting
    scene.protocol.dataReceived(REQUEST % b"/slow")
    scene.service.transport.write(RESPONSE)
    scene.clock.advance(2)
    assert scene.transport.aborted or scene.transport.disconnecting


def test_each_request_has_its_octets() -> None:
    scene = Scene("limit:octets=44,path=/")
    for _ in range(2):
        scene.protocol.dataReceived(REQUEST % b"/")
        scene.service.transport.write(RESPONSE)
    assert (scene.sent, scene.transport.disconnecting) == (RESPONSE * 2, False)
    scene.protocol.dataReceived(REQUEST % b"/")
    scene.service.transport.write(b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nhello!")
    assert (len(scene.sent), scene.transport.disconnecting) == (2 * 43 + 44, True)


@pytest.mark.parametrize("fault", ["drip:size=1,delay=0.1", "slice:size=1", "throttle:rate=10"])
def test_much_in_small_pieces_is_not_cut_before_its_time(fault: str) -> None:
    """
    A piece that is passed on in seconds to come costs nothing now.
    """
    scene = Scene(fault)
    scene.protocol.dataReceived(REQUEST % b"/")
    response = b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n" + bytes(1_000_000)
    tracemalloc.start()
    try:
        scene.service.transport.write(response)
        assert tracemalloc.get_traced_memory()[1] < 10_000_000
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize(("path", "struck"), [("/ws", True), ("/other", False)])
def test_only_some_websockets(path: str, struck: bool) -> None:
    scene = Scene(f"close:path={path}")
    scene.protocol.dataReceived(UPGRADE)
    frame = serialize_frame(0x81, b"hello", None)
    scene.service.transport.write(SWITCHING + frame)
    assert (scene.sent == SWITCHING + frame) is not struck


@pytest.mark.parametrize("fault", ["cut:octets=100", "wrong-length"])
def test_what_does_not_strike_is_not_told(fault: str) -> None:
    scene = Scene(fault)
    scene.protocol.dataReceived(REQUEST % b"/")
    response = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"
    scene.service.transport.write(response)
    assert (scene.sent, scene.service.notes) == (response, [])


def test_a_compressed_text_becomes_invalid() -> None:
    scene = Scene("invalid-utf8")
    scene.protocol.dataReceived(UPGRADE)
    scene.service.transport.write(SWITCHING + serialize_frame(0xC1, b"compressed", None))
    assert scene.sent == SWITCHING + serialize_frame(0x81, b"\xff", None)
