"""
What other parsers' published tests ask (llhttp's and h11's), told again in our words; where the
answer here is another one, the test says so.
"""

from __future__ import annotations

import pytest

from netkit.wire.http import RequestHead, RequestReceiver, ResponseHead

from .feeding import messages, parsed, refused

CHUNKED = b"POST /chunked HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"


@pytest.mark.parametrize(
    "octets",
    [
        # A browser's and a command line's ordinary requests.
        (
            b"GET /favicon.ico HTTP/1.1\r\nHost: 0.0.0.0:5000\r\nKeep-Alive: 300\r\n"
            b"Connection: keep-alive\r\n\r\n"
        ),
        (
            b"GET /test HTTP/1.1\r\nUser-Agent: curl/7.18.0 (i486-pc-linux-gnu)\r\n"
            b"Host: 0.0.0.0:5000\r\nAccept: */*\r\n\r\n"
        ),
        # Names that look like others, values that are long, and no value at all.
        b"GET / HTTP/1.1\r\nHost: a\r\naaaaaaaaaaaaa:++++++++++\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\nLine1:   abc\t\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\nContent-Lengthx: 5\r\nxTransfer-Encoding: z\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\nTest: D\xc3\xbcsseldorf\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\nX-SSL-Nonsense:  -----BEGIN CERTIFICATE-----\r\n\r\n",
        # A second question mark, and a colon in the path.
        b"GET /test.cgi?foo=bar?baz HTTP/1.1\r\nHost: a\r\n\r\n",
        b"GET /a:b/c;d=e HTTP/1.1\r\nHost: a\r\n\r\n",
        b"GET http://hypnotoad.org:1234?hail=all HTTP/1.1\r\nHost: a\r\n\r\n",
        b"GET http://hypnotoad.org HTTP/1.1\r\nHost: a\r\n\r\n",
        # Methods that are no everyday ones.
        *(
            method + b" /file HTTP/1.1\r\nHost: a\r\n\r\n"
            for method in (b"REPORT", b"PATCH", b"PURGE", b"MKCALENDAR", b"LINK", b"SOURCE")
        ),
        b"CONNECT 0-home0.netscape.com:443 HTTP/1.0\r\nUser-agent: Mozilla/1.1N\r\n\r\n",
        b"CONNECT home_0.netscape.com:443 HTTP/1.0\r\n\r\n",
        # No field at all, as HTTP/1.0 has it.
        b"GET / HTTP/1.0\r\n\r\n",
        b"POST / HTTP/1.0\r\nContent-Length: 3\r\n\r\nabc",
        # Content where one does not expect any.
        b"GET / HTTP/1.1\r\nHost: a\r\nconTENT-Length: 5\r\n\r\nHELLO",
        b"POST /post?q=search HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n",
        # Chunks.
        CHUNKED + b"1e\r\nall your base are belong to us\r\n0\r\n\r\n",
        CHUNKED + b"5\r\nhello\r\n6\r\n world\r\n000\r\n\r\n",
        CHUNKED + b"5\r\nhello\r\n6\r\n world\r\n0\r\nVary: *\r\nX: text/plain\r\n\r\n",
        CHUNKED + b"5;ilovew3;somuchlove=aretheseparametersfor;another=withvalue\r\nhello\r\n"
        b"6;blahblah;blah\r\n world\r\n0\r\n\r\n",
        CHUNKED
        + b'5;ilovew3="I \\"love\\"; \\\\extensions\\\\";somuchlove="aretheseparametersfor"'
        b'\r\nhello\r\n6;blahblah;foo="bar"\r\n world\r\n0;last="x"\r\n\r\n',
        # Upgrades, with content before them.
        (
            b"POST /demo HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: HTTP/2.0\r\n"
            b"Content-Length: 15\r\n\r\nsweet post body"
        ),
    ],
)
def test_requests_that_are_taken(octets: bytes) -> None:
    [message] = parsed(octets)
    assert isinstance(message.head, RequestHead)
    assert message.raw == octets


