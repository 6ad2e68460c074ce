"""
Throws octets at WebSocket: C{python -m tests.wire.websocket.fuzz SECONDS [SEED]}.

Sequences of frames, good and bad, are cut, joined, repeated and changed octet by octet; every
one of them has to give events or one L{WebSocketProtocolError}, and the same however it is split.
"""

from __future__ import annotations

import random
import sys
import time
from collections.abc import Sequence
from itertools import pairwise

from netkit.wire.errors import HTTPProtocolError, RemoteProtocolError, WebSocketProtocolError
from netkit.wire.http.connection import RequestReceiver, ResponseReceiver
from netkit.wire.http.head import RequestHead, ResponseHead
from netkit.wire.websocket.codec import serialize_frame
from netkit.wire.websocket.codes import FIN, RSV1, Opcode
from netkit.wire.websocket.connection import Connection
from netkit.wire.websocket.deflate import DeflateSettings, PerMessageDeflate
from netkit.wire.websocket.handshake import ClientHandshake, accept, read_request

KEY = b"\x9a\x10\x00\xff"

_HELLO = bytes.fromhex("f248cdc9c90700")
_ZEROS = PerMessageDeflate().compress(bytes(100_000), True)

#: Octets that a server or a client might receive, good ones and bad ones.
SEEDS: tuple[bytes, ...] = tuple(
    b"".join(serialize_frame(first, payload, key) for first, payload in frames)
    for key in (None, KEY)
    for frames in (
        [(FIN | Opcode.TEXT, b"hello")],
        [(FIN | Opcode.BINARY, bytes(range(256)))],
        [(Opcode.TEXT, "zw\u00f6lf \u20ac \U0001f680".encode()), (FIN | Opcode.CONTINUATION, b"")],
        [(Opcode.TEXT, b"\xf0\x9f"), (FIN | Opcode.CONTINUATION, b"\x9a\x80")],
        [(Opcode.BINARY, b"a"), (FIN | Opcode.PING, b"p"), (FIN | Opcode.CONTINUATION, b"b")],
        [(FIN | Opcode.PONG, b""), (FIN | Opcode.CLOSE, b"\x03\xe8bye")],
        [(FIN | Opcode.CLOSE, b"")],
        [(FIN | RSV1 | Opcode.TEXT, _HELLO), (FIN | RSV1 | Opcode.TEXT, _HELLO)],
        [(RSV1 | Opcode.BINARY, _HELLO[:3]), (FIN | Opcode.CONTINUATION, _HELLO[3:])],
        [(FIN | RSV1 | Opcode.BINARY, _ZEROS)],
        [(FIN | Opcode.BINARY, bytes(70_000))],
        [(FIN | Opcode.TEXT, b"\xed\xa0\x80")],
    )
)

_REQUEST = ClientHandshake(
    b"localhost", b"/chat", subprotocols=["a", "b"], settings=DeflateSettings()
)


def _head(octets: bytes, receiver: RequestReceiver | ResponseReceiver) -> object:
    receiver.receive(octets)
    return receiver.next_event()


def _response() -> bytes:
    head = _head(_REQUEST.request, RequestReceiver())
    assert isinstance(head, RequestHead)
    return accept(read_request(head), subprotocol="a", settings=DeflateSettings())[0]


#: Opening handshakes.
HANDSHAKES: tuple[bytes, ...] = (_REQUEST.request, _response())


def receive(segments: Sequence[bytes], client: bool, deflate: bool) -> list[object]:
    """
    What a connection makes of what arrives: events, and how it ends if it is ended.
    """
    connection = Connection(
        client=client,
        max_message_size=80_000,
        max_fragments=20,
        deflate=PerMessageDeflate() if deflate else None,
    )
    events: list[object] = []
    try:
        for segment in segments:
            for event in connection.receive_data(segment):
                events.append(event)
    except WebSocketProtocolError as error:
        # With more than one fault, the first to be seen hangs on how it comes.
        events.append("failed" if 1000 < error.code < 1016 else error)
    return events


def check(good: bool, error: RemoteProtocolError) -> None:
    """
    See that an error has a status or a code that can be sent.
    """
    if not good:
        raise AssertionError(vars(error)) from error


def shake(octets: bytes) -> None:
    """
    Take octets for an opening handshake, of either side.
    """
    try:
        head = _head(octets, RequestReceiver())
        if isinstance(head, RequestHead):
            accept(read_request(head), settings=DeflateSettings())
    except HTTPProtocolError as error:
        check(400 <= error.status < 600, error)
    receiver = ResponseReceiver()
    receiver.request_sent(b"GET")
    try:
        head = _head(octets, receiver)
        if isinstance(head, ResponseHead):
            _REQUEST.read_response(head.fields)
    except HTTPProtocolError as error:
        check(400 <= error.status < 600, error)
    except WebSocketProtocolError as error:
        check(error.code in (1002, 1010), error)


def mutate(octets: bytes, chance: random.Random, seeds: Sequence[bytes]) -> bytes:
    """
    Change octets.
    """
    data = bytearray(octets)
    for _ in range(chance.randrange(4)):
        at = chance.randrange(len(data) + 1)
        kind = chance.randrange(6)
        if kind == 0 and data:
            data[at % len(data)] ^= 1 << chance.randrange(8)
        elif kind == 1:
            data[at:at] = chance.randbytes(chance.randrange(1, 5))
        elif kind == 2:
            del data[at : at + chance.randrange(1, 9)]
        elif kind == 3:
            data[at:at] = chance.choice(seeds)
        elif kind == 4:
            data += chance.choice(seeds)
        else:
            del data[at:]
    return bytes(data)


def step(chance: random.Random) -> None:
    """
    Try one sequence, split in two ways.
    """
    shake(mutate(chance.choice(HANDSHAKES), chance, HANDSHAKES))
    octets = mutate(chance.choice(SEEDS), chance, SEEDS)
    client, deflate = chance.random() < 0.5, chance.random() < 0.5
    cuts = sorted(chance.randrange(len(octets) + 1) for _ in range(chance.randrange(6)))
    edges = [0, *cuts, len(octets)]
    split = [octets[a:b] for a, b in pairwise(edges)]
    whole = receive([octets], client, deflate)
    parts = receive(split, client, deflate)
    assert whole == parts, (octets[:200], client, deflate, cuts, whole, parts)


def main(arguments: Sequence[str]) -> None:
    """
    Try for some seconds.
    """
    seconds = float(arguments[0])
    seed = int(arguments[1]) if len(arguments) > 1 else random.randrange(2**32)
    chance = random.Random(seed)
    sys.stdout.write(f"seed {seed}\n")
    count, end = 0, time.monotonic() + seconds
    while time.monotonic() < end:
        step(chance)
        count += 1
    sys.stdout.write(f"{count} sequences, nothing found\n")


if __name__ == "__main__":
    main(sys.argv[1:])
