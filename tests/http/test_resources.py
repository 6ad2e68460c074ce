"""
Tests for L{netkit.http.resources}: twisted.web's resources, Klein and Flask beside handlers on one
connection.
"""

from __future__ import annotations

import gc
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import pytest_twisted
from twisted.internet.endpoints import TCP4ClientEndpoint, TCP4ServerEndpoint
from twisted.internet.interfaces import IProtocolFactory, IStreamClientEndpoint
from twisted.internet.threads import deferToThread
from twisted.python.failure import Failure
from twisted.python.threadpool import ThreadPool
from twisted.web.iweb import IRequest
from twisted.web.pages import notFound
from twisted.web.resource import IResource, Resource
from twisted.web.server import NOT_DONE_YET, Site
from twisted.web.wsgi import WSGIResource

from netkit.http import HTTPFactory, Request, ResourceHandler, Response, resourceHandler
from tests.conftest import Listen

from ..clients import connect
from .connected import Connection, get, post

with warnings.catch_warnings():
    # It warns of itself when it is imported.
    warnings.simplefilter("ignore", DeprecationWarning)
    from twisted.web.static import Data, File

BIG = bytes(range(256)) * 2000


class Later(Resource):
    """
    Answers when it is told to.
    """

    isLeaf = True

    def __init__(self) -> None:
        super().__init__()
        self.request: Any = None
        self.finished: list[Any] = []

    def render_GET(self, request: Any) -> object:
        self.request = request
        request.notifyFinish().addBoth(self.finished.append)
        return NOT_DONE_YET

    def render_POST(self, request: Any) -> bytes:
        return repr((request.args, request.content.read(), request.getCookie(b"c"))).encode()


class Producer:
    """
    Writes whenever it is resumed.
    """

    def __init__(self, request: Any, streaming: bool) -> None:
        self.calls: list[str] = []
        self._request = request
        self._left = 3
        request.registerProducer(self, streaming)

    def resumeProducing(self) -> None:
        self.calls.append("resume")
        self._left -= 1
        self._request.write(b"x" * 10)
        if not self._left:
            self._request.unregisterProducer()
            self._request.finish()

    def pauseProducing(self) -> None:
        self.calls.append("pause")

    def stopProducing(self) -> None:
        self.calls.append("stop")


@pytest.fixture
def root() -> Resource:
    """
    A tree.
    """
    root = Resource()
    root.putChild(b"hello", Data(b"hello", "text/plain"))
    root.putChild(b"later", Later())
    root.putChild(b"none", notFound())
    return root


@pytest.fixture
def handler(root: Resource) -> Iterator[ResourceHandler]:
    """
    That tree as a handler.
    """
    made = resourceHandler(Site(root))
    yield made
    made.doStop()


@pytest.fixture
def client(handler: ResourceHandler) -> Connection:
    """
    A connection to it, and to another handler.
    """

    def either(request: Request) -> Any:
        return Response(200, b"netkit") if request.path == b"/" else handler(request)

    return Connection(either)


def body(octets: bytes) -> bytes:
    return octets.partition(b"\r\n\r\n")[2]


def test_one_connection_for_both(client: Connection) -> None:
    client.send(get() + get(b"/hello") + get())
    octets = client.take()
    assert octets.count(b"HTTP/1.1 200 OK\r\n") == 3
    assert octets.count(b"hello") == 1
    assert octets.count(b"netkit") == 2
    assert octets.count(b"content-length: 5\r\n") == 1
    client.send(get(b"/hello").replace(b"GET", b"HEAD") + get(b"/none") + get(b"/hello"))
    octets = client.take()
    assert octets.count(b"content-length: 5\r\n") == 2
    assert octets.count(b"hello") == 1
    assert b"HTTP/1.1 404 " in octets


