"""
Sending again what was recorded, as it was or edited.
"""

from __future__ import annotations

import re
from contextlib import suppress
from dataclasses import replace
from reprlib import repr as shortened
from typing import Any

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.endpoints import quoteStringArgument
from twisted.internet.interfaces import IProtocol, IProtocolFactory, IStreamClientEndpoint
from twisted.logger import Logger
from zope.interface import implementer

from ...base.endpoints import clientEndpoint
from ...base.tlsclient import TLSTarget
from ...base.trust import Trust
from ...base.twistedprivate import splitEndpoint
from ...capture.recorded import RecordedFactory
from ...capture.recorder import Recorder
from ...capture.replay import Conversation, Replay, conversations
from ...capture.replay.conversations import Step
from ...capture.views import Item, Kind
from ...capture.views.spool import Spool
from ...http import Response
from ...wire.addresses import Address
from ...wire.recording import Closed, Direction, End, Event, HalfClosed, Octets, Opened, Role
from ..details import GoneError, Snapshot, messageOctets
from ..index import Index
from ..parameters import APIError, Members, readFields, readOctets
from ..rows import Row
from .lookup import Lookup
from .responses import jsonResponse
from .router import Asked, Route

_log = Logger()

#: What connections that are made to send again are called.
SERVICE = "sent again"

# How many may be under way at once, and for how many seconds each waits for an answer.
_MOST = 8
_PATIENCE = 10.0

_MOST_MESSAGES = 1000

_KINDS = ("tcp", "unix", "tls", "ssl", "ws", "wss")
_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")

# What is compared with where there is nothing to compare with: that there is an answer.
_ANY_ANSWER = b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n"

_Fields = list[tuple[str, str | None]]


