"""
What somebody types to see some rows alone.
"""

from __future__ import annotations

import pytest

from netkit.inspector.filters import FilterError, parseFilter
from netkit.inspector.rows import Row
from netkit.wire.recording import Opened, Role


def row() -> Row:
    opened = Opened(7, 10**9, Role.SERVER, "http", ("192.0.2.1", 5000), ("127.0.0.1", 80))
    return Row(
        "7.1",
        3,
        opened,
        10**9,
        type="http",
        state="done",
        ended=3 * 10**9,
        method="GET",
        target="/a,b/C d?x=1",
        version="HTTP/1.1",
        status=404,
        reason="Not Found",
        mime="text/html",
        fromClient=100,
        fromServer=2000,
        how="done",
        marks=["refused"],
        notes=[(1, "refused with 404")],
    )


@pytest.mark.parametrize(
    "text",
    [
        "",
        "  ",
        "get",
        "GET 404 -post !599",
        '"Not Found"',
        "service:HTTP type:http method:get,post role:server how:done",
        "peer:192.0 host::80 mime:html",
        'path:"/a,b/c d"',
        "status:404 status:4xx status:400-410 status:>=404 status:<500 status:500,404",
        "size:>2k size:2100 duration:2 duration:>1.5 messages:0",
        "connection:7 id:7.1",
        "is:refused is:http is:done is:noted -is:error -is:tls,open",
        "HTTP/1.1",
    ],
)
def test_what_matches(text: str) -> None:
    assert parseFilter(text).matches(row())


@pytest.mark.parametrize(
    "text",
    [
        "post",
        "-get",
        "service:htt",
        "status:405 404",
        "status:5xx",
        "size:<2k",
        "duration:>2",
        "is:error",
        'path:"/a b"',
        "id:7",
        "connection:1",
    ],
)
def test_what_does_not(text: str) -> None:
    assert not parseFilter(text).matches(row())


def test_texts_are_for_others_to_look_for() -> None:
    found = parseFilter('text:Hello,"big World" -text:x get')
    assert found.texts == (((b"hello", b"big world"), False), ((b"x",), True))
    assert found.matches(row())


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("nothing:x", "'nothing' is nothing to filter by"),
        ("is:nothing", "is: takes one of"),
        ("status:x", "status: is a number"),
        ("size:>1-2", "size: is a number"),
        ("path:", "'path:' lacks"),
        ("status:404,", "lacks what to look for"),
        ('"open', "a quote that nothing ends"),
        ('a"open', "a quote that nothing ends"),
        ("-", "lacks what to look for"),
        ("x" * 2001, "longer than 2000"),
    ],
)
def test_a_mistake(text: str, told: str) -> None:
    with pytest.raises(FilterError, match=told):
        parseFilter(text)
