"""
Octets drawn at random, made packets of in C and in Python: both come to the same.

    python -m tests.wire.recording.contents_fuzz SECONDS [SEED]

C{make sanitize} runs it on a part in C that sanitizers look into.
"""

from __future__ import annotations

from random import Random
from typing import Any

from netkit.wire.recording import Direction, HalfClosed, Octets
from netkit.wire.recording.contents import MAX_CONTENT, python
from netkit.wire.recording.packets import Flow, conversation
from tests.compiled import compiled
from tests.fuzzing import fuzz

# Where something is done in another way, one more, and one less.
KEPT = [0, 1, 2, 3, 4, 100, 4095, 4096, 4097, 16384, MAX_CONTENT - 1, MAX_CONTENT]
LENGTHS = [*KEPT, MAX_CONTENT + 1, 2**20, 2**40]
TIMES = [0, 1, 2**32 - 1, 2**32, 1_800_000_000_000_000_000, 2**63, 2**64 - 1]
NUMBERS = [0, 1000, 2**31, 2**32 - 1, 2**32 - 5000]

CLIENTS = [("127.0.0.1", 50000), ("255.255.255.255", 65535), ("::1", 1), ("fe80::ffff", 65535)]
SERVERS = {4: ("0.0.0.0", 0), 6: ("2001:db8::2", 443)}


def connection(chance: Random) -> tuple[Flow, Flow]:
    """
    Draw a connection that is at some point.
    """
    client = chance.choice(CLIENTS)
    server = SERVERS[6 if ":" in client[0] else 4]
    interface = chance.choice([0, 1, 2**32 - 1])
    pair = conversation(interface, client, server, inbound=chance.random() < 0.5)
    for flow in pair:
        flow.next = chance.choice(NUMBERS)
        flow.unacknowledged = chance.choice([0, 2**20 - 4096, 2**20])
    return pair


def event(chance: Random) -> Any:
    """
    Draw what may be plain octets.
    """
    if chance.random() < 0.02:
        return HalfClosed(1, 1, Direction.SENT)
    data = chance.randbytes(chance.choice([*KEPT[:6], chance.choice(KEPT)]))
    length = len(data)
    if chance.random() < 0.1:
        length = max(length, chance.choice(LENGTHS))
    number = 99 if chance.random() < 0.01 else chance.randrange(4)
    made = (number, chance.choice(TIMES), chance.choice(list(Direction)), data, length)
    return Octets(*made) if chance.random() < 0.2 else made


def outcome(module: Any, connections: Any, events: list[Any]) -> object:
    """
    What one language makes of events: where it stops, each time, what is made, and how far the
    connections are.
    """
    made: list[Any] = []
    stops: list[int] = []
    at = 0
    while at < len(events):
        at = module.contents(events, at, connections, Direction.RECEIVED, made)
        stops.append(at)
        at += 1
    numbers = [(flow.next, flow.unacknowledged) for pair in connections.values() for flow in pair]
    return stops, b"".join(made), numbers


def compareOnce(chance: Random) -> None:
    """
    Have both do the same.
    """
    drawn = Random(chance.random())
    state = drawn.getstate()
    inEach = []
    events = [event(chance) for _ in range(chance.choice([1, 20, 200]))]
    for module in (compiled("netkit.wire.recording.contents"), python):
        drawn.setstate(state)
        connections = {number: connection(drawn) for number in range(4)}
        inEach.append(outcome(module, connections, events))
    assert inEach[0] == inEach[1], f"{events}: in C another"


if __name__ == "__main__":
    assert compiled("netkit.wire.recording.contents"), "there is nothing in C"
    fuzz(compareOnce)