class Sender:
    """
    Sends again.
    """

    def __init__(self, lookup: Lookup, index: Index, recorder: Recorder, reactor: Any) -> None:
        """
        @param lookup: finds rows.
        @param index: told what repeats what.
        @param recorder: records the connections that are made.
        @param reactor: what connects.
        """
        self._lookup = lookup
        self._index = index
        self._recorder = recorder
        self._reactor = reactor
        self._playing: set[Deferred[Any]] = set()
        self.routes = [Route("/send", {"POST": self._answer})]

    def stop(self) -> None:
        """
        Give up what is under way.
        """
        for playing in list(self._playing):
            playing.cancel()

    async def _answer(self, asked: Asked) -> Response:
        asked.query.end()
        members = Members(await asked.json())
        id = members.text("exchange")
        row = None if id is None else await self._lookup.row(id)
        type = members.choice("type", ("http", "websocket", "tcp"))
        if type is None and row is not None:
            type = row.type
        if type is None:
            raise APIError(400, "exchange, or type and to, say what to send")
        if row is not None and type != row.type:
            raise APIError(409, f"{row.id} is of type {row.type}, not {type}")
        if len(self._playing) >= _MOST:
            raise APIError(429, f"{_MOST} are being sent already, the limit")
        target = members.text("to")
        if target is None and row is None:
            raise APIError(400, "to says where to connect to, such as tcp:127.0.0.1:80")
        endpoint, target = self._endpoint(target, row)
        conversation = await self._conversation(members, row, type, target)
        members.end()
        recorded = _RecordedEndpoint(endpoint, self._recorder)
        number = await self._play(conversation, recorded, row)
        return jsonResponse(
            {"exchange": f"{number}.0", "connection": number, "to": target}, status=201
        )

    async def _play(
        self, conversation: Conversation, endpoint: _RecordedEndpoint, row: Row | None
    ) -> int:
        replay = Replay(endpoint, self._reactor, speed=0.0, patience=_PATIENCE)
        playing: Deferred[dict[int, list[str]]] = Deferred.fromCoroutine(
            replay.play([conversation])
        )
        self._playing.add(playing)
        playing.addBoth(self._played, playing, endpoint, row)
        try:
            number = await endpoint.connected
        except CancelledError:
            raise APIError(503, "the inspector stops") from None
        except Exception as error:
            raise APIError(502, f"it cannot be connected to: {error}") from error
        if row is not None:
            self._index.repeats(number, row.id)
        return number

    def _played(
        self,
        result: Any,
        playing: Deferred[Any],
        endpoint: _RecordedEndpoint,
        row: Row | None,
    ) -> None:
        self._playing.discard(playing)
        if not isinstance(result, dict):
            if not endpoint.connected.called:
                endpoint.connected.errback(result)
            elif not result.check(CancelledError):
                _log.failure("Sending again failed", failure=result)
            return
        if row is None or endpoint.number is None:
            return
        self._recorder.flush()
        different: list[str] = next(iter(result.values()), [])
        self._index.differs(endpoint.number, different)

    # Where to.

    def _endpoint(self, target: str | None, row: Row | None) -> tuple[IStreamClientEndpoint, str]:
        trusted = target is None
        if target is None:
            assert row is not None
            opened = row.opened
            where = opened.host if opened.role is Role.SERVER else opened.peer
            target = _description(where, secure=row.tls is not None)
        try:
            kind = splitEndpoint(target)[0][0].lower()
        except Exception as error:
            raise APIError(400, f"to is a client endpoint string, not {target!r}") from error
        if kind not in _KINDS:
            raise APIError(400, f"to begins with one of {', '.join(_KINDS)}, not {target!r}")
        try:
            if trusted and kind == "tls":
                # Where it went before, whose certificate may be for another name.
                return TLSTarget(self._reactor, target, Trust(verify=False)).wrapped(), target
            return clientEndpoint(self._reactor, target), target
        except ValueError as error:
            raise APIError(400, f"to: {error}") from error

    # What.

    async def _conversation(
        self, members: Members, row: Row | None, type: str, target: str
    ) -> Conversation:
        found = None if row is None else self._lookup.snapshot(row, secrets=True)
        if type == "http":
            events = self._http(members, found, row, target)
        elif type == "tcp":
            events = self._tcp(members, found)
        else:
            return self._webSocket(members, found, row, target)
        (conversation,) = await self._lookup.threads.run(conversations, events)
        return conversation

    def _http(
        self, members: Members, found: Snapshot | None, row: Row | None, target: str
    ) -> list[Event]:
        octets = members.octets("octets")
        if octets is None:
            octets = self._request(members, found, row, target)
        answer = _ANY_ANSWER
        if found is not None and row is not None and row.response is not None:
            with suppress(GoneError):
                span = replace(row.response, start=row.interim or row.response.start)
                answer = found.slice(span.direction, span.start, span.end) or _ANY_ANSWER
        return _events("http", octets, answer)

    def _request(
        self, members: Members, found: Snapshot | None, row: Row | None, target: str
    ) -> bytes:
        method, path = members.text("method", empty=False), members.text("target", empty=False)
        given = members.take("fields")
        fields = None if given is None else readFields(given)
        content = members.octets("content")
        if found is None or row is None:
            head = b"GET / HTTP/1.1\r\nhost: %b\r\n\r\n" % _host(target)
            body = b""
        else:
            octets = messageOctets(found, row, "request")
            length = row.request.head if row.request is not None else 0
            if not length:
                if method or path or fields is not None or content is not None:
                    raise APIError(409, "its head was not understood: edit its octets")
                return octets
            head, body = octets[:length], octets[length:]
        return _edited(head, body, method, path, fields, content)

    def _tcp(self, members: Members, found: Snapshot | None) -> list[Event]:
        octets = members.octets("octets")
        if octets is not None:
            events: list[Event] = [*_opening("echo"), _piece(Direction.RECEIVED, octets)]
            return [*events, HalfClosed(1, 0, Direction.RECEIVED), Closed(1, 0, End.DONE)]
        if found is None:
            raise APIError(400, 'octets, {"text": ...} or {"base64": ...}, say what to send')
        if found.startGone:
            raise GoneError("the start of its connection has made room in the ring")
        return list(found.events)

    def _webSocket(
        self, members: Members, found: Snapshot | None, row: Row | None, target: str
    ) -> Conversation:
        given = members.list("messages", _MOST_MESSAGES)
        path = members.text("target", empty=False)
        fields = members.take("fields")
        pairs = None if fields is None else readFields(fields)
        if found is not None and given is None and path is None and pairs is None:
            if found.startGone:
                raise GoneError("the start of its connection has made room in the ring")
            (conversation,) = conversations(found.events)
            return conversation
        opened = Opened(1, 0, Role.SERVER, "websocket", ("", 0), ("", 0))
        its: list[tuple[str, str]] = [("Host", _host(target).decode("latin-1"))]
        answers: list[Item] = []
        messages: list[bytes | str] = []
        if found is not None and row is not None:
            if found.startGone:
                raise GoneError("the start of its connection has made room in the ring")
            (conversation,) = conversations(found.events)
            first = next(step.item for step in conversation.steps if step.item is not None)
            its = list(first.about.get("fields", its))
            path = path or first.about.get("target")
            answers = conversation.answers
            messages = [
                b"".join(step.item.content()).decode()
                if step.item.about["opcode"] == "text"
                else b"".join(step.item.content())
                for step in conversation.steps
                if step.item is not None and step.item.kind is Kind.MESSAGE
            ]
        if pairs is not None:
            its = _filled(pairs, its)
        if given is not None:
            messages = [_message(each) for each in given]
        about = {"method": "GET", "target": path or "/", "version": "HTTP/1.1", "fields": its}
        handshake = Item(opened, 0, 0, Kind.HANDSHAKE, Direction.RECEIVED, about=about)
        made = Conversation(opened, [Step(0, handshake, 0)], answers)
        for count, message in enumerate(messages, 1):
            made.steps.append(Step(0, _messageItem(opened, message), min(count, 1)))
        closing = {"code": 1000, "reason": ""}
        close = Item(opened, 0, 0, Kind.CLOSE, Direction.RECEIVED, about=closing)
        made.said = max(len(answers), 1 + len(messages))
        made.steps.append(Step(0, close, 1 + len(messages)))
        return made


