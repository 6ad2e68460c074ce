"""
What a fault is, and how people write it: C{KIND[:NAME=VALUE,...]}.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from fnmatch import fnmatchcase
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from typing import Any

from ..base.quantities import QuantityError, parseCount, parseSeconds

Network = IPv4Network | IPv6Network

_LONGEST_DELAY = 86_400.0


class Side(Enum):
    """
    Which direction of a connection a fault strikes.
    """

    #: What the client sends to the server.
    UPSTREAM = "upstream"
    #: What the server sends to the client.
    DOWNSTREAM = "downstream"


class Unit(Enum):
    """
    What a kind of fault strikes, and what C{probability}, C{first} and C{every} count.
    """

    CONNECTION = "connection"
    REQUEST = "request"
    HANDSHAKE = "WebSocket handshake"
    MESSAGE = "WebSocket frame"


def _seconds(text: str) -> float:
    for suffix, scale in (("ms", 0.001), ("s", 1.0)):
        if text.endswith(suffix):
            return parseSeconds(text.removesuffix(suffix), most=_LONGEST_DELAY / scale) * scale
    return parseSeconds(text, most=_LONGEST_DELAY)


def _positive(text: str) -> int:
    count = parseCount(text)
    if not count:
        raise QuantityError(text, "a whole number above 0")
    return count


def _share(text: str) -> float:
    try:
        return parseSeconds(text, most=1)
    except QuantityError:
        raise QuantityError(text, "a number from 0 to 1") from None


def _status(text: str) -> int:
    status = parseCount(text)
    if not 200 <= status <= 999:
        raise QuantityError(text, "a status from 200 to 999")
    return status


def _code(text: str) -> int:
    code = parseCount(text)
    if not 0 <= code <= 65535:
        raise QuantityError(text, "a close code up to 65535")
    return code


def _difference(text: str) -> int:
    difference = parseCount(text.removeprefix("-"))
    return -difference if text.startswith("-") else difference


def _network(text: str) -> Network:
    try:
        return ip_network(text, strict=False)
    except ValueError:
        raise QuantityError(text, "an address or a network, such as 10.0.0.0/8") from None


_REQUIRED = object()


@dataclass(frozen=True)
class Kind:
    """
    A kind of fault.

    @ivar unit: what it strikes.
    @ivar does: what it does, in a few words.
    @ivar parameters: what can be said of it: how to read that, and what it is by default.
    """

    unit: Unit
    does: str
    parameters: Mapping[str, tuple[Callable[[str], Any], Any]] = field(default_factory=dict)


_DELAY = (_seconds, _REQUIRED)
_OCTETS = (parseCount, 0)

#: What can go wrong, by name, with what is to be said of each.
KINDS: dict[str, Kind] = {
    "latency": Kind(
        Unit.CONNECTION,
        "delays what is sent, by more or less as long as jitter says",
        {"delay": _DELAY, "jitter": (_seconds, 0.0)},
    ),
    "throttle": Kind(
        Unit.CONNECTION, "passes on so many octets a second", {"rate": (_positive, _REQUIRED)}
    ),
    "slice": Kind(
        Unit.CONNECTION,
        "passes on pieces of a size, more or less by variation, with a delay between them",
        {"size": (_positive, _REQUIRED), "variation": (parseCount, 0), "delay": (_seconds, 0.0)},
    ),
    "limit": Kind(
        Unit.CONNECTION, "closes the connection after so many octets", {"octets": _OCTETS}
    ),
    "reset": Kind(
        Unit.CONNECTION,
        "resets the connection after so many octets, or seconds",
        {"octets": (parseCount, None), "seconds": (_seconds, None)},
    ),
    "reset-peer": Kind(
        Unit.CONNECTION,
        "takes everything, and resets the connection so long after the first of it",
        {"seconds": (_seconds, 0.0)},
    ),
    "half-close": Kind(
        Unit.CONNECTION, "ends one direction after so many octets", {"octets": _OCTETS}
    ),
    "truncate": Kind(Unit.CONNECTION, "drops what follows so many octets", {"octets": _OCTETS}),
    "black-hole": Kind(
        Unit.CONNECTION,
        "takes everything and passes on nothing, and closes after the seconds, if there are any",
        {"seconds": (_seconds, 0.0)},
    ),
    "timeout": Kind(
        Unit.CONNECTION,
        "takes everything but the end, and closes once nothing came for the seconds, if any",
        {"seconds": (_seconds, 0.0)},
    ),
    "slow-close": Kind(Unit.CONNECTION, "delays the end", {"delay": _DELAY}),
    "refuse": Kind(Unit.CONNECTION, "resets the connection as soon as it is there"),
    "flip": Kind(
        Unit.CONNECTION, "flips a bit in such a share of the octets", {"share": (_share, 0.001)}
    ),
    "status": Kind(
        Unit.REQUEST, "has another response in place of the server's", {"status": (_status, 503)}
    ),
    "drop-head": Kind(Unit.REQUEST, "drops the head of the response"),
    "delay-head": Kind(Unit.REQUEST, "delays the response from its head on", {"delay": _DELAY}),
    "wrong-length": Kind(
        Unit.REQUEST,
        "has Content-Length say more, or less, than the response has",
        {"by": (_difference, 1)},
    ),
    "cut": Kind(
        Unit.REQUEST, "closes the connection in the content of the response", {"octets": _OCTETS}
    ),
    "drip": Kind(
        Unit.REQUEST,
        "sends the content of the response in pieces of a size, with a delay between them",
        {"size": (_positive, 1), "delay": (_seconds, 0.1)},
    ),
    "refuse-handshake": Kind(
        Unit.HANDSHAKE, "refuses to open a WebSocket", {"status": (_status, 403)}
    ),
    "hang-handshake": Kind(Unit.HANDSHAKE, "never finishes to open a WebSocket"),
    "cut-frame": Kind(Unit.MESSAGE, "closes the connection inside a frame"),
    "close": Kind(
        Unit.MESSAGE,
        "has a Close frame in place of a frame, and ends there",
        {"code": (_code, 1011)},
    ),
    "no-pong": Kind(Unit.MESSAGE, "drops the pongs"),
    "invalid-utf8": Kind(Unit.MESSAGE, "makes the text of a message invalid"),
    "fragment": Kind(
        Unit.MESSAGE, "sends a message in fragments of a size", {"size": (_positive, 1)}
    ),
}


@dataclass(frozen=True)
class Fault:
    """
    What goes wrong, and when.

    @ivar kind: one of L{KINDS}.
    @ivar values: its parameters.
    @ivar side: which direction it strikes.
    @ivar probability: how likely it strikes, from 0 to 1.
    @ivar first: how many times it strikes at most; L{None} for no limit.
    @ivar every: it strikes each time that so many would have been struck.
    @ivar after: how many octets, or requests, or frames, are spared first.
    @ivar client: whose connections alone it strikes.
    @ivar path: of what requests alone, as a shell would match it.
    @ivar method: of which method alone.
    """

    kind: str
    values: Mapping[str, Any] = field(default_factory=dict)
    side: Side = Side.DOWNSTREAM
    probability: float = 1.0
    first: int | None = None
    every: int = 1
    after: int = 0
    client: Network | None = None
    path: str | None = None
    method: str | None = None

    @property
    def unit(self) -> Unit:
        """
        What it strikes: a request, where it hangs on one.
        """
        unit = KINDS[self.kind].unit
        hangs = self.path is not None or self.method is not None
        return Unit.REQUEST if unit is Unit.CONNECTION and hangs else unit

    def concerns(self, address: str | None) -> bool:
        """
        Whether it is meant for a client.

        @param address: the client's IP address; L{None} where it has none.
        """
        if self.client is None:
            return True
        try:
            found = ip_address((address or "").partition("%")[0])
        except ValueError:
            return False
        mapped = getattr(found, "ipv4_mapped", None)
        return (mapped or found) in self.client

    def matches(self, method: str, path: str) -> bool:
        """
        Whether it is meant for a request.

        @param method: its method.
        @param path: its path, without the query.
        """
        return (self.method is None or method == self.method) and (
            self.path is None or fnmatchcase(path, self.path)
        )

    def __str__(self) -> str:
        said = [] if self.side is Side.DOWNSTREAM else [self.side.value]
        parameters = KINDS[self.kind].parameters
        said += [
            f"{name}={value:g}" if isinstance(value, float) else f"{name}={value}"
            for name, value in self.values.items()
            if value != parameters[name][1]
        ]
        usual = Fault(self.kind)
        for name in _CONDITIONS:
            value = getattr(self, name)
            if value != getattr(usual, name):
                said.append(f"{name}={value}")
        return f"{self.kind}:{','.join(said)}" if said else self.kind


# What can be said of each kind.
_CONDITIONS: dict[str, Callable[[str], Any]] = {
    "probability": _share,
    "first": parseCount,
    "every": _positive,
    "after": parseCount,
    "client": _network,
    "path": str,
    "method": str,
}


def parseFault(text: str) -> Fault:
    """
    Parse a specification.

    @param text: such as C{reset:octets=1000,first=3,path=/api/*}; the first comma may be written
        for the colon.
    @raise ValueError: it is none; the message, of one line, names what is wrong and says what can
        be written.
    """
    kind, _, rest = text.partition(":" if ":" in text.partition(",")[0] else ",")
    if kind not in KINDS:
        raise ValueError(f"{kind!r} is no kind of fault: {', '.join(KINDS)} are")
    known = KINDS[kind].parameters
    values = {name: default for name, (_, default) in known.items() if default is not _REQUIRED}
    conditions: dict[str, Any] = {}
    said: set[str] = set()
    for part in rest.split(",") if rest else ():
        name, is_, value = part.partition("=")
        what = name if is_ else "its direction"
        if what in said:
            raise ValueError(f"{kind}: {what} is said twice, the second time by {part!r}")
        said.add(what)
        if not is_ and name in ("upstream", "downstream"):
            conditions["side"] = Side(name)
        elif is_ and name in known:
            values[name] = _read(kind, name, known[name][0], value)
        elif is_ and name in _CONDITIONS:
            conditions[name] = _read(kind, name, _CONDITIONS[name], value)
        else:
            names = [*(f"{each}=" for each in (*known, *_CONDITIONS)), "upstream", "downstream"]
            raise ValueError(f"{kind}: {part!r} cannot be said of it: {', '.join(names)} can")
    for name in known:
        if name not in values:
            raise ValueError(f"{kind}: {name}= has to be said")
    if kind == "reset" and values["octets"] is None and values["seconds"] is None:
        values["octets"] = 0
    fault = Fault(kind, values, **conditions)
    if KINDS[kind].unit in (Unit.REQUEST, Unit.HANDSHAKE) and fault.side is Side.UPSTREAM:
        raise ValueError(f"{kind}: it strikes what the server sends, which is downstream")
    if kind in ("refuse", "slow-close") and fault.unit is Unit.REQUEST:
        raise ValueError(f"{kind}: it strikes a connection, and no single request")
    return fault


def _read(kind: str, name: str, read: Callable[[str], Any], value: str) -> Any:
    try:
        return read(value)
    except QuantityError as error:
        raise ValueError(f"{kind}: {name}={error.text} is not {error.wanted}") from error
