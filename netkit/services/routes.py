"""
What the http service answers on certain paths, for those who test an HTTP client.
"""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import TypeVar
from urllib.parse import parse_qs

from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import deferLater

from ..base.addresses import addressText
from ..base.quantities import QuantityError, parseCount, parseSeconds
from ..http import Fields, Request, Response
from ..wire.http.fields import show

_TEXT = [(b"content-type", b"text/plain; charset=utf-8")]
_OCTETS = [(b"content-type", b"application/octet-stream")]
_JSON = [(b"content-type", b"application/json")]

# What is sent where any octets do.
_PIECE = bytes(range(256)) * 64

# A waiting client holds a connection, for no longer than this.
_MAX_SECONDS = 3600.0

T = TypeVar("T")


class BadPath(Exception):
    """
    A path names a route, but what follows is nothing that the route takes.
    """


class Routes:
    """
    The route table: what to answer on a path.

        - C{/status/N}: the status N.
        - C{/delay/S}: an answer after S seconds.
        - C{/bytes/N}: N octets.
        - C{/stream/N}: N lines, each in a chunk of its own.
        - C{/drip?numbytes=N&duration=S}: N octets, one by one, spread over S seconds.
        - C{/anything}, C{/anything/...}: the request, as JSON.
    """

    def __init__(self, clock: IReactorTime, fields: Sequence[tuple[bytes, bytes]] = ()) -> None:
        """
        @param clock: what tells the time.
        @param fields: fields of every answer; each takes the place of one that a route would set.
        """
        self._clock = clock
        self._fields = fields
        self._routes: dict[bytes, Callable[[Request, bytes], Awaitable[Response]]] = {
            b"status": self._status,
            b"delay": self._delay,
            b"bytes": self._bytes,
            b"stream": self._stream,
            b"drip": self._drip,
            b"anything": self._anything,
        }

    async def answer(self, request: Request) -> Response | None:
        """
        Answer a request; C{None} on a path that is in no route.

        @param request: the request.
        """
        _, _, path = request.path.partition(b"/")
        name, _, argument = path.partition(b"/")
        route = self._routes.get(name)
        if route is None:
            return None
        try:
            return await route(request, argument)
        except BadPath as error:
            return self._response(400, f"{error}\n".encode(), _TEXT)

    def _response(
        self,
        status: int,
        content: bytes | AsyncIterator[bytes],
        fields: list[tuple[bytes, bytes]],
        *,
        length: int | None = None,
    ) -> Response:
        return Response(status, content, completed(self._fields, fields), length=length)

    async def _status(self, request: Request, argument: bytes) -> Response:
        status = _number(argument, 999)
        if status < 200:
            raise BadPath(f"a status is a number from 200 to 999, not {status}")
        # RFC 9110 section 15.3.6.
        content = b"" if status == 205 else b"status %d\n" % status
        return self._response(status, content, _TEXT)

    async def _delay(self, request: Request, argument: bytes) -> Response:
        seconds = _seconds(argument)
        await deferLater(self._clock, seconds)
        return self._response(200, f"after {seconds:g} seconds\n".encode(), _TEXT)

    async def _bytes(self, request: Request, argument: bytes) -> Response:
        count = _number(argument)

        async def pieces() -> AsyncIterator[bytes]:
            for start in range(0, count, len(_PIECE)):
                yield _PIECE[: count - start]

        return self._response(200, pieces(), _OCTETS, length=count)

    async def _stream(self, request: Request, argument: bytes) -> Response:
        count = _number(argument)

        async def lines() -> AsyncIterator[bytes]:
            for number in range(count):
                yield b"line %d\n" % number

        return self._response(200, lines(), _TEXT)

    async def _drip(self, request: Request, argument: bytes) -> Response:
        # Octets may be encoded in there that are no UTF-8.
        query = parse_qs(request.query.decode(), encoding="latin-1")
        count = _number(query.get("numbytes", ["10"])[0].encode("latin-1"))
        pause = _seconds(query.get("duration", ["2"])[0].encode("latin-1")) / max(count, 1)

        async def drops() -> AsyncIterator[bytes]:
            for _ in range(count):
                await deferLater(self._clock, pause)
                yield b"*"

        return self._response(200, drops(), _OCTETS, length=count)

    async def _anything(self, request: Request, argument: bytes) -> Response:
        content = await request.read()
        told = {
            "method": request.method.decode(),
            "target": request.target.decode(),
            "version": "{}.{}".format(*request.version),
            "headers": _pairs(request.headers),
            "content": _text(content),
            "trailers": _pairs(request.trailers),
            "rawHead": _text(request.rawHead),
            "peer": addressText(request.peer),
        }
        return self._response(200, json.dumps(told, indent=2).encode() + b"\n", _JSON)


def completed(
    given: Sequence[tuple[bytes, bytes]], usual: Sequence[tuple[bytes, bytes]]
) -> list[tuple[bytes, bytes]]:
    """
    Add the usual fields to those that somebody gave, but for those that they gave otherwise.

    @param given: the fields that were given.
    @param usual: the usual ones, which come first.
    """
    names = {name.lower() for name, _ in given}
    return [*(field for field in usual if field[0].lower() not in names), *given]


def _number(argument: bytes, most: int = 10**15) -> int:
    return _parsed(argument, lambda text: parseCount(text, most=most))


def _seconds(argument: bytes) -> float:
    return _parsed(argument, lambda text: parseSeconds(text, most=_MAX_SECONDS))


def _parsed(argument: bytes, parse: Callable[[str], T]) -> T:
    try:
        return parse(argument.decode("latin-1"))
    except QuantityError as error:
        raise BadPath(f"this takes {error.wanted}, not {show(argument)}") from error


def _pairs(fields: Fields) -> list[tuple[str, str | dict[str, str]]]:
    return [(name.decode(), _text(value)) for name, value in fields]


def _text(octets: bytes) -> str | dict[str, str]:
    """
    Octets as JSON has them: a string, or an object where they are no UTF-8.
    """
    try:
        return octets.decode()
    except UnicodeDecodeError:
        return {"base64": b64encode(octets).decode()}
