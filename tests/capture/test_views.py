"""
Tests for L{netkit.capture.views}: a recorded dialogue in, items out, however its octets came.
"""

from __future__ import annotations

from collections.abc import Iterable
from random import Random
from typing import Any

import pytest
from hypothesis import settings

from netkit.capture.views import Item, Kind, Views
from netkit.wire.http import Fields
from netkit.wire.http.scanning import is_lone_get
from netkit.wire.recording import Direction, End, Event, Octets, Role
from netkit.wire.websocket import handshake
from netkit.wire.websocket.connection import Connection
from netkit.wire.websocket.deflate import DeflateSettings
from tests.wire.recording.events import Script

GET = b"GET /path?query HTTP/1.1\r\nHost: here\r\n\r\n"
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
CHUNKED = (
    b"POST /upload HTTP/1.1\r\nHost: here\r\nTransfer-Encoding: chunked\r\n\r\n"
    b"5\r\nhello\r\n6;x=y\r\n world\r\n0\r\nSum: 11\r\n\r\n"
)


def byOctets(events: list[Event]) -> list[Event]:
    """
    The same events, with each octet a piece of its own.
    """
    return [
        part
        for event in events
        for part in (
            [
                Octets(event.connection, event.time, event.direction, event.data[at : at + 1], 1)
                for at in range(len(event.data))
            ]
            if isinstance(event, Octets) and len(event.data) == event.length
            else [event]
        )
    ]


class Dialogue(Script):
    """
    A connection to a service, from its beginning.
    """

    def __init__(self, service: str = "http", role: Role = Role.SERVER) -> None:
        super().__init__()
        self.opened(service=service, role=role)

    def items(self, *kinds: Kind, byOctet: bool = False) -> list[Item]:
        """
        The items of some kinds; of all by default, but for the connection's own.
        """
        events = byOctets(self.events) if byOctet else self.events
        items = list(Views().feed(events))
        for direction in Direction:
            # Whoever looks at one direction alone sees the same of it.
            expected = seen(direction, items)
            assert seen(direction, Views(only=direction).feed(events)) == expected
            # And whoever wants only the octets of most of it gets those.
            passed = seenOrPassed(direction, events)
            assert len(passed) == len(expected)
            for one, other in zip(passed, expected, strict=True):
                assert one == (other[0][2] if isinstance(one, bytes) else other)
        return [
            item
            for item in items
            if (item.kind in kinds if kinds else item.kind not in (Kind.OPENED, Kind.CLOSED))
        ]


def seenOrPassed(direction: Direction, events: Iterable[Event]) -> list[Any]:
    """
    All that there is to see of the items of a direction, or their octets, where no more is wanted.
    """
    shown: list[Any] = []
    views = Views(only=direction, taken=lambda opened: shown)
    for item in views.feed(events):
        shown += seen(direction, [item])
    return shown


def seen(direction: Direction, items: Iterable[Item]) -> list[Any]:
    """
    All that there is to see of the items of a direction.
    """
    return [
        (brief(item), content(item), item.about, item.time, item.ended, item.offset)
        for item in items
        if item.direction is direction
    ]


@pytest.fixture(params=[False, True], ids=["whole", "by octet"])
def byOctet(request: pytest.FixtureRequest) -> bool:
    return bool(request.param)


def octets(item: Item) -> bytes:
    return b"".join(item.octets())


def content(item: Item) -> bytes:
    return b"".join(item.content())


def brief(item: Item) -> tuple[str, str | None, bytes, str]:
    return item.kind.value, item.direction and item.direction.value, octets(item), item.wrong


def test_a_raw_service_has_its_pieces() -> None:
    dialogue = Dialogue("echo")
    dialogue.received(b"one")
    dialogue.sent(b"two")
    dialogue.received(b"three", length=10)
    assert list(map(brief, dialogue.items())) == [
        ("octets", "received", b"one", ""),
        ("octets", "sent", b"two", ""),
        ("octets", "received", b"three", "5 of 10 octets were recorded"),
    ]


