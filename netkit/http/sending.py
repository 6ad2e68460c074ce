"""
Content that is written piece by piece, as the client takes it.
"""

from __future__ import annotations

from collections.abc import AsyncIterable, AsyncIterator, Callable

from twisted.internet.defer import CancelledError
from twisted.internet.interfaces import IConsumer, IProducer
from twisted.web.iweb import IBodyProducer
from zope.interface import implementer

from .filecontent import FileContent
from .flow import WriteFlow

# How much of content that is there already is written at once.
_PIECE = 2**16


async def sendContent(
    content: bytes | AsyncIterable[bytes] | IBodyProducer,
    encode: Callable[[bytes], bytes],
    flow: WriteFlow,
    sent: Callable[[int], object] | None = None,
) -> None:
    """
    Write a content; its end is left to do.

    What it comes from is told when this is cancelled or fails: an asynchronous generator is
    closed, a producer stopped.

    @param content: what to write.
    @param encode: serialises a piece.
    @param flow: writes, and knows when to.
    @param sent: where pieces are sent as they are: called in place of C{encode} with the number of
        octets that were sent without being written.
    """
    if isinstance(content, bytes):
        content = _sliced(content)
    elif IBodyProducer.providedBy(content):
        await _produce(content, encode, flow)
        return
    try:
        if sent is not None and isinstance(content, FileContent):
            await flow.sendFile(content.range, sent)
        async for piece in content:
            flow.write(encode(piece))
            await flow.ready()
    finally:
        close = getattr(content, "aclose", None)
        if close is not None:
            await close()


async def _sliced(content: bytes) -> AsyncIterator[bytes]:
    for start in range(0, len(content), _PIECE):
        yield content[start : start + _PIECE]


async def _produce(
    producer: IBodyProducer,
    encode: Callable[[bytes], bytes],
    flow: WriteFlow,
) -> None:
    await flow.ready()
    produced = producer.startProducing(_Encoded(encode, flow))
    flow.producer = producer
    try:
        await produced
    except CancelledError:
        producer.stopProducing()
        raise
    finally:
        flow.producer = None


@implementer(IConsumer)
class _Encoded:
    """
    What a body producer writes to.
    """

    def __init__(self, encode: Callable[[bytes], bytes], flow: WriteFlow) -> None:
        self._encode = encode
        self._flow = flow

    def write(self, data: bytes) -> None:
        self._flow.write(self._encode(data))

    def registerProducer(self, producer: IProducer, streaming: bool) -> None:
        """
        It is known already.
        """

    def unregisterProducer(self) -> None:
        """
        Its Deferred says when it is done.
        """
