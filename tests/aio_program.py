"""
netkit within asyncio.run: what L{tests.test_aio} runs, on either kind of loop.
"""

from __future__ import annotations

import asyncio
import contextlib
import sys
from collections.abc import AsyncIterator, Callable
from typing import Any

import uvloop
from twisted.internet.defer import CancelledError
from twisted.internet.endpoints import TCP4ServerEndpoint
from twisted.internet.task import deferLater

from netkit.aio import asTask, forAsyncio, run
from netkit.http import HTTPFactory, Request, Response
from netkit.net import Socket, createConnection, createServer
from netkit.websocket import (
    WebSocket,
    WebSocketApplication,
    WebSocketClientEndpoint,
    WebSocketFactory,
)

gone: list[str] = []
begun, left = asyncio.Event(), asyncio.Event()


async def http(request: Request) -> Response:
    from twisted.internet import reactor

    if request.path == b"/left":
        begun.set()
        try:
            await asyncio.sleep(600)
        except (asyncio.CancelledError, CancelledError) as error:
            gone.append(type(error).__module__)
            raise
        finally:
            left.set()
    await asyncio.sleep(0)
    await asyncio.sleep(0.001)
    await deferLater(reactor, 0.001)
    with contextlib.suppress(ZeroDivisionError):
        await failing()
    if request.path == b"/stream":
        return Response(200, pieces())
    return Response(200, b"slept")


async def failing() -> None:
    future = asyncio.get_running_loop().create_future()
    asyncio.get_running_loop().call_soon(future.set_exception, ZeroDivisionError())
    await future


async def pieces() -> AsyncIterator[bytes]:
    for piece in (b"a", b"b"):
        await asyncio.sleep(0.001)
        yield piece


@asTask
async def inTask(request: Request) -> Response:
    async with asyncio.timeout(600):
        content = await request.read()
        await asyncio.wait_for(forAsyncio(http(request)), 600)
    return Response(200, content.upper())


async def ask(port: int, octets: bytes) -> bytes:
    socket = await createConnection(f"tcp:127.0.0.1:{port}", allowHalfOpen=True)
    await socket.write(octets)
    answer = await socket.read()
    socket.destroy()
    return answer


async def echo(socket: Socket) -> None:
    async for data in socket:
        await asyncio.sleep(0.001)
        await socket.write(data)


async def shout(ws: WebSocket) -> None:
    async for message in ws:
        await asyncio.sleep(0.001)
        await ws.send(str(message).upper())


async def main() -> None:
    from twisted.internet import reactor

    print(type(reactor).__mro__[1].__name__)

    async def listen(factory: Any) -> int:
        port = await TCP4ServerEndpoint(reactor, 0, interface="127.0.0.1").listen(factory)
        return int(port.getHost().port)

    get = b"GET %b HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
    post = b"POST / HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: 3\r\n\r\nabc"
    for handler in (http, inTask):
        port = await listen(HTTPFactory(handler))
        if handler is http:
            print((await ask(port, get % b"/")).rpartition(b"\r\n")[2])
            print((await ask(port, get % b"/stream")).partition(b"\r\n\r\n")[2])
        else:
            print((await ask(port, post)).rpartition(b"\r\n")[2])
        # A client that goes away.
        socket = await createConnection(f"tcp:127.0.0.1:{port}")
        await socket.write(get % b"/left")
        await begun.wait()
        socket.destroy()
        await left.wait()
        begun.clear()
        left.clear()

    # A time-out leaves the socket as it was.
    server = createServer(echo)
    address: Any = await server.listen("tcp:0:interface=127.0.0.1")
    socket = await createConnection(f"tcp:127.0.0.1:{address.port}")
    try:
        await asyncio.wait_for(forAsyncio(socket.read(1)), 0.01)
    except TimeoutError:
        print("timed out")
    task = asyncio.create_task(forAsyncio(socket.readExactly(2)))
    await asyncio.sleep(0.001)
    task.cancel()
    try:
        await task
    except asyncio.CancelledError:
        print("cancelled")
    await socket.write(b"ab")
    print(await socket.readExactly(2))
    socket.destroy()
    await server.close()

    port = await listen(WebSocketFactory(WebSocketApplication(shout)))
    async with await WebSocketClientEndpoint.new(reactor, f"ws://127.0.0.1:{port}/").open() as ws:
        await ws.send("hello")
        print(await ws.receive())
    print(*gone)


loops: dict[str, Callable[[], asyncio.AbstractEventLoop]] = {
    "asyncio": asyncio.new_event_loop,
    "uvloop": uvloop.new_event_loop,
}

if __name__ == "__main__":
    run(main(), loopFactory=loops[sys.argv[1]])
