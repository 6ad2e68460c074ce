"""
Exchanges drawn at random, counted and logged in C and in Python: both come to the same.

    python -m tests.operation.exchanges_fuzz SECONDS [SEED]

C{make sanitize} runs it on a part in C that sanitizers look into.
"""

from __future__ import annotations

from random import Random
from types import ModuleType, SimpleNamespace
from typing import Any

from netkit.operation.exchanges import python
from tests.compiled import compiled
from tests.fuzzing import fuzz

METHODS = (b"GET", b"HEAD", b"POST", b"")
BOUNDS = (0.0, 0.001, 0.5, 10.0)

# What may be in the place of a method, a status, and a time.
SENT = [*METHODS, b"get", b"GETS", b"G\0T", b"\xff" * 100]
STATUSES = [0, 99, 100, 200, 204, 404, 599, 999, 1000, -1, True, 200.0, "200", None, 2**70]
SECONDS = [
    *(*BOUNDS, 0.0005, 0.5000001, 1e300, -1.0, -0.0, float("inf"), float("nan")),
    # Halves of what is told, which a number of binary digits never is in the middle of.
    *(0.0000005, 0.0000015, 0.0123455, 1.0000005, 999.9999995, 0.99999949999, 0.5 / 2**20),
]
ENDED = [*(0.0, 0.9999, 1.7e9, 1.7e9 + 0.9999999, -0.0005, -1.5, 2e15, 1e300), float("nan")]
OCTETS = [0, 9, 2**40, True, -1, 2**63, -(2**70), 1.5, "1", None]
TOLD = [1, 2**53 + 1, 10**400, True, "1", b"1", None, 1j]
NUMBERS = [0, 9, 10, 2**31, 2**63 - 1, -1]

NAMES = [
    *(b"Referer", b"referer", b"REFERER", b"User-Agent", b"user-agent", b"User\rAgent"),
    *(b"traceparent", b"TraceParent", b"User-Agents", b"X-Referer", b"Refere", b"", b"Host"),
]
PIECES = [
    *(b"", b" ", b"\t", b"a", b"http://a/b?c", b'"', b"\\", b"\0", b"\x7f", b"\xff", b"\x80"),
    *(
        b"\b\t\n\v\f\r\x0e\x1f",
        b"\r",
        b"\n",
        b":",
        b"Mozilla/5.0 (X11; Linux x86_64)",
        b"\xc3\xa4",
    ),
    *(bytes(range(256)), b"plain" * 50),
]
ENDS = [b"\r\n", b"\r\n", b"\r\n", b"\n", b"\r", b""]

# What may be around the target in a request line.
AROUND = [(b" ", b" HTTP/1.1"), (b" ", b" HTTP/1.1"), (b" ", b" "), (b"  ", b""), (b"", b"")]


def text(chance: Random) -> bytes:
    """
    Draw what may be a value, a target, or a peer.
    """
    return b"".join(chance.choice(PIECES) for _ in range(chance.randrange(4)))


def section(chance: Random) -> bytes:
    """
    Draw what may be a header section.
    """
    lines = [
        chance.choice(NAMES) + b":" + text(chance) + chance.choice(ENDS)
        for _ in range(chance.randrange(6))
    ]
    drawn = b"".join(lines) + chance.choice(ENDS)
    return drawn[chance.randrange(len(drawn)) :] if drawn and chance.random() < 0.1 else drawn


def head(chance: Random) -> Any:
    """
    Draw a head.
    """
    if chance.random() < 0.1:
        return None
    before, behind = chance.choice(AROUND)
    return SimpleNamespace(
        line=chance.choice(SENT) + before + text(chance) + behind + chance.choice(ENDS),
        fields=SimpleNamespace(raw=section(chance)),
    )


def outcome(call: Any, *arguments: Any) -> object:
    """
    What a call comes to.
    """
    try:
        return call(*arguments)
    except (ValueError, OverflowError, TypeError):
        return "refused"


def counted(module: Any, exchanges: list[tuple[Any, ...]]) -> list[object]:
    """
    What one language makes of exchanges.
    """
    tally = module.Tally(METHODS, BOUNDS)
    said = [outcome(tally.count, *values) for values in exchanges]
    return [*said, tally.counts(), tally.buckets(), repr(tally.seconds())]


