"""
Toxiproxy's HTTP API (github.com/Shopify/toxiproxy): relays and what goes wrong on them, made and
changed at run time by its clients of any language.
"""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import unquote

from ..http import Request, Response
from .proxies import Proxies, Proxy, ProxyError
from .toxics import Toxic, ToxicError

#: The version of Toxiproxy whose API this is: its clients look at that.
VERSION = "2.9.0"

_LARGEST = 2**20

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

    async def __call__(self, request: Request) -> Response:
        """
        Answer a request.
        """
        try:
            _checkOrigin(request)
            return await self._answer(request)
        except _Refused as refused:
            return _said(refused.status, {"error": str(refused), "status": refused.status})
        except (ToxicError, ProxyError) as error:
            return _said(400, {"error": str(error), "status": 400})

    async def _answer(self, request: Request) -> Response:
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
                return _said(201, (await self._add(await _object(request))).described())
            case "POST", ["populate"]:
                return await self._populate(await _read(request))
            case _, ["proxies", name]:
                return await self._proxy(method, self._found(name), request)
            case _, ["proxies", name, "toxics", *rest] if len(rest) < 2:
                return await self._toxics(method, self._found(name), rest, request)
        raise _Refused(404, "404 page not found")

    def _found(self, name: str) -> Proxy:
        if name not in self._proxies:
            raise _Refused(404, "proxy not found")
        return self._proxies[name]

    async def _add(self, said: dict[str, Any]) -> Proxy:
        name = _text(said, "name")
        listen, upstream = said.get("listen") or "localhost:0", _text(said, "upstream")
        if not isinstance(listen, str):
            raise _Refused(400, "listen is a string")
        toxics = [Toxic(each) for each in said.get("toxics") or () if isinstance(each, dict)]
        if name in self._proxies:
            raise _Refused(409, "proxy already exists")
        enabled = said.get("enabled", True)
        return await self._proxies.add(
            name, listen, upstream, enabled=bool(enabled), toxics=toxics
        )

    async def _populate(self, wanted: Any) -> Response:
        if not isinstance(wanted, list) or not all(isinstance(each, dict) for each in wanted):
            raise _Refused(400, "bad request body: a list of proxies is wanted")
        made = []
        for said in wanted:
            name = _text(said, "name")
            upstream = _text(said, "upstream")
            if name in self._proxies:
                proxy = self._proxies[name]
                same = (said.get("listen"), upstream) == (proxy.listen, proxy.upstream)
                if same and proxy.enabled == said.get("enabled", True):
                    made.append(proxy)
                    continue
                await self._proxies.remove(name)
            made.append(await self._add(said))
        return _said(201, {"proxies": [proxy.described() for proxy in made]})

    async def _reset(self) -> None:
        for proxy in self._proxies:
            for name in list(proxy.toxics):
                proxy.removeToxic(name)
            await proxy.start()

    async def _proxy(self, method: str, proxy: Proxy, request: Request) -> Response:
        if method == "DELETE":
            await self._proxies.remove(proxy.name)
            return Response(204)
        if method in ("POST", "PATCH"):
            said = await _object(request)
            await proxy.change(
                said.get("listen") or proxy.listen,
                said.get("upstream") or proxy.upstream,
                bool(said.get("enabled", proxy.enabled)),
            )
        elif method != "GET":
            raise _Refused(405, f"{method} is not for a proxy")
        return _said(200, proxy.described())

    async def _toxics(
        self, method: str, proxy: Proxy, rest: list[str], request: Request
    ) -> Response:
        if not rest:
            if method == "GET":
                return _said(200, [toxic.described() for toxic in proxy.toxics.values()])
            if method != "POST":
                raise _Refused(405, f"{method} is not for toxics")
            toxic = Toxic(await _object(request))
            if toxic.name in proxy.toxics:
                raise _Refused(409, "toxic already exists")
            proxy.addToxic(toxic)
            return _said(200, toxic.described())
        if rest[0] not in proxy.toxics:
            raise _Refused(404, "toxic not found")
        toxic = proxy.toxics[rest[0]]
        if method == "DELETE":
            proxy.removeToxic(toxic.name)
            return Response(204)
        if method in ("POST", "PATCH"):
            toxic.change(await _object(request))
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


def _checkOrigin(request: Request) -> None:
    """
    Keep web pages away: what they can reach, anybody whose page is looked at could change.
    """
    headers = request.headers
    browser = (headers.get(b"user-agent") or b"").startswith(b"Mozilla/")
    if headers.get(b"origin") is not None or browser:
        raise _Refused(403, "this is not for browsers")


async def _read(request: Request) -> Any:
    try:
        return json.loads(await request.read(_LARGEST) or b"{}")
    except (ValueError, RecursionError) as error:
        raise _Refused(400, f"bad request body: {error}") from error


async def _object(request: Request) -> dict[str, Any]:
    said = await _read(request)
    if not isinstance(said, dict):
        raise _Refused(400, "bad request body: an object is wanted")
    return said


def _text(said: dict[str, Any], name: str) -> str:
    value = said.get(name)
    if not value:
        raise _Refused(400, f"missing required field: {name}")
    if not isinstance(value, str):
        raise _Refused(400, f"{name} is a string")
    return value


def _said(status: int, what: object) -> Response:
    return Response(status, json.dumps(what).encode() + b"\n", _JSON)
