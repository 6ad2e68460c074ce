"""
Tests for L{netkit.wire.http.head}: RFC 9112 sections 2 to 5.
"""

from __future__ import annotations

import pytest

from netkit.wire.http import (
    Limits,
    RequestHead,
    RequestReceiver,
    ResponseHead,
    ResponseReceiver,
)

from .feeding import messages, parsed, refused, request

FIREFOX = (
    b"GET /path/to/page.html?query=string&other=%20 HTTP/1.1\r\n"
    b"Host: www.example.com:8080\r\n"
    b"User-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0\r\n"
    b"Accept: text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8\r\n"
    b"ACCEPT-LANGUAGE:en-US,en;q=0.5\r\n"
    b"Cookie: \t session=0123 \t\r\n"
    b"cookie: theme=\xe4\r\n"
    b"X-Empty:\r\n"
    b"Connection: keep-alive\r\n\r\n"
)


def test_a_whole_request() -> None:
    [message] = parsed(FIREFOX)
    head = message.head
    assert isinstance(head, RequestHead)
    assert (head.method, head.minor) == (b"GET", 1)
    assert head.target == b"/path/to/page.html?query=string&other=%20"
    assert head.raw == FIREFOX
    assert head.line == b"GET /path/to/page.html?query=string&other=%20 HTTP/1.1\r\n"
    assert [name for name, _ in head.fields] == [
        b"Host",
        b"User-Agent",
        b"Accept",
        b"ACCEPT-LANGUAGE",
        b"Cookie",
        b"cookie",
        b"X-Empty",
        b"Connection",
    ]
    assert head.fields.get(b"accept-language") == b"en-US,en;q=0.5"
    assert head.fields.all(b"COOKIE") == [b"session=0123", b"theme=\xe4"]
    assert head.fields.get(b"x-empty") == b""
    assert "page.html" in repr(head)


def test_the_same_header_section_again() -> None:
    """
    Clients send the same fields with every request: they are parsed once.
    """
    octets = request(b"X: 1", line=b"GET /1 HTTP/1.1") + request(b"X: 1", line=b"GET /2 HTTP/1.1")
    first, second = parsed(octets)
    assert isinstance(first.head, RequestHead)
    assert isinstance(second.head, RequestHead)
    assert (first.head.target, second.head.target) == (b"/1", b"/2")
    assert second.head.raw == request(b"X: 1", line=b"GET /2 HTTP/1.1")
    [one, two] = messages(RequestReceiver(), [octets])
    assert one.head.fields is two.head.fields


def test_the_same_head_again() -> None:
    """
    And with another one in between.
    """
    receiver = RequestReceiver()
    receiver.receive(request() * 2 + request(line=b"HEAD / HTTP/1.1") * 2 + request(b"X: 1"))
    heads = []
    while (head := receiver.next_event()) is not None:
        assert isinstance(head, RequestHead)
        assert receiver.method == head.method
        heads.append(head)
    assert heads[0] is heads[1]
    assert heads[2] is heads[3]
    assert [head.method for head in heads] == [b"GET", b"GET", b"HEAD", b"HEAD", b"GET"]
    assert heads[4].fields.get(b"x") == b"1"


def test_the_same_response_again() -> None:
    """
    Servers answer with the same head for a second at least; what it means hangs on the method.
    """
    head = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n"
    other = b"HTTP/1.1 404 No\r\nContent-Length: 2\r\n\r\n"
    said = [(b"GET", head + b"ab"), (b"GET", head + b"cd"), (b"HEAD", head)]
    said += [(b"GET", other + b"ef"), (b"GET", head + b"gh")]
    octets = b"".join(octets for _, octets in said)
    for cut in range(len(octets)):
        receiver = ResponseReceiver()
        for method, _ in said:
            receiver.request_sent(method)
        found = list(messages(receiver, [octets[:cut], octets[cut:]]))
        assert [message.raw for message in found] == [octets for _, octets in said]
        assert [message.content for message in found] == [b"ab", b"cd", b"", b"ef", b"gh"]
    receiver = ResponseReceiver()
    for _ in range(2):
        receiver.request_sent(b"GET")
    [one, two] = messages(receiver, [(head + b"ab") * 2])
    assert one.head is two.head


