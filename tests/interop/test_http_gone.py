"""
Clients that go away before they are answered, and clients that only seem to.
"""

from __future__ import annotations

import socket
from collections.abc import Callable

import pytest
import pytest_twisted
from twisted.internet.address import UNIXAddress
from twisted.internet.defer import Deferred, maybeDeferred
from twisted.internet.endpoints import serverFromString
from twisted.internet.interfaces import IListeningPort, IReactorTime
from twisted.internet.utils import getProcessOutputAndValue

from netkit.http import HTTPFactory, Request, Response
from tests.interop.http_peers import opened
from tests.interop.peers import PATIENCE, Address, Daemon, requirePeer, run

GET = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"


class Waits:
    """
    A handler that answers nothing.

    @ivar called: fires when it was called.
    @ivar cancelled: fires when what it awaits is cancelled.
    """

    def __init__(self) -> None:
        self.called: Deferred[Request] = Deferred()
        self.cancelled: Deferred[object] = Deferred()

    def __call__(self, request: Request) -> Deferred[Response]:
        self.called.callback(request)
        return Deferred(lambda waiting: self.cancelled.callback(waiting))


async def listening(handler: Waits, endpoint: str) -> tuple[IListeningPort, Address]:
    from twisted.internet import reactor

    handler.cancelled.addTimeout(PATIENCE, IReactorTime(reactor))
    port = await serverFromString(reactor, endpoint).listen(HTTPFactory(handler))
    host = port.getHost()
    if isinstance(host, UNIXAddress):
        assert host.name is not None
        return port, Address(path=host.name.decode())
    return port, Address(port=host.port)


@pytest.fixture(params=["tcp", "unix"])
def where(request: pytest.FixtureRequest, folder: object) -> str:
    return "tcp:0:interface=127.0.0.1" if request.param == "tcp" else f"unix:{folder}/gone.sock"


@pytest_twisted.ensureDeferred
async def test_curl_gives_up(where: str) -> None:
    handler = Waits()
    port, address = await listening(handler, where)
    socketOption = [] if address.path is None else ["--unix-socket", address.path]
    origin = f"http://127.0.0.1:{address.port or 80}"
    curl = getProcessOutputAndValue(
        requirePeer("curl"), [*socketOption, "--silent", "--max-time", "1", origin]
    )
    await handler.cancelled
    _, _, status = await curl
    # CURLE_OPERATION_TIMEDOUT
    assert status == 28
    await maybeDeferred(port.stopListening)


@pytest_twisted.ensureDeferred
@pytest.mark.parametrize(
    "ahead",
    [
        pytest.param(b"", id="nothing ahead"),
        pytest.param(GET * 1000, id="requests ahead"),
        pytest.param(GET[:-2] + b"Content-Length: 9\r\n\r\nhalf", id="half a request ahead"),
    ],
)
async def test_a_client_leaves(where: str, ahead: bytes) -> None:
    handler = Waits()
    port, address = await listening(handler, where)
    with opened(address) as connection:
        connection.sendall(GET + ahead)
        await handler.called
    await handler.cancelled
    await maybeDeferred(port.stopListening)


@pytest.mark.parametrize("transport", ["tcp", "unix"])
def test_the_service_answers_who_closed_its_half(
    serve: Callable[..., Daemon], transport: str
) -> None:
    """
    As ncat does behind what it is given, and has all of its answers then.
    """
    http = serve("netkit-http", "--format=none", "--delay=0.1")
    done = run([requirePeer("ncat"), *http.address(transport).ncat], GET * 2)
    assert done.output.count(b"HTTP/1.1 200 OK\r\n") == 2
    assert done.output.endswith(b"response data")
    with opened(http.address(transport)) as connection:
        connection.sendall(GET)
        connection.shutdown(socket.SHUT_WR)
        assert connection.makefile("rb").readline() == b"HTTP/1.1 200 OK\r\n"
