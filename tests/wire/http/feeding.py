"""
Feeds receivers in every way in which octets can arrive.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

import pytest

from netkit.wire.errors import HTTPProtocolError
from netkit.wire.http import (
    Content,
    EndOfMessage,
    Fields,
    Limits,
    RequestHead,
    RequestReceiver,
    ResponseHead,
    ResponseReceiver,
)

TRAILING = b"\x00 what follows is of no concern"


@dataclass
class Message:
    """
    All events of one message, put together.
    """

    head: RequestHead | ResponseHead
    content: bytes = b""
    raw: bytes = b""
    trailers: Fields = field(default_factory=Fields)
    complete: bool = False

    def told(self) -> tuple[object, ...]:
        """
        What has to be the same however the octets came.
        """
        framing = self.head.framing
        return (
            self.head.raw,
            self.head.fields.pairs,
            [getattr(framing, name) for name in framing.__slots__],
            self.content,
            self.raw,
            self.trailers.pairs,
            self.complete,
        )


def messages(
    receiver: RequestReceiver | ResponseReceiver, pieces: Iterable[bytes], *, ended: bool = False
) -> Iterator[Message]:
    """
    Feed a receiver piece by piece; yield each message at its head and fill it as it goes on.
    """
    message: Message | None = None
    arriving: list[bytes | None] = [*pieces, None] if ended else [*pieces]
    for piece in arriving:
        if piece is None:
            receiver.receive_end()
        else:
            receiver.receive(piece)
        while (event := receiver.next_event()) is not None:
            if isinstance(event, (RequestHead, ResponseHead)):
                message = Message(event, raw=event.raw, complete=isComplete(event))
                yield message
                continue
            assert message is not None
            message.raw += event.raw
            if isinstance(event, Content):
                message.content += event.data
            else:
                assert not message.complete
                message.trailers = event.trailers
                message.complete = True


def isComplete(event: RequestHead | ResponseHead | Content | EndOfMessage) -> bool:
    """
    Whether a message is complete with an event.
    """
    if isinstance(event, RequestHead):
        return not event.framing.has_content
    return isinstance(event, EndOfMessage)


def octetByOctet(octets: bytes) -> list[bytes]:
    return [octets[at : at + 1] for at in range(len(octets))]


def responses(*methods: bytes, limits: Limits | None = None) -> ResponseReceiver:
    receiver = ResponseReceiver(limits)
    for method in methods:
        receiver.request_sent(method)
    return receiver


def parsed(
    octets: bytes,
    limits: Limits | None = None,
    *,
    methods: tuple[bytes, ...] = (),
    ended: bool = False,
) -> list[Message]:
    """
    Parse complete messages, whole, octet by octet and with other octets behind them.

    @param octets: the messages.
    @param methods: the methods of the requests that they answer; without, they are requests.
    @param ended: whether the connection ends with them.
    """

    def receiver() -> RequestReceiver | ResponseReceiver:
        return responses(*methods, limits=limits) if methods else RequestReceiver(limits)

    whole = list(messages(receiver(), [octets], ended=ended))
    assert all(message.complete for message in whole)
    assert b"".join(message.raw for message in whole) == octets
    single = list(messages(receiver(), octetByOctet(octets), ended=ended))
    assert [message.told() for message in single] == [message.told() for message in whole]
    if not ended:
        followed = receiver()
        followed.receive(octets + TRAILING)
        ends = 0
        while ends < len(whole):
            event = followed.next_event()
            assert event is not None
            ends += isComplete(event)
        assert followed.buffered == len(TRAILING)
        assert followed.detach() == TRAILING
        assert followed.buffered == 0
    return whole


def refused(
    octets: bytes,
    limits: Limits | None = None,
    *,
    methods: tuple[bytes, ...] = (),
    ended: bool = False,
) -> HTTPProtocolError:
    """
    Feed what has to be refused, whole, octet by octet and with other octets behind it: the status
    is always the same, nothing is parsed behind it, and the receiver stays refusing.
    """
    statuses = []
    for pieces in ([octets], octetByOctet(octets), [octets + TRAILING]):
        if ended and pieces[-1].endswith(TRAILING):
            continue
        receiver = responses(*methods, limits=limits) if methods else RequestReceiver(limits)
        with pytest.raises(HTTPProtocolError) as caught:
            list(messages(receiver, pieces, ended=ended))
        statuses.append(caught.value.status)
        receiver.receive(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        with pytest.raises(HTTPProtocolError) as again:
            receiver.next_event()
        assert (str(again.value), again.value.status) == (str(caught.value), statuses[-1])
        assert "\n" not in str(again.value)
    assert len(set(statuses)) == 1
    return caught.value


def request(*lines: bytes, line: bytes = b"GET / HTTP/1.1", host: bytes = b"Host: a\r\n") -> bytes:
    """
    Write a request's head with the given field lines.
    """
    return line + b"\r\n" + host + b"".join(field + b"\r\n" for field in lines) + b"\r\n"
