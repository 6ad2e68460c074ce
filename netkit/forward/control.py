"""
Toxiproxy's HTTP API (github.com/Shopify/toxiproxy): relays and what goes wrong on them, made and
changed at run time by its clients of any language.
"""

from __future__ import annotations

import json
import re
from ipaddress import ip_address
from typing import Any
from urllib.parse import unquote

from twisted.internet.defer import DeferredLock

from ..http import Request, Response
from .proxies import Proxies, Proxy, ProxyError
from .toxics import Toxic, ToxicError, isText

#: The version of Toxiproxy whose API this is: its clients look at that.
VERSION = "2.9.0"

_LARGEST = 2**20

_PORT = re.compile(r":\d*\Z")

_JSON = ((b"Content-Type", b"application/json"),)


class _Refused(Exception):
    """
    A request is answered with an error.
    """

    def __init__(self, status: int, problem: str) -> None:
        super().__init__(problem)
        self.status = status


class Control:
    """
    Answers the requests. A handler of L{HTTPFactory <netkit.http.HTTPFactory>}.
    """

    def __init__(self, proxies: Proxies) -> None:
        """
        @param proxies: what they are about.
        """
        self._proxies = proxies
        self._lock = DeferredLock()

    async def __call__(self, request: Request) -> Response:
        """
        Answer a request.
        """
        try:
            _checkSender(request)
            body = await request.read(_LARGEST)
            # One after the other: what one finds, another one does not take away meanwhile.
            async with self._lock:
                return await self._answer(request, body)
        except _Refused as refused:
            return _said(refused.status, _problem(refused.status, str(refused)))
        except ToxicError as error:
            return _said(400, _problem(400, str(error)))
        except ProxyError as error:
            return _said(error.status, _problem(error.status, str(error)))

    async def _answer(self, request: Request, body: bytes) -> Response:
        parts = [unquote(part.decode("latin-1")) for part in request.path.strip(b"/").split(b"/")]
        method = request.method.decode("latin-1")
        match method, parts:
            case "GET", ["version"]:
                return _said(200, {"version": VERSION})
            case "GET", ["metrics"]:
                return Response(200, self._metrics(), [(b"Content-Type", b"text/plain")])
            case "POST", ["reset"]:
                await self._reset()
                return Response(204)
            case "GET", ["proxies"]:
                return _said(200, {each.name: each.described() for each in self._proxies})
            case "POST", ["proxies"]:
                return _said(201, (await self._add(_object(body))).described())
            case "POST", ["populate"]:
                return await self._populate(_read(body))
            case _, ["proxies", name]:
                return await self._proxy(method, self._found(name), body)
            case _, ["proxies", name, "toxics"]:
                return self._toxics(method, self._found(name), body)
            case _, ["proxies", name, "toxics", toxic]:
                return self._toxic(method, self._found(name), toxic, body)
            case _, ["version" | "metrics" | "reset" | "proxies" | "populate"]:
                raise _Refused(405, f"{method} is not for {request.path.decode('latin-1')}")
        raise _Refused(404, "404 page not found")

    def _found(self, name: str) -> Proxy:
        if name not in self._proxies:
            raise _Refused(404, "proxy not found")
        return self._proxies[name]

    async def _add(self, said: dict[str, Any]) -> Proxy:
        name, upstream = _text(said, "name"), _text(said, "upstream")
        listen = _text(said, "listen", "localhost:0")
        enabled = _flag(said, "enabled", usual=True)
        wanted = said.get("toxics")
        if wanted is None:
            wanted = []
        if not isinstance(wanted, list) or not all(isinstance(each, dict) for each in wanted):
            raise _Refused(400, "bad request body: toxics is a list of objects")
        toxics = {toxic.name: toxic for toxic in map(Toxic, wanted)}
        if len(toxics) < len(wanted):
            raise _Refused(409, "toxic already exists")
        if name in self._proxies:
            raise _Refused(409, "proxy already exists")
        return await self._proxies.add(
            name, listen, upstream, enabled=enabled, toxics=list(toxics.values())
        )

    async def _populate(self, wanted: Any) -> Response:
        if not isinstance(wanted, list) or not all(isinstance(each, dict) for each in wanted):
            raise _Refused(400, "bad request body: a list of proxies is wanted")
        for number, said in enumerate(wanted, 1):
            _text(said, "name", where=f" at proxy {number}")
            _text(said, "upstream", where=f" at proxy {number}")
        made: list[Proxy] = []
        status, problem = 201, {}
        try:
            for said in wanted:
                made.append(await self._addOrReplace(said))
        except (_Refused, ProxyError) as error:
            # Those before it are there, and its client is told.
            status = error.status
            problem = _problem(status, str(error))
        except ToxicError as error:
            status, problem = 400, _problem(400, str(error))
        return _said(status, {**problem, "proxies": [proxy.described() for proxy in made]})

    async def _addOrReplace(self, said: dict[str, Any]) -> Proxy:
        name = _text(said, "name")
        if name in self._proxies:
            proxy = self._proxies[name]
            same = proxy.is_(_text(said, "listen", "localhost:0"), _text(said, "upstream"))
            if same and proxy.enabled == _flag(said, "enabled", usual=True):
                return proxy
            await self._proxies.remove(name)
        return await self._add(said)

    async def _reset(self) -> None:
        for proxy in self._proxies:
            for name in list(proxy.toxics):
                proxy.removeToxic(name)
        for proxy in self._proxies:
            await proxy.start()

    async def _proxy(self, method: str, proxy: Proxy, body: bytes) -> Response:
        if method == "DELETE":
            await self._proxies.remove(proxy.name)
            return Response(204)
        if method in ("POST", "PATCH"):
            said = _object(body)
            await proxy.change(
                _text(said, "listen", proxy.listen),
                _text(said, "upstream", proxy.upstream),
                _flag(said, "enabled", usual=proxy.enabled),
            )
        elif method != "GET":
            raise _Refused(405, f"{method} is not for a proxy")
        return _said(200, proxy.described())

    def _toxics(self, method: str, proxy: Proxy, body: bytes) -> Response:
        if method == "GET":
            return _said(200, [toxic.described() for toxic in proxy.toxics.values()])
        if method != "POST":
            raise _Refused(405, f"{method} is not for toxics")
        toxic = Toxic(_object(body))
        if toxic.name in proxy.toxics:
            raise _Refused(409, "toxic already exists")
        proxy.addToxic(toxic)
        return _said(200, toxic.described())

    def _toxic(self, method: str, proxy: Proxy, name: str, body: bytes) -> Response:
        if name not in proxy.toxics:
            raise _Refused(404, "toxic not found")
        toxic = proxy.toxics[name]
        if method == "DELETE":
            proxy.removeToxic(name)
            return Response(204)
        if method in ("POST", "PATCH"):
            toxic.change(_object(body))
            proxy.changedToxic(toxic)
        elif method != "GET":
            raise _Refused(405, f"{method} is not for a toxic")
        return _said(200, toxic.described())

    def _metrics(self) -> bytes:
        lines = [
            "# HELP netkit_fault_strikes_total How often a fault struck.",
            "# TYPE netkit_fault_strikes_total counter",
        ]
        for proxy in self._proxies:
            for armed in proxy.faults:
                labels = f'proxy="{_escaped(proxy.name)}",toxic="{_escaped(armed.name)}"'
                lines.append(f"netkit_fault_strikes_total{{{labels}}} {armed.struck}")
        return "\n".join([*lines, ""]).encode()


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


