"""
The service that stops without loss.
"""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest
import pytest_twisted
from twisted.internet.defer import Deferred, maybeDeferred
from twisted.logger import LogEvent

from netkit import net
from netkit.capture import RecordedFactory, Recorder
from netkit.echo import EchoFactory
from netkit.http import HTTPFactory, Request, Response
from netkit.service import ListeningService


def endpoint(folder: Path) -> str:
    return f"unix:{folder / 'x.sock'}"


async def client(folder: Path) -> net.Socket:
    return await net.createConnection(endpoint(folder), allowHalfOpen=True)


async def received(socket: net.Socket) -> bytes:
    return b"".join([bytes(data) async for data in socket])


@pytest_twisted.ensureDeferred
async def test_requests_under_way_are_answered(tmp_path: Path) -> None:
    begun: Deferred[None] = Deferred()
    answer: Deferred[None] = Deferred()

    async def handler(request: Request) -> Response:
        begun.callback(None)
        await answer
        return Response(200, b"done")

    service = ListeningService(
        endpoint(tmp_path), RecordedFactory(HTTPFactory(handler), Recorder([]), "http")
    )
    service.startService()
    busy, idle = await client(tmp_path), await client(tmp_path)
    await busy.write(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n")
    await begun
    stopped = maybeDeferred(service.stopService)
    assert await received(idle) == b""
    assert not stopped.called
    answer.callback(None)
    reply = await received(busy)
    assert reply.startswith(b"HTTP/1.1 200 ")
    assert b"\r\nconnection: close\r\n" in reply
    busy.destroy()
    idle.destroy()
    await stopped


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
@pytest_twisted.ensureDeferred
async def test_a_second_signal_cuts(tmp_path: Path, number: int, logged: list[LogEvent]) -> None:
    before = signal.getsignal(number)
    stuck: Deferred[Response] = Deferred()
    begun: Deferred[None] = Deferred()

    def handler(request: Request) -> Deferred[Response]:
        begun.callback(None)
        return stuck

    services = [
        ListeningService(endpoint(tmp_path), HTTPFactory(handler), grace=600),
        # Another one, which has nothing to end, does not matter.
        ListeningService("tcp:0:interface=127.0.0.1", EchoFactory()),
    ]
    for service in services:
        service.startService()
    socket = await client(tmp_path)
    await socket.write(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n")
    await begun
    stopped = [maybeDeferred(service.stopService) for service in services]
    assert not stopped[0].called
    os.kill(os.getpid(), number)
    for each in stopped:
        await each
    assert signal.getsignal(number) == before
    assert await received(socket) == b""
    socket.destroy()
    [told] = [
        event for event in logged if "{count} connections did not end" in event["log_format"]
    ]
    assert (told["count"], told["grace"] < 600) == (1, True)


def test_mistakes() -> None:
    with pytest.raises(ValueError, match="grace"):
        ListeningService("tcp:0", EchoFactory(), grace=-1.0)
    with pytest.raises(ValueError, match="is not a server endpoint string"):
        ListeningService("tpc:0", EchoFactory())
