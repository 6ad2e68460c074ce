"""
Tests for L{netkit.wire.http.content}: RFC 9112 sections 6 and 7.
"""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netkit.wire.http import Content, EndOfMessage, Limits, RequestReceiver
from netkit.wire.http.response import ContentEncoder

from .feeding import Message, messages, parsed, refused, request

HEAD = request(b"Transfer-Encoding: chunked", line=b"POST / HTTP/1.1")


def chunked(content: bytes, limits: Limits | None = None) -> Message:
    [message] = parsed(HEAD + content, limits)
    return message


def bad(content: bytes, limits: Limits | None = None, *, ended: bool = False) -> int:
    return refused(HEAD + content, limits, ended=ended).status


def test_content_by_length() -> None:
    octets = request(b"Content-Length: 5", line=b"POST / HTTP/1.1") + b"hello"
    first, second = parsed(octets + octets)
    assert first.content == second.content == b"hello"


def test_content_by_length_that_ends_early() -> None:
    octets = request(b"Content-Length: 5") + b"hell"
    error = refused(octets, ended=True)
    assert error.status == 400
    assert "1 octets are missing" in str(error)


def test_pieces_of_content_are_told_as_they_arrive() -> None:
    receiver = RequestReceiver()
    receiver.receive(request(b"Content-Length: 5") + b"he")
    assert receiver.remaining == 0
    receiver.next_event()
    assert receiver.remaining == 5
    piece = receiver.next_event()
    assert isinstance(piece, Content)
    assert piece.data is piece.raw
    assert "he" in repr(piece)
    assert receiver.remaining == 3
    assert receiver.next_event() is None
    receiver.receive(b"llo")
    receiver.next_event()
    end = receiver.next_event()
    assert isinstance(end, EndOfMessage)
    assert "EndOfMessage" in repr(end)
    assert receiver.remaining == 0


def test_how_much_remains_of_chunks_is_not_known() -> None:
    receiver = RequestReceiver()
    receiver.receive(HEAD)
    receiver.next_event()
    assert receiver.remaining is None


def test_a_run_of_chunks_is_one_piece() -> None:
    receiver = RequestReceiver()
    receiver.receive(HEAD + b"2\r\nhe\r\n3\r\nllo\r\n5\r\nwo")
    receiver.next_event()
    piece = receiver.next_event()
    assert isinstance(piece, Content)
    assert piece.data == b"hellowo"
    assert piece.raw == b"2\r\nhe\r\n3\r\nllo\r\n5\r\nwo"


@pytest.mark.parametrize(
    "size", [b"5", b"05", b"0" * 100 + b"5", b"5;a", b"5;a=b", b'5;a="b;\\"\t c"', b"5 ; a = b"]
)
def test_rfc9112_7_1_chunk_sizes_and_extensions(size: bytes) -> None:
    message = chunked(size + b"\r\nhello\r\n" + b"A\r\n0123456789\r\na\r\n9876543210\r\n0\r\n\r\n")
    assert message.content == b"hello01234567899876543210"
    assert not message.trailers


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"-5",
        b"+5",
        b"0x5",
        b"5h",
        b"h",
        b" 5",
        b"5 ",
        b"5\t",
        b"\t5",
        b"5_0",
        b"5,5",
        b"5;",
        b"5;;a",
        b"5;a=",
        b"5;=b",
        b"5;a b",
        b'5;a="b',
        b'5;a="b"c',
        b"5;a=b\x00",
        b'5;a="\x01"',
        b"5;\xe4",
        b"5 a",
        b"\xd9\xa5",
        b"5\r",
        b"5\r ",
        b"5;a\rb",
        b'5;a="\r"',
    ],
)
def test_rfc9112_7_1_what_is_no_chunk_size(line: bytes) -> None:
    assert bad(line + b"\r\nhello\r\n0\r\n\r\n") == 400
    # Neither is it after another chunk.
    assert bad(b"1\r\na\r\n" + line + b"\r\nhello\r\n0\r\n\r\n") == 400
    # Nor of the last chunk.
    if b"5" in line:
        assert bad(line.replace(b"5", b"0") + b"\r\n\r\n") == 400


@pytest.mark.parametrize(
    "content",
    [
        b"5\nhello\r\n0\r\n\r\n",
        b"5;a\nhello\r\n0\r\n\r\n",
        b"5\r\nhello\n0\r\n\r\n",
        b"5\r\nhello0\r\n\r\n",
        b"5\r\nhello!\r\n0\r\n\r\n",
        b"5\r\nhello\r0\r\n\r\n",
        b"5\r\nhello\r\r\n0\r\n\r\n",
        b"5\r\nhello\r\n\r\n0\r\n\r\n",
        b"4\r\nhello\r\n0\r\n\r\n",
        b"0\n\r\n",
        b"0\r\n\n",
        b"0\r\n\r\r\n",
        b"0\r\r\n",
    ],
)
def test_rfc9112_7_1_lines_end_with_crlf(content: bytes) -> None:
    assert bad(content) == 400


@pytest.mark.parametrize(
    "digits",
    [b"1" + b"0" * 16, b"f" * 17, b"0" * 9 + b"f" * 17, b"f" * 5000, b"0" * 5000],
)
def test_rfc9112_7_1_chunk_size_overflow(digits: bytes) -> None:
    """
    A size that is cut to 64 bits somewhere would be the size of something else.
    """
    for limit in (0, 100):
        assert bad(digits + b"\r\n", Limits(content=limit)) == 413


