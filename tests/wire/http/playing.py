"""
A server's side of a connection, played without a transport.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from netkit.wire.errors import HTTPProtocolError
from netkit.wire.http import Content, EndOfMessage, Limits, RequestHead
from netkit.wire.http.response import ResponseMessage, error_response
from netkit.wire.http.server import Closing, ServerConnection

HELLO = ResponseMessage(200, [], b"hello")


class Player:
    """
    Does what a protocol does with a L{ServerConnection}, and writes down what happens.

    @ivar said: what was said, in words: pieces of content that follow each other are one.
    @ivar sent: all that was to be sent.
    """

    def __init__(
        self,
        handle: Callable[[Player, RequestHead], None] | None = None,
        *,
        limits: Limits | None = None,
        refused_methods: frozenset[bytes] = frozenset(),
        allow_half_open: bool = False,
    ) -> None:
        """
        @param handle: called with each request; answers C{hello} by default.
        """
        self.server = ServerConnection(
            limits, refused_methods=refused_methods, allow_half_open=allow_half_open
        )
        self.said: list[str] = []
        self.sent = b""
        self._handle = handle or Player.hello
        self._reading = False
        self._busy = False

    @property
    def closing(self) -> Closing | None:
        return self.server.closing

    def receive(self, *pieces: bytes) -> None:
        """
        Octets arrive.
        """
        for piece in pieces:
            self.server.receive(piece)
            self.pump()

    def end(self) -> None:
        """
        The client sends no more.
        """
        self.server.receive_end()
        self.pump()

    def pump(self) -> None:
        """
        Do what there is to do.
        """
        if self._busy:
            return
        self._busy = True
        while (event := self.server.next_event()) is not None:
            self._happened(event)
        self._busy = False

    def _happened(self, event: RequestHead | Content | EndOfMessage | HTTPProtocolError) -> None:
        if isinstance(event, RequestHead):
            self._reading = False
            self.said.append(f"{event.method.decode()} {event.target.decode()}")
            self._handle(self, event)
        elif isinstance(event, HTTPProtocolError):
            self.failed(event)
        elif isinstance(event, Content):
            if event.data:
                if self.said[-1].startswith("content "):
                    self.said[-1] += event.data.decode("latin-1")
                else:
                    self.said.append("content " + event.data.decode("latin-1"))
                self._want()
        else:
            trailers = [f"{name.decode()}={value.decode()}" for name, value in event.trailers]
            self.said.append(" ".join(["end", *trailers]))
            if self._reading:
                self._reading = False
                self.done()

    def failed(self, error: HTTPProtocolError) -> None:
        """
        Answer an error.
        """
        self.said.append(f"error {error.status}")
        self.send(self.server.respond(error_response(error), b""))

    # What a handler does

    def hello(self, head: RequestHead | None = None) -> None:
        """
        Answer at once.
        """
        self.send(self.server.respond(HELLO, b""))

    def read(self, head: RequestHead) -> None:
        """
        Read the content, and answer then.
        """
        self.done: Callable[[], None] = self.hello
        if head.framing.has_content:
            self._reading = True
            self._want()
        else:
            self.hello()

    def wait(self, head: RequestHead) -> None:
        """
        Answer nothing yet.
        """

    def stream(self, head: RequestHead) -> None:
        """
        Begin to answer, and send the end when the content is read.
        """
        message = ResponseMessage(200, [], None)
        self.send(self.server.start_response(message, None, b""))
        self.done = lambda: self.send(self.server.end_response())
        if head.framing.has_content:
            self._reading = True
            self._want()

    def send(self, octets: bytes) -> None:
        """
        Send something, and go on.
        """
        self.sent += octets
        self.pump()

    def _want(self) -> None:
        if self._reading:
            self.send(self.server.want_content())


def splits(octets: bytes) -> Iterable[list[bytes]]:
    """
    The ways in which octets are to arrive: whole, one by one, in pairs.
    """
    yield [octets]
    yield [octets[at : at + 1] for at in range(len(octets))]
    yield [octets[at : at + 2] for at in range(0, len(octets), 2)]
