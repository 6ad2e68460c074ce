"""
Tests for L{netkit.wire.http.connection}.
"""

from __future__ import annotations

import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netkit.wire.errors import HTTPProtocolError
from netkit.wire.http import (
    Content,
    EndOfMessage,
    Limits,
    RequestHead,
    RequestReceiver,
    ResponseHead,
    ResponseReceiver,
)

from .feeding import messages, parsed, refused, request, responses


def test_pipelined_requests() -> None:
    octets = (
        request()
        + request(b"Content-Length: 3", line=b"POST /1 HTTP/1.1")
        + b"abc"
        + request(b"Transfer-Encoding: chunked", line=b"POST /2 HTTP/1.1")
        + b"3\r\ndef\r\n0\r\n\r\n"
        + request(line=b"GET /3 HTTP/1.1")
    )
    found = parsed(octets)
    assert [message.content for message in found] == [b"", b"abc", b"def", b""]


def test_one_event_is_taken_at_a_time() -> None:
    """
    Whoever does not want a request yet does not ask for it: it stays where it is.
    """
    receiver = RequestReceiver()
    receiver.receive(request() * 2)
    assert isinstance(receiver.next_event(), RequestHead)
    assert receiver.buffered == len(request())
    receiver.receive(request())
    assert receiver.buffered == 2 * len(request())
    assert isinstance(receiver.next_event(), RequestHead)


@pytest.mark.parametrize("lines", [(), (b"Content-Length: 0",)])
def test_a_request_without_content_is_complete_with_its_head(lines: tuple[bytes, ...]) -> None:
    receiver = RequestReceiver()
    receiver.receive(request(*lines))
    head = receiver.next_event()
    assert isinstance(head, RequestHead)
    assert not head.framing.has_content
    assert receiver.next_event() is None


