"""
Tests for L{netkit.wire.http.server}: transcripts of connections.
"""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netkit.wire.errors import HTTPProtocolError, LocalProtocolError
from netkit.wire.http import Limits, RequestHead
from netkit.wire.http.response import CONTINUE, ResponseMessage
from netkit.wire.http.server import Closing, Reading, Writing

from ...interop.http_corpus import CORPUS
from .playing import Player, splits

GET = b"GET /%d HTTP/1.1\r\nHost: a\r\n\r\n"
POST = b"POST /p HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n%b\r\n"
CHUNKED = b"POST /c HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
UPGRADE = b"GET /u HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n"

OK = b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello"
LAST = OK.replace(b"\r\n", b"\r\nconnection: close\r\n", 1)
CHUNKS = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"

Handle = Callable[[Player, RequestHead], None]


def play(
    octets: bytes, handle: Handle | None = None, *, ends: bool = False, **arguments: Any
) -> tuple[list[str], bytes, Closing | None]:
    """
    Play a connection, with its octets arriving in every way.

    @return: what was said, what was to be sent, and whether it is to be closed, and how.
    """
    transcripts = []
    for pieces in splits(octets):
        player = Player(handle, **arguments)
        player.receive(*pieces)
        if ends:
            player.end()
        transcripts.append((player.said, player.sent, player.closing))
    for said, sent, closing in transcripts[1:]:
        assert (said, closing) == (transcripts[0][0], transcripts[0][2])
        assert unworded(sent) == unworded(transcripts[0][1])
    return transcripts[0]


def unworded(sent: bytes) -> bytes:
    """
    What was sent, without the words of a refusal: they show as much as had arrived.
    """
    return re.sub(rb"(HTTP/1\.1 [45]\d\d ).*", rb"\1", sent, flags=re.DOTALL)


def test_a_connection_that_is_kept() -> None:
    octets = (
        GET % 1
        + POST % (3, b"")
        + b"abc"
        + CHUNKED
        + b"3;x\r\ndef\r\n1\r\ng\r\n0\r\nX: y\r\n\r\n"
        + b"\r\n"
        + GET % 2
    )
    assert play(octets, Player.read, ends=True) == (
        [
            "GET /1",
            *("POST /p", "content abc", "end"),
            *("POST /c", "content defg", "end X=y"),
            "GET /2",
        ],
        OK * 4,
        Closing.FLUSH,
    )
    assert play(octets, Player.read)[2] is None


def test_the_states_of_an_exchange() -> None:
    player = Player(Player.wait)
    server = player.server

    def states() -> tuple[Reading, Writing]:
        return server.reading, server.writing

    assert states() == (Reading.HEAD, Writing.IDLE)
    player.receive(POST % (3, b""))
    assert states() == (Reading.CONTENT, Writing.RESPONSE)
    player.receive(b"ab")
    assert player.said == ["POST /p"]
    server.want_content()
    player.pump()
    assert player.said == ["POST /p", "content ab"]
    message = ResponseMessage(200, [], None, 4)
    player.send(server.start_response(message, 4, b""))
    assert states() == (Reading.CONTENT, Writing.CONTENT)
    server.want_content()
    player.receive(b"c")
    server.want_content()
    player.pump()
    assert states() == (Reading.COMPLETE, Writing.CONTENT)
    player.send(server.send_content(b"more"))
    player.send(server.end_response())
    assert states() == (Reading.HEAD, Writing.IDLE)
    assert player.sent == b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nmore"
    player.receive(POST % (3, b""))
    player.hello()
    assert states() == (Reading.DISCARDED, Writing.COMPLETE)
    player.receive(b"abc")
    assert states() == (Reading.HEAD, Writing.IDLE)
    server.stop()
    assert states() == (Reading.CLOSED, Writing.CLOSED)


def test_a_content_that_has_arrived_is_taken_at_once() -> None:
    player = Player(Player.wait)
    server = player.server
    assert server.take_content() is None
    player.receive(POST % (3, b"") + b"a")
    assert server.take_content() is None
    server.want_content()
    player.pump()
    assert player.said == ["POST /p", "content a"]
    player.receive(b"bc" + (POST % (1, b"")) + b"d")
    assert server.take_content() == b"bc"
    assert (server.reading, server.writing) == (Reading.COMPLETE, Writing.RESPONSE)
    # What follows is another request's.
    assert server.take_content() is None
    assert not server.wants_input
    player.hello()
    assert player.said == ["POST /p", "content a", "POST /p"]
    assert server.take_content() == b"d"
    player.hello()
    assert (player.sent, player.closing) == (OK * 2, None)


