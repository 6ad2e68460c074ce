"""
Tests for L{netkit.http.forms} and L{netkit.http.storing}.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
import pytest_twisted
from twisted.internet.defer import Deferred
from twisted.internet.task import deferLater
from twisted.internet.threads import deferToThread

from netkit.http import Form, HTTPFactory, Request, Response
from tests.conftest import Listen

from ..clients import connect
from .connected import Connection, post

FORM = b"multipart/form-data; boundary=xyz"
BIG = os.urandom(600_000)


def part(name: str, content: bytes, filename: str | None = None) -> bytes:
    file = "" if filename is None else f'; filename="{filename}"'
    kind = b"" if filename is None else b"Content-Type: image/png\r\n"
    head = f'--xyz\r\nContent-Disposition: form-data; name="{name}"{file}\r\n'.encode()
    return head + kind + b"\r\n" + content + b"\r\n"


def form(*parts: bytes) -> bytes:
    return post(b"".join(parts) + b"--xyz--\r\n", b"Content-Type: " + FORM)


def told(form: Form) -> Any:
    uploads = [
        (one.name, one.filename, one.contentType, one.size, one.file.read())
        for one in form.uploads
    ]
    return list(form.fields), uploads


def taken(octets: bytes, step: int = 0, **limits: Any) -> tuple[int, list[Any]]:
    forms: list[Any] = []

    async def handler(request: Request) -> Response:
        forms.append(told(await request.form(**limits)))
        return Response()

    connection = Connection(handler)
    for start in range(0, len(octets), step or len(octets)):
        connection.send(octets[start : start + (step or len(octets))])
    [status] = connection.statuses()
    return status, forms


@pytest.mark.parametrize("step", [0, 1])
def test_both_kinds(step: int) -> None:
    content = b"a=1+2&b=%C3%A9&a=&b=\xc3\xa9"
    kind = b"Content-Type: Application/x-www-form-urlencoded; charset=utf-8"
    fields = [("a", "1 2"), ("b", "\xe9"), ("a", ""), ("b", "\xe9")]
    assert taken(post(content, kind), step) == (200, [(fields, [])])
    octets = form(
        part("a", b"1\r\n--xy\r\n"),
        part("photo", b"\x89PNG\r\n", "C:\\\\folder\\caf\xe9.png"),
        part("none", b"", ""),
        part("b%22", b"\xff"),
        part("up", b"", "../.."),
        part("up", b"x", "../\r.."),
        part("a", b""),
    )
    assert taken(octets, step) == (
        200,
        [
            (
                [("a", "1\r\n--xy\r\n"), ('b"', "\ufffd"), ("a", "")],
                [
                    ("photo", "caf\xe9.png", "image/png", 6, b"\x89PNG\r\n"),
                    ("up", "", "image/png", 1, b"x"),
                ],
            )
        ],
    )


@pytest.mark.parametrize(
    ("octets", "limits", "status"),
    [
        (post(b"{}", b"Content-Type: application/json"), {}, 415),
        (post(b"a=1"), {}, 415),
        (post(b"", b"Content-Type: multipart/form-data"), {}, 400),
        (post(b"x", b"Content-Type: " + FORM), {}, 400),
        (post(part("a", b"1"), b"Content-Type: " + FORM), {}, 400),
        (form(b"--xyz\r\nnonsense\r\n\r\n\r\n"), {}, 400),
        (form(b"--xyz\r\nX: " + b"x" * 10_000 + b"\r\n\r\n\r\n"), {}, 400),
        (form(part("a", b"1") * 1001), {}, 413),
        (post(b"a&" * 1001, b"Content-Type: application/x-www-form-urlencoded"), {}, 413),
        (form(part("a", b"x" * 2**20)), {}, 413),
        (form(*[part("a", b"x" * 2**18)] * 4), {}, 413),
        (form(part("a", b"", "") * 101), {}, 200),
        (form(part("a", b"", "x") * 101), {}, 413),
        (form(part("a", b"123", "x")), {"maxUpload": 2}, 413),
        (form(part("a", b"123", "x")), {"maxUpload": 3}, 200),
        (form(part("a", b"", "x") * 3), {"maxUploads": 2}, 413),
        (form(part("a", b"")), {"maxParts": 0}, 413),
    ],
)
def test_what_is_no_form_or_too_much(octets: bytes, limits: dict[str, int], status: int) -> None:
    assert taken(octets, **limits)[0] == status


@pytest.mark.parametrize("filename", [None, "small"])
def test_all_connections_together(filename: str | None) -> None:
    async def handler(request: Request) -> Response:
        await request.form()
        return Response()

    connection = Connection(handler, maxBuffered=100_000)
    for _ in range(3):
        connection.send(form(part("a", b"x" * 50_000, filename)))
        assert connection.statuses() == [200]
    connection.send(form(part("a", b"x" * 50_000, filename) * 2))
    assert connection.statuses() == [503]


@pytest.fixture
def store(tmp_path: Path) -> Path:
    """
    A folder with nothing else in it.
    """
    folder = tmp_path / "store"
    folder.mkdir()
    return folder


async def ask(listen: Listen, handler: Any, octets: bytes) -> bytes:
    client = await connect(await listen(HTTPFactory(handler)))
    client.transport.write(octets.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n", 1))
    await client.lost
    return bytes(client.received).partition(b"\r\n\r\n")[2]


@pytest_twisted.ensureDeferred
async def test_large_files_are_on_disk(listen: Listen, store: Path) -> None:
    folder, saved = store / "temporary", store / "saved"
    folder.mkdir()
    saved.write_bytes(b"what was there before")

    async def handler(request: Request) -> Response:
        form = await request.form(folder=folder)
        big, small = form.upload("big"), form.upload("small")
        assert big is not None
        assert small is not None
        assert form.upload("a") is None
        assert form.fields.get("a") == "1"
        assert await big.read() == BIG
        await big.save(saved)
        with pytest.raises(IsADirectoryError):
            await small.save(folder)
        return Response(200, await small.read() + await big.read(1000))

    octets = form(part("big", BIG, "a"), part("a", b"1"), part("small", b"tiny", "b"))
    reply = await ask(listen, handler, octets)
    assert reply == b"the upload 'big' is larger than 1000 octets\n"
    assert saved.read_bytes() == BIG
    assert sorted(store.iterdir()) == [saved, folder]
    # What has no name is no upload that was left there.
    assert list(folder.iterdir()) == []


@pytest_twisted.ensureDeferred
async def test_contents_are_saved(listen: Listen, store: Path) -> None:
    from twisted.internet import reactor

    saved = store / "saved"

    async def handler(request: Request) -> Response:
        return Response.text(str(await request.save(saved, 600_000)))

    assert await ask(listen, handler, post(BIG)) == b"600000"
    assert saved.read_bytes() == BIG
    chunked = post(b"", b"Transfer-Encoding: chunked").replace(b"Content-Length: 0\r\n", b"")
    for octets in (post(BIG + b"x"), chunked + b"%x\r\n%b" % (len(BIG) + 1, BIG + b"x")):
        assert b"larger than 600000 octets" in await ask(listen, handler, octets)
    assert await ask(listen, handler, post(b"")) == b"0"
    assert saved.read_bytes() == b""
    # What was begun is removed by a thread.
    while list(store.iterdir()) != [saved]:
        await deferLater(reactor, 0.001)


@pytest_twisted.ensureDeferred
async def test_nothing_is_left_of_an_upload_that_breaks_off(listen: Listen, store: Path) -> None:
    over: Deferred[None] = Deferred()

    async def handler(request: Request) -> Response:
        try:
            await request.save(store / "saved")
        finally:
            over.callback(None)
        return Response()

    async def until(some: bool) -> None:
        while any(store.iterdir()) is not some:
            await deferToThread(lambda: None)

    client = await connect(await listen(HTTPFactory(handler)))
    client.transport.write(post(BIG, length=len(BIG) + 1))
    await until(True)
    client.transport.abortConnection()
    await over
    await until(False)
