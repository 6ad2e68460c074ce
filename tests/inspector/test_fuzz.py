"""
Whatever is asked of the inspector's API, the answer is one.
"""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import quote

import pytest_twisted
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.inspector.conftest import Inspected, Make


def some(text: str) -> Any:
    return st.sampled_from(text.split())


TEXTS = st.one_of(
    st.text(max_size=20),
    st.integers().map(str),
    some(
        '0 1 -1 1.0 99999999999999999999 har pcapng received text: " is:error status:> '
        "size:1k-2g -text:a,b %00 1e9 newest"
    ),
)
NAMES = some(
    "filter limit before after order secrets decoded image direction ids format seconds x"
)
PATHS = some(
    "/ /exchanges /exchanges/ids /exchanges/1.0 /exchanges/1.0/request/octets /exchanges/9.9 "
    "/exchanges/1.0/response/content /exchanges/1.0/messages /exchanges/1.0/messages/0/content "
    "/connections /connections/1 /connections/1/pieces /connections/1/octets /stats /export "
    "/services /services/http /services/http/faults /services/x /faults /send /exchanges/%ff"
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3)
    ),
    max_leaves=6,
)
BODIES = st.dictionaries(
    some(
        "exchange to type method target fields content octets messages format ids filter secrets "
        "status delay name stream toxicity attributes specification"
    ),
    st.one_of(
        JSON,
        some("1.0 http tcp websocket tcp:127.0.0.1:1 har latency"),
        st.just([{"name": "Host", "value": "x"}]),
        st.just({"text": "x"}),
        st.just({"base64": "%"}),
        st.just({"text": "\ud800"}),
    ),
    max_size=5,
)
CHANGES = some(
    "/send /export /services/http/answer /services/http/faults "
    "/services/http/faults/latency-1 /services/websocket/answer"
)


def examples(*strategies: Any) -> list[tuple[Any, ...]]:
    found: list[tuple[Any, ...]] = []

    @settings(database=None)
    @given(st.tuples(*strategies))
    def collect(example: tuple[Any, ...]) -> None:
        found.append(example)

    collect()
    return found


async def prepared(inspect: Make) -> Inspected:
    its: Inspected = await inspect()
    await its.serveHTTP()
    await its.ask("/200", "POST", b"sent", port=its.http)
    return its


@pytest_twisted.ensureDeferred
async def test_any_question(inspect: Make) -> None:
    its = await prepared(inspect)
    queries = st.lists(st.tuples(NAMES, TEXTS), max_size=3)
    for path, query, method, range in examples(PATHS, queries, some("GET HEAD PATCH x"), TEXTS):
        asked = "&".join(f"{name}={quote(value, errors='replace')}" for name, value in query)
        header = "bytes=" + "".join(each for each in range if " " < each <= "~")
        answer = await its.ask(f"/api{path}?{asked}", method, range=header)
        assert answer.status < 500, (path, asked, header, answer.content)


@pytest_twisted.ensureDeferred
async def test_any_content(inspect: Make) -> None:
    its = await prepared(inspect)
    contents = st.one_of(
        BODIES.map(lambda body: json.dumps(body).encode()), st.binary(max_size=20)
    )
    for path, method, content in examples(CHANGES, some("POST PUT PATCH"), contents):
        fields: Any = {"content_type": "application/json"}
        answer = await its.ask(f"/api{path}", method, content, **fields)
        # Nobody is there to send to.
        assert answer.status < 500 or answer.status == 502, (path, content, answer.content)


@pytest_twisted.ensureDeferred
async def test_content_that_is_no_json(inspect: Make) -> None:
    its = await prepared(inspect)
    for content in (b"[" * 100_000, b"9" * 100_000, b"\xff", b"NaN", b""):
        fields: Any = {"content_type": "application/json"}
        assert (await its.ask("/api/send", "POST", content, **fields)).status == 400
    assert (await its.ask("/api/send", "POST", b"{}", content_type="text/plain")).status == 415