@pytest.mark.parametrize(
    ("octets", "status"),
    [
        # Bytes that no request begins with, seen at once.
        (b"\x00", 400),
        (b"\x20", 400),
        (b"\x16\x03\x01\x00\xa5", 400),
        # Request lines.
        (b"GET /\r\n\r\n", 400),
        (b"GET / HTP/1.1\r\n\r\n", 400),
        (b"GET / IHTTP/1.0\r\n\r\n", 400),
        (b"GET / HTTP/01.1\r\n\r\n", 400),
        (b"GET / HTTP/11.1\r\n\r\n", 400),
        (b"GET / HTTP/5.6\r\n\r\n", 505),
        (b"GET /?a=1 http/1.1 HTTP/1.1\r\n\r\n", 400),
        (b"foo\x11/ HTTP/1.1\r\n\r\n", 400),
        # Fields.
        (b"GET / HTTP/1.1\r\nHost: a\r\nFo@: Failure\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: a\r\nFoo\x01\\Bar: b\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: a\r\nFoo Bar: b\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: a\r\n\tFoo: b\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: a\r\nname: value\x00\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: a\r\nline\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: a\r\n: line\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: www.example.com\r\nConnection\r\033\x65-Alive: 3\r\n\r\n", 400),
        # Framing.
        (b"PUT /url HTTP/1.1\r\nHost: a\r\nContent-Length: 42 13\r\n\r\n", 400),
        (b"PUT /url HTTP/1.1\r\nHost: a\r\nContent-Length: -1\r\n\r\n", 400),
        (b"PUT /url HTTP/1.1\r\nHost: a\r\nContent-Length:\r\n\r\n", 400),
        (b"PUT /url HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000000000000000000\r\n\r\n", 413),
        (b"PUT /url HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: deflate\r\n\r\n", 400),
        (b"PUT /url HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: pigeons\r\n\r\n", 400),
        # Chunks.
        (CHUNKED + b"2 erfrferferf\r\naa\r\n0 rrrr\r\n\r\n", 400),
        (CHUNKED + b"1e\r\rall your base\r\n", 400),
        (CHUNKED + b"5;ilovew3;somuchlove=a\xad=b\r\nhello\r\n", 400),
        (CHUNKED + b'5;a="quoted" and more\r\nhello\r\n', 400),
        (CHUNKED + b"5;\r\nhello\r\n0\r\n\r\n", 400),
        (CHUNKED + b"fffffffffffffffff\r\nfoo", 413),
        (CHUNKED + b"5\r\nhelloxx0\r\n\r\n", 400),
        (CHUNKED + b"9 \r\n", 400),
        # Those others let pass, or some do.
        (b"GET / HTTP/1.1\nHost: a\n\n", 400),
        (b"GET / HTTP/1.1\r\nHost: a\r\nLine1:   abc\r\n\tdef\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 5, 5\r\n\r\n", 400),
        (b"POST /post?q=search#hey HTTP/1.1\r\nHost: a\r\n\r\n", 400),
        (b"GET /\xce\xb4\xc2\xb6/\xce\xb4t HTTP/1.1\r\nHost: a\r\n\r\n", 400),
        (b"M-SEARCH * HTTP/1.1\r\nHost: 239.255.255.250:1900\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\n\r\n", 400),
    ],
)
def test_requests_that_are_refused(octets: bytes, status: int) -> None:
    assert refused(octets).status == status


@pytest.mark.parametrize(
    ("octets", "content"),
    [
        (b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", b"hello"),
        (b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n", b""),
        (b"HTTP/1.1 200 \r\nContent-Length: 0\r\n\r\n", b""),
        (b"HTTP/1.0 301\r\nContent-Length: 0\r\n\r\n", b""),
        (b"HTTP/1.1 200 non-ascii phrase \xf3\r\nContent-Length: 0\r\n\r\n", b""),
        (b"HTTP/1.1 999 beyond\r\nContent-Length: 0\r\n\r\n", b""),
        (b"HTTP/1.1 204 No Content\r\nConnection: keep-alive\r\n\r\n", b""),
        (b"HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n", b""),
        (
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nThis\r\n0\r\n\r\n",
            b"This",
        ),
    ],
)
def test_responses_that_are_taken(octets: bytes, content: bytes) -> None:
    [message] = parsed(octets, methods=(b"GET",))
    assert isinstance(message.head, ResponseHead)
    assert message.content == content


@pytest.mark.parametrize("line", [b"HTTP/1.1 200 OK\r\n", b"HTTP/1.0 200\r\n"])
def test_a_response_to_the_end_of_the_connection(line: bytes) -> None:
    octets = line + b"Connection: close\r\n\r\nup to the end"
    [message] = parsed(octets, methods=(b"GET",), ended=True)
    assert message.content == b"up to the end"


def test_an_empty_line_after_content() -> None:
    """
    Old clients send one that is in no length: it is not a part of the next request.
    """
    post = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nq=42"
    get = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"
    found = list(messages(RequestReceiver(), [post + b"\r\n\r\n" + get]))
    assert [message.raw for message in found] == [post, get]