def test_the_end_of_an_empty_response_is_told() -> None:
    receiver = responses(b"GET")
    receiver.receive(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
    assert isinstance(receiver.next_event(), ResponseHead)
    assert isinstance(receiver.next_event(), EndOfMessage)


@pytest.mark.parametrize("behind", [b"", b"GET"])
def test_a_content_that_has_arrived_is_taken_at_once(behind: bytes) -> None:
    receiver = RequestReceiver()
    receiver.receive(request(b"Content-Length: 3", line=b"POST / HTTP/1.1") + b"ab")
    assert isinstance(receiver.next_event(), RequestHead)
    assert receiver.take_content() is None
    receiver.receive(b"c" + behind)
    assert receiver.take_content() == b"abc"
    assert receiver.take_content() is None
    assert receiver.next_event() is None
    assert receiver.detach() == behind


@pytest.mark.parametrize("whole", [False, True])
def test_a_content_that_was_taken_is_not_kept(whole: bool) -> None:
    """
    Until more arrives, which may never be.
    """
    octets = request(b"Content-Length: 3", line=b"POST / HTTP/1.1") + b"abc"
    references = sys.getrefcount(octets)
    receiver = RequestReceiver()
    receiver.receive(octets)
    assert isinstance(receiver.next_event(), RequestHead)
    if whole:
        assert receiver.take_content() == b"abc"
    else:
        assert isinstance(receiver.next_event(), Content)
    assert sys.getrefcount(octets) == references


def test_a_content_that_does_not_say_its_length_is_not_taken_at_once() -> None:
    receiver = RequestReceiver()
    receiver.receive(request(b"Transfer-Encoding: chunked") + b"0\r\n\r\n")
    assert isinstance(receiver.next_event(), RequestHead)
    assert receiver.take_content() is None
    assert isinstance(receiver.next_event(), EndOfMessage)


def test_a_response_that_was_read_elsewhere_is_passed_over() -> None:
    receiver = ResponseReceiver()
    receiver.request_sent(b"GET")
    receiver.request_sent(b"HEAD")
    receiver.pass_over()
    receiver.receive(b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n")
    assert isinstance(receiver.next_event(), ResponseHead)
    assert isinstance(receiver.next_event(), EndOfMessage)


def test_a_message_alone_is_received_at_once() -> None:
    """
    Where it is one, and nothing else: whoever receives in the usual way finds all the rest.
    """
    head = b"GET /a HTTP/1.1\r\nHost: a\r\n\r\n"
    answer = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n"
    asked, answered = RequestReceiver(), ResponseReceiver()
    for _ in range(2):
        for others in (head[:9], head * 2, b"\r\n" + head, b""):
            assert asked.receive_alone(others) is None
        found = asked.receive_alone(head)
        assert found is not None
        assert found.target == b"/a"
        assert answered.receive_alone(answer + b"ok") is None
        answered.request_sent(b"GET")
        interim = b"HTTP/1.1 100 Continue\r\n\r\n"
        for others in (answer, answer + b"o", answer + b"ok!", interim, b""):
            assert answered.receive_alone(others) is None
        assert isinstance(answered.receive_alone(answer + b"ok"), ResponseHead)
        answered.request_sent(b"HEAD")
        assert answered.receive_alone(answer + b"ok") is None
        assert isinstance(answered.receive_alone(answer), ResponseHead)
    asked.receive(head[:9])
    assert asked.receive_alone(head) is None
    asked.receive(head[9:])
    assert isinstance(asked.next_event(), RequestHead)
    chunked = b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
    assert asked.receive_alone(chunked) is None
    asked.receive(chunked)
    assert isinstance(asked.next_event(), RequestHead)
    assert asked.receive_alone(head) is None
    other = RequestReceiver()
    with pytest.raises(HTTPProtocolError):
        other.receive_alone(b"\0")
    with pytest.raises(HTTPProtocolError):
        other.next_event()


def test_requests_before_an_error_are_told() -> None:
    receiver = RequestReceiver()
    receiver.receive(request() + b"\x00")
    assert isinstance(receiver.next_event(), RequestHead)
    with pytest.raises(HTTPProtocolError):
        receiver.next_event()


def test_what_follows_an_upgrade_is_given_up() -> None:
    receiver = RequestReceiver()
    receiver.receive(request(b"Upgrade: x", b"Connection: upgrade") + b"not HTTP")
    head = receiver.next_event()
    assert isinstance(head, RequestHead)
    assert head.framing.upgrade
    assert receiver.detach() == b"not HTTP"


def test_responses_to_several_requests() -> None:
    octets = (
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n"
        b"HTTP/1.1 100 Continue\r\n\r\n"
        b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n"
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"
        b"HTTP/1.1 304 \r\nContent-Length: 5\r\n\r\n"
    )
    found = parsed(octets, methods=(b"HEAD", b"POST", b"GET"))
    heads = [message.head for message in found]
    assert [head.status for head in heads if isinstance(head, ResponseHead)] == [
        200,
        100,
        103,
        200,
        304,
    ]
    assert [message.content for message in found] == [b"", b"", b"", b"hello", b""]


def finalHead(octets: bytes, method: bytes = b"GET", limits: Limits | None = None) -> ResponseHead:
    """
    The head of the final response, as it is found octet by octet.
    """
    receiver = responses(method, limits=limits)
    for i in range(len(octets)):
        assert receiver.next_final_head() is None
        receiver.receive(octets[i : i + 1])
    head = receiver.next_final_head()
    assert head is not None
    assert receiver.detach() == b""
    return head


@pytest.mark.parametrize("method", [b"GET", b"CONNECT"])
def test_interim_responses_are_passed_over(method: bytes) -> None:
    interim = b"".join(
        b"HTTP/1.1 %d Wait\r\nLink: </a>\r\n\r\n" % status for status in (100, 102, 103, 199)
    )
    for status in (200, 101, 404):
        final = b"HTTP/1.1 %d Done\r\n\r\n" % status
        assert finalHead(interim + final, method).status == status
        receiver = responses(method)
        receiver.receive(interim + final + b"more")
        head = receiver.next_final_head()
        assert head is not None
        assert head.status == status
        assert receiver.detach() == b"more"


@pytest.mark.parametrize("line", [b"Content-Length: 0", b"Transfer-Encoding: chunked"])
def test_what_frames_a_content_is_no_interim_response(line: bytes) -> None:
    octets = b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 102 Processing\r\n%b\r\n\r\n" % line
    assert finalHead(octets).status == 102


def test_interim_responses_are_counted() -> None:
    interim, final = b"HTTP/1.1 102 Processing\r\n\r\n", b"HTTP/1.1 204 No Content\r\n\r\n"
    limits = Limits(interim_responses=3)
    assert finalHead(interim * 3 + final, limits=limits).status == 204
    receiver = responses(b"GET", limits=limits)
    receiver.receive(interim * 4)
    with pytest.raises(HTTPProtocolError, match="more than 3 interim responses"):
        receiver.next_final_head()
    # Each response has as many.
    receiver = responses(b"GET", b"GET", limits=limits)
    receiver.receive((interim * 3 + final) * 2)
    heads = [event for event in iter(receiver.next_event, None) if isinstance(event, ResponseHead)]
    assert [head.status for head in heads].count(204) == 2


@pytest.mark.parametrize(
    "fields",
    [
        b"Content-Length: 5\r\n",
        b"Transfer-Encoding: chunked\r\n",
        b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n",
        b"Content-Length: 5\r\nContent-Length: 6\r\n",
        b"Content-Length: none\r\n",
        b"Transfer-Encoding: gzip\r\n",
    ],
)
@pytest.mark.parametrize("line", [b"HTTP/1.1 200 OK", b"HTTP/1.0 200 OK", b"HTTP/1.1 299 "])
def test_rfc9110_9_3_6_framing_fields_are_ignored_in_what_opens_a_tunnel(
    line: bytes, fields: bytes
) -> None:
    receiver = responses(b"CONNECT")
    receiver.receive(line + b"\r\n" + fields + b"\r\n5\r\nhello")
    head = receiver.next_final_head()
    assert head is not None
    assert not head.framing.has_content
    assert receiver.detach() == b"5\r\nhello"


def test_a_response_to_no_request() -> None:
    octets = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"
    assert refused(octets * 2, methods=(b"GET",)).status == 400
    assert ResponseReceiver().next_event() is None


def test_a_response_that_ends_in_its_head() -> None:
    assert refused(b"HTTP/1.1 200 O", methods=(b"GET",), ended=True).status == 400


_FRAGMENTS = st.sampled_from(
    [
        b"GET / HTTP/1.1\r\n",
        b"HTTP/1.1 200 OK\r\n",
        b"Host: a\r\n",
        b"Content-Length: 3\r\n",
        b"Transfer-Encoding: chunked\r\n",
        b"Connection: close\r\n",
        b"Expect: 100-continue\r\n",
        b"\r\n",
        b"\r",
        b"\n",
        b"abc",
        b"3\r\nabc\r\n",
        b"0\r\n\r\n",
        b"0\r\nX: y\r\n\r\n",
        b" ",
        b"\x00",
        b": ",
    ]
)
_LIMITS = Limits(request_line=60, header_section=120, fields=5, content=20, trailer_section=30)


@given(
    methods=st.sampled_from([(), (b"GET", b"HEAD", b"POST")]),
    pieces=st.lists(_FRAGMENTS | st.binary(max_size=20), max_size=12),
    limits=st.sampled_from([Limits(), _LIMITS]),
    ended=st.booleans(),
)
def test_any_octets_give_events_or_an_error(
    methods: tuple[bytes, ...], pieces: list[bytes], limits: Limits, ended: bool
) -> None:
    """
    The same ones, in whatever pieces the octets came.
    """
    octets = b"".join(pieces)
    outcomes = []
    for fed in (pieces, [octets], [octets[at : at + 1] for at in range(len(octets))]):
        receiver = responses(*methods, limits=limits) if methods else RequestReceiver(limits)
        found = []
        error = None
        try:
            for message in messages(receiver, fed, ended=ended):
                found.append(message)
        except HTTPProtocolError as raised:
            error = raised.status
        outcomes.append(([message.head.raw for message in found], error))
        assert sum(len(message.raw) for message in found) <= len(octets)
        if error is None:
            outcomes[-1] += ([message.told() for message in found],)  # type: ignore[assignment]
    assert outcomes[0] == outcomes[1] == outcomes[2]
