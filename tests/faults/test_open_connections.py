"""
Tests for L{netkit.faults.faulty}: faults of HTTP and of WebSocket that come and go while a
connection is open.
"""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as some
from twisted.internet.interfaces import IPushProducer

from netkit.faults import parseFault
from netkit.wire.websocket.codec import serialize_frame
from tests.faults.test_faulty import REQUEST, RESPONSE, SWITCHING, UPGRADE, Scene

CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"
POST = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nGET /"
TEXT = serialize_frame(0x81, b"hello", None)
MASKED = serialize_frame(0x81, b"hello", b"abcd")
CLOSE = b"\x88\x02\x03\xf5"


def send(scene: Scene, data: bytes) -> None:
    scene.service.transport.write(data)


def add(scene: Scene, fault: str, name: str = "late") -> None:
    scene.faults.add(parseFault(fault), name)


def opened(scene: Scene) -> Scene:
    scene.protocol.dataReceived(UPGRADE)
    send(scene, SWITCHING)
    scene.service.received = b""
    scene.transport.clear()
    return scene


@pytest.mark.parametrize("response", [RESPONSE, CHUNKED])
def test_the_next_response(response: bytes) -> None:
    """
    Wherever in a response the fault comes, that one is whole, and the next one is struck.
    """
    for at in range(1, len(response)):
        scene = Scene()
        scene.protocol.dataReceived(REQUEST % b"/")
        send(scene, response[:at])
        assert scene.sent == response[:at]
        add(scene, "status:status=503")
        send(scene, response[at:])
        assert scene.sent == response
        scene.protocol.dataReceived(REQUEST % b"/")
        send(scene, response)
        assert scene.sent.startswith(response + b"HTTP/1.1 503 ")
        scene.faults.remove("late")
        scene.transport.clear()
        scene.protocol.dataReceived(REQUEST % b"/")
        send(scene, response)
        assert scene.sent == response


@pytest.mark.parametrize("request_", [REQUEST % b"/", POST])
def test_the_next_request(request_: bytes) -> None:
    for at in range(1, len(request_)):
        scene = Scene()
        scene.protocol.dataReceived(request_[:at])
        add(scene, "truncate:upstream,octets=3,path=/")
        scene.protocol.dataReceived(request_[at:])
        assert scene.service.received == request_
        scene.protocol.dataReceived(request_)
        assert scene.service.received == request_ + request_[:3]


def test_a_request_that_waits_for_its_response() -> None:
    """
    A response that has not begun is one of the next.
    """
    scene = Scene("status:status=500,path=/gone")
    for path in (b"/", b"/gone"):
        scene.protocol.dataReceived(REQUEST % path)
    add(scene, "status:status=503,path=/")
    scene.faults.remove("status-1")
    send(scene, RESPONSE * 2)
    assert scene.sent.startswith(b"HTTP/1.1 503 ")
    assert scene.sent.endswith(b"a fault\n" + RESPONSE)


def test_what_is_held_back_goes_on() -> None:
    for at in range(1, len(RESPONSE)):
        scene = Scene("status:status=503,path=/none")
        scene.protocol.dataReceived(REQUEST % b"/")
        send(scene, RESPONSE[:at])
        scene.faults.clear()
        assert scene.sent == RESPONSE[:at]
        send(scene, RESPONSE[at:])
        assert scene.sent == RESPONSE


@pytest.mark.parametrize("fault", ["drip:size=1,delay=9", "delay-head:delay=9", "cut:octets=3"])
def test_the_rest_of_a_response_that_was_struck(fault: str) -> None:
    scene = Scene(fault)
    scene.protocol.dataReceived(REQUEST % b"/")
    send(scene, RESPONSE[:-4])
    scene.faults.clear()
    send(scene, RESPONSE[-4:])
    assert (scene.sent, scene.transport.disconnecting) == (RESPONSE, False)