def _checkSender(request: Request) -> None:
    """
    Keep web pages away: what they can reach, anybody whose page is looked at could change; also
    where its name was made to lead here (DNS rebinding).
    """
    headers = request.headers
    browser = (headers.get(b"user-agent") or b"").startswith(b"Mozilla/")
    site = headers.get(b"sec-fetch-site")
    if browser or site is not None or headers.get(b"origin") is not None:
        raise _Refused(403, "this is not for browsers")
    if _isLoopback(getattr(request.peer, "host", "")):
        host = (headers.get(b"host") or b"localhost").decode("latin-1").lower()
        name = _PORT.sub("", host).strip("[]")
        # No page comes from a name without a dot.
        if "." in name and not (name.endswith(".localhost") or _isLoopback(name)):
            raise _Refused(403, f"this is localhost, and not {host!r}")


def _isLoopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def _read(body: bytes) -> Any:
    try:
        return json.loads(body or b"{}")
    except (ValueError, RecursionError) as error:
        raise _Refused(400, f"bad request body: {error}") from error


def _object(body: bytes) -> dict[str, Any]:
    said = _read(body)
    if not isinstance(said, dict):
        raise _Refused(400, "bad request body: an object is wanted")
    return said


def _text(said: dict[str, Any], name: str, usual: str | None = None, *, where: str = "") -> str:
    value = said.get(name)
    if value is None or value == "":
        value = usual
    if value is None:
        raise _Refused(400, f"missing required field: {name}{where}")
    if not isText(value):
        raise _Refused(400, f"bad request body: {name} is a string")
    return str(value)


def _flag(said: dict[str, Any], name: str, *, usual: bool) -> bool:
    value = said.get(name)
    if value is None:
        return usual
    if not isinstance(value, bool):
        raise _Refused(400, f"bad request body: {name} is true or false")
    return value


def _problem(status: int, problem: str) -> dict[str, object]:
    return {"error": problem, "status": status}


def _said(status: int, what: object) -> Response:
    return Response(status, json.dumps(what).encode() + b"\n", _JSON)
