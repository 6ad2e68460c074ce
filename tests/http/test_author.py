"""
Tests for what handlers build on: L{netkit.http.headers}, L{netkit.http.refusals},
L{netkit.http.values}.
"""

from __future__ import annotations

from typing import Any

import pytest
from twisted.logger import LogEvent

from netkit.http import HTTPError, HTTPFactory, Refusal, Request, Response
from netkit.wire.errors import LocalProtocolError

from .connected import CLOSE, Connection, answer, get, post


def test_headers_keep_order_case_and_duplicates() -> None:
    response = Response(200, b"hello", [(b"X-A", b"1"), (b"Set-Cookie", b"a=1")])
    headers = response.headers
    headers.add(b"set-cookie", b"b=2")
    headers.set(b"x-a", b"2")
    assert list(headers) == [(b"Set-Cookie", b"a=1"), (b"set-cookie", b"b=2"), (b"x-a", b"2")]
    assert headers.all(b"SET-COOKIE") == [b"a=1", b"b=2"]
    assert (headers.get(b"X-A"), headers.get(b"none"), len(headers)) == (b"2", None, 3)
    assert b"X-a" in headers
    assert "x-a" in repr(headers)
    connection = Connection(lambda request: response)
    connection.send(get())
    lines = (b"Set-Cookie: a=1", b"set-cookie: b=2", b"x-a: 2")
    assert connection.take() == answer(b"hello", *lines)
    # It may change between two requests.
    headers.remove(b"SET-cookie")
    headers.remove(b"none")
    connection.send(get())
    assert connection.take() == answer(b"hello", b"x-a: 2")


@pytest.mark.parametrize("name", [b"content-length", b"a b", b"x"])
def test_a_field_that_cannot_be_sent_changes_nothing(name: bytes) -> None:
    response = Response(200, b"hello", [(b"x", b"1")])
    with pytest.raises(LocalProtocolError):
        response.headers.set(name, b"1\r\n2")
    noName: Any = "x"
    for change in (response.headers.set, response.headers.add):
        with pytest.raises(TypeError):
            change(noName, b"1")
    assert list(response.headers) == [(b"x", b"1")]


def test_middleware_is_a_function_around_a_handler() -> None:
    def tagged(handler: Any) -> Any:
        def handle(request: Request) -> Any:
            response = handler(request)
            response.headers.set(b"x-tag", b"1")
            return response

        return handle

    connection = Connection(tagged(lambda request: Response.text("hi")))
    connection.send(get())
    type_ = b"content-type: text/plain; charset=utf-8"
    assert connection.take() == answer(b"hi", type_, b"x-tag: 1")


def test_json_and_redirects() -> None:
    connection = Connection(lambda request: Response.json({"a": [1, "\xe9"]}, 201))
    connection.send(get())
    told = answer(b'{"a":[1,"\\u00e9"]}', b"content-type: application/json", status=b"201 Created")
    assert connection.take() == told
    redirect = Response.redirect("/caf\xe9?a=1&b=%20\r\n")
    assert redirect.status == 303
    assert list(redirect.headers) == [(b"location", b"/caf%C3%A9?a=1&b=%20%0D%0A")]
    with pytest.raises(ValueError, match="a status that redirects is"):
        Response.redirect("/", 200)
    wrong: Any = b"/"
    with pytest.raises(TypeError, match="the location is a str"):
        Response.redirect(wrong)
    with pytest.raises(TypeError, match="the text is a str"):
        Response.text(wrong)


def test_a_handler_refuses() -> None:
    async def later(request: Request) -> Response:
        raise HTTPError(401, headers=[(b"www-authenticate", b"Basic")])

    def atOnce(request: Request) -> Response:
        raise HTTPError(404, "no such pet")

    text = b"content-type: text/plain; charset=utf-8"
    for handler, told in (
        (
            later,
            answer(
                b"Unauthorized\n", text, b"www-authenticate: Basic", status=b"401 Unauthorized"
            ),
        ),
        (atOnce, answer(b"no such pet\n", text, status=b"404 Not Found")),
    ):
        connection = Connection(handler)
        connection.send(get())
        assert connection.take() == told
        # The connection goes on.
        connection.send(get())
        assert connection.take() == told
    assert str(HTTPError(599)) == "599: Status 599"
    with pytest.raises(ValueError, match="status"):
        HTTPError(200)


