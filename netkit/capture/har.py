"""
HTTP Archive 1.2, as browsers write and read it.
"""

from __future__ import annotations

import json
from base64 import b64encode
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http.cookies import CookieError, SimpleCookie
from typing import Any
from urllib.parse import urlsplit

from ..wire.recording import Direction, Role
from .decoding import Undecodable, decoded
from .secrets import SECRET_FIELDS
from .views import Item, Kind
from .views.spool import Data, Spool

_REDACTED = "redacted"

# What nobody knows above TCP and TLS.
_UNKNOWN = {"blocked": -1, "dns": -1, "connect": -1, "ssl": -1}

Entry = dict[str, Any]
_Fields = list[tuple[str, str]]


@dataclass(slots=True)
class _Connection:
    """
    What is known of a connection.

    @ivar asked: the requests that are not answered.
    @ivar webSocket: what it became.
    """

    secure: bool = False
    asked: deque[tuple[Item, Entry]] = field(default_factory=deque)
    webSocket: _WebSocket | None = None


class _WebSocket:
    """
    The entry of a WebSocket, whose messages wait until it is over.
    """

    def __init__(self, entry: Entry, spool: Spool) -> None:
        self._entry = entry
        # As JSON, each with the comma before it.
        self._messages = Data(spool)

    def add(self, message: Entry) -> None:
        self._messages.write(f",\n{json.dumps(message)}".encode())

    def json(self) -> Iterator[str]:
        """
        Write the entry, in pieces.
        """
        lost = self._messages.lost
        if lost:
            self._entry["comment"] = f"there was no room for {lost} octets of messages"
        yield f'{json.dumps(self._entry)[:-1]}, "_webSocketMessages": ['
        first = True
        for piece in self._messages.pieces():
            yield piece.decode()[first:]
            first = False
        yield "]}"
        self._messages.close()


class Archive:
    """
    Makes an entry of each HTTP exchange, and of each WebSocket with all its messages.
    """

    def __init__(self, creator: str, version: str, *, secrets: bool = False) -> None:
        """
        @param creator: the name of the program that makes it.
        @param version: its version.
        @param secrets: whether credentials and cookies are in it.
        """
        self._secrets = secrets
        self.about = {"version": "1.2", "creator": {"name": creator, "version": version}}
        self._connections: dict[int, _Connection] = {}
        self._spool = Spool()

    def feed(self, item: Item) -> Iterator[Iterable[str]]:
        """
        Take the next item.

        @return: the entries that are complete with it, each as JSON in pieces, to be taken before
            the next one is.
        """
        number = item.connection.connection
        connection = self._connections.setdefault(number, _Connection())
        if item.kind is Kind.NOTE and "tls" in item.about:
            connection.secure = True
        elif item.kind in (Kind.REQUEST, Kind.HANDSHAKE) and "method" in item.about:
            connection.asked.append((item, self._request(item, connection)))
        elif item.kind in (Kind.RESPONSE, Kind.HANDSHAKE) and "status" in item.about:
            if item.about["status"] < 200 and item.about["status"] != 101:
                return
            if not connection.asked:
                return
            request, entry = connection.asked.popleft()
            self._answer(entry, request, item)
            if item.kind is Kind.HANDSHAKE and item.about["status"] == 101:
                entry["_resourceType"] = "websocket"
                connection.webSocket = _WebSocket(entry, self._spool)
            else:
                yield [json.dumps(entry)]
        elif item.kind is Kind.MESSAGE and connection.webSocket is not None:
            connection.webSocket.add(_message(item))
        elif item.kind is Kind.CLOSED:
            del self._connections[number]
            yield from self._unfinished(connection, item.ended)

    def rest(self) -> Iterator[Iterable[str]]:
        """
        The entries of the connections that are not over, as L{feed} has them.
        """
        for connection in self._connections.values():
            yield from self._unfinished(connection, None)
        self._connections.clear()

    def _unfinished(self, connection: _Connection, time: int | None) -> Iterator[Iterable[str]]:
        if connection.webSocket is not None:
            yield connection.webSocket.json()
        for request, entry in connection.asked:
            entry["time"] = 0 if time is None else _milliseconds(time - request.time)
            entry["response"] = {
                "status": 0,
                "statusText": "",
                "httpVersion": "",
                "cookies": [],
                "headers": [],
                "content": {"size": 0, "mimeType": "x-unknown"},
                "redirectURL": "",
                "headersSize": -1,
                "bodySize": -1,
                "_error": request.wrong or "there was no answer",
            }
            entry["timings"] = {**_UNKNOWN, "send": 0, "wait": entry["time"], "receive": 0}
            yield [json.dumps(entry)]

    def _request(self, item: Item, connection: _Connection) -> Entry:
        about = item.about
        fields: _Fields = about["fields"]
        scheme = "http"
        if item.kind is Kind.HANDSHAKE:
            scheme = "ws"
        url = _url(scheme + "s" * connection.secure, about["target"], _value(fields, "host"))
        request: Entry = {
            "method": about["method"],
            "url": url,
            "httpVersion": about["version"],
            "cookies": self._cookies(fields, "cookie"),
            "headers": self._headers(fields),
            "queryString": _query(urlsplit(url).query),
            "headersSize": len(item.head),
            "bodySize": item.length - len(item.head),
        }
        if item.data is not None and len(item.data):
            text, encoding = _text(_content(item, fields)[0])
            post = {"mimeType": _value(fields, "content-type") or "", "text": text}
            if encoding:
                post["encoding"] = encoding
            request["postData"] = post
        server = item.connection.host if _serving(item) else item.connection.peer
        entry: Entry = {
            "startedDateTime": _moment(item.time),
            "time": 0,
            "request": request,
            "cache": {},
            "connection": str(item.connection.connection),
        }
        if not isinstance(server, str):
            entry["serverIPAddress"] = server[0]
        if item.wrong:
            entry["comment"] = item.wrong
        return entry

    def _answer(self, entry: Entry, request: Item, item: Item) -> None:
        about = item.about
        fields: _Fields = about["fields"]
        content, problem = _content(item, fields)
        text, encoding = _text(content)
        shown: Entry = {
            "size": len(content),
            "compression": len(content) - (item.length - len(item.head)),
            "mimeType": _value(fields, "content-type") or "x-unknown",
            "text": text,
        }
        if encoding:
            shown["encoding"] = encoding
        if problem:
            shown["comment"] = problem
        entry["response"] = {
            "status": about["status"],
            "statusText": about["reason"],
            "httpVersion": about["version"],
            "cookies": self._cookies(fields, "set-cookie"),
            "headers": self._headers(fields),
            "content": shown,
            "redirectURL": _value(fields, "location") or "",
            "headersSize": len(item.head),
            "bodySize": item.length - len(item.head),
            "_transferSize": item.length,
            "_error": item.wrong or None,
        }
        timings = {
            "send": _milliseconds(request.ended - request.time),
            "wait": _milliseconds(item.time - request.ended),
            "receive": _milliseconds(item.ended - item.time),
        }
        entry["timings"] = {**_UNKNOWN, **timings}
        entry["time"] = round(sum(timings.values()), 3)

    def _headers(self, fields: _Fields) -> list[dict[str, str]]:
        return [
            {
                "name": name,
                "value": _REDACTED if self._hides(name) else value,
            }
            for name, value in fields
        ]

    def _hides(self, name: str) -> bool:
        return not self._secrets and name.lower() in SECRET_FIELDS

    def _cookies(self, fields: _Fields, name: str) -> list[dict[str, Any]]:
        cookies: list[dict[str, Any]] = []
        for key, value in fields:
            if key.lower() != name:
                continue
            try:
                parsed = SimpleCookie(value)
            except CookieError:
                continue
            for morsel in parsed.values():
                cookie: dict[str, Any] = {
                    "name": morsel.key,
                    "value": morsel.value if self._secrets else _REDACTED,
                }
                for attribute in ("path", "domain", "expires"):
                    if morsel[attribute]:
                        cookie[attribute] = morsel[attribute]
                if name == "set-cookie":
                    cookie["httpOnly"] = bool(morsel["httponly"])
                    cookie["secure"] = bool(morsel["secure"])
                cookies.append(cookie)
        return cookies