def test_a_content_that_is_refused_is_not_taken() -> None:
    player = Player(Player.wait)
    player.receive(POST % (3, b"") + b"abc")
    player.server.want_content()
    player.pump()
    assert player.said == ["POST /p", "content abc"]
    player.server.fail(HTTPProtocolError("too much", 503))
    assert player.server.take_content() is None
    assert player.server.reading is Reading.CLOSED


def test_requests_that_are_sent_ahead_wait() -> None:
    player = Player(Player.wait)
    player.receive((GET % 1) + (GET % 2) + (GET % 3)[:9])
    assert player.said == ["GET /1"]
    assert player.server.receiver.buffered == len(GET % 2) + 9
    assert not player.server.wants_input
    player.hello()
    assert player.said == ["GET /1", "GET /2"]
    player.hello()
    assert player.server.wants_input
    player.receive((GET % 3)[9:])
    assert player.said[2:] == ["GET /3"]
    assert player.sent == OK * 2


@pytest.mark.parametrize(
    ("request_", "closing"),
    [
        ((GET % 1).replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"), Closing.FLUSH),
        ((GET % 1).replace(b"1.1", b"1.0"), Closing.FLUSH),
    ],
)
def test_a_connection_that_is_not_kept(request_: bytes, closing: Closing) -> None:
    assert play(request_) == (["GET /1"], LAST, closing)
    # Nothing is answered behind it; whole, that is there already, and is waited out.
    player = Player()
    player.receive(request_ + GET % 2)
    assert (player.said, player.sent, player.closing) == (["GET /1"], LAST, Closing.LINGER)


def test_http_1_0_is_kept_where_it_asks_for_that() -> None:
    asked = (GET % 1).replace(b"1.1\r\n", b"1.0\r\nConnection: keep-alive\r\n")
    kept = OK.replace(b"\r\n", b"\r\nconnection: keep-alive\r\n", 1)
    assert play(asked * 2) == (["GET /1"] * 2, kept * 2, None)


def test_a_response_that_closes() -> None:
    response = ResponseMessage(200, [(b"Connection", b"close")], b"hello")

    def handle(player: Player, head: RequestHead) -> None:
        player.send(player.server.respond(response, b""))

    assert play(GET % 1, handle) == (["GET /1"], LAST, Closing.FLUSH)


BAD_HEADS = [
    (b"GET / HTTP/1.1\r\n\r\n", 400),
    (b"hello\r\n", 400),
    (b"GET / HTTP/2.0\r\n", 505),
    (b"GET /" + b"a" * 100 + b" HTTP/1.1\r\n", 414),
    ((GET % 2).replace(b"\r\n\r\n", b"\r\nExpect: x\r\n\r\n"), 417),
    (POST % (10**6, b""), 413),
    (CHUNKED.replace(b"chunked", b"gzip, chunked"), 501),
    ((GET % 2).replace(b"GET", b"TRACE"), 501),
]


@pytest.mark.parametrize(("octets", "status"), BAD_HEADS)
@pytest.mark.parametrize("ends", [False, True])
def test_what_is_no_request_is_answered_and_is_the_end(
    octets: bytes, status: int, ends: bool
) -> None:
    said, sent, closing = play(
        GET % 1 + octets,
        ends=ends,
        limits=Limits(request_line=50, content=1000),
        refused_methods=frozenset({b"TRACE"}),
    )
    assert said == ["GET /1", f"error {status}"]
    assert sent.startswith(OK + b"HTTP/1.1 %d " % status)
    assert b"\r\nconnection: close\r\n" in sent
    # Decided before the end was there: who has ended what it sends is not waited for after it.
    assert closing is Closing.LINGER


@pytest.mark.parametrize("octets", [GET[:9], b"G", (POST % (3, b""))[:20]])
def test_a_head_that_is_cut_short(octets: bytes) -> None:
    said, _, closing = play(octets, ends=True)
    assert (said, closing) == (["error 400"], Closing.FLUSH)


def test_nothing_is_understood_behind_an_error() -> None:
    player = Player()
    player.receive(b"hello\r\n")
    sent = player.sent
    player.receive(GET % 1)
    assert (player.said, player.sent) == (["error 400"], sent)
    assert player.server.receiver.buffered == 0


def test_an_error_in_content_is_told_to_its_reader() -> None:
    player = Player(Player.read)
    player.receive(CHUNKED + b"3\r\nabc\r\n")
    player.receive(b"x\r\n")
    assert player.said == ["POST /c", "content abc", "error 400"]
    assert player.sent.startswith(b"HTTP/1.1 400 ")
    assert player.closing is Closing.LINGER


def test_an_error_in_content_is_told_as_often_as_somebody_reads() -> None:
    player = Player(Player.wait)
    player.receive(CHUNKED + b"x\r\n")
    for _ in range(2):
        player.server.want_content()
        error = player.server.next_event()
        assert isinstance(error, HTTPProtocolError)
        assert error.status == 400
        assert player.server.next_event() is None
    player.hello()
    assert (player.sent, player.closing) == (LAST, Closing.LINGER)


def test_rfc9110_10_1_1_continue() -> None:
    expecting = POST % (3, b"Expect: 100-continue\r\n")
    player = Player(Player.read)
    player.receive(expecting)
    assert player.sent == CONTINUE
    player.receive(b"abc")
    assert player.sent == CONTINUE + OK
    # Who has sent content already waits for nothing.
    player = Player(Player.read)
    player.receive(expecting + b"a")
    assert player.sent == b""
    # Who is answered without it may send the content, or not: nobody can know.
    assert play(expecting) == (["POST /p"], LAST, Closing.LINGER)
    # In the middle of a response it would be content.
    player = Player(Player.stream)
    player.receive(expecting)
    assert player.sent == CHUNKS


@pytest.mark.parametrize(
    ("octets", "rest"),
    [
        (POST % (3, b""), b"abc"),
        (POST % (3, b"") + b"a", b"bc"),
        (POST % (65536, b"") + b"a", b"b" * 65535),
    ],
)
def test_content_that_nobody_reads_is_dropped_where_it_is_short(
    octets: bytes, rest: bytes
) -> None:
    player = Player()
    player.receive(octets)
    assert (player.sent, player.closing) == (OK, None)
    assert player.server.wants_input
    player.receive(rest + GET % 1)
    assert player.sent == OK * 2
    assert [said for said in player.said if not said.startswith(("content", "end"))] == [
        *("POST /p", "GET /1")
    ]


def test_content_that_is_there_is_dropped_however_long() -> None:
    player = Player()
    player.receive(POST % (10**6, b"") + b"a" * 10**6 + CHUNKED + b"1\r\na\r\n0\r\n\r\n" + GET % 1)
    assert (player.sent, player.closing) == (OK * 3, None)


@pytest.mark.parametrize(
    "octets",
    [POST % (65537, b""), CHUNKED, CHUNKED + b"3\r\nabc\r\n", CHUNKED + b"x\r\n"],
)
def test_content_that_nobody_reads_ends_the_connection_where_it_is_long(octets: bytes) -> None:
    player = Player()
    player.receive(octets)
    assert (player.sent, player.closing) == (LAST, Closing.LINGER)
    player.receive(GET % 1)
    assert player.sent == LAST


def test_an_error_in_content_that_is_dropped() -> None:
    player = Player()
    player.receive(POST % (3, b""))
    player.end()
    assert (player.sent, player.closing) == (OK, Closing.FLUSH)


def test_content_goes_both_ways() -> None:
    player = Player(Player.stream)
    player.receive(CHUNKED + b"3\r\nabc\r\n")
    player.send(player.server.send_content(b"ABC"))
    player.receive(b"0\r\n\r\n")
    assert player.sent == CHUNKS + b"3\r\nABC\r\n0\r\n\r\n"
    assert player.said == ["POST /c", "content abc", "end"]
    assert player.server.reading is Reading.HEAD


def test_a_response_up_to_the_end_of_the_connection() -> None:
    player = Player(Player.stream)
    player.receive((GET % 1).replace(b"1.1\r\n", b"1.0\r\nConnection: keep-alive\r\n"))
    player.send(player.server.send_content(b"abc"))
    player.send(player.server.end_response())
    assert player.sent == b"HTTP/1.1 200 OK\r\nconnection: close\r\n\r\nabc"
    assert player.closing is Closing.FLUSH


def test_content_that_is_not_what_its_length_said() -> None:
    player = Player(Player.wait)
    player.receive(GET % 1)
    player.send(player.server.start_response(ResponseMessage(200, [], None, 3), 3, b""))
    with pytest.raises(LocalProtocolError, match="1 octets longer"):
        player.server.send_content(b"abcd")
    player.server.abandon()
    assert player.closing is Closing.ABORT
    with pytest.raises(LocalProtocolError, match="over"):
        player.server.send_content(b"a")


def test_rfc9110_7_8_upgrade() -> None:
    player = Player(Player.wait)
    player.receive(UPGRADE + b"more")
    assert player.server.switch(answered=True) == b"more"
    assert (player.server.reading, player.server.writing) == (Reading.SWITCHED, Writing.SWITCHED)
    assert player.server.next_event() is None
    assert player.closing is None


def test_rfc9110_7_8_upgrade_with_content() -> None:
    asked = POST % (3, b"Connection: upgrade\r\nUpgrade: x\r\n")
    player = Player(Player.wait)
    player.receive(asked + b"abcmore")
    assert player.server.switch(answered=True) == b"more"
    player = Player(Player.wait)
    player.receive(asked + b"ab")
    with pytest.raises(LocalProtocolError, match="cannot be answered by an upgrade"):
        player.server.switch(answered=True)
    player.hello()
    player.receive(b"c" + GET % 1)
    assert player.said[-1] == "GET /1"


def test_an_upgrade_that_was_not_offered() -> None:
    player = Player(Player.wait)
    player.receive(GET % 1)
    with pytest.raises(LocalProtocolError, match="cannot be answered by an upgrade"):
        player.server.switch(answered=True)
    player.hello()
    assert player.sent == OK


@pytest.mark.parametrize(
    "octets", [GET % 1, POST % (9, b""), CHUNKED, b"CONNECT a:1 HTTP/1.1\r\nHost: a\r\n\r\n"]
)
def test_a_protocol_that_answers_by_itself(octets: bytes) -> None:
    for before in (b"", GET % 7, POST % (1, b"") + b"a"):
        player = Player(Player.wait)
        if before:
            player.receive(before)
            player.hello()
        player.receive(octets + b"more")
        assert player.server.switch(answered=False) == octets + b"more"


def test_a_protocol_that_would_have_to_answer_what_is_gone() -> None:
    player = Player(Player.wait)
    player.receive(POST % (9, b"") + b"abc")
    player.server.want_content()
    player.pump()
    with pytest.raises(LocalProtocolError):
        player.server.switch(answered=False)


def test_the_end_between_requests() -> None:
    assert play(b"", ends=True) == ([], b"", Closing.FLUSH)
    assert play(b"\r\n", ends=True) == ([], b"", Closing.FLUSH)
    assert play(GET % 1, ends=True) == (["GET /1"], OK, Closing.FLUSH)
    # At once, with nobody there to look in between.
    server = Player().server
    server.receive(b"\r\n")
    server.receive_end()
    assert (server.next_event(), server.closing) == (None, Closing.FLUSH)


def test_the_end_in_content() -> None:
    said, sent, closing = play(POST % (3, b"") + b"ab", Player.read, ends=True)
    assert said == ["POST /p", "content ab", "error 400"]
    assert sent.startswith(b"HTTP/1.1 400 ")
    assert closing is Closing.FLUSH


@pytest.mark.parametrize("half_open", [False, True])
def test_the_end_while_a_response_is_awaited(half_open: bool) -> None:
    player = Player(Player.wait, allow_half_open=half_open)
    player.receive((GET % 1) + (GET % 2))
    assert not player.server.abandoned
    player.end()
    assert player.server.abandoned is not half_open
    if half_open:
        player.hello()
        player.hello()
        assert (player.sent, player.closing) == (OK * 2, Closing.FLUSH)
    else:
        player.server.abandon()
        assert (player.sent, player.closing) == (b"", Closing.FLUSH)


def test_the_end_while_a_response_is_sent() -> None:
    player = Player(Player.stream)
    player.receive(GET % 1)
    player.end()
    assert player.server.abandoned
    player.server.abandon()
    assert (player.sent, player.closing) == (CHUNKS, Closing.ABORT)


def test_time_is_over() -> None:
    player = Player()
    player.receive(b"GET")
    error = player.server.time_out(2.5)
    assert str(error) == "the head did not arrive within 2.5 seconds"
    player.failed(error or HTTPProtocolError("", 0))
    assert player.sent.startswith(b"HTTP/1.1 408 ")
    assert player.closing is Closing.LINGER

    player = Player(Player.wait)
    player.receive(POST % (3, b""))
    # Nobody waits for it.
    assert player.server.time_out(30.0) is None
    player.server.want_content()
    error = player.server.time_out(30.0)
    assert str(error) == "the content did not arrive within 30 seconds"
    player.hello()
    assert (player.sent, player.closing) == (LAST, Closing.LINGER)

    player = Player()
    player.receive(POST % (3, b""))
    assert player.server.time_out(30.0) is None
    assert (player.sent, player.closing) == (OK, Closing.ABORT)


def test_the_server_stops() -> None:
    player = Player()
    player.receive(b"GET")
    player.server.stop()
    assert player.closing is Closing.FLUSH

    player = Player(Player.wait)
    player.receive(GET % 1)
    player.server.stop()
    assert player.server.writing is not Writing.CLOSED
    player.hello()
    assert (player.sent, player.closing) == (LAST, Closing.FLUSH)

    # The response is sent: what is left of the request is waited for.
    player = Player()
    player.receive(POST % (3, b""))
    player.server.stop()
    assert player.server.writing is not Writing.CLOSED
    player.receive(b"abc")
    assert (player.sent, player.closing) == (OK, Closing.FLUSH)


FULL = HTTPProtocolError("full", 503)


def test_too_much_for_the_server() -> None:
    # A head: the refusal is its answer.
    player = Player()
    player.receive(b"GET")
    player.server.fail(FULL)
    assert player.server.writing is Writing.RESPONSE
    player.failed(FULL)
    assert player.closing is Closing.LINGER

    # Requests ahead: the response that is awaited is the last.
    player = Player(Player.wait)
    player.receive((GET % 1) + (GET % 2))
    player.server.fail(FULL)
    assert player.server.receiver.buffered == 0
    player.receive(GET % 3)
    player.hello()
    assert (player.said, player.sent, player.closing) == (["GET /1"], LAST, Closing.LINGER)

    # Content: whoever comes to read it is told.
    player = Player(Player.wait)
    player.receive(POST % (9, b"") + b"abc")
    player.server.fail(FULL)
    player.server.want_content()
    player.pump()
    assert player.said == ["POST /p", "error 503"]
    assert player.closing is Closing.LINGER

    # Content that is dropped.
    player = Player()
    player.receive(POST % (9, b""))
    player.server.fail(FULL)
    assert (player.sent, player.closing) == (OK, Closing.LINGER)


def test_nothing_happens_after_the_end() -> None:
    player = Player()
    player.receive(GET % 1)
    player.server.lost()
    for step in (player.server.stop, player.server.abandon, lambda: player.server.fail(FULL)):
        step()
    player.receive(GET % 2)
    player.end()
    assert player.server.time_out(1.0) is None
    assert (player.said, player.sent, player.closing) == (["GET /1"], OK, Closing.ABORT)


SHORT = sorted(name for name, octets in CORPUS.items() if len(octets) < 1000)


@given(
    st.lists(st.sampled_from(SHORT), min_size=1, max_size=3),
    st.binary(max_size=20),
    st.lists(st.integers(1, 60), min_size=1, max_size=20),
)
def test_any_octets_in_any_pieces(names: list[str], noise: bytes, sizes: list[int]) -> None:
    """
    They are said and answered the same, and their end is always the connection's.
    """
    octets = b"".join(CORPUS[name] for name in names) + noise
    whole, pieces = Player(Player.read), Player(Player.read)
    whole.receive(octets)
    at = 0
    while at < len(octets):
        for size in sizes:
            pieces.receive(octets[at : at + size])
            at += size
    for player in (whole, pieces):
        player.end()
        assert player.closing is not None
    for said in (whole.said, pieces.said):
        # As much of a content is read before an error in it as came before that did.
        if said and said[-1].startswith("error") and said[-2:][0].startswith("content"):
            del said[-2]
    assert whole.said == pieces.said
    assert unworded(whole.sent.replace(CONTINUE, b"")) == unworded(
        pieces.sent.replace(CONTINUE, b"")
    )


def test_without_twisted() -> None:
    """
    All of it: a connection that is kept, and an upgrade.
    """
    program = (
        "import sys\n"
        "from tests.wire.http.playing import Player\n"
        "kept = Player(Player.read)\n"
        "kept.receive(b'GET /1 HTTP/1.1\\r\\nHost: a\\r\\n\\r\\n' * 2)\n"
        "kept.end()\n"
        "upgraded = Player(Player.wait)\n"
        "upgraded.receive(b'GET / HTTP/1.1\\r\\nHost: a\\r\\n'\n"
        "                 b'Connection: upgrade\\r\\nUpgrade: x\\r\\n\\r\\nmore')\n"
        "print(kept.said, kept.closing.name, upgraded.server.switch(answered=True))\n"
        "print([name for name in sys.modules if name.partition('.')[0] in ('twisted', 'zope')])\n"
    )
    root = Path(__file__).parents[3]
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, cwd=root
    )
    assert done.stdout == "['GET /1', 'GET /1'] FLUSH b'more'\n[]\n"
