"""
Whatever a client sends, it gets well-formed responses, and not more of them than it sent requests.
"""

from __future__ import annotations

import random
from collections.abc import AsyncIterator
from contextlib import suppress

from hypothesis import given
from hypothesis import strategies as st

from netkit.http import Request, Response
from netkit.wire.errors import HTTPProtocolError
from netkit.wire.http import EndOfMessage, Limits, RequestReceiver, ResponseHead, ResponseReceiver

from ..interop.http_corpus import CHUNKS, CORPUS, POST, head
from .connected import Connection

REQUESTS = st.sampled_from(
    [
        *CORPUS.values(),
        head(b"Transfer-Encoding: chunked", line=POST, content=CHUNKS),
        head(b"Expect: 100-continue", b"Content-Length: 5", line=POST, content=b"hello"),
        head(b"Connection: close"),
        head(line=b"HEAD / HTTP/1.1"),
    ]
)
LIMITS = st.sampled_from([Limits(), Limits(60, 200, 6, 40, 10, 30)])


def mutated(octets: bytes, seed: int, count: int) -> bytes:
    """
    Change, drop, double and swap some octets.
    """
    chance = random.Random(seed)
    changed = bytearray(octets)
    for _ in range(count):
        at = chance.randrange(len(changed) + 1)
        kind = chance.randrange(4)
        if kind == 0:
            changed[at:at] = bytes([chance.choice(b"\r\n \t:;,0159aAf\x00\x7f\xff")])
        elif kind == 1:
            del changed[at : at + chance.randrange(1, 4)]
        elif kind == 2:
            changed[at:at] = changed[at : at + chance.randrange(1, 20)]
        elif at < len(changed):
            changed[at] = chance.randrange(256)
    return bytes(changed)


async def answers(request: Request) -> Response:
    """
    Read and answer in different ways.
    """
    kind = len(request.target) % 4
    if kind == 0:
        return Response(200, b"not read")
    if kind == 1:
        return Response(200, await request.read(30))
    if kind == 2:
        return Response(204)

    async def echo() -> AsyncIterator[bytes]:
        async for piece in request.content:
            yield piece

    return Response(200, echo())


def lastMethod(octets: bytes, limits: Limits) -> bytes:
    """
    The method of the last request in there, be it one that is refused.
    """
    receiver = RequestReceiver(limits)
    receiver.receive(octets)
    with suppress(HTTPProtocolError):
        while receiver.next_event() is not None:
            pass
    return receiver.method or b"GET"


@given(
    requests=st.lists(REQUESTS, max_size=4),
    noise=st.binary(max_size=20),
    seed=st.integers(0, 2**32),
    count=st.integers(0, 4),
    size=st.integers(1, 400),
    limits=LIMITS,
)
def test_whatever_a_client_sends(
    requests: list[bytes], noise: bytes, seed: int, count: int, size: int, limits: Limits
) -> None:
    octets = mutated(b"".join(requests), seed, count) + noise
    client = Connection(answers, limits=limits)
    for start in range(0, len(octets), size):
        client.send(octets[start : start + size])
    client.end()
    assert client.closing or client.transport.aborted

    receiver = ResponseReceiver()
    for request in client.requests:
        receiver.request_sent(request.method)
    # One more is the refusal of what was no request, or of one to which no content may be sent.
    receiver.request_sent(lastMethod(octets, limits))
    receiver.receive(client.take())
    receiver.receive_end()
    statuses = []
    ends = 0
    try:
        while (event := receiver.next_event()) is not None:
            if isinstance(event, ResponseHead):
                statuses.append(event.status)
            ends += isinstance(event, EndOfMessage)
    except Exception:
        # Only what was cut off in the middle, because the request was, is not whole.
        assert client.transport.aborted
    else:
        assert ends == len(statuses)
    final = [status for status in statuses if status >= 200]
    assert len(final) <= len(client.requests) + 1
    assert 500 not in final
    if len(final) > len(client.requests):
        assert final[-1] >= 400

    client.lose()
    assert client.clock.getDelayedCalls() == []