def _serving(item: Item) -> bool:
    return item.connection.role is Role.SERVER


def _message(item: Item) -> Entry:
    fromClient = (item.direction is Direction.RECEIVED) == _serving(item)
    data = b"".join(item.content())
    isText = item.about["opcode"] == "text" and not item.wrong
    return {
        "type": "send" if fromClient else "receive",
        "time": item.time / 10**9,
        "opcode": 1 if isText else 2,
        "data": data.decode() if isText else b64encode(data).decode(),
    }


def _url(scheme: str, target: str, host: str | None) -> str:
    return target if "://" in target else f"{scheme}://{host or 'unknown'}{target}"


def _query(query: str) -> list[dict[str, str]]:
    """
    The parameters of a query as they are in it, which is what Chromium has.
    """
    parts = [part.partition("=") for part in query.split("&") if part]
    return [{"name": name, "value": value} for name, _, value in parts]


def _value(fields: _Fields, name: str) -> str | None:
    return next((value for key, value in fields if key.lower() == name), None)


def _content(item: Item, fields: _Fields) -> tuple[bytes, str]:
    """
    The content without its codings, or with them and why.
    """
    codings = ",".join(value for key, value in fields if key.lower() == "content-encoding")
    if codings and item.data is not None and len(item.data):
        try:
            return decoded(item.content(), codings), ""
        except Undecodable as error:
            return b"".join(item.content()), f"Content-Encoding {codings}: {error}"
    return b"".join(item.content()), ""


def _text(content: bytes) -> tuple[str, str]:
    try:
        return content.decode(), ""
    except UnicodeDecodeError:
        return b64encode(content).decode(), "base64"


def _moment(time: int) -> str:
    moment = datetime.fromtimestamp(time // 10**9, UTC)
    moment = moment.replace(microsecond=time // 10**3 % 10**6, tzinfo=None)
    return f"{moment.isoformat(timespec='milliseconds')}Z"


def _milliseconds(nanoseconds: int) -> float:
    return round(nanoseconds / 10**6, 3)
