"""
A WebSocket and plain HTTP on one port, behind proxies that keep their connections.
"""

from __future__ import annotations

import http.client
import re
from collections.abc import Iterator
from pathlib import Path
from threading import Thread

import pytest
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from benchmarks.running import freePort
from tests.interop.http_peers import waitFor
from tests.interop.peers import PATIENCE, Address, Program, daemonCommand, requirePeer

APPLICATION = """
from twisted.application import service, strports
from twisted.internet.defer import Deferred
from twisted.internet.protocol import Factory
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET, Site

from netkit.http import HTTPFactory, Response
from netkit.websocket import WebSocketFactory, WebSocketProtocol


class Echo(WebSocketProtocol):
    def negotiationStarted(self, transport):
        self.transport = transport

    def negotiationFinished(self):
        self.transport.sendTextMessage(str(self.transport.getPeer().port))

    def textMessageReceived(self, message):
        self.transport.sendTextMessage(message)


async def answer(request):
    content = await request.read()
    if request.path == b"/slow":
        from twisted.internet import reactor, task
        print("slow", flush=True)
        await task.deferLater(reactor, 1.0)
    return Response(200, b"%d %d" % (request.peer.port, len(content)))


class Tree(Resource):
    isLeaf = True

    def render(self, request):
        answer = b"%d %d" % (request.getClientAddress().port, len(request.content.read()))
        if request.path != b"/slow":
            return answer
        print("slow", flush=True)
        from twisted.internet import reactor
        reactor.callLater(1.0, lambda: (request.write(answer), request.finish()))
        return NOT_DONE_YET


plain = {plain}
factory = WebSocketFactory(
    Factory.forProtocol(Echo), path=b"/chat", origins=["http://good"], httpFactory=plain
)


class Served(service.MultiService):
    def stopService(self):
        stopped = super().stopService()
        return stopped.addCallback(
            lambda _: factory.closeConnections(30.0)
        )


served = Served()
strports.service("tcp:{port}:interface=127.0.0.1", factory).setServiceParent(served)
application = service.Application("mixed")
served.setServiceParent(application)
"""

NGINX = """
daemon off;
pid {folder}/mixed.pid;
error_log stderr error;
worker_processes 1;
events {{ }}
http {{
    access_log off;
    client_body_temp_path {folder}/mixed-1;
    proxy_temp_path {folder}/mixed-2;
    fastcgi_temp_path {folder}/mixed-3;
    uwsgi_temp_path {folder}/mixed-4;
    scgi_temp_path {folder}/mixed-5;
    map $http_upgrade $connection_upgrade {{
        default upgrade;
        '' '';
    }}
    upstream netkit {{
        server 127.0.0.1:{behind};
        keepalive 8;
    }}
    server {{
        listen 127.0.0.1:{port};
        location / {{
            proxy_pass http://netkit;
            proxy_http_version 1.1;
            proxy_set_header Upgrade $http_upgrade;
            proxy_set_header Connection $connection_upgrade;
            proxy_request_buffering off;
        }}
    }}
}}
"""

HAPROXY = """
global
    # Each thread has connections of its own.
    nbthread 1
defaults
    mode http
    timeout connect 10s
    timeout client 60s
    timeout server 60s
    timeout tunnel 60s
    http-reuse always
listen mixed
    bind 127.0.0.1:{port}
    server netkit 127.0.0.1:{behind}
"""


@pytest.fixture(params=["HTTPFactory(answer)", "Site(Tree())"])
def server(request: pytest.FixtureRequest, folder: Path) -> Iterator[tuple[Program, Address]]:
    """
    A server of both, with each kind of plain HTTP.
    """
    address = Address(port=freePort())
    (folder / "mixed.tac").write_text(APPLICATION.format(plain=request.param, port=address.port))
    program = Program(daemonCommand("-y", str(folder / "mixed.tac")), cwd=folder)
    try:
        waitFor(address)
        yield program, address
    finally:
        program.stop()
        assert "Traceback" not in program.output, program.output


@pytest.fixture(params=["nginx", "haproxy"])
def proxy(
    request: pytest.FixtureRequest, server: tuple[Program, Address], folder: Path
) -> Iterator[Address]:
    """
    A proxy in front of it.
    """
    address = Address(port=freePort())
    config = folder / "mixed.conf"
    template = NGINX if request.param == "nginx" else HAPROXY
    config.write_text(template.format(folder=folder, port=address.port, behind=server[1].port))
    arguments = ["-c"] if request.param == "nginx" else ["-db", "-f"]
    program = Program([requirePeer(request.param), *arguments, str(config)])
    try:
        waitFor(address)
        yield address
    finally:
        program.stop()


def get(address: Address, method: str = "GET", path: str = "/", content: bytes = b"") -> list[int]:
    """
    Send a request, and give the port that it arrived from, and the size of its content.
    """
    assert address.port is not None
    connection = http.client.HTTPConnection("127.0.0.1", address.port, timeout=PATIENCE)
    connection.request(method, path, content)
    response = connection.getresponse()
    assert response.status == 200
    answer = response.read()
    connection.close()
    return list(map(int, answer.split()))


def test_a_kept_connection_carries_requests_and_then_a_websocket(proxy: Address) -> None:
    port, _ = get(proxy)
    assert get(proxy, "POST", content=b"x" * 100_000) == [port, 100_000]
    assert get(proxy) == [port, 0]
    url = f"{proxy.origin('ws')}/chat"
    with connect(url, proxy=None, open_timeout=PATIENCE) as websocket:
        # It came by the connection of the requests before.
        assert websocket.recv(PATIENCE) == str(port)
        websocket.send("hello" * 10_000)
        assert websocket.recv(PATIENCE) == "hello" * 10_000
        other, _ = get(proxy)
        assert other != port
    for path, fields, status in (("/none", {}, 404), ("/chat", {"Origin": "http://evil"}, 403)):
        get(proxy)
        with (
            pytest.raises(InvalidStatus) as raised,
            connect(proxy.origin("ws") + path, proxy=None, additional_headers=fields),
        ):
            pass
        assert raised.value.response.status_code == status


def test_a_stop_lets_a_plain_request_be_answered(server: tuple[Program, Address]) -> None:
    program, address = server
    answers: list[list[int]] = []
    client = Thread(target=lambda: answers.append(get(address, path="/slow")))
    client.start()
    program.waitForLines(re.compile("slow$"))
    program.stop()
    client.join(PATIENCE)
    assert [size for _, size in answers] == [0]
