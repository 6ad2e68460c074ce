"""
Requests on which HTTP servers disagree, or might.
"""

from __future__ import annotations

HOST = b"Host: a\r\n"
POST = b"POST / HTTP/1.1"
CHUNKS = b"5\r\nhello\r\n0\r\n\r\n"


def head(
    *fields: bytes, line: bytes = b"GET / HTTP/1.1", host: bytes = HOST, content: bytes = b""
) -> bytes:
    """
    Write a request.
    """
    lines = b"".join(field + b"\r\n" for field in fields)
    return line + b"\r\n" + host + lines + b"\r\n" + content


_LINES = [
    *(b"GET / HTTP/" + version for version in (b"1.0", b"1.2", b"1.9", b"1.10", b"2.0", b"0.9")),
    *(b"GET %b HTTP/1.1" % path for path in (b"/?a=%zz", b"/%zz", b"/a%2", b"/%00", b"/a%2fb")),
    *(b"GET %b HTTP/1.1" % path for path in (b"/a|b^c`d{e}\\[]", b'/"a"', b"/<a>", b"/a#b")),
    *(b"GET %b HTTP/1.1" % path for path in (b"/\xc3\xa4", b"/\x01", b"/\x7f", b"/../a", b"//a")),
    *(b"GET %b HTTP/1.1" % url for url in (b"http://a/", b"HTTP://a:80/x?y", b"http://a")),
    *(b"GET %b HTTP/1.1" % url for url in (b"http:///a", b"http://u@a/", b"ftp://a/", b"urn:a")),
    *(b"GET %b HTTP/1.1" % target for target in (b"*", b"a", b"/" + b"a" * 7000)),
    b"GET /" + b"a" * 40000 + b" HTTP/1.1",
    b"OPTIONS * HTTP/1.1",
    b"CONNECT a:443 HTTP/1.1",
    b"TRACE / HTTP/1.1",
    b"GET /",
    b"GET / http/1.1",
    b"GET  / HTTP/1.1",
    b"GET /  HTTP/1.1",
    b"GET / HTTP/1.1 ",
    b"GET\t/ HTTP/1.1",
    b" GET / HTTP/1.1",
    *(method + b" / HTTP/1.1" for method in (b"get", b"FOO", b"M-SEARCH", b"F.O", b"G(T")),
]
_HOSTS = [
    *(b"", b"Host:", b"Host : a", b"hOsT:\ta\t", b"Host: a\r\nHost: a", b"Host: a\r\nHost: b"),
    *(b"Host: a b", b"Host: a/b", b"Host: u@a", b"Host: a:80", b"Host: a:", b"Host: a:b"),
    *(b"Host: a:99999", b"Host: a:999999", b"Host: [::1]:80", b"Host: [::1", b"Host: [v1.a]"),
    *(b"Host: a_b", b"Host: a,b", b"Host: %7e", b"Host: a%zz", b"Host: \xe4", b"Host: a?"),
    *(b"Host: a\\b", b"Host: .", b"Host: a..b", b"Host: -", b"Host: a~b!$&'()*+;="),
]
_FIELDS = [
    *(b"X : b", b" X: b", b"X: a\r\n b", b"X", b": b", b"X Y: b", b"X\x00: b", b"X\xe4: b"),
    *(b"X(: b", b"X: a\x00b", b"X: a\x01b", b"X: a\x0bb", b"X: a\x7fb", b"X: \xe4", b"X:"),
    *(b"X:b", b"X: b \t ", b"X_Y: b", b"X.Y: b", b"!#$%&'*+-.^_`|~: b", b"Accept: \xff"),
    *(b"Connection: close", b"Connection: foo, close", b"Connection:", b"TE: trailers"),
    *(b"Expect: 100-continue", b"Expect: foo", b"Upgrade: foo\r\nConnection: upgrade"),
    *(b"X: " + b"a" * length for length in (7000, 20000, 70000)),
    *(b"\r\n".join([b"X: y"] * count) for count in (50, 99, 150)),
]
_LENGTHS = [
    *(b"5", b"05", b"0" * 30 + b"5", b"", b"+5", b"-5", b"5.0", b"5,5", b"5, 5", b"5 5", b"0x5"),
    *(b"5a", b"5_0", b'"5"', b"5;", b"\xb2", b"9" * 20, b"18446744073709551621", b"5\x0b"),
    *(b"5\r\nContent-Length: 5", b"5\r\nContent-Length: 6"),
]
_CODINGS = [
    *(b"chunked", b"CHUNKED", b" chunked ,", b", chunked", b"", b"chunked, chunked", b"foo"),
    *(b"chunked, gzip", b"gzip, chunked", b"gzip", b"identity", b"identity, chunked"),
    *(b"xchunked", b"chunked;a=b", b'"chunked"', b"\x0bchunked", b"chunked\x00", b"chun ked"),
    *(b"chunked\r\nTransfer-Encoding: chunked", b"identity\r\nTransfer-Encoding: chunked"),
    *(b"\r\n chunked", b"chunked\r\nContent-Length: 5"),
]
_SIZES = [
    *(b"5", b"05", b"0" * 16 + b"5", b"5;a=b", b'5;a="b c"', b"5 ;a", b"5; a = b", b"5;", b"5 "),
    *(b" 5", b"-5", b"+5", b"0x5", b"5h", b"", b"4", b"6", b"1" + b"0" * 15 + b"5", b"f" * 16),
    *(b"5;a\x00", b"5;a\nb", b"5;" + b"a" * 3000, b"5;" + b"a" * 40000, b"5\r"),
]
_TRAILERS = [
    *(b"X: y", b"Host: y", b"Content-Length: 3", b"X : y", b"X", b"X: \x00"),
    *(b"Content-Type: text/plain", b"Set-Cookie: a=b", b"Authorization: a", b"Expect: a"),
    *(b"Connection: close", b"Keep-Alive: a", b"TE: trailers", b"Trailer: a", b"Upgrade: a"),
    b"Transfer-Encoding: chunked",
]
_CHUNKS = [
    *(b"5\nhello\r\n0\r\n\r\n", b"5\r\nhello\n0\r\n\r\n", b"5\r\nhello0\r\n\r\n"),
    *(b"5\r\nhello\r\n0\n\n", b"5\r\nhello\r\n0\r\n\n", b"5\rhello\r\n0\r\n\r\n"),
]