def test_content_of_either_framing(client: Connection) -> None:
    chunked = get(b"/later?q=1", b"Transfer-Encoding: chunked", b"Cookie: c=d")
    client.send(chunked.replace(b"GET", b"POST") + b"3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n")
    assert body(client.take()) == b"({b'q': [b'1']}, b'abcde', b'd')"
    form = b"Content-Type: application/x-www-form-urlencoded"
    client.send(post(b"a=b", form).replace(b"POST /", b"POST /later"))
    assert body(client.take()) == b"({b'a': [b'b']}, b'a=b', None)"
    multipart = b"Content-Type: multipart/form-data; boundary="
    client.send(post(b"a=b", multipart).replace(b"POST /", b"POST /later"))
    assert client.statuses() == [400]


def test_limits_hold_for_chunked_content(root: Resource) -> None:
    from netkit.wire.http import Limits

    handler = resourceHandler(Site(root))
    client = Connection(handler, limits=Limits(content=4))
    octets = get(b"/later", b"Transfer-Encoding: chunked").replace(b"GET", b"POST")
    client.send(octets + b"3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n")
    assert client.statuses() == [413]
    handler.doStop()


def later(client: Connection, root: Resource, octets: bytes = get(b"/later")) -> Any:
    client.send(octets)
    assert client.take() == b""
    return root.children[b"later"]


def test_not_done_yet(client: Connection, root: Resource) -> None:
    resource = later(client, root)
    resource.request.setResponseCode(202)
    resource.request.write(b"ab")
    assert client.take().endswith(b"\r\n2\r\nab\r\n")
    resource.request.write(b"c")
    resource.request.finish()
    assert client.take() == b"1\r\nc\r\n0\r\n\r\n"
    assert resource.finished == [None]
    # With a length, and on the same connection.
    resource = later(client, root)
    resource.request.setHeader(b"content-length", b"2")
    resource.request.write(b"ab")
    resource.request.finish()
    assert client.take().endswith(b"content-length: 2\r\n\r\nab")


@pytest.mark.parametrize("written", [False, True])
def test_the_client_goes_away(client: Connection, root: Resource, written: bool) -> None:
    resource = later(client, root)
    if written:
        resource.request.write(b"ab")
    client.lose()
    (failure,) = resource.finished
    assert isinstance(failure, Failure)
    # As twisted.web has it: what is written is dropped.
    resource.request.write(b"c")


@pytest.mark.parametrize("written", [False, True])
def test_the_resource_closes_the_connection(
    client: Connection, root: Resource, written: bool, logged: Any
) -> None:
    resource = later(client, root)
    if written:
        resource.request.write(b"ab")
    resource.request.loseConnection()
    assert client.transport.aborted or client.statuses() == [500]
    logged.clear()


@pytest.mark.parametrize("written", [False, True])
def test_the_resource_closes_the_connection_at_once(
    root: Resource, client: Connection, written: bool, logged: Any
) -> None:
    class Closing(Resource):
        def render_GET(self, request: Any) -> bytes:
            if written:
                request.write(b"ab")
            request.loseConnection()
            return b"c"

    root.putChild(b"closing", Closing())
    client.send(get(b"/closing"))
    assert client.transport.aborted if written else client.statuses() == [500]
    logged.clear()


def test_head_of_what_is_as_long_as_it_gets(root: Resource, client: Connection) -> None:
    class Streaming(Resource):
        def render_HEAD(self, request: Any) -> object:
            request.write(b"")
            request.finish()
            return NOT_DONE_YET

    root.putChild(b"streaming", Streaming())
    client.send(get(b"/streaming").replace(b"GET", b"HEAD") + get(b"/hello"))
    head, content = client.take().split(b"HTTP/1.1 ")[1:]
    assert b"content-length" not in head
    assert body(content) == b"hello"


def test_requests_leave_no_reference_cycles(root: Resource, client: Connection) -> None:
    def ask() -> None:
        client.send(get(b"/hello"))
        client.take()
        resource = later(client, root)
        resource.request.write(b"ab")
        resource.request.finish()
        client.take()

    ask()
    gc.collect()
    gc.disable()
    try:
        ask()
        del root.children[b"later"].request
        assert gc.collect() == 0
    finally:
        gc.enable()