def test_a_response_that_was_replaced_is_gone() -> None:
    scene = Scene("status:status=503")
    scene.protocol.dataReceived(REQUEST % b"/")
    send(scene, RESPONSE[:-4])
    scene.faults.clear()
    scene.protocol.dataReceived(REQUEST % b"/")
    send(scene, RESPONSE[-4:] + RESPONSE[:9])
    send(scene, RESPONSE[9:])
    assert scene.sent.startswith(b"HTTP/1.1 503 ")
    assert scene.sent.endswith(b"a fault\n" + RESPONSE)


def test_a_handshake() -> None:
    scene = Scene()
    scene.protocol.dataReceived(REQUEST % b"/")
    send(scene, RESPONSE)
    add(scene, "refuse-handshake:status=401")
    scene.protocol.dataReceived(UPGRADE)
    send(scene, SWITCHING)
    assert scene.sent.startswith(RESPONSE + b"HTTP/1.1 401 ")


def test_the_next_frame_from_the_server() -> None:
    for frame in (TEXT, serialize_frame(0x82, bytes(200), None)):
        for at in range(len(frame)):
            scene = opened(Scene())
            send(scene, TEXT + frame[:at])
            add(scene, "close:code=1013")
            send(scene, frame[at:] + TEXT)
            whole = TEXT + frame if at else TEXT
            assert (scene.sent, scene.transport.disconnecting) == (whole + CLOSE, True)


def test_the_next_frame_from_the_client() -> None:
    struck = serialize_frame(0x81, b"\xffello", b"abcd")
    for at in range(1, len(MASKED)):
        scene = opened(Scene())
        scene.protocol.dataReceived(MASKED[:at])
        assert scene.service.received == MASKED[:at]
        add(scene, "invalid-utf8:upstream")
        scene.protocol.dataReceived(MASKED[at:] + MASKED)
        assert scene.service.received == MASKED + struck
        scene.faults.clear()
        scene.protocol.dataReceived(MASKED)
        assert scene.service.received == MASKED + struck + MASKED


def test_a_frame_that_is_held_back_goes_on() -> None:
    for at in range(1, len(TEXT)):
        scene = opened(Scene("close"))
        scene.faults.clear()
        scene.faults.add(parseFault("invalid-utf8:after=9"), "none")
        send(scene, TEXT[:at])
        assert scene.sent == b""
        scene.faults.clear()
        assert scene.sent == TEXT[:at]
        add(scene, "close:code=1013")
        send(scene, TEXT[at:] + TEXT)
        assert scene.sent == TEXT + CLOSE


def test_a_message_in_fragments_is_left_whole() -> None:
    scene = opened(Scene())
    fragments = b"\x01\x02he" + b"\x89\x01p" + b"\x80\x03llo"
    send(scene, fragments[:4])
    add(scene, "fragment:size=1")
    send(scene, fragments[4:] + b"\x81\x02hi")
    assert scene.sent == fragments + b"\x01\x01h" + b"\x80\x01i"


def test_what_was_sent_with_the_handshake() -> None:
    """
    Frames that come before it is known that they are some.
    """
    scene = Scene()
    scene.protocol.dataReceived(UPGRADE + MASKED + MASKED[:3])
    assert scene.service.received == UPGRADE + MASKED + MASKED[:3]
    send(scene, SWITCHING + TEXT[:3])
    assert scene.sent == SWITCHING + TEXT[:3]
    add(scene, "close:code=1013")
    add(scene, "invalid-utf8:upstream", "other")
    scene.protocol.dataReceived(MASKED[3:] + MASKED)
    send(scene, TEXT[3:] + TEXT)
    struck = serialize_frame(0x81, b"\xffello", b"abcd")
    assert scene.service.received == UPGRADE + MASKED * 2 + struck
    assert scene.sent == SWITCHING + TEXT + CLOSE


def test_behind_a_request_for_another_protocol() -> None:
    """
    Nothing is held back that no fault is for, however much is sent before the response.
    """
    scene = Scene()
    scene.protocol.dataReceived(UPGRADE)
    for _ in range(10):
        scene.protocol.dataReceived(bytes(30_000))
    assert scene.service.received == UPGRADE + bytes(300_000)
    assert scene.transport.producerState == "producing"