def _corpus() -> dict[str, bytes]:
    requests = {
        "a plain one": head(),
        "two pipelined": head() * 2,
        "an empty line first": b"\r\n" + head(),
        "an empty line of LF first": b"\n" + head(),
        "LF for CRLF": head().replace(b"\r\n", b"\n"),
        "LF for one CRLF": b"GET / HTTP/1.1\r\nHost: a\nX: y\r\n\r\n",
        "CR for one CRLF": b"GET / HTTP/1.1\r\nHost: a\rX: y\r\n\r\n",
        "HTTP/1.0 without Host": head(line=b"GET / HTTP/1.0", host=b""),
        "HTTP/1.0 with two Hosts": head(line=b"GET / HTTP/1.0", host=HOST * 2),
        "GET with content": head(b"Content-Length: 5", content=b"hello") + head(),
        "GET with chunks": head(b"Transfer-Encoding: chunked", content=CHUNKS) + head(),
        "chunks in HTTP/1.0": head(
            b"Transfer-Encoding: chunked", line=b"POST / HTTP/1.0", content=CHUNKS
        ),
        "length, then coding": head(
            b"Content-Length: 5", b"Transfer-Encoding: chunked", line=POST, content=CHUNKS
        ),
        "Transfer-Encoding before a space": head(
            b"Transfer-Encoding : chunked", line=POST, content=CHUNKS
        ),
    }

    def add(kind: str, value: bytes, request: bytes) -> None:
        shown = repr(value)[2:-1]
        requests[f"{kind} {shown if len(shown) < 60 else f'{shown[:40]}... ({len(value)})'}"] = (
            request
        )

    for line in _LINES:
        add("line", line, head(line=line))
    for host in _HOSTS:
        add("host", host, head(host=host + b"\r\n" if host else b""))
    for field in _FIELDS:
        add("field", field, head(field))
    for length in _LENGTHS:
        add("length", length, head(b"Content-Length: " + length, line=POST, content=b"hello"))
    for coding in _CODINGS:
        add("coding", coding, head(b"Transfer-Encoding: " + coding, line=POST, content=CHUNKS))
    chunked = head(b"Transfer-Encoding: chunked", line=POST)
    for size in _SIZES:
        add("size", size, chunked + size + b"\r\nhello\r\n0\r\n\r\n")
    for trailer in _TRAILERS:
        add("trailer", trailer, chunked + b"5\r\nhello\r\n0\r\n" + trailer + b"\r\n\r\n")
    for chunks in _CHUNKS:
        add("chunks", chunks, chunked + chunks)
    return requests


