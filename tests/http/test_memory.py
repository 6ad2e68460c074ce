"""
Tests that nothing of a request outlives its connection: not even up to the next collection.
"""

from __future__ import annotations

import gc
import weakref
from collections.abc import AsyncIterator, Callable, Generator, Iterator

import pytest
from twisted.internet.defer import Deferred, inlineCallbacks
from twisted.internet.error import ConnectionLost
from twisted.logger import Logger

from netkit.http import Handler, Request, Response

from .connected import Connection, post
from .test_protocol import CHUNKED


class Upload(bytearray):
    """
    What a handler has in a variable.
    """


async def reads(request: Request) -> Response:
    return Response(200, await request.read())


async def iterates(request: Request) -> Response:
    async for _ in request.content:
        pass
    return Response()


async def readsInAnotherCoroutine(request: Request) -> Response:
    async def read() -> bytes:
        return await Deferred.fromCoroutine(request.read())

    return Response(200, await Deferred.fromCoroutine(read()))


async def readsInAGenerator(request: Request) -> Response:
    @inlineCallbacks
    def read() -> Generator[Deferred[bytes], bytes, None]:
        yield Deferred.fromCoroutine(request.read())

    await read()
    return Response()


async def catches(request: Request) -> Response:
    try:
        await request.read()
    except Exception:
        return Response(400)
    return Response()


async def raisesAnotherError(request: Request) -> Response:
    try:
        await request.read()
    except Exception as error:
        raise RuntimeError("broken") from error
    return Response()


async def waits(request: Request) -> Response:
    await anext(request.content)
    await Deferred()
    return Response()


async def waitsAfterAnError(request: Request) -> Response:
    try:
        await request.read()
    except Exception:
        await Deferred()
    return Response()


async def readsTooMuch(request: Request) -> Response:
    return Response(200, await request.read(3))


async def streams(request: Request) -> Response:
    async def pieces() -> AsyncIterator[bytes]:
        async for piece in request.content:
            yield piece

    return Response(200, pieces())


async def fails(request: Request) -> Response:
    raise RuntimeError("broken")


HANDLERS: list[Callable[[Request], object]] = [
    *(reads, iterates, readsInAnotherCoroutine, readsInAGenerator, catches, raisesAnotherError),
    *(waits, waitsAfterAnError, readsTooMuch, streams, fails),
]


@pytest.fixture
def noCollection() -> Iterator[None]:
    gc.collect()
    gc.disable()
    yield
    gc.enable()


@pytest.mark.usefixtures("noCollection")
@pytest.mark.parametrize(
    "octets", [post(b"hello", length=10), CHUNKED + b"5\r\nhello\r\nx\r\n"], ids=["cut", "bad"]
)
@pytest.mark.parametrize("answer", HANDLERS)
def test_nothing_outlives_the_connection(
    answer: Handler, octets: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Before logging has begun, as here, Twisted keeps what is logged.
    monkeypatch.setattr(Logger, "failure", lambda *arguments, **details: None)
    uploads: list[weakref.ref[Upload]] = []

    async def handler(request: Request) -> Response:
        upload = Upload(b"a" * 1000)
        uploads.append(weakref.ref(upload))
        response = await answer(request)  # type: ignore[misc] # a coroutine, each of them
        assert upload
        return response  # type: ignore[no-any-return]

    client = Connection(handler)
    client.send(octets)
    client.lose(ConnectionLost())
    assert [upload() for upload in uploads] == [None]


@pytest.mark.usefixtures("noCollection")
@pytest.mark.parametrize("field", [b"", b"Connection: close\r\n"], ids=["lost", "closed"])
def test_a_connection_that_is_over_is_freed_at_once(field: bytes) -> None:
    client = Connection()
    client.send(b"GET / HTTP/1.1\r\nHost: a\r\n" + field + b"\r\n")
    # As transports do; one that was unregistered has none.
    if client.transport.producer is not None:
        client.transport.producer.stopProducing()
    client.lose(ConnectionLost())
    watched = weakref.ref(client.protocol)
    # What this test itself has of it.
    client.requests.clear()
    del client.protocol
    assert watched() is None