def test_push_producer(client: Connection, root: Resource) -> None:
    resource = later(client, root)
    producer = Producer(resource.request, True)
    producer.resumeProducing()
    client.producer.pauseProducing()
    client.producer.resumeProducing()
    assert producer.calls == ["resume", "pause", "resume"]
    client.producer.pauseProducing()
    client.lose()
    assert producer.calls[-1] == "stop"


def test_what_fails_to_render_and_sessions(
    root: Resource, handler: ResourceHandler, client: Connection, logged: Any
) -> None:
    class Failing(Resource):
        def render_GET(self, request: IRequest) -> bytes:
            raise ZeroDivisionError

    class Session(Resource):
        def render_GET(self, request: Any) -> bytes:
            session = request.getSession()
            session.startCheckingExpiration = lambda: None
            uid: bytes = session.uid
            session.expire()
            return uid

    root.putChild(b"failing", Failing())
    root.putChild(b"session", Session())
    client.send(get(b"/failing") + get(b"/session"))
    octets = client.take()
    assert b"HTTP/1.1 500 " in octets
    uid = octets.rpartition(b"\r\n\r\n")[2]
    assert b"Set-Cookie: TWISTED_SESSION=" + uid in octets
    logged.clear()


def test_access_log(root: Resource, tmp_path: Path) -> None:
    log = tmp_path / "access.log"
    handler = resourceHandler(Site(root, logPath=str(log).encode()))
    handler.doStart()
    client = Connection(handler)
    client.send(get(b"/hello"))
    handler.doStop()
    assert '"GET /hello HTTP/1.1" 200 5 ' in log.read_text()


def test_what_is_no_resource() -> None:
    wrong: Any = 3
    with pytest.raises(TypeError, match="an IResource or a Site, not 3"):
        resourceHandler(wrong)


async def ask(listen: Listen, resource: IResource, octets: bytes, until: bytes) -> bytes:
    handler = resourceHandler(resource)
    client = await connect(await listen(HTTPFactory(handler)))
    client.transport.write(octets)
    received = b""
    while not received.endswith(until):
        received = await client.receive(len(client.received) + 1)
    client.transport.loseConnection()
    await client.lost
    handler.doStop()
    return received


@pytest_twisted.ensureDeferred
async def test_a_file_of_twisted_web(listen: Listen, tmp_path: Path) -> None:
    (tmp_path / "big").write_bytes(BIG)
    octets = get(b"/big", b"Range: bytes=1-")
    assert body(await ask(listen, File(str(tmp_path)), octets, BIG[-256:])) == BIG[1:]


@pytest_twisted.ensureDeferred
async def test_klein(listen: Listen) -> None:
    klein = pytest.importorskip("klein")
    app = klein.Klein()

    @app.route("/user/<username>")
    def user(request: IRequest, username: str) -> str:
        return f"Hi {username}!"

    @app.route("/later")
    async def afterwards(request: IRequest) -> bytes:
        await deferToThread(lambda: None)
        return b"later"

    octets = get(b"/user/bob") + get(b"/later")
    received = await ask(listen, app.resource(), octets, b"0\r\n\r\n")
    assert b"Hi bob!" in received
    assert b"later" in received


@pytest_twisted.ensureDeferred
async def test_flask() -> None:
    # Not on UNIX sockets: WSGIResource tells the application the host of its peer.
    from twisted.internet import reactor

    flask = pytest.importorskip("flask")
    port: Any = None
    app = flask.Flask(__name__)

    @app.route("/hello/<name>", methods=["POST"])
    def hello(name: str) -> str:
        return f"Hello {name}: {flask.request.get_data(as_text=True)}"

    async def listen(factory: IProtocolFactory) -> IStreamClientEndpoint:
        nonlocal port
        port = await TCP4ServerEndpoint(reactor, 0, interface="127.0.0.1").listen(factory)
        return TCP4ClientEndpoint(reactor, "127.0.0.1", port.getHost().port)

    pool = ThreadPool(0, 1)
    pool.start()
    octets = post(b"abc").replace(b"POST /", b"POST /hello/bob")
    try:
        received = await ask(listen, WSGIResource(reactor, pool, app), octets, b"abc")
    finally:
        pool.stop()
        await port.stopListening()
    assert body(received) == b"Hello bob: abc"