#: The requests, by what is special about them.
CORPUS = _corpus()

_UNKNOWN_METHOD = (
    "RFC 9110 section 9.1: method names are tokens, and case-sensitive ones; which of them a"
    " resource knows is for the handler to say."
)
_RFC3986_HOST = (
    "RFC 3986 section 3.2.2: a reg-name is any of unreserved, pct-encoded and sub-delims."
)
_EMPTY_ELEMENTS = (
    "RFC 9110 section 5.6.1.2: a recipient MUST parse and ignore a reasonable number of empty"
    " list elements."
)

#: What netkit accepts and two other servers refuse, each with the reason.
ACCEPTED = {
    "line get / HTTP/1.1": _UNKNOWN_METHOD,
    "line F.O / HTTP/1.1": _UNKNOWN_METHOD,
    "line GET /../a HTTP/1.1": (
        "RFC 3986 section 3.3: a segment may be '..'; what it means is for the handler to say,"
        " which is given the target as it was sent."
    ),
    "line GET /%00 HTTP/1.1": (
        "RFC 3986 section 2.1 allows it; section 7.3 leaves it to who expects no such octet."
    ),
    "host Host:": (
        "RFC 9110 section 7.2: if the authority is missing or undefined, the client MUST send"
        " Host with an empty value."
    ),
    "host Host: .": _RFC3986_HOST,
    "host Host: a..b": _RFC3986_HOST,
    f"field X: {'a' * 37}... (20003)": (
        "RFC 9110 section 5.4: there is no predefined limit on the length of a field line."
    ),
    "coding  chunked ,": _EMPTY_ELEMENTS,
    "coding , chunked": _EMPTY_ELEMENTS,
}

_TARGET = "RFC 9112 section 3.2: a target has the characters of RFC 3986, and no others."
_SPACES = "RFC 9112 section 3: single spaces; what is more may be told otherwise elsewhere."
_AUTHORITY = (
    "RFC 9112 section 3.2: a server MUST respond 400 to a request with an invalid Host, whose"
    " grammar is uri-host [ ':' port ]."
)
_CHUNK_SIZE = "RFC 9112 section 7.1: chunk-size is 1*HEXDIG, and an extension has a name."
_TRAILER = (
    "RFC 9110 section 6.5.1: a sender MUST NOT generate a trailer field that is needed for"
    " framing or routing."
)

#: What netkit refuses and two other servers accept, each with the reason.
REFUSED = {
    'line GET /"a" HTTP/1.1': _TARGET,
    "line GET /<a> HTTP/1.1": _TARGET,
    "line GET /a#b HTTP/1.1": _TARGET,
    "line GET /\\xc3\\xa4 HTTP/1.1": _TARGET,
    "line GET http:///a HTTP/1.1": (
        "RFC 9110 section 4.2.1: a recipient MUST reject an http URI with an empty host."
    ),
    "line GET / HTTP/2.0": (
        "RFC 9110 section 15.6.6: the major version of HTTP that was used is not supported."
    ),
    "line GET  / HTTP/1.1": _SPACES,
    "line GET /  HTTP/1.1": _SPACES,
    "an empty line of LF first": "RFC 9112 section 2.2: an empty line is CRLF.",
    "host Host: u@a": _AUTHORITY,
    "host Host: a:b": _AUTHORITY,
    "host Host: a:999999": _AUTHORITY,
    "host Host: [::1": _AUTHORITY,
    "host Host: a%zz": _AUTHORITY,
    "host Host: \\xe4": _AUTHORITY,
    "host Host: a?": _AUTHORITY,
    "host Host: a\\\\b": _AUTHORITY,
    "chunks in HTTP/1.0": (
        "RFC 9112 section 6.1: a server that receives an HTTP/1.0 message with Transfer-Encoding"
        " MUST treat it as if the framing is faulty."
    ),
    "size 5;": _CHUNK_SIZE,
    "size 5 ": _CHUNK_SIZE,
    "trailer Host: y": _TRAILER,
    "trailer Content-Length: 3": _TRAILER,
    "trailer Transfer-Encoding: chunked": _TRAILER,
}