def test_its_content_is_of_the_request() -> None:
    """
    Where a request for another protocol has content, its response comes behind that.
    """
    head = b"POST / HTTP/1.1\r\nHost: a\r\nUpgrade: h2c\r\nConnection: Upgrade\r\n"
    request = head + b"Content-Length: 5\r\n\r\nhello"
    scene = Scene("truncate:upstream,path=/none", "status:status=503,path=/a")
    for at in range(0, len(request), 9):
        scene.protocol.dataReceived(request[at : at + 9])
    assert scene.service.received == request
    scene.protocol.dataReceived(REQUEST % b"/a")
    send(scene, RESPONSE)
    assert scene.service.received == request + REQUEST % b"/a"
    send(scene, RESPONSE)
    assert scene.sent.startswith(RESPONSE + b"HTTP/1.1 503 ")


def test_empty_lines_in_front_of_requests() -> None:
    octets = b"\r\n\r\n" + REQUEST % b"/" + b"\r\n" + POST + b"\r\n"
    for fault in ("truncate:upstream,path=/none", "status:path=/none"):
        for size in (1, 2, 1000):
            scene = Scene(fault)
            for at in range(0, len(octets), size):
                scene.protocol.dataReceived(octets[at : at + size])
            scene.protocol.readConnectionLost()
            assert scene.service.received == octets


def test_a_service_that_never_answers() -> None:
    """
    What waits for its response is bounded; beyond, all goes on as it is.
    """
    scene = Scene()
    octets = (REQUEST % b"/") * 1000
    scene.protocol.dataReceived(octets)
    add(scene, "truncate:upstream,path=/")
    scene.protocol.dataReceived(REQUEST % b"/")
    assert scene.service.received == octets + REQUEST % b"/"


def test_a_pause_while_messages_go_by() -> None:
    """
    A service that reads one frame at a time gets them in order.
    """
    scene = opened(Scene("invalid-utf8:upstream,after=99"))
    service = IPushProducer(scene.service.transport)
    frames = [serialize_frame(0x81, b"%d" % number, b"abcd") for number in range(5)]
    service.pauseProducing()
    scene.protocol.dataReceived(b"".join(frames))
    assert scene.service.received == b""
    service.resumeProducing()
    assert scene.service.received == b"".join(frames)


def change(scene: Scene, fault: str, name: str = "it") -> None:
    scene.faults.change(name, parseFault(fault))


@pytest.mark.parametrize("octets", [2, 3, 4, 10])
def test_a_limit_that_is_changed_goes_on_where_it_was(octets: int) -> None:
    """
    What went through counts; where that is too much already, no more does.
    """
    scene = Scene()
    add(scene, "limit:octets=5", "it")
    send(scene, b"abc")
    change(scene, f"limit:octets={octets}")
    assert not scene.transport.disconnecting
    send(scene, b"defghijklm")
    assert (len(scene.sent), scene.transport.disconnecting) == (max(3, octets), True)


def test_what_is_held_back_goes_by_the_change() -> None:
    scene = Scene()
    add(scene, "latency:delay=10", "it")
    send(scene, b"a")
    scene.clock.advance(1)
    change(scene, "latency:delay=3")
    scene.clock.advance(1.5)
    assert scene.sent == b""
    scene.clock.advance(0.5)
    assert scene.sent == b"a"
    change(scene, "throttle:rate=1")
    send(scene, b"bc")
    scene.clock.advance(1)
    assert scene.sent == b"ab"
    change(scene, "throttle:rate=2")
    scene.clock.advance(0.5)
    assert scene.sent == b"abc"


def test_a_rate_of_nothing_loses_nothing() -> None:
    scene = Scene()
    never = replace(parseFault("throttle:rate=1"), values={"rate": 0})
    scene.faults.add(never, "it")
    send(scene, b"abc")
    scene.service.transport.loseConnection()
    scene.clock.advance(1e9)
    assert (scene.sent, scene.transport.disconnecting) == (b"", False)
    scene.faults.remove("it")
    assert (scene.sent, scene.transport.disconnecting) == (b"abc", True)


