"""
Recorded connections made again: what their clients sent is sent, and what comes back is compared
with what came then.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from contextlib import suppress
from time import time_ns
from typing import Any, TypeVar

from twisted.internet.defer import Deferred, TimeoutError, gatherResults
from twisted.internet.error import ConnectError, ConnectionClosed, DNSLookupError
from twisted.internet.interfaces import IStreamClientEndpoint
from twisted.internet.task import deferLater
from twisted.python.failure import Failure

from ... import net
from ...wire.errors import WebSocketProtocolError
from ...wire.recording import Closed, Direction, End, Event, HalfClosed, Octets, Opened, Role
from ..views import Item, Kind, Views
from .client import Client
from .conversations import SAID, Conversation, weight
from .differences import differences

#: Fields of HTTP responses that differ by nature.
BY_NATURE = ("date",)

T = TypeVar("T")


class Replay:
    """
    Makes recorded connections again, with the overlap that they had.

    @ivar ignored: how often a field was not compared, by its name.
    """

    def __init__(
        self,
        endpoint: str | IStreamClientEndpoint,
        reactor: Any,
        *,
        speed: float = 1.0,
        patience: float = 10.0,
        ignore: Iterable[str] = BY_NATURE,
    ) -> None:
        """
        @param endpoint: where to connect to: a client endpoint, or the string for one, by which it
            goes in what is different.
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


def _quiet(deferred: Deferred[T]) -> Deferred[None]:
    done: Deferred[None] = Deferred()

    def fire(result: T | Failure) -> T | Failure:
        done.callback(None)
        return result

    deferred.addBoth(fire)
    return done


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
        self._client = Client()
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
        # Where the server ends it before, what has come by then is compared.
        with suppress(ConnectionClosed):
            for step in conversation.steps:
                await replay.wait(step.time)
                await self._until(step.after)
                if self._over is not None:
                    break
                await self._do(socket, step.item)
            await self._until(conversation.said)
        with suppress(ConnectionClosed):
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
                    await self._send(socket, self._client.pong(payload))
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
            if item.kind in SAID and item.direction is Direction.RECEIVED:
                self._answers.append(item)
                self._said += weight(item)
                if item.kind is Kind.HANDSHAKE and item.about.get("status") == 101:
                    try:
                        self._client.agree(item)
                    except WebSocketProtocolError as error:
                        self._answers.append(_remark(item.connection, str(error)))
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
        for piece in self._client.octets(item):
            await self._send(socket, piece)

    async def _send(self, socket: net.Socket, octets: bytes) -> None:
        if octets:
            self._see(Octets(1, time_ns(), Direction.SENT, octets, len(octets)))
            await socket.write(octets)


def _remark(opened: Opened, text: str) -> Item:
    return Item(opened, 0, 0, Kind.NOTE, wrong=text)