@implementer(IStreamClientEndpoint)
class _RecordedEndpoint:
    """
    Connects, and has it recorded.

    @ivar connected: fires with the connection's number.
    """

    def __init__(self, endpoint: IStreamClientEndpoint, recorder: Recorder) -> None:
        self._endpoint = endpoint
        self._recorder = recorder
        self.connected: Deferred[int] = Deferred()
        self.number: int | None = None

    def connect(self, protocolFactory: IProtocolFactory) -> Deferred[IProtocol]:
        """
        Connect.
        """
        return Deferred.fromCoroutine(self._connect(protocolFactory))

    async def _connect(self, factory: IProtocolFactory) -> IProtocol:
        recorded = RecordedFactory(factory, self._recorder, SERVICE, Role.CLIENT)
        try:
            protocol: Any = await self._endpoint.connect(recorded)
        except Exception as error:
            self.connected.errback(error)
            raise
        self.number = protocol.number
        self.connected.callback(protocol.number)
        wrapped: IProtocol = protocol.wrappedProtocol
        return wrapped


def _description(address: Address, *, secure: bool) -> str:
    if isinstance(address, str):
        path = f"@{address[1:]}" if address.startswith("\0") else address
        return f"unix:{quoteStringArgument(path)}"
    host, port = address
    return f"{'tls' if secure else 'tcp'}:{quoteStringArgument(host)}:{port}"


def _host(target: str) -> bytes:
    (kind, *rest), _ = splitEndpoint(target)
    if kind.lower() in ("tcp", "tls", "ssl") and len(rest) >= 2:
        host = f"[{rest[0]}]" if ":" in rest[0] else rest[0]
        return f"{host}:{rest[1]}".encode("latin-1", "replace")
    return b"localhost"


def _opening(service: str) -> list[Event]:
    return [Opened(1, 0, Role.SERVER, service, ("", 0), ("", 0))]


def _piece(direction: Direction, octets: bytes) -> Octets:
    return Octets(1, 0, direction, octets, len(octets))


def _events(service: str, asked: bytes, answered: bytes) -> list[Event]:
    return [
        *_opening(service),
        _piece(Direction.RECEIVED, asked),
        _piece(Direction.SENT, answered),
    ]


def _edited(
    head: bytes,
    body: bytes,
    method: str | None,
    target: str | None,
    fields: _Fields | None,
    content: bytes | None,
) -> bytes:
    """
    Make a request of another one.
    """
    first, *lines = head.decode("latin-1").split("\r\n")
    was, _, rest = first.partition(" ")
    path, _, version = rest.rpartition(" ")
    if method is not None and not _TOKEN.fullmatch(method):
        raise APIError(400, f"{shortened(method)} is no method; send octets for what is none")
    if target is not None and not re.fullmatch(r"[!-~]+", target):
        raise APIError(400, f"{shortened(target)} is no target; send octets for what is none")
    if fields is not None:
        before = [
            (name, value.strip(" \t"))
            for name, colon, value in (line.partition(":") for line in lines)
            if colon
        ]
        lines = [f"{name}: {value}" for name, value in _filled(fields, before)] + ["", ""]
    if content is not None:
        body = content
        lines = [
            line
            for line in lines
            if line.partition(":")[0].lower() not in ("content-length", "transfer-encoding")
        ]
        lines.insert(len(lines) - 2, f"Content-Length: {len(content)}")
    line = f"{method or was} {target or path} {version}"
    return "\r\n".join([line, *lines]).encode("latin-1") + body


def _filled(fields: _Fields, before: list[tuple[str, str]]) -> list[tuple[str, str]]:
    """
    Put what was masked in its place again.
    """
    values: dict[str, list[str]] = {}
    for name, value in before:
        values.setdefault(name.lower(), []).append(value)
    found: list[tuple[str, str]] = []
    for name, given in fields:
        rest = values.get(name.lower(), [])
        was = rest.pop(0) if rest else None
        text = was if given is None else given
        if text is None:
            raise APIError(400, f"there was no {shortened(name)} that could stay as it was")
        if not _TOKEN.fullmatch(name) or re.search(r"[\0\r\n]", text):
            raise APIError(400, f"{shortened(name)} is no field; send octets for what is none")
        found.append((name, text))
    return found


def _message(value: object) -> bytes | str:
    octets = readOctets(value, "a message")
    return octets.decode() if isinstance(value, dict) and "text" in value else octets


def _messageItem(opened: Opened, message: bytes | str) -> Item:
    data = Spool(2**62).data()
    data.write(message.encode() if isinstance(message, str) else message)
    about = {"opcode": "text" if isinstance(message, str) else "binary"}
    return Item(opened, 0, 0, Kind.MESSAGE, Direction.RECEIVED, data, about=about)