def refused(refusal: Refusal) -> Response:
    path = None if refusal.request is None else refusal.request.path.decode()
    return Response.json([refusal.status, refusal.reason, path], refusal.status)


@pytest.mark.parametrize(
    ("octets", "told"),
    [
        (b"nonsense\r\n\r\n", b'[400,"'),
        (get(b"/" + b"x" * 10_000), b'[414,"'),
        (get(b"/", b"X: " + b"x" * 40_000), b'[431,"'),
        (post(b"", length=2**40), b'[413,"'),
        (get().replace(b"GET", b"TRACE"), b'[501,"'),
        (get(b"/error"), b'[418,"short and stout","/error"]'),
        (get(b"/failure"), b'[500,"the server failed to answer this request","/failure"]'),
    ],
)
def test_one_function_makes_the_body_of_each_refusal(
    octets: bytes, told: bytes, logged: list[LogEvent]
) -> None:
    def handler(request: Request) -> Response:
        if request.path == b"/error":
            raise HTTPError(418, "short and stout")
        raise ZeroDivisionError

    connection = Connection(handler, refusal=refused)
    connection.send(octets)
    head, _, content = connection.take().partition(b"\r\n\r\n")
    assert content.startswith(told)
    assert b"content-type: application/json" in head
    logged[:] = [event for event in logged if event.get("log_failure") is None]


def test_a_time_out_is_refused_by_it_as_well() -> None:
    connection = Connection(refusal=refused, headTimeout=5)
    connection.send(b"GET")
    connection.clock.advance(6)
    assert b'[408,"' in connection.take()


def test_a_refusal_that_fails_is_answered_all_the_same(logged: list[LogEvent]) -> None:
    def failing(refusal: Refusal) -> Any:
        return None if refusal.request is None else 1 / 0

    def handler(request: Request) -> Response:
        raise HTTPError(403)

    connection = Connection(handler, refusal=failing)
    connection.send(get() + b"nonsense\r\n\r\n")
    octets = connection.take()
    assert octets.count(b"HTTP/1.1 403 ") == octets.count(b"HTTP/1.1 400 ") == 1
    assert CLOSE in octets
    failures = [event for event in logged if event.get("log_failure") is not None]
    assert len(failures) == 2
    logged.clear()
    wrong: Any = 3
    with pytest.raises(TypeError, match="refusal is a function"):
        HTTPFactory(handler, refusal=wrong)


def test_query_and_cookies() -> None:
    seen: list[Any] = []

    def handler(request: Request) -> Response:
        seen.append((list(request.parameters), list(request.cookies)))
        return Response()

    connection = Connection(handler)
    lines = (b'Cookie: a=1; b="x y"; c', b"Cookie: a=2;d=e=f")
    connection.send(get(b"/?q=a%20b+c&q=%C3%A9&empty=&%FF", *lines))
    assert seen == [
        (
            [("q", "a b c"), ("q", "\xe9"), ("empty", ""), ("\ufffd", "")],
            [("a", "1"), ("b", "x y"), ("a", "2"), ("d", "e=f")],
        )
    ]
    (request,) = connection.requests
    values = request.parameters
    assert (values.get("q"), values.all("q"), values["empty"]) == ("a b c", ["a b c", "\xe9"], "")
    assert ("q" in values, "x" in values, len(values)) == (True, False, 4)
    assert "empty" in repr(values)
    with pytest.raises(KeyError, match=r"^a value is missing: 'x'$"):
        values["x"]
    connection = Connection(handler)
    connection.send(get(b"/?" + b"a&" * 1001))
    assert connection.statuses() == [400]
    connection = Connection(lambda request: Response.text(request.parameters["x"]))
    connection.send(get(b"/?y"))
    assert connection.take().endswith(b"\r\n\r\na value is missing: 'x'\n")


@pytest.mark.parametrize(
    ("content", "status"),
    [(b'{"a": 1}', 200), (b"{", 400), (b"\xff", 400), (b"[" * 100_000, 400), (b" " * 2**21, 413)],
)
def test_json(content: bytes, status: int) -> None:
    async def handler(request: Request) -> Response:
        return Response.json(await request.json())

    connection = Connection(handler)
    connection.send(post(content))
    assert connection.statuses() == [status]