def test_the_same_header_section_in_another_version() -> None:
    same = b"\r\nHost: a\r\n\r\n"
    one, zero, again = parsed(
        b"GET / HTTP/1.1" + same + b"GET / HTTP/1.0" + same + b"GET / HTTP/1.1" + same
    )
    assert one.head.framing.keep_alive
    assert not zero.head.framing.keep_alive
    assert again.head.framing.keep_alive


def test_the_same_header_section_in_pieces() -> None:
    """
    What was parsed of a section in pieces is forgotten at its end, and counts for no other.
    """
    octets = request(b"X: 1") * 2 + request(b"Y: 2")
    for cut in range(1, len(octets)):
        found = list(messages(RequestReceiver(), [octets[:cut], octets[cut:]]))
        assert b"".join(message.raw for message in found) == octets


def test_rfc9112_2_2_empty_lines_before_a_request_are_ignored() -> None:
    octets = b"\r\n\r\n" + request() + b"\r\n" + request()
    for pieces in ([octets], [octets[at : at + 1] for at in range(len(octets))]):
        found = list(messages(RequestReceiver(), pieces))
        assert [message.raw for message in found] == [request(), request()]


@pytest.mark.parametrize(
    "octets",
    [
        b"GET / HTTP/1.1\nHost: a\n\n",
        b"GET / HTTP/1.1\nHost: a\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\n\n",
        b"GET / HTTP/1.1\r\nHost: a\r\n\n",
        b"\nGET / HTTP/1.1\r\nHost: a\r\n\r\n",
        b"GET / HTTP/1.1\r\rHost: a\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\rX: b\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\r\n\r\n",
        b"GET /\r HTTP/1.1\r\nHost: a\r\n\r\n",
    ],
)
def test_rfc9112_2_2_lines_end_with_crlf(octets: bytes) -> None:
    assert refused(octets).status == 400


@pytest.mark.parametrize(
    "octets", [b" GET / HTTP/1.1\r\nHost: a\r\n\r\n", b"GET / HTTP/1.1\r\n Host: a\r\n\r\n"]
)
def test_rfc9112_2_2_no_whitespace_before_the_first_field(octets: bytes) -> None:
    assert refused(octets).status == 400


@pytest.mark.parametrize("version", [b"2.0", b"3.0", b"0.9", b"9.9"])
def test_rfc9110_2_5_other_major_versions(version: bytes) -> None:
    assert refused(request(line=b"GET / HTTP/" + version)).status == 505


def test_rfc9110_2_5_a_higher_minor_version_is_one_that_we_know() -> None:
    [message] = parsed(request(line=b"GET / HTTP/1.7"))
    assert message.head.minor == 7
    assert message.head.framing.keep_alive