def logged(module: Any, name: str, exchanges: list[tuple[Any, ...]]) -> list[object]:
    """
    What the lines of one language say of exchanges.
    """
    called: list[object] = []

    def peer(transport: bytes) -> bytes:
        called.append(transport)
        return b"<%b>" % transport

    def second(seconds: int) -> bytes:
        if abs(seconds) > 10**11:
            raise ValueError(seconds)
        return b"(%d)" % seconds

    def begun() -> float:
        called.append("begun")
        return 0.25

    lines = getattr(module, name)(peer, second, begun, lambda: None)
    said: list[object] = []
    for number, values in enumerate(exchanges):
        said.append(outcome(lines.add, *values))
        if number % 7 == 6:
            said.append(lines.take())
    return [*said, lines.take(), called]


def observed(module: Any, exchanges: list[tuple[Any, ...]], seed: int) -> list[object]:
    """
    What an observer in one language makes of exchanges.
    """
    now: list[Any] = [0.0]
    chance = Random(seed)
    tally = module.Tally(METHODS, BOUNDS)
    lines = module.CombinedLines(
        lambda transport: b"<%b>" % transport,
        lambda second: b"(%d)" % second,
        lambda: 0.5,
        lambda: None,
    )
    observer = module.Observer(tally, lines, lambda: now[0])
    said: list[object] = []
    connection = module.ObservedConnection(observer, b"")
    for head, status, octets, seconds, ended, transport in exchanges:
        if chance.random() < 0.5:
            connection = module.ObservedConnection(observer, transport)
        said.append(outcome(connection.sent, transport))
        said.append(outcome(connection.sentFile, chance.choice(OCTETS)))
        now[0] = chance.choice(TOLD) if chance.random() < 0.1 else ended - seconds
        said.append(outcome(connection.received, transport))
        if chance.random() < 0.3:
            connection.begun()
            now[0] = chance.choice(TOLD)
            said.append(outcome(connection.received, transport))
        now[0] = chance.choice(TOLD) if chance.random() < 0.1 else ended
        if head is None or chance.random() < 0.5:
            said.append(outcome(connection.done, head, status, octets))
        else:
            parts = head, head.line, head.fields.raw
            said.append(outcome(connection.answered, *parts, status, octets, transport))
        said.append(outcome(connection.done, None, status, octets) if octets == 9 else None)
    return [*said, observer.octets(), tally.counts(), tally.buckets(), lines.take()]


def draw(chance: Random) -> tuple[Any, ...]:
    """
    Draw the values of an exchange.
    """
    values = (
        *(head(chance), chance.choice(STATUSES), chance.choice(NUMBERS)),
        *(chance.choice([*SECONDS, chance.uniform(0, 3), chance.expovariate(1e3)]),),
        *(chance.choice([*ENDED, chance.uniform(0, 2e9)]), text(chance)),
    )
    return values if chance.random() < 0.8 else (*values, text(chance))


def compareOnce(chance: Random) -> None:
    """
    Have both do the same.
    """
    native: ModuleType | None = compiled("netkit.operation.exchanges")
    exchanges = [draw(chance) for _ in range(chance.randrange(20))]
    few = [(values[0] and values[0].line, values[1], values[3]) for values in exchanges]
    inC, inPython = counted(native, few), counted(python, few)
    assert inC == inPython, f"{few}: {inC}, in Python {inPython}"
    whole = [values[:6] for values in exchanges]
    seed = chance.randrange(2**32)
    inC, inPython = observed(native, whole, seed), observed(python, whole, seed)
    assert inC == inPython, f"{whole}, {seed}: {inC}, in Python {inPython}"
    for name in ("CombinedLines", "JSONLines"):
        inC, inPython = logged(native, name, exchanges), logged(python, name, exchanges)
        assert inC == inPython, f"{exchanges}: {inC}, in Python {inPython}"


if __name__ == "__main__":
    assert compiled("netkit.operation.exchanges"), "there is nothing in C"
    fuzz(compareOnce)
