"""
All four services in one application, which know each other::

    twistd -ny examples/compose.tac

What a client posts to the HTTP service, or sends to the print-respond service, goes to all who
listen at the WebSocket service::

    curl -d 'hello, all' http://127.0.0.1:3202/
"""

from collections.abc import Callable

from twisted.application.service import Application
from twisted.python.failure import Failure
from zope.interface import implementer

from netkit.capture import (
    Direction,
    Event,
    ISink,
    Kind,
    RecordedFactory,
    Recorder,
    Views,
)
from netkit.echo import EchoFactory
from netkit.http import HTTPFactory, Request, Response
from netkit.printrespond import PrintRespondFactory
from netkit.service import ListeningService
from netkit.websocket import WebSocketFactory, WebSocketProtocol, WebSocketRequest, WebSocketTransport

listeners: set[WebSocketTransport] = set()


def tellAll(data: bytes | bytearray) -> None:
    text = data.decode(errors="replace")
    for listener in listeners:
        listener.sendTextMessage(text)


class Listener(WebSocketProtocol):
    """
    Somebody who listens: is told what the others are told, and that alone.
    """

    def negotiationStarted(self, transport: WebSocketTransport) -> None:
        self._transport = transport

    def negotiationFinished(self) -> None:
        listeners.add(self._transport)
        self._transport.sendTextMessage(f"{len(listeners)} listening")

    def connectionLost(self, reason: Failure) -> None:
        listeners.discard(self._transport)


class Listeners:
    """
    Makes the one who listens on a connection.
    """

    def buildProtocol(self, request: WebSocketRequest) -> Listener:
        return Listener()


@implementer(ISink)
class Teller:
    """
    Takes what is recorded of the print-respond service, and tells the listeners what came.
    """

    full = False

    def __init__(self) -> None:
        self._views = Views()

    def onDrain(self, call: Callable[[], None]) -> None:
        """
        It never is full.
        """

    def take(self, events: list[Event], size: int) -> None:
        for item in self._views.feed(events):
            if item.kind is Kind.CONTENT and item.direction is Direction.RECEIVED:
                tellAll(b"".join(item.octets()))
            item.close()


async def post(request: Request) -> Response:
    """
    The handler of each HTTP request.
    """
    if request.method != b"POST":
        return Response(405, b"POST what the listeners are to hear\n", [(b"Allow", b"POST")])
    tellAll(await request.read(limit=10_000))
    return Response(200, b"told %d\n" % len(listeners), [(b"Content-Type", b"text/plain")])


application = Application("netkit, composed")

for factory, endpoint in (
    (EchoFactory(), "tcp:3200:interface=127.0.0.1"),
    (
        RecordedFactory(PrintRespondFactory(b"told\n"), Recorder([Teller()]), "print-respond"),
        "tcp:3201:interface=127.0.0.1",
    ),
    (HTTPFactory(post), "tcp:3202:interface=127.0.0.1"),
    (WebSocketFactory(Listeners()), "tcp:3203:interface=127.0.0.1"),
):
    ListeningService(endpoint, factory).setServiceParent(application)