@pytest.mark.parametrize(
    ("before", "after", "seconds"),
    [
        ("reset:seconds=9", "reset:seconds=3", 2),
        ("reset:seconds=9", "reset:seconds=0.5", 0),
        ("black-hole:seconds=9", "black-hole:seconds=3", 3),
        ("timeout:seconds=9", "timeout:seconds=3", 3),
        ("timeout", "timeout:seconds=3", 3),
        ("slow-close:delay=9", "slow-close:delay=3", 3),
    ],
)
def test_times_that_are_changed(before: str, after: str, seconds: float) -> None:
    scene = Scene()
    add(scene, before, "it")
    if before.startswith("slow"):
        scene.service.transport.loseConnection()
    scene.clock.advance(1)
    change(scene, after)
    scene.clock.advance(seconds - 0.1 if seconds else 0)
    over = scene.transport.aborted or scene.transport.disconnecting
    assert over == (not seconds)
    scene.clock.advance(0.1)
    assert scene.transport.aborted or scene.transport.disconnecting


def test_chance_is_asked_again_where_it_changes() -> None:
    scene = Scene()
    add(scene, "truncate:probability=0", "it")
    send(scene, b"a")
    change(scene, "truncate:octets=1,probability=0")
    send(scene, b"b")
    change(scene, "truncate:octets=1")
    send(scene, b"cd")
    assert scene.sent == b"abc"
    change(scene, "truncate:probability=0")
    send(scene, b"e")
    assert scene.sent == b"abce"


def test_a_fault_of_messages_that_is_changed() -> None:
    scene = Scene()
    add(scene, "status:status=503,first=2", "it")
    for status in (503, 500):
        scene.protocol.dataReceived(REQUEST % b"/")
        send(scene, RESPONSE)
        assert scene.sent.startswith(b"HTTP/1.1 %d " % status)
        scene.transport.clear()
        change(scene, "status:status=500,first=2")
    scene.protocol.dataReceived(REQUEST % b"/")
    send(scene, RESPONSE)
    assert scene.sent == RESPONSE


def test_another_kind_of_fault_is_another_one() -> None:
    scene = Scene()
    add(scene, "truncate:octets=1", "it")
    send(scene, b"ab")
    change(scene, "status:status=503")
    send(scene, b"cd")
    assert scene.sent == b"acd"
    with pytest.raises(KeyError):
        change(scene, "truncate", "none")


CONVERSATION = [
    *[(REQUEST % b"/a", RESPONSE), (POST, CHUNKED), (b"\r\n" + REQUEST % b"/b", RESPONSE)],
    (UPGRADE, SWITCHING),
    *[
        (MASKED * 2 + b"\x01\x80abcd", TEXT + b"\x01\x02he\x89\x00"),
        (b"\x80\x80abcd", b"\x80\x00"),
    ],
]
HARMLESS = [
    *("status:path=/none", "close:path=/none", "truncate:upstream,path=/none"),
    *("invalid-utf8:upstream,after=99", "close:after=99", "latency:delay=0,path=/a"),
]


@settings(max_examples=settings().max_examples // 5)
@given(some.data())
def test_nothing_is_lost(data: some.DataObject) -> None:
    """
    Faults that strike nothing come and go at any octet.
    """
    scene = Scene()
    for request, response in CONVERSATION:
        for octets, put in (
            (request, scene.protocol.dataReceived),
            (response, scene.service.transport.write),
        ):
            at = 0
            while at < len(octets):
                size = data.draw(some.integers(1, len(octets) - at))
                put(octets[at : at + size])
                at += size
                name = data.draw(some.sampled_from([*HARMLESS, ""]))
                if name in [armed.name for armed in scene.faults]:
                    scene.faults.remove(name)
                elif name:
                    add(scene, name, name)
    scene.faults.clear()
    assert scene.service.received == b"".join(request for request, _ in CONVERSATION)
    assert scene.sent == b"".join(response for _, response in CONVERSATION)
