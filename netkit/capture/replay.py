"""
Recorded connections made again: what their clients sent is sent, and what comes back is compared
with what came then.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import zip_longest
from time import time_ns
from typing import Any

from twisted.internet.defer import Deferred, TimeoutError, gatherResults
from twisted.internet.error import ConnectError, ConnectionClosed, DNSLookupError
from twisted.internet.interfaces import IStreamClientEndpoint
from twisted.internet.task import deferLater

from .. import net
from ..wire.errors import WebSocketProtocolError
from ..wire.http import Fields
from ..wire.http.fields import encode_fields
from ..wire.recording import (
    Closed,
    Direction,
    End,
    Event,
    HalfClosed,
    Octets,
    Opened,
    Role,
)
from ..wire.websocket.connection import Connection
from ..wire.websocket.deflate import DeflateSettings
from ..wire.websocket.extensions import Extension, parse_extensions
from ..wire.websocket.handshake import ClientHandshake
from .views import Item, Kind, Views

#: Fields of HTTP responses that differ by nature.
BY_NATURE = ("date",)

_KINDS = {
    Kind.OCTETS,
    Kind.REQUEST,
    Kind.RESPONSE,
    Kind.HANDSHAKE,
    Kind.MESSAGE,
    Kind.PING,
    Kind.CLOSE,
}

# Fields of a handshake that are made anew.
_OWN = {"host", "upgrade", "connection"}


@dataclass(slots=True)
class _Step:
    """
    Something that the client does.

    @ivar time: when it did.
    @ivar item: what it sent; L{None} for the end of what it sends.
    @ivar after: how much the server had said by then.
    """

    time: int
    item: Item | None
    after: int


@dataclass(slots=True)
class Conversation:
    """
    A recorded connection, as its client and its server saw it.

    @ivar steps: what the client did.
    @ivar answers: what the server said.
    @ivar said: how much that is: octets, where it is neither HTTP nor WebSocket; messages else.
    @ivar end: how it ended; L{None} where that is not recorded.
    """

    opened: Opened
    steps: list[_Step] = field(default_factory=list)
    answers: list[Item] = field(default_factory=list)
    said: int = 0
    closedAt: int = 0
    end: End | None = None


def _isFromClient(opened: Opened, direction: Direction | None) -> bool:
    return (direction is Direction.RECEIVED) == (opened.role is Role.SERVER)


def _weight(item: Item) -> int:
    return item.length if item.kind is Kind.OCTETS else 1


def conversations(events: Iterable[Event]) -> list[Conversation]:
    """
    Read conversations from a recording.
    """
    views = Views(contents=False)
    found: dict[int, Conversation] = {}
    for event in events:
        for item in views.feed([event]):
            number = item.connection.connection
            if item.kind is Kind.OPENED:
                found[number] = Conversation(item.connection)
            elif item.kind in _KINDS:
                conversation = found[number]
                if _isFromClient(item.connection, item.direction):
                    conversation.steps.append(_Step(item.time, item, conversation.said))
                else:
                    conversation.answers.append(item)
                    conversation.said += _weight(item)
        known = found.get(event.connection)
        if known is None:
            continue
        if isinstance(event, HalfClosed) and _isFromClient(known.opened, event.direction):
            known.steps.append(_Step(event.time, None, known.said))
        elif isinstance(event, Closed):
            known.end = event.how
            known.closedAt = event.time
    return list(found.values())


class _Player:
    """
    Makes one connection again.
    """

    def __init__(self, replay: Replay, conversation: Conversation) -> None:
        self._replay = replay
        self._conversation = conversation
        self._answers: list[Item] = []
        self._said = 0
        self._waiting: tuple[int, Deferred[None]] | None = None
        self._views = Views(contents=False)
        self._webSocket: Connection | None = None
        self._handshake: ClientHandshake | None = None
        self._over: Exception | None = None
        self._late = False

    async def play(self) -> list[str]:
        """
        Do it.

        @return: what is different.
        """
        replay, conversation = self._replay, self._conversation
        try:
            socket = await net.createConnection(
                replay.endpoint,
                allowHalfOpen=True,
                connectTimeout=replay.patience,
                reactor=replay.reactor,
            )
        except (ConnectError, DNSLookupError) as error:
            return [f"there is no connection: {error}"]
        opened = conversation.opened
        self._see(Opened(1, time_ns(), Role.CLIENT, opened.service, opened.host, opened.peer))
        reading = Deferred.fromCoroutine(self._read(socket))
        try:
            for step in conversation.steps:
                await replay.wait(step.time)
                await self._until(step.after)
                if self._over is not None:
                    break
                await self._do(socket, step.item)
            await self._until(conversation.said)
        except ConnectionClosed:
            # What has come by then is compared.
            pass
        await socket.end()
        reading.addTimeout(replay.patience, replay.reactor)
        try:
            await reading
        except TimeoutError:
            if conversation.end is End.DONE:
                self._answers.append(_remark(opened, "the server does not end the connection"))
        socket.destroy()
        return list(differences(conversation.answers, self._answers, replay.ignored))

    async def _read(self, socket: net.Socket) -> None:
        try:
            async for data in socket:
                for payload in self._see(
                    Octets(1, time_ns(), Direction.RECEIVED, data, len(data))
                ):
                    if self._webSocket is not None:
                        await self._send(socket, self._webSocket.answer_ping(payload))
            self._see(HalfClosed(1, time_ns(), Direction.RECEIVED))
        except ConnectionClosed as error:
            self._see(Closed(1, time_ns(), End.RESET, str(error)))
        self._over = ConnectionClosed()
        self._wake()

    def _see(self, event: Event) -> list[bytes]:
        """
        Take what happened.

        @return: the payloads of the pings that are to be answered.
        """
        pings = []
        for item in self._views.feed([event]):
            if item.kind in _KINDS and item.direction is Direction.RECEIVED:
                self._answers.append(item)
                self._said += _weight(item)
                if item.kind is Kind.HANDSHAKE and item.about.get("status") == 101:
                    self._agree(item)
                elif item.kind is Kind.PING:
                    pings.append(b"".join(item.content()))
        self._wake()
        return pings

    def _wake(self) -> None:
        if self._waiting is not None and (
            self._said >= self._waiting[0] or self._over is not None
        ):
            (_, waiting), self._waiting = self._waiting, None
            waiting.callback(None)

    async def _until(self, said: int) -> None:
        """
        Wait until the server has said so much, is done, or takes too long.
        """
        if self._said >= said or self._over is not None or self._late:
            return
        waiting: Deferred[None] = Deferred()
        self._waiting = said, waiting
        try:
            await waiting.addTimeout(self._replay.patience, self._replay.reactor)
        except TimeoutError:
            # It says something else: what it does not say is not waited for again.
            self._waiting = None
            self._late = True

    async def _do(self, socket: net.Socket, item: Item | None) -> None:
        if item is None:
            await socket.end()
            return
        for piece in self._pieces(item):
            await self._send(socket, piece)

    async def _send(self, socket: net.Socket, octets: bytes) -> None:
        self._see(Octets(1, time_ns(), Direction.SENT, octets, len(octets)))
        await socket.write(octets)

    def _pieces(self, item: Item) -> Iterator[bytes]:
        if item.kind is Kind.HANDSHAKE:
            self._handshake = _handshake(item)
            yield self._handshake.request
        elif self._webSocket is None:
            yield from item.octets()
        elif item.kind is Kind.MESSAGE:
            data = b"".join(item.content())
            text = item.about["opcode"] == "text"
            yield (
                self._webSocket.send_text(data.decode())
                if text
                else self._webSocket.send_bytes(data)
            )
        elif item.kind is Kind.PING:
            yield self._webSocket.send_ping(b"".join(item.content()))
        elif item.kind is Kind.CLOSE:
            yield self._webSocket.send_close(item.about["code"], item.about["reason"])

    def _agree(self, item: Item) -> None:
        if self._handshake is None:
            return
        fields = Fields(
            encode_fields([(n.encode("latin-1"), v.encode("latin-1")) for n, v in _pairs(item)])
            + b"\r\n"
        )
        try:
            agreed = self._handshake.read_response(fields)
        except WebSocketProtocolError as error:
            self._answers.append(_remark(item.connection, str(error)))
            return
        self._webSocket = Connection(client=True, max_message_size=0, max_fragments=0)
        self._webSocket.open(deflate=agreed.deflate)


class Replay:
    """
    Makes recorded connections again, with the overlap that they had.

    @ivar ignored: how often a field was not compared, by its name.
    """

    def __init__(
        self,
        endpoint: IStreamClientEndpoint,
        reactor: Any,
        *,
        speed: float = 1.0,
        patience: float = 10.0,
        ignore: Iterable[str] = BY_NATURE,
    ) -> None:
        """
        @param endpoint: where to connect to.
        @param reactor: what connects and tells the time.
        @param speed: how many times as fast as it was recorded; 0 for as fast as it goes.
        @param patience: for how many seconds an answer is waited for.
        @param ignore: the names of fields of HTTP responses that may differ.
        """
        self.endpoint = endpoint
        self.reactor = reactor
        self.patience = patience
        self.ignored: Counter[str] = Counter(dict.fromkeys(ignore, 0))
        self._speed = speed
        self._began = 0.0
        self._first = 0

    async def play(self, recorded: list[Conversation]) -> dict[int, list[str]]:
        """
        Make connections again.

        @return: what is different, by the connection's number.
        """
        if not recorded:
            return {}
        recorded = sorted(recorded, key=lambda conversation: conversation.opened.time)
        self._first = recorded[0].opened.time
        self._began = self.reactor.seconds()
        playing: list[tuple[Conversation, Deferred[list[str]]]] = []
        different: dict[int, list[str]] = {}
        for conversation in recorded:
            opened = conversation.opened
            await self.wait(opened.time)
            # A connection begins when those are over that were over before it began.
            before = [d for other, d in playing if other.end and other.closedAt <= opened.time]
            await gatherResults([_quiet(each) for each in before])
            playing = [pair for pair in playing if not pair[1].called]
            played = Deferred.fromCoroutine(_Player(self, conversation).play())
            played.addCallback(_noted, different, opened.connection)
            playing.append((conversation, played))
        await gatherResults([played for _, played in playing])
        return different

    async def wait(self, time: int) -> None:
        """
        Wait until it is time for what was recorded at a time.
        """
        if not self._speed:
            return
        due = self._began + (time - self._first) / 10**9 / self._speed
        await deferLater(self.reactor, max(0.0, due - self.reactor.seconds()))


def _noted(found: list[str], different: dict[int, list[str]], number: int) -> list[str]:
    if found:
        different[number] = found
    return found


def _quiet(deferred: Deferred[list[str]]) -> Deferred[None]:
    done: Deferred[None] = Deferred()

    def fire(result: list[str]) -> list[str]:
        done.callback(None)
        return result

    deferred.addCallback(fire)
    return done


def differences(
    recorded: list[Item], replayed: list[Item], ignored: Counter[str]
) -> Iterator[str]:
    """
    Compare what a server said with what it had said.

    @param recorded: what it had said.
    @param replayed: what it said now.
    @param ignored: the names of fields that may differ; counts how often they do.
    @return: a line for each difference.
    """
    if all(item.kind is Kind.OCTETS for item in (*recorded, *replayed)):
        was, said = _all(recorded), _all(replayed)
        if was != said:
            at = _common(was, said)
            yield (
                f"{len(said)} octets, {len(was)} recorded; they differ from octet {at} on: "
                f"{said[at : at + 20]!r}, {was[at : at + 20]!r} recorded"
            )
        return
    for number, (before, now) in enumerate(zip_longest(recorded, replayed), 1):
        if before is None or now is None:
            there = now or before
            what = there.wrong or _brief(there)
            yield f"answer {number}: {what}, " + ("none recorded" if before is None else "missing")
            continue
        for line in _compared(before, now, ignored):
            yield f"answer {number}: {line}"


def _common(one: bytes, other: bytes) -> int:
    """
    How many octets two begin with alike.
    """
    low, high = 0, min(len(one), len(other))
    while low < high:
        middle = (low + high + 1) // 2
        if one[low:middle] == other[low:middle]:
            low = middle
        else:
            high = middle - 1
    return low


def _compared(before: Item, now: Item, ignored: Counter[str]) -> Iterator[str]:
    if before.kind is not now.kind:
        yield f"{_brief(now)}, {_brief(before)} recorded"
        return
    for name in ("status", "opcode", "code"):
        if before.about.get(name) != now.about.get(name):
            yield f"{name} {now.about.get(name)}, {before.about.get(name)} recorded"
    if before.wrong != now.wrong:
        yield f"{now.wrong or 'whole'}, recorded {before.wrong or 'whole'}"
    yield from _fields(before, now, ignored)
    one, other = b"".join(before.content()), b"".join(now.content())
    if one != other:
        yield f"content {_shown(other)}, {_shown(one)} recorded"


def _fields(before: Item, now: Item, ignored: Counter[str]) -> Iterator[str]:
    one, other = _byName(before), _byName(now)
    for name in [*one, *(name for name in other if name not in one)]:
        if one.get(name) == other.get(name):
            continue
        if name in ignored:
            ignored[name] += 1
        elif name != "sec-websocket-accept":
            yield f"{name}: {_value(other.get(name))}, {_value(one.get(name))} recorded"


def _byName(item: Item) -> dict[str, list[str]]:
    named: dict[str, list[str]] = {}
    for name, value in _pairs(item):
        named.setdefault(name.lower(), []).append(value)
    return named


def _pairs(item: Item) -> list[tuple[str, str]]:
    pairs: list[tuple[str, str]] = item.about.get("fields", [])
    return pairs


def _value(values: list[str] | None) -> str:
    return "missing" if values is None else ", ".join(map(repr, values))


def _shown(content: bytes) -> str:
    return repr(content) if len(content) <= 60 else f"{content[:60]!r}... of {len(content)} octets"


def _brief(item: Item) -> str:
    if "status" in item.about:
        return f"status {item.about['status']}"
    return f"{item.kind} {_shown(b''.join(item.content()))}"


def _all(items: list[Item]) -> bytes:
    return b"".join(piece for item in items for piece in item.octets())


def _remark(opened: Opened, text: str) -> Item:
    return Item(opened, 0, 0, Kind.NOTE, wrong=text)


def _handshake(item: Item) -> ClientHandshake:
    """
    The same request with a key of its own.
    """
    pairs = [
        (name.encode("latin-1"), value.encode("latin-1"))
        for name, value in _pairs(item)
        if name.lower() not in _OWN and not name.lower().startswith("sec-websocket-")
    ]
    values = _byName(item)
    names = ", ".join(values.get("sec-websocket-protocol", []))
    offered = [v.encode("latin-1") for v in values.get("sec-websocket-extensions", [])]
    return ClientHandshake(
        (values.get("host") or ["localhost"])[0].encode("latin-1"),
        item.about["target"].encode("latin-1"),
        subprotocols=[name.strip() for name in names.split(",") if name.strip()],
        settings=_offered(offered),
        fields=pairs,
    )


def _offered(values: list[bytes]) -> DeflateSettings | None:
    try:
        offers: list[Extension] = parse_extensions(values)
    except ValueError:
        return None
    for offer in offers:
        if offer.name == "permessage-deflate":
            parameters = dict(offer.parameters)
            bits = parameters.get("server_max_window_bits") or "15"
            return DeflateSettings(
                window_bits=int(bits),
                context_takeover="server_no_context_takeover" not in parameters,
            )
    return None