def test_the_preface_of_http_2() -> None:
    assert refused(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").status == 505


def test_a_tls_client_hello() -> None:
    """
    What can never become a request is refused at once, not when its time is over.
    """
    error = refused(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03")
    assert error.status == 400
    assert "this is not HTTP/1: it starts with" in str(error)


@pytest.mark.parametrize(
    "line",
    [
        b"GET /",
        b"GET",
        b"GET  / HTTP/1.1",
        b"GET /  HTTP/1.1",
        b"GET / HTTP/1.1 ",
        b"GET\t/ HTTP/1.1",
        b"GET /a b HTTP/1.1",
        b"GET / http/1.1",
        b"GET / HTTP/1.1a",
        b"GET / HTTP/01.1",
        b"GET / HTTP/1.10",
        b"GET / HTTP/1,1",
        b"GET / HTTP/+1.1",
        b"GET / HTTP/1.",
        b"GET / HTTP/",
        b"GET / XTTP/1.1",
        b"GET HTTP/1.1",
        b"G\x00T / HTTP/1.1",
        b"G(T / HTTP/1.1",
        b"G\xe4T / HTTP/1.1",
        b"/ HTTP/1.1",
    ],
)
def test_rfc9112_3_request_line(line: bytes) -> None:
    assert refused(request(line=line)).status == 400


@pytest.mark.parametrize("method", [b"GET", b"get", b"M-SEARCH", b"!#$%&'*+-.^_`|~09azAZ"])
def test_rfc9112_3_1_methods_are_tokens(method: bytes) -> None:
    [message] = parsed(request(line=method + b" / HTTP/1.1"))
    assert isinstance(message.head, RequestHead)
    assert message.head.method == method


@pytest.mark.parametrize(
    "line",
    [
        b"GET / HTTP/1.1",
        b"GET /?a=%zz&b=100% HTTP/1.1",
        b"GET /a/%7e;x=(y)'*!$&+,:@[]|^`{}\\ HTTP/1.1",
        b"GET http://a HTTP/1.1",
        b"GET http://a?b HTTP/1.1",
        b"GET http://[::1]:80/a?b HTTP/1.1",
        b"GET HTTPS://a.example:8080/ HTTP/1.1",
        b"OPTIONS * HTTP/1.1",
        b"OPTIONS / HTTP/1.1",
        b"CONNECT a:443 HTTP/1.1",
        b"CONNECT [::1]:443 HTTP/1.1",
    ],
)
def test_rfc9112_3_2_forms_of_the_target(line: bytes) -> None:
    [message] = parsed(request(line=line))
    assert isinstance(message.head, RequestHead)
    assert message.head.target == line.split(b" ")[1]


@pytest.mark.parametrize(
    "line",
    [
        b"GET * HTTP/1.1",
        b"GET a HTTP/1.1",
        b"GET a:443 HTTP/1.1",
        b"GET ?a HTTP/1.1",
        b"GET /a#b HTTP/1.1",
        b"GET /a?b#c HTTP/1.1",
        b'GET /"a" HTTP/1.1',
        b"GET /<a> HTTP/1.1",
        b"GET /\x01 HTTP/1.1",
        b"GET /\x7f HTTP/1.1",
        b"GET /\xc3\xa4 HTTP/1.1",
        b"GET /%zz HTTP/1.1",
        b"GET /% HTTP/1.1",
        b"GET /a%2 HTTP/1.1",
        b"GET http:// HTTP/1.1",
        b"GET http:///a HTTP/1.1",
        b"GET http://user@a/ HTTP/1.1",
        b"GET http://a:b/ HTTP/1.1",
        b"GET http://a b/ HTTP/1.1",
        b"GET http://a/%zz HTTP/1.1",
        b"GET http://a/#b HTTP/1.1",
        b"GET 1http://a/ HTTP/1.1",
        b"OPTIONS ** HTTP/1.1",
        b"CONNECT / HTTP/1.1",
        b"CONNECT a HTTP/1.1",
        b"CONNECT http://a/ HTTP/1.1",
        b"CONNECT * HTTP/1.1",
    ],
)
def test_rfc9112_3_2_what_is_no_target(line: bytes) -> None:
    assert refused(request(line=line)).status == 400


@pytest.mark.parametrize(
    "field",
    [
        b"X : b",
        b"X\t: b",
        b" X: b",
        b"X\r\n Y: b",
        b"X: b\r\n c",
        b"X: b\r\n\tc",
        b"X: b\r\n ",
        b"X",
        b": b",
        b"X Y: b",
        b"X\x00: b",
        b"X\xe4: b",
        b"X(: b",
        b"X: a\x00b",
        b"X: a\x01b",
        b"X: a\x0bb",
        b"X: a\x7fb",
        b"X: a\rb",
        b"X: a\nb",
    ],
)
def test_rfc9112_5_field_lines(field: bytes) -> None:
    assert refused(request(field)).status == 400
    assert refused(request(field, b"Y: z", host=b"")).status == 400


@pytest.mark.parametrize(
    ("field", "reason"),
    [
        (b"X: b\r\n c", "folded over two lines"),
        (b"X : b", "whitespace before the colon"),
        (b"X: b\nY: c", "LF without CR"),
        (b"X", "no colon"),
        (b": b", "no name"),
        (b"X(: b", "name is no token"),
        (b"X: \x00", "control character"),
    ],
)
def test_the_reason_is_told(field: bytes, reason: str) -> None:
    assert reason in str(refused(request(field)))


def test_what_is_shown_of_a_line_is_short_and_printable() -> None:
    told = str(refused(request(b"X" * 5000 + b"\x1b: b")))
    assert len(told) < 200
    assert told.isprintable()


def test_limit_of_the_request_line() -> None:
    limits = Limits(request_line=40)
    longest = b"GET /" + b"a" * 26 + b" HTTP/1.1"
    assert len(longest) == 40
    assert parsed(request(line=longest), limits)
    assert refused(request(line=longest.replace(b"/", b"/a")), limits).status == 414
    # What can never become a request is refused as that, however long.
    assert refused(request(line=b"\x01" * 41), limits).status == 400
    assert refused(b"G" * 42, limits).status == 414
    assert refused(b"GET /" + b" " * 50 + b"\r\n", limits).status == 414


def test_limit_of_the_header_section() -> None:
    limits = Limits(header_section=100)
    longest = request(b"X: " + b"a" * 84)
    assert len(longest) - len(b"GET / HTTP/1.1\r\n") == 100
    assert parsed(longest, limits)
    assert refused(longest.replace(b"X", b"XX"), limits).status == 431
    # Its end is not waited for.
    assert refused(longest[:-10] + b"a" * 100, limits).status == 431
    # Nor does it matter what is wrong beyond the limit.
    assert refused(longest[:-4] + b"aaaaa\x00\r\n\r\n", limits).status == 431


def test_limit_of_the_number_of_fields() -> None:
    limits = Limits(fields=5)
    assert parsed(request(*[b"X: y"] * 4), limits)
    assert refused(request(*[b"X: y"] * 5), limits).status == 431
    assert refused(request(*[b"X: y"] * 5, b"\x00"), limits).status == 431
    assert refused(request(*[b"X: y"] * 4, b"\x00"), limits).status == 400
    assert parsed(request(*[b"X: y"] * 300), Limits(fields=10**12))


def test_an_end_in_the_middle_of_a_head() -> None:
    assert refused(b"GET / HT", ended=True).status == 400
    assert refused(request()[:-1], ended=True).status == 400
    assert list(messages(RequestReceiver(), [b""], ended=True)) == []


def test_a_whole_response() -> None:
    octets = b"HTTP/1.1 404 Not  Found\xe4\r\nContent-Length: 2\r\n\r\nno"
    [message] = parsed(octets, methods=(b"GET",))
    head = message.head
    assert isinstance(head, ResponseHead)
    assert (head.status, head.reason, head.minor) == (404, b"Not  Found\xe4", 1)
    assert message.content == b"no"
    assert "404" in repr(head)


def test_rfc9112_4_the_reason_phrase_may_be_empty() -> None:
    for line in (b"HTTP/1.1 204 \r\n", b"HTTP/1.1 204\r\n"):
        [message] = parsed(line + b"\r\n", methods=(b"GET",))
        assert isinstance(message.head, ResponseHead)
        assert message.head.reason == b""


@pytest.mark.parametrize(
    "line",
    [
        b"HTTP/1.1 20 OK",
        b"HTTP/1.1 2000 OK",
        b"HTTP/1.1 099 OK",
        b"HTTP/1.1 200OK",
        b"HTTP/1.1  200 OK",
        b"HTTP/1.1 200 O\x00K",
        b"HTTP/2.0 200 OK",
        b"http/1.1 200 OK",
        b"ICY 200 OK",
        b"\x16\x03\x01",
    ],
)
def test_rfc9112_4_status_line(line: bytes) -> None:
    assert refused(line + b"\r\n\r\n", methods=(b"GET",)).status == 400


def test_limits_of_a_response_head() -> None:
    limits = Limits(request_line=30, header_section=100)
    long = b"HTTP/1.1 200 " + b"O" * 20 + b"\r\n\r\n"
    assert refused(long, limits, methods=(b"GET",)).status == 400
    assert refused(long[:-4], limits, methods=(b"GET",)).status == 400
    big = b"HTTP/1.1 200 OK\r\nX: " + b"a" * 100 + b"\r\n\r\n"
    assert refused(big, limits, methods=(b"GET",)).status == 431