def test_limit_of_the_content_in_chunks() -> None:
    limits = Limits(content=12)
    assert chunked(b"5\r\nhello\r\n0\r\n\r\n", limits).content == b"hello"
    assert bad(b"a\r\n", limits) == 413
    # What the chunks are framed in counts, too.
    assert bad(b"1\r\na\r\n" * 3 + b"0\r\n\r\n", limits) == 413
    # The size is believed before any of it came.
    assert bad(b"ffffffffffffffff\r\n", limits) == 413


def test_rfc9112_7_1_1_limit_of_chunk_extensions() -> None:
    limits = Limits(chunk_extensions=10)
    assert chunked(b"1;abcd\r\na\r\n1;efgh\r\nb\r\n0\r\n\r\n", limits).content == b"ab"
    assert bad(b"1;abcd\r\na\r\n1;efghi\r\nb\r\n0\r\n\r\n", limits) == 413
    assert bad(b"1;" + b"a" * 10 + b"\r\n", limits) == 413
    assert bad(b"1;" + b"a" * 1000, limits) == 413


def test_rfc9112_7_1_2_trailers() -> None:
    message = chunked(b"5\r\nhello\r\n0;x\r\nX-Check: 1\r\nx-check:\t2 \r\n\r\n")
    assert message.content == b"hello"
    assert message.trailers.all(b"X-Check") == [b"1", b"2"]
    assert chunked(b"0\r\nX: y\r\n\r\n").trailers.get(b"x") == b"y"


@pytest.mark.parametrize("line", [b"X : y", b" X: y", b"X", b"X: \x00", b"X: y\r\n z", b"X: a\nb"])
def test_rfc9112_7_1_2_bad_trailers(line: bytes) -> None:
    assert bad(b"0\r\n" + line + b"\r\n\r\n") == 400


@pytest.mark.parametrize("name", [b"Content-Length", b"Host", b"Transfer-Encoding"])
def test_rfc9110_6_5_1_trailers_say_nothing_about_framing_and_routing(name: bytes) -> None:
    for spelt in (name, name.lower(), name.upper()):
        assert bad(b"0\r\nX: y\r\n" + spelt + b": z\r\n\r\n") == 400


@pytest.mark.parametrize(
    "name",
    [
        *(b"Authorization", b"Cache-Control", b"Connection", b"Content-Encoding"),
        *(b"Content-Type", b"Cookie", b"Expires", b"Max-Forwards", b"Range", b"Set-Cookie"),
        *(b"TE", b"Trailer", b"Upgrade", b"WWW-Authenticate"),
    ],
)
def test_rfc9110_6_5_1_other_trailers_are_apart_from_the_header_section(name: bytes) -> None:
    message = chunked(b"0\r\n" + name + b": z\r\n\r\n")
    assert message.trailers.get(name) == b"z"
    assert name not in message.head.fields


def test_limits_of_the_trailer_section() -> None:
    limits = Limits(trailer_section=30, fields=5)
    assert chunked(b"0\r\nX: " + b"a" * 23 + b"\r\n\r\n", limits)
    assert bad(b"0\r\nX: " + b"a" * 24 + b"\r\n\r\n", limits) == 431
    assert chunked(b"0\r\n" + b"X:\r\n" * 5 + b"\r\n", limits)
    assert bad(b"0\r\n" + b"X:\r\n" * 6 + b"\r\n", limits) == 431


@pytest.mark.parametrize(
    "content", [b"", b"5", b"5\r\n", b"5\r\nhell", b"5\r\nhello", b"0", b"0\r\n", b"0\r\nX: y\r\n"]
)
def test_chunks_that_end_early(content: bytes) -> None:
    assert bad(content, ended=True) == 400


@given(
    st.lists(st.binary(min_size=1, max_size=50), max_size=8),
    st.lists(st.integers(1, 60), min_size=1, max_size=20),
)
def test_chunks_in_any_pieces(chunks: list[bytes], cuts: list[int]) -> None:
    encoder = ContentEncoder(1, None)
    octets = HEAD + b"".join(map(encoder.encode, chunks)) + encoder.finish([(b"X", b"y")])
    pieces: list[bytes] = []
    rest = octets
    while rest:
        length = cuts[len(pieces) % len(cuts)]
        pieces.append(rest[:length])
        rest = rest[length:]
    [message] = messages(RequestReceiver(), pieces)
    assert message.complete
    assert message.content == b"".join(chunks)
    assert message.raw == octets
    assert message.trailers.pairs == ((b"X", b"y"),)


def test_a_run_of_many_chunks_is_taken_bit_by_bit() -> None:
    receiver = RequestReceiver(Limits())
    receiver.receive(HEAD + b"1\r\nx\r\n" * 1000 + b"0\r\n\r\n")
    receiver.next_event()
    pieces: list[bytes] = []
    while isinstance(event := receiver.next_event(), Content):
        # In between whoever asks can do something else.
        assert 0 < len(event.data) <= 100
        pieces.append(event.data)
    assert b"".join(pieces) == b"x" * 1000
    assert isinstance(event, EndOfMessage)