def test_print_respond_has_its_contents(byOctet: bool) -> None:
    dialogue = Dialogue("print-respond")
    dialogue.received(b"question")
    dialogue.halfClosed(Direction.RECEIVED)
    dialogue.sent(b"answer")
    dialogue.closed()
    assert list(map(brief, dialogue.items(byOctet=byOctet))) == [
        ("content", "received", b"question", ""),
        ("content", "sent", b"answer", ""),
    ]


def test_a_content_that_was_cut_short_is_there() -> None:
    dialogue = Dialogue("print-respond")
    dialogue.received(b"quest")
    dialogue.closed(End.RESET, "Connection reset by peer")
    [item] = dialogue.items()
    assert brief(item) == (
        "content",
        "received",
        b"quest",
        "cut short: Connection reset by peer",
    )


def test_much_content_does_not_stay_in_memory() -> None:
    dialogue = Dialogue("print-respond")
    for number in range(100):
        dialogue.received(bytes([number]) * 100_000)
    dialogue.closed()
    [item] = dialogue.items()
    assert item.length == 10_000_000
    pieces = list(item.octets())
    assert max(map(len, pieces)) <= 2**20
    assert b"".join(pieces) == b"".join(bytes([number]) * 100_000 for number in range(100))
    item.close()


def test_requests_and_responses(byOctet: bool) -> None:
    dialogue = Dialogue()
    dialogue.received(GET + CHUNKED)
    dialogue.sent(b"HTTP/1.1 100 Continue\r\n\r\n" + OK)
    dialogue.sent(OK)
    dialogue.received(b"\r\n" + GET)
    dialogue.sent(b"HTTP/1.1 200 OK\r\n\r\nuntil the end")
    dialogue.halfClosed(Direction.SENT)
    dialogue.closed()
    items = dialogue.items(byOctet=byOctet)
    assert not [item.wrong for item in items if item.wrong]
    received = [item for item in items if item.direction is Direction.RECEIVED]
    sent = [item for item in items if item.direction is Direction.SENT]
    assert [item.kind for item in received] == [Kind.REQUEST] * 3
    assert list(map(octets, received)) == [GET, CHUNKED, GET]
    assert content(received[1]) == b"hello world"
    assert received[1].about["method"] == "POST"
    assert received[1].about["target"] == "/upload"
    assert received[1].about["trailers"] == [("Sum", "11")]
    assert received[0].about["fields"] == [("Host", "here")]
    assert [item.about["status"] for item in sent] == [100, 200, 200, 200]
    assert [content(item) for item in sent] == [b"", b"ok", b"ok", b"until the end"]


def test_as_a_client(byOctet: bool) -> None:
    dialogue = Dialogue("anything", Role.CLIENT)
    dialogue.sent(GET)
    dialogue.received(OK)
    assert list(map(brief, dialogue.items(byOctet=byOctet))) == [
        ("request", "sent", GET, ""),
        ("response", "received", OK, ""),
    ]


