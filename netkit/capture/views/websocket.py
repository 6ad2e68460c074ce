"""
The messages of a WebSocket.
"""

from __future__ import annotations

from collections.abc import Iterator

from ...wire.errors import RemoteProtocolError
from ...wire.http import Fields
from ...wire.recording import Closed, Direction, Dropped, Event, Octets, Opened, Role
from ...wire.websocket import deflate
from ...wire.websocket.connection import Connection
from ...wire.websocket.deflate import DeflateSettings, PerMessageDeflate
from ...wire.websocket.events import Close, Piece, Ping, Pong
from ...wire.websocket.extensions import parse_extensions
from .item import Item, Kind
from .raw import RawView, cut
from .spool import Spool


class _Side:
    """
    What one side sends.
    """

    def __init__(
        self, opened: Opened, spool: Spool, direction: Direction, connection: Connection
    ) -> None:
        self._opened = opened
        self._spool = spool
        self._direction = direction
        self._connection = connection
        self._message: Item | None = None
        # What is no WebSocket any more.
        self._raw: RawView | None = None

    def receive(self, event: Octets) -> Iterator[Item]:
        if self._raw is not None:
            yield from self._raw.feed(event)
            return
        time = event.time
        try:
            for found in self._connection.receive_data(event.data):
                if isinstance(found, Piece):
                    yield from self._piece(found, time)
                elif isinstance(found, Ping):
                    yield self._control(Kind.PING, time, found.payload)
                elif isinstance(found, Pong):
                    yield self._control(Kind.PONG, time, found.payload)
                elif isinstance(found, Close):
                    yield Item(
                        self._opened,
                        time,
                        time,
                        Kind.CLOSE,
                        self._direction,
                        about={"code": int(found.code), "reason": found.reason},
                    )
        except RemoteProtocolError as error:
            yield from self.fail(time, str(error))
            # Where in these octets it went wrong is not known to a reader of messages.
            yield from RawView(self._opened, self._spool).feed(event)
            return
        wrong = cut(event)
        if wrong:
            yield from self.fail(time, wrong)

    def fail(self, time: int, wrong: str) -> Iterator[Item]:
        item, self._message = self._message, None
        if self._raw is not None:
            return
        self._raw = RawView(self._opened, self._spool)
        if item is None:
            item = Item(self._opened, time, time, Kind.NOTE, self._direction)
        item.ended = time
        item.wrong = wrong
        yield item

    def cut(self, time: int, wrong: str) -> Iterator[Item]:
        """
        The connection is over: show the message that is not whole.
        """
        if self._message is not None:
            yield from self.fail(time, wrong)

    def _piece(self, piece: Piece, time: int) -> Iterator[Item]:
        item = self._message
        data = piece.data
        if item is None:
            about = {"opcode": "text" if isinstance(data, str) else "binary"}
            item = self._message = Item(
                self._opened,
                time,
                time,
                Kind.MESSAGE,
                self._direction,
                self._spool.data(),
                about=about,
            )
        assert item.data is not None
        item.data.write(data.encode() if isinstance(data, str) else data)
        if piece.finished:
            self._message = None
            item.ended = time
            yield item

    def _control(self, kind: Kind, time: int, payload: bytes) -> Item:
        data = self._spool.data()
        data.write(payload)
        return Item(self._opened, time, time, kind, self._direction, data)


class WebSocketView:
    """
    An item for each message and each control frame.
    """

    def __init__(self, opened: Opened, spool: Spool, fields: Fields) -> None:
        """
        @param opened: the connection.
        @param spool: where octets wait.
        @param fields: those of the response that opened the WebSocket.
        """
        serving = opened.role is Role.SERVER
        fromClient = Direction.RECEIVED if serving else Direction.SENT
        fromServer = Direction.SENT if serving else Direction.RECEIVED
        toClient, toServer = _deflates(fields)
        self._sides = {
            fromClient: _Side(opened, spool, fromClient, _receiving(False, toServer)),
            fromServer: _Side(opened, spool, fromServer, _receiving(True, toClient)),
        }

    def feed(self, event: Event) -> Iterator[Item]:
        """
        Take the next event of the connection.
        """
        if isinstance(event, Octets):
            yield from self._sides[event.direction].receive(event)
        elif isinstance(event, Dropped):
            for direction, octets in (
                (Direction.RECEIVED, event.received),
                (Direction.SENT, event.sent),
            ):
                if octets:
                    wrong = f"{octets} octets that follow were not recorded"
                    yield from self._sides[direction].fail(event.time, wrong)
        elif isinstance(event, Closed):
            for side in self._sides.values():
                yield from side.cut(event.time, f"cut short: {event.reason or event.how}")


def _receiving(client: bool, inflater: PerMessageDeflate | None) -> Connection:
    return Connection(
        client=client, max_message_size=0, max_fragments=0, deflate=inflater, pieces=True
    )


def _deflates(fields: Fields) -> tuple[PerMessageDeflate | None, PerMessageDeflate | None]:
    """
    What inflates the messages to the client, and those to the server.
    """
    try:
        for extension in parse_extensions(fields.all(b"sec-websocket-extensions")):
            if extension.name == deflate.NAME:
                client = deflate.agree(extension, DeflateSettings(window_bits=15))
                return client, PerMessageDeflate(
                    in_window_bits=client.out_window_bits, in_takeover=client.out_takeover
                )
    except (RemoteProtocolError, ValueError):
        # Frames that say they are compressed will be found wrong.
        pass
    return None, None
