"""
Relays that can be made, changed and ended at run time.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from twisted.internet.defer import Deferred, gatherResults, maybeDeferred
from twisted.internet.error import CannotListenError
from twisted.internet.interfaces import IListeningPort, IProtocolFactory

from ..base.addresses import addressText
from ..base.endpoints import serverEndpoint
from ..faults import Faults, FaultyFactory
from .relay import RelayFactory
from .toxics import Toxic


class ProxyError(Exception):
    """
    A proxy cannot be as it is wanted; the message says why.

    @ivar status: the status of HTTP that says so: who asked is wrong, or the system is.
    """

    def __init__(self, problem: str, status: int) -> None:
        """
        @param problem: what is wrong.
        @param status: the status of HTTP that says so.
        """
        super().__init__(problem)
        self.status = status


class Proxy:
    """
    A relay with a name, and what goes wrong on it.

    @ivar name: what it is called.
    @ivar listen: where it listens: C{HOST:PORT}, or an endpoint string.
    @ivar upstream: what it connects to: the same.
    @ivar enabled: whether it listens.
    @ivar toxics: what goes wrong, by its name.
    """

    def __init__(self, proxies: Proxies, name: str, listen: str, upstream: str) -> None:
        """
        @param proxies: what it is one of.
        @param name: what it is called.
        @param listen: where it is to listen.
        @param upstream: what it is to connect to.
        @raise ProxyError: that cannot be understood.
        """
        self.name = name
        self.listen = self._asked = listen
        self.upstream = upstream
        self.enabled = False
        self.toxics: dict[str, Toxic] = {}
        self.faults = Faults(seed=proxies.seed)
        self._proxies = proxies
        self._port: IListeningPort | None = None
        self._factory: RelayFactory | None = None

    async def start(self) -> None:
        """
        Listen.

        @raise ProxyError: that cannot be.
        """
        if self._port is not None:
            return
        proxies = self._proxies
        try:
            factory = proxies.makeFactory(_client(self.upstream), self.name)
            endpoint = serverEndpoint(proxies.reactor, _server(self.listen))
            faulty = FaultyFactory(proxies.wrap(factory), self.faults, proxies.reactor)
            self._port = await endpoint.listen(faulty)
        except (ValueError, OSError, CannotListenError, OverflowError) as error:
            reason = error.socketError if isinstance(error, CannotListenError) else error
            said = getattr(reason, "strerror", None) or reason
            wrong = isinstance(error, (ValueError, OverflowError))
            raise ProxyError(f"{self.name}: {said}", 400 if wrong else 500) from error
        self._factory = factory
        self.enabled = True
        if _isHostPort(self.listen):
            self.listen = addressText(self._port.getHost())

    async def stop(self, grace: float = 0.0) -> None:
        """
        Listen no more, and cut the connections that are open.

        @param grace: how many seconds they have to end by themselves.
        """
        self.enabled = False
        port, self._port = self._port, None
        factory, self._factory = self._factory, None
        if port is not None:
            await maybeDeferred(port.stopListening)
        if factory is not None:
            await factory.closeConnections(grace)

    async def change(self, listen: str, upstream: str, enabled: bool) -> None:
        """
        Have it be otherwise.

        @raise ProxyError: that cannot be.
        """
        same = self.is_(listen, upstream)
        if not (same and enabled):
            await self.stop()
        if not same:
            self.listen, self.upstream = listen, upstream
            self._asked = listen
        if enabled:
            await self.start()

    def is_(self, listen: str, upstream: str) -> bool:
        """
        Whether it is what is wanted: the place where it listens may be said as it was at first,
        such as C{localhost:26379}.
        """
        return listen in (self.listen, self._asked) and upstream == self.upstream

    def addToxic(self, toxic: Toxic) -> None:
        """
        Have something more go wrong.
        """
        self.toxics[toxic.name] = toxic
        self.faults.add(toxic.fault, toxic.name)

    def changedToxic(self, toxic: Toxic) -> None:
        """
        Have it go wrong as its toxic says now.
        """
        self.faults.remove(toxic.name)
        self.faults.add(toxic.fault, toxic.name)

    def removeToxic(self, name: str) -> None:
        """
        Have it go wrong no more.
        """
        toxic = self.toxics.pop(name)
        # As Toxiproxy does: what was sent meanwhile will not come.
        self.faults.remove(name, close=toxic.type == "timeout")

    def described(self) -> dict[str, Any]:
        """
        What it is, for JSON.
        """
        return {
            "name": self.name,
            "listen": self.listen,
            "upstream": self.upstream,
            "enabled": self.enabled,
            "toxics": [toxic.described() for toxic in self.toxics.values()],
        }


class Proxies:
    """
    All proxies, by their names.

    @ivar reactor: what listens and connects.
    @ivar makeFactory: makes the relay to an upstream, of its client endpoint string and its name.
    @ivar wrap: wraps the relays, to record them for one.
    @ivar seed: where chance comes from.
    """

    def __init__(
        self,
        reactor: Any,
        makeFactory: Callable[[str, str], RelayFactory],
        wrap: Callable[[IProtocolFactory], IProtocolFactory] = lambda factory: factory,
        seed: int | None = None,
    ) -> None:
        """
        @param reactor: what listens and connects.
        @param makeFactory: makes the relay to an upstream, of its client endpoint string and its
            name.
        @param wrap: wraps the relays, to record them for one.
        @param seed: where chance comes from; drawn by default.
        """
        self.reactor = reactor
        self.makeFactory = makeFactory
        self.wrap = wrap
        self.seed = seed
        self._proxies: dict[str, Proxy] = {}

    def __iter__(self) -> Iterator[Proxy]:
        return iter(list(self._proxies.values()))

    def __contains__(self, name: str) -> bool:
        return name in self._proxies

    def __getitem__(self, name: str) -> Proxy:
        return self._proxies[name]

    async def add(
        self, name: str, listen: str, upstream: str, *, enabled: bool, toxics: list[Toxic]
    ) -> Proxy:
        """
        Make a proxy, with what goes wrong on it from its first connection on.

        @raise ProxyError: that cannot be; there is none then.
        """
        proxy = Proxy(self, name, listen, upstream)
        for toxic in toxics:
            proxy.addToxic(toxic)
        self._proxies[name] = proxy
        try:
            if enabled:
                await proxy.start()
        except ProxyError:
            del self._proxies[name]
            raise
        return proxy

    async def remove(self, name: str) -> None:
        """
        End a proxy.
        """
        await self._proxies.pop(name).stop()

    async def stop(self, grace: float) -> None:
        """
        End all.

        @param grace: how many seconds their connections have to end by themselves.
        """
        proxies, self._proxies = self._proxies, {}
        await gatherResults(
            [Deferred.fromCoroutine(proxy.stop(grace)) for proxy in proxies.values()]
        )


def _isHostPort(text: str) -> bool:
    host, colon, port = text.rpartition(":")
    kinds = ("tcp", "unix", "tls", "ssl", "ws", "wss", "tcp6", "haproxy", "fault", "capture")
    return bool(colon) and port.isdecimal() and host.partition(":")[0] not in kinds


def _server(text: str) -> str:
    if not _isHostPort(text):
        return text
    host, _, port = text.rpartition(":")
    host = host.strip("[]").replace(":", "\\:")
    return f"tcp:{port}:interface={host}" if host else f"tcp:{port}"


def _client(text: str) -> str:
    if not _isHostPort(text):
        return text
    host, _, port = text.rpartition(":")
    host = host.strip("[]").replace(":", "\\:")
    return f"tcp:{host or '127.0.0.1'}:{port}"