@pytest.mark.parametrize(
    ("request_", "wrong"),
    [
        (b"GET / HTTP/1.1\r\n\r\n", "Host"),
        (b"GET / HTTP/1.1\r\nHost : here\r\n\r\n", "Host "),
        (b"\x16\x03\x01\x02\x00\x01\x00", "this is not HTTP/1"),
        (b"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", "chunk"),
    ],
)
def test_what_is_wrong_is_there_with_the_reason(
    request_: bytes, wrong: str, byOctet: bool
) -> None:
    dialogue = Dialogue()
    dialogue.received(request_)
    dialogue.sent(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")
    dialogue.closed()
    items = dialogue.items(byOctet=byOctet)
    received = [item for item in items if item.direction is Direction.RECEIVED]
    assert b"".join(map(octets, received)) == request_
    assert wrong in received[0].wrong
    [response] = [item for item in items if item.kind is Kind.RESPONSE]
    assert response.about["status"] == 400


@pytest.mark.parametrize(
    "cut",
    [
        b"GET / HT",
        b"GET / HTTP/1.1\r\nHost: he",
        b"POST / HTTP/1.1\r\nHost: here\r\nContent-Length: 10\r\n\r\nhello",
        CHUNKED[:-10],
    ],
)
def test_what_was_cut_short_is_there(cut: bytes, byOctet: bool) -> None:
    dialogue = Dialogue()
    dialogue.received(cut)
    dialogue.closed(End.RESET, "gone")
    [item] = dialogue.items(byOctet=byOctet)
    assert brief(item) == ("request", "received", cut, "cut short: gone")


def test_what_is_no_response(byOctet: bool) -> None:
    dialogue = Dialogue()
    dialogue.received(GET)
    dialogue.sent(b"what?\n")
    dialogue.closed()
    sent = [i for i in dialogue.items(byOctet=byOctet) if i.direction is Direction.SENT]
    assert b"".join(map(octets, sent)) == b"what?\n"
    assert "status line" in sent[0].wrong


def test_octets_that_were_not_recorded() -> None:
    dialogue = Dialogue()
    dialogue.received(b"POST / HTTP/1.1\r\nHost: here\r\nContent-Length: 10\r\n\r\nhe")
    dialogue.dropped(3, 0)
    dialogue.received(b"later")
    items = dialogue.items(Kind.REQUEST, Kind.OCTETS)
    assert "3 octets that follow were not recorded" in items[0].wrong
    assert octets(items[1]) == b"later"


def webSocket(
    settings: DeflateSettings | None, subprotocol: str | None = None
) -> tuple[bytes, bytes, Connection, Connection]:
    """
    A handshake, and both ends of what it opens.
    """
    client = handshake.ClientHandshake(b"here", b"/chat", settings=settings)
    from netkit.wire.http import RequestHead, RequestReceiver

    receiver = RequestReceiver()
    receiver.receive(client.request)
    head = receiver.next_event()
    assert isinstance(head, RequestHead)
    response, agreed = handshake.accept(handshake.read_request(head), settings=settings)
    fields = Fields(response.split(b"\r\n", 1)[1])
    ours = client.read_response(fields)
    return (
        client.request,
        response,
        Connection(client=True, deflate=ours.deflate),
        Connection(client=False, deflate=agreed.deflate),
    )


@pytest.mark.parametrize(
    "settings",
    [None, DeflateSettings(), DeflateSettings(window_bits=15, context_takeover=False)],
)
def test_a_websocket(settings: DeflateSettings | None, byOctet: bool) -> None:
    request, response, client, server = webSocket(settings)
    dialogue = Dialogue("websocket")
    dialogue.received(request)
    dialogue.sent(response + server.send_text("wilkommen"))
    for _ in range(3):
        dialogue.received(client.send_text("hello " * 20))
        dialogue.sent(server.send_bytes(b"\0\1\2" * 20))
    dialogue.received(client.send_piece("one ", False))
    dialogue.received(client.send_ping(b"there?"))
    dialogue.received(client.send_piece("message", True))
    dialogue.sent(server.send_pong(b"there?"))
    dialogue.received(client.send_close(1001, "enough"))
    dialogue.sent(server.send_close(1001))
    dialogue.closed()
    items = dialogue.items(byOctet=byOctet)
    assert [item.kind for item in items[:2]] == [Kind.HANDSHAKE] * 2
    assert items[0].about["target"] == "/chat"
    assert items[1].about["status"] == 101
    assert not [item.wrong for item in items if item.wrong]
    said: list[tuple[Any, ...]] = [
        (item.kind.value, item.direction and item.direction.value, content(item))
        for item in items[2:]
    ]
    both = [
        ("message", "received", b"hello " * 20),
        ("message", "sent", b"\0\1\2" * 20),
    ]
    assert said == [
        ("message", "sent", b"wilkommen"),
        *both * 3,
        ("ping", "received", b"there?"),
        ("message", "received", b"one message"),
        ("pong", "sent", b"there?"),
        ("close", "received", b""),
        ("close", "sent", b""),
    ]
    assert items[-2].about == {"code": 1001, "reason": "enough"}


def test_a_websocket_that_breaks_the_protocol() -> None:
    request, response, _, server = webSocket(None)
    dialogue = Dialogue("websocket")
    dialogue.received(request)
    dialogue.sent(response)
    dialogue.received(b"\x81\x05hello")
    dialogue.sent(server.send_close(1002, "not masked"))
    dialogue.closed()
    received = [i for i in dialogue.items() if i.direction is Direction.RECEIVED][1:]
    assert "mask" in received[0].wrong
    assert b"".join(map(octets, received)) == b"\x81\x05hello"


def test_a_message_that_was_cut_short() -> None:
    request, response, client, _ = webSocket(None)
    dialogue = Dialogue("websocket")
    dialogue.received(request)
    dialogue.sent(response)
    dialogue.received(client.send_text("hello world")[:-6])
    dialogue.closed(End.RESET, "gone")
    item = dialogue.items(Kind.MESSAGE)[0]
    assert brief(item) == ("message", "received", b"hello", "cut short: gone")


def test_a_handshake_that_is_refused_leaves_http(byOctet: bool) -> None:
    request, _, _, _ = webSocket(None)
    dialogue = Dialogue("websocket")
    dialogue.received(request + GET)
    dialogue.sent(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n")
    dialogue.sent(OK)
    items = dialogue.items(byOctet=byOctet)
    assert [item.kind.value for item in items if item.direction is Direction.RECEIVED] == [
        "handshake",
        "request",
    ]
    assert [item.about["status"] for item in items if item.direction is Direction.SENT] == [
        404,
        200,
    ]


def test_a_tunnel(byOctet: bool) -> None:
    dialogue = Dialogue()
    dialogue.received(b"CONNECT there:443 HTTP/1.1\r\nHost: there:443\r\n\r\n")
    dialogue.sent(b"HTTP/1.1 200 OK\r\n\r\n")
    dialogue.received(b"anything")
    items = dialogue.items(byOctet=byOctet)
    assert [item.kind.value for item in items[:2]] == ["request", "response"]
    assert b"".join(map(octets, items[2:])) == b"anything"


def test_notes_are_there() -> None:
    dialogue = Dialogue()
    dialogue.note("refused with 431: too many fields")
    dialogue.secured()
    notes = dialogue.items(Kind.NOTE)
    assert [note.about["text"] for note in notes] == [
        "refused with 431: too many fields",
        "tls TLSv1.3, alpn http/1.1, sni localhost",
    ]


@pytest.mark.parametrize(
    ("first", "kind"),
    [
        (GET, Kind.REQUEST),
        (b"GET /without-a-version\r\n\r\n", Kind.REQUEST),
        (b"brew /pot HTTP/1.1\r\nHost: x\r\n\r\n", Kind.REQUEST),
        (b"PRI * HTTP/2.0\r\n", Kind.REQUEST),
        (b"*1\r\n$4\r\n", Kind.OCTETS),
        (b"hello there\n", Kind.OCTETS),
        (b"USER anonymous\r\n", Kind.OCTETS),
        (b"hello " + b"x" * 10_000, Kind.OCTETS),
    ],
)
def test_what_is_spoken_is_seen_by_the_first_octets(
    first: bytes, kind: Kind, byOctet: bool
) -> None:
    dialogue = Dialogue("something")
    dialogue.received(first)
    items = dialogue.items(byOctet=byOctet)
    assert items[0].kind is kind
    assert b"".join(map(octets, items)) == first


def test_who_waits_to_be_spoken_to_speaks_no_http() -> None:
    dialogue = Dialogue("something")
    dialogue.sent(b"220 mail.example ESMTP\r\n")
    dialogue.received(GET)
    assert [item.kind for item in dialogue.items()] == [Kind.OCTETS] * 2


def test_connections_do_not_mix() -> None:
    script = Script()
    for number in (1, 2):
        script.opened(number, ("127.0.0.1", 50000 + number))
    script.received(GET[:20], 1)
    script.received(CHUNKED[:50], 2)
    script.received(GET[20:], 1)
    script.received(CHUNKED[50:], 2)
    requests = [item for item in Views().feed(script.events) if item.kind is Kind.REQUEST]
    assert [(item.connection.connection, octets(item)) for item in requests] == [
        (1, GET),
        (2, CHUNKED),
    ]


UPGRADE = (
    b"GET /chat HTTP/1.1\r\nHost: here\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
)


def get(target: bytes) -> bytes:
    return GET.replace(b"/path?query", target)


@pytest.mark.parametrize(
    ("request_", "wrong"),
    [
        (get(b"/other?a=%20&b=c%"), ""),
        (get(b"/a HTTP/1.1"), "is not a method, a target and a version"),
        (get(b"/a\r\nb: c"), "has no version"),
        (get(b"/a#b"), "is not a target"),
        (get(b"/%zz"), "is not a target"),
        (get(b""), "a character that is not allowed there"),
        (get(b"*"), "is not a target"),
        (get(b"http://there/"), ""),
        (get(b"/" + b"a" * 2**20), "the first line is longer"),
        (GET.replace(b"GET", b"HEAD"), ""),
        (GET.replace(b"GET", b"CONNECT"), "is not a target"),
        (GET.replace(b"1.1", b"1.0"), ""),
        (GET.replace(b"here", b"there"), ""),
        (GET + GET, ""),
    ],
    ids=lambda value: repr(value)[:40],
)
def test_requests_behind_whole_ones(request_: bytes, wrong: str) -> None:
    """
    Of each there is to see what there is where it comes by octet, and none comes whole.
    """
    dialogue = Dialogue()
    sent = [GET, get(b"/one"), request_, GET]
    for each in sent:
        dialogue.received(each)
    items = dialogue.items()
    assert b"".join(map(octets, items)).startswith(b"".join(sent[:3]))
    assert [item.about["target"] for item in items[:2]] == ["/path?query", "/one"]
    if wrong:
        assert wrong in items[2].wrong
        assert items[2].offset == len(sent[0] + sent[1])
        return
    shown, alone = (
        [(brief(item), item.about, item.offset) for item in each]
        for each in (items, dialogue.items(byOctet=True))
    )
    assert shown == alone


def test_a_request_of_which_not_all_was_recorded_is_not_whole() -> None:
    dialogue = Dialogue()
    dialogue.received(GET)
    dialogue.received(GET, length=2 * len(GET))
    whole, cut = dialogue.items()
    assert (whole.wrong, octets(cut)) == ("", GET)
    assert cut.wrong == f"{len(GET)} of {2 * len(GET)} octets were recorded"


def test_answers_that_are_alike_and_those_that_are_not() -> None:
    """
    Each answers its request, whoever looks at them: what switches the protocol, and what follows,
    is found at the same request.
    """
    dialogue = Dialogue("websocket")
    empty = b"HTTP/1.1 204 No Content\r\n\r\n"
    for request, response in [
        (GET, OK),
        (GET, OK),
        (GET.replace(b"GET", b"HEAD"), OK[:-2]),
        (GET.replace(b"GET", b"HEAD"), OK[:-2]),
        (GET + GET, OK),
        (b"", OK),
        (GET, b"HTTP/1.1 100 Continue\r\n\r\n"),
        (b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
        (b"", OK),
        (GET + GET + GET, OK + OK),
        (b"", OK[:-1]),
        (b"", b"k"),
        (GET, empty),
        (UPGRADE, empty),
        (GET + UPGRADE, empty),
        (
            b"",
            (
                b"HTTP/1.1 101 Switching Protocols\r\n"
                b"Connection: Upgrade\r\nUpgrade: websocket\r\n\r\n"
            ),
        ),
        (b"\x81\x82\0\0\0\0hi", b"\x81\x02ho"),
    ]:
        if request:
            dialogue.received(request)
        dialogue.sent(response)
    kinds = [item.kind for item in dialogue.items() if item.direction is Direction.RECEIVED]
    assert kinds == [Kind.REQUEST] * 11 + [
        Kind.HANDSHAKE,
        Kind.REQUEST,
        Kind.HANDSHAKE,
        Kind.MESSAGE,
    ]


def test_requests_of_which_only_the_octets_are_wanted() -> None:
    """
    They pass while nothing else happens, and again when all that did is over.
    """
    dialogue = Dialogue()
    dialogue.received(GET)
    dialogue.sent(OK)
    dialogue.received(GET)
    dialogue.sent(OK)
    dialogue.received(GET[:5])
    dialogue.received(GET[5:])
    dialogue.sent(OK)
    dialogue.received(GET)
    dialogue.received(GET)
    dialogue.sent(OK)
    dialogue.sent(OK)
    dialogue.received(GET)
    dialogue.items()
    passed = [
        isinstance(each, bytes) for each in seenOrPassed(Direction.RECEIVED, dialogue.events)
    ]
    if is_lone_get(GET):
        assert passed == [True, True, False, True, True, True]


PIECES = [
    *(GET, GET, GET, GET.replace(b"GET", b"HEAD"), GET + GET, GET[:9], GET[9:], UPGRADE, b"\r\n"),
    *(GET.replace(b"/path", b"/" + b"x" * 9000), CHUNKED, CHUNKED[:90], CHUNKED[90:], b"GET /\n"),
    *(GET.replace(b"\r\n\r\n", b"\r\nUpgrade: x\r\n\r\n"), b"CONNECT a:1 HTTP/1.1\r\n\r\n"),
]
ANSWERS = [
    *(OK, OK, OK, OK, OK + OK, OK[:-1], OK[-1:], OK[:-2], b"HTTP/1.1 100 Continue\r\n\r\n"),
    *(b"HTTP/1.1 204 No Content\r\n\r\n", b"what?"),
    b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n",
]


def test_whatever_is_said_the_octets_are_the_same() -> None:
    chance = Random(5)
    for _ in range(10 * settings().max_examples):
        dialogue = Dialogue(chance.choice(["http", "websocket"]), chance.choice(list(Role)))
        serving = Direction.RECEIVED if chance.random() < 0.9 else Direction.SENT
        odd = chance.choice([0.0, 0.1, 0.5])
        for _ in range(chance.randrange(30)):
            for pieces, toServer in ((PIECES, True), (ANSWERS, False)):
                data = chance.choice(pieces) if chance.random() < odd else pieces[0]
                length = len(data) + (chance.random() < odd / 10)
                if chance.random() < odd / 3:
                    continue
                if toServer is (serving is Direction.RECEIVED):
                    dialogue.received(data, length=length)
                else:
                    dialogue.sent(data, length=length)
            if chance.random() < odd / 5:
                dialogue.note("noted")
            if chance.random() < odd / 20:
                dialogue.dropped(chance.randrange(2), chance.randrange(2))
        if chance.random() < 0.3:
            dialogue.halfClosed(Direction.RECEIVED)
        if chance.random() < 0.6:
            dialogue.closed()
        dialogue.items()


def test_what_came_behind_a_handshake_that_ends_unanswered() -> None:
    dialogue = Dialogue("websocket")
    dialogue.received(UPGRADE + b"\x81\x80")
    dialogue.received(b"masked")
    dialogue.closed(End.RESET, "gone")
    shown = b"".join(octet for item in dialogue.items() for octet in item.octets())
    assert shown == UPGRADE + b"\x81\x80masked"


def test_what_comes_behind_a_handshake_that_nobody_answers_does_not_wait_for_ever() -> None:
    views = Views()
    dialogue = Dialogue("websocket")
    dialogue.received(UPGRADE)
    for _ in range(100):
        dialogue.received(b"x" * 2**16)
    shown = sum(item.length for item in views.feed(dialogue.events))
    assert shown >= 100 * 2**16


def test_requests_that_nobody_answers_are_not_remembered_for_ever() -> None:
    dialogue = Dialogue()
    for _ in range(10_001):
        dialogue.received(GET)
    dialogue.sent(OK)
    dialogue.received(GET)
    *items, wrong, last = dialogue.items(Kind.REQUEST, Kind.OCTETS)
    assert (len(items), wrong.wrong != "", octets(last)) == (10_000, True, GET)

    dialogue = Dialogue()
    dialogue.received(GET * 30_000)
    items = dialogue.items()
    assert sum(item.length for item in items) == len(GET) * 30_000
    assert len([item for item in items if not item.wrong]) == 10_000
