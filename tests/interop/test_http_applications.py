"""
Klein and Flask beside netkit's handlers: on one connection, and on those that nginx keeps.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from http.client import HTTPConnection
from pathlib import Path

import pytest

from benchmarks.running import freePort
from tests.interop.http_peers import waitFor
from tests.interop.peers import Address, Program, daemonCommand, requirePeer

# The first examples of their own documentation, and a handler of netkit's.
APPLICATION = """
from flask import Flask
from klein import Klein
from twisted.application.service import Application
from twisted.internet import reactor
from twisted.web.wsgi import WSGIResource

from netkit.http import HTTPFactory, Response, resourceHandler
from netkit.service import ListeningService

klein, flask = Klein(), Flask(__name__, root_path=".")

@klein.route("/klein")
def home(request):
    return "Hello, world!"

@flask.route("/flask")
def hello_world():
    return "<p>Hello, World!</p>"

kleins = resourceHandler(klein.resource())
flasks = resourceHandler(WSGIResource(reactor, reactor.getThreadPool(), flask))

def handler(request):
    match request.path:
        case b"/klein":
            return kleins(request)
        case b"/flask":
            return flasks(request)
    return Response(200, b"%b from %d" % (request.method, request.peer.port))

application = Application("both")
service = ListeningService("tcp:0:interface=127.0.0.1", HTTPFactory(handler))
service.setServiceParent(application)
"""

NGINX = """
daemon off;
pid {folder}/nginx.pid;
error_log stderr;
events {{ }}
http {{
    access_log off;
    client_body_temp_path {folder}/nginx-1;
    proxy_temp_path {folder}/nginx-2;
    fastcgi_temp_path {folder}/nginx-3;
    uwsgi_temp_path {folder}/nginx-4;
    scgi_temp_path {folder}/nginx-5;
    upstream behind {{ server 127.0.0.1:{behind}; keepalive 1; }}
    server {{
        listen 127.0.0.1:{port};
        location / {{
            proxy_pass http://behind;
            proxy_http_version 1.1;
            proxy_set_header Connection "";
        }}
    }}
}}
"""


@pytest.fixture(scope="module")
def port(folder: Path) -> Iterator[int]:
    """
    Where the application listens.
    """
    (folder / "both.tac").write_text(APPLICATION)
    program = Program(daemonCommand("-y", "both.tac"), cwd=folder)
    try:
        [listening] = program.waitForLines(re.compile(r"Factory starting on (\d+)$"))
        yield int(listening[1])
    finally:
        program.stop()
    assert "Traceback" not in program.output, program.output


@pytest.mark.parametrize("nginx", [False, True])
def test_all_on_one_connection(port: int, folder: Path, nginx: bool) -> None:
    where, program = port, None
    if nginx:
        where = freePort()
        config = folder / "nginx.conf"
        config.write_text(NGINX.format(folder=folder, port=where, behind=port))
        program = Program([requirePeer("nginx"), "-e", "stderr", "-c", str(config)])
        waitFor(Address(port=where))
    client = HTTPConnection("127.0.0.1", where, timeout=60)
    try:
        told = []
        for path in ("/", "/klein", "/", "/flask", "/klein", "/flask", "/"):
            client.request("GET", path)
            told.append(client.getresponse().read().decode())
    finally:
        client.close()
        if program is not None:
            program.stop()
    kleins, flasks = "Hello, world!", "<p>Hello, World!</p>"
    ours = told[0]
    assert ours.startswith("GET from ")
    if nginx:
        # Which may have come to the next request before it had the connection back.
        told = [re.sub("^GET from .*", ours, text) for text in told]
    # The port of the client is that of one connection.
    assert told == [ours, kleins, ours, flasks, kleins, flasks, ours]
