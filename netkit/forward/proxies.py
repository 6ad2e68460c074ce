"""
Relays that can be made, changed and ended at run time.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Protocol

from twisted.internet.defer import Deferred, gatherResults, maybeDeferred
from twisted.internet.error import CannotListenError
from twisted.internet.interfaces import IListeningPort, IProtocolFactory

from ..base.addresses import addressText
from ..base.endpoints import serverEndpoint
from ..base.twistedprivate import splitEndpoint
from ..faults import Faults, FaultyFactory
from .relay import RelayFactory
from .toxics import Toxic

# How many proxies there may be, how many toxics each may have, and how long a name may be.
_MOST_PROXIES = 1000
_MOST_TOXICS = 100
_LONGEST_NAME = 1000


class ProxyError(Exception):
    """
    A proxy cannot be as it is wanted; the message says why.

    @ivar status: the status of HTTP that says so: who asked is wrong, or the system is.
    """

    def __init__(self, problem: str, status: int = 500) -> None:
        """
        @param problem: what is wrong.
        @param status: the status of HTTP that says so.
        """
        super().__init__(problem)
        self.status = status


class Listener(Protocol):
    """
    What listens for a proxy, and passes on.

    @ivar listen: where it listens, or will: C{HOST:PORT}, or an endpoint string.
    @ivar asked: the same as it was wanted, such as C{localhost:0}.
    @ivar upstream: what it connects to: C{HOST:PORT}, or an endpoint string.
    """

    @property
    def listen(self) -> str: ...

    @property
    def asked(self) -> str: ...

    @property
    def upstream(self) -> str: ...

    async def start(self) -> None:
        """
        Listen.

        @raise ProxyError: that cannot be.
        """

    async def stop(self, grace: float) -> None:
        """
        Listen no more, and end the connections.

        @param grace: how many seconds they have to end by themselves.
        """


class RelayListener:
    """
    A relay that is made of what is said of it.
    """

    def __init__(
        self, proxies: Proxies, name: str, listen: str, upstream: str, faults: Faults
    ) -> None:
        """
        @param proxies: what it is one of.
        @param name: what it is called.
        @param listen: where it is to listen.
        @param upstream: what it is to connect to.
        @param faults: what strikes its connections.
        """
        self.listen = self.asked = listen
        self.upstream = upstream
        self._name = name
        self._proxies = proxies
        self._faults = faults
        self._port: IListeningPort | None = None
        self._factory: RelayFactory | None = None

    async def start(self) -> None:
        proxies = self._proxies
        try:
            factory = proxies.makeFactory(_client(self.upstream), self._name)
            endpoint = serverEndpoint(proxies.reactor, _server(self.listen))
            faulty = FaultyFactory(proxies.wrap(factory), self._faults, proxies.reactor)
            self._port = await endpoint.listen(faulty)
        # What an endpoint makes of a string that is none of its, nobody else can know.
        except Exception as error:
            reason = error.socketError if isinstance(error, CannotListenError) else error
            said = getattr(reason, "strerror", None) or reason
            wrong = isinstance(error, (ValueError, OverflowError, TypeError))
            raise ProxyError(f"{self._name}: {said}", 400 if wrong else 500) from error
        self._factory = factory
        if _isHostPort(self.listen):
            self.listen = addressText(self._port.getHost())

    async def stop(self, grace: float) -> None:
        port, self._port = self._port, None
        factory, self._factory = self._factory, None
        if port is not None:
            await maybeDeferred(port.stopListening)
        if factory is not None:
            await factory.closeConnections(grace)


class Proxy:
    """
    A relay with a name, and what goes wrong on it.

    @ivar name: what it is called.
    @ivar enabled: whether it listens.
    @ivar faults: what goes wrong on it, which may be more than its toxics.
    """

    def __init__(
        self, proxies: Proxies, name: str, listener: Listener, faults: Faults, enabled: bool
    ) -> None:
        """
        @param proxies: what it is one of.
        @param name: what it is called.
        @param listener: what listens.
        @param faults: what goes wrong on it.
        @param enabled: whether the listener listens already.
        """
        self.name = name
        self.enabled = enabled
        self.faults = faults
        self._toxics: dict[str, Toxic] = {}
        self._proxies = proxies
        self._listener = listener

    @property
    def listen(self) -> str:
        """
        Where it listens: C{HOST:PORT}, or an endpoint string.
        """
        return self._listener.listen

    @property
    def upstream(self) -> str:
        """
        What it connects to: the same.
        """
        return self._listener.upstream

    @property
    def toxics(self) -> dict[str, Toxic]:
        """
        What goes wrong, by its name: those of what the client sends first, as in Toxiproxy.
        """
        found = {}
        for stream in ("upstream", "downstream"):
            for name, toxic in self._toxics.items():
                # Others may have taken it away, or changed it.
                armed = self.faults.get(name)
                if toxic.stream == stream and armed is not None and armed.fault is toxic.fault:
                    found[name] = toxic
        return found

    async def start(self) -> None:
        """
        Listen.

        @raise ProxyError: that cannot be.
        """
        if not self.enabled:
            await self._listener.start()
            self.enabled = True

    async def stop(self, grace: float = 0.0) -> None:
        """
        Listen no more, and cut the connections that are open.

        @param grace: how many seconds they have to end by themselves.
        """
        self.enabled = False
        await self._listener.stop(grace)

    async def change(self, listen: str, upstream: str, enabled: bool) -> None:
        """
        Have it be otherwise.

        @raise ProxyError: that cannot be.
        """
        same = self.is_(listen, upstream)
        if not (same and enabled):
            await self.stop()
        if not same:
            self._listener = RelayListener(self._proxies, self.name, listen, upstream, self.faults)
        if enabled:
            await self.start()

    def is_(self, listen: str, upstream: str) -> bool:
        """
        Whether it is what is wanted: the place where it listens may be said as it was at first,
        such as C{localhost:26379}.
        """
        there = self._listener
        return listen in (there.listen, there.asked) and upstream == there.upstream

    def addToxic(self, toxic: Toxic) -> None:
        """
        Have something more go wrong.

        @raise ProxyError: something else is called so, or there are too many.
        """
        if len(self.toxics) >= _MOST_TOXICS:
            raise ProxyError(f"there are {_MOST_TOXICS} toxics, the limit", 400)
        if len(toxic.name) > _LONGEST_NAME:
            raise ProxyError(f"a name has {_LONGEST_NAME} characters at most", 400)
        try:
            self.faults.add(toxic.fault, toxic.name)
        except KeyError as error:
            raise ProxyError("toxic already exists", 409) from error
        self._toxics[toxic.name] = toxic

    def changedToxic(self, toxic: Toxic) -> None:
        """
        Have it go wrong as its toxic says now.
        """
        self.faults.change(toxic.name, toxic.fault)

    def removeToxic(self, name: str) -> None:
        """
        Have it go wrong no more.
        """
        toxic = self._toxics.pop(name)
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
        if len(self._proxies) >= _MOST_PROXIES:
            raise ProxyError(f"there are {_MOST_PROXIES} proxies, the limit", 400)
        if len(name) > _LONGEST_NAME:
            raise ProxyError(f"a name has {_LONGEST_NAME} characters at most", 400)
        faults = Faults(seed=self.seed)
        listener = RelayListener(self, name, listen, upstream, faults)
        proxy = Proxy(self, name, listener, faults, enabled=False)
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

    def adopt(self, name: str, listener: Listener, faults: Faults) -> None:
        """
        Have a relay be one of the proxies that others have made.

        @param name: what to call it.
        @param listener: what listens already.
        @param faults: what goes wrong on it.
        """
        self._proxies[name] = Proxy(self, name, listener, faults, enabled=True)

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


def shortAddress(description: str) -> str:
    """
    Write the string of an upstream as C{HOST:PORT}, where that says all.

    @param description: a client endpoint string.
    """
    (kind, *parts), named = splitEndpoint(description)
    if kind != "tcp" or len(parts) != 2 or named:
        return description
    host, port = parts
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


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
