"""
A WebSocket connection, from either side: octets to messages, messages to octets.

What is received goes through the same states again and again (RFC 6455 sections 5.4 and 5.5)::

    BETWEEN MESSAGES --first frame--> IN A MESSAGE --frame with FIN--> BETWEEN MESSAGES

Control frames may come in both. The states of the connection as a whole, and its closing
handshake, are in L{netkit.wire.websocket.lifecycle}.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import lru_cache
from typing import TypeAlias

from ..errors import LocalProtocolError, WebSocketProtocolError
from .broadcast import PreparedMessage
from .codec import message_reader, serialize_frame, serialize_header
from .codes import CONTROL, FIN, MASK, MAX_CONTROL_PAYLOAD, RSV1, CloseCode, Opcode
from .deflate import PerMessageDeflate
from .events import Close, Event, Piece, Ping, Pong
from .frames import FrameReader, MaskingKeys
from .lifecycle import Lifecycle, State
from .messages import IncomingMessage, decode_text, encode_message, encode_text

_TEXT_WHOLE = FIN | Opcode.TEXT
_BINARY_WHOLE = FIN | Opcode.BINARY
_CLOSE = FIN | Opcode.CLOSE

# A compressed message in one frame: its first octet, and that of the same without.
_TEXT_COMPRESSED = _TEXT_WHOLE | RSV1
_COMPRESSED = (bytes((_TEXT_COMPRESSED,)), bytes((_BINARY_WHOLE | RSV1,)))
_BINARY_OCTET = bytes((_BINARY_WHOLE,))

# One of fewer octets is inflated at once.
_SMALL = 2**14

_keys = MaskingKeys()

#: Reads what arrived as one whole message and no more, where it is one.
WholeReader: TypeAlias = Callable[[bytes], str | bytes | None]


@lru_cache
def _whole_reader(mask_bit: int, limit: int) -> WholeReader:
    """
    Give what reads whole messages, one for all connections of a kind.
    """
    return message_reader(mask_bit, limit)


def _nothing(data: bytes) -> None:
    """
    Read nothing as a whole message.
    """


class Connection:
    """
    One side of a connection.

    @ivar as_is: whether C{serialize_message}, of the codec, says all of how a message is sent: it
        may be, and is neither masked nor compressed.
    @ivar lifecycle: its state, and what has to be done next.
    @ivar read_whole: reads what arrived as one whole message. By far the most of what arrives is
        one, from peers that wait for an answer. Where it gives none, L{receive_data} is for it.
    """

    __slots__ = (
        "_deflate",
        "_incoming",
        "_max_fragments",
        "_max_message_size",
        "_pieces",
        "_reader",
        "_sending",
        "_whole_reader",
        "as_is",
        "lifecycle",
        "read_whole",
    )

    def __init__(
        self,
        *,
        client: bool,
        max_message_size: int = 2**20,
        max_fragments: int = 2**17,
        deflate: PerMessageDeflate | None = None,
        pieces: bool = False,
        state: State = State.OPEN,
    ) -> None:
        """
        @param client: whether we are the client; else the server.
        @param max_message_size: how many octets a received message may have, as it arrives and
            once inflated; 0 for no limit.
        @param max_fragments: how many frames a received message may have; 0 for no limit.
        @param deflate: as in L{open}.
        @param pieces: as in L{open}.
        @param state: C{OPEN} where the opening handshake is done; else C{CONNECTING}, until
            L{open}.
        """
        self.lifecycle = Lifecycle.connecting(client)
        self._max_message_size = max_message_size
        self._max_fragments = max_fragments
        # Made when something arrives that is no whole message.
        self._reader: FrameReader | None = None
        self._incoming: IncomingMessage | None = None
        self._sending = 0
        self._deflate: PerMessageDeflate | None = None
        self._whole_reader = _whole_reader(0 if client else MASK, max_message_size)
        self.read_whole: WholeReader = _nothing
        self.as_is = False
        if state is State.OPEN:
            self.open(deflate=deflate, pieces=pieces)

    def open(self, *, deflate: PerMessageDeflate | None = None, pieces: bool = False) -> None:
        """
        Begin: the opening handshake is done.

        @param deflate: what compresses, as both sides agreed; nothing by default.
        @param pieces: whether to give out each part of a message as it arrives, as a L{Piece},
            instead of whole messages.
        """
        self._deflate = deflate
        self._pieces = pieces
        if not pieces:
            self.read_whole = self._whole_reader
        self._enter(self.lifecycle.opened())

    @property
    def state(self) -> State:
        """
        The state of the connection.
        """
        return self.lifecycle.state

    @property
    def close_sent(self) -> Close | None:
        """
        The Close frame that was sent, once it was.
        """
        return self.lifecycle.close_sent

    @property
    def close_received(self) -> Close | None:
        """
        The Close frame that came, once it did.
        """
        return self.lifecycle.close_received

    @property
    def buffered(self) -> int:
        """
        How many octets that arrived are kept until the rest of their frame or message does.
        """
        size = 0 if self._reader is None else self._reader.buffered
        return size if self._incoming is None else size + self._incoming.buffered

    # Receiving

    def receive_data(self, data: bytes) -> tuple[Event] | Iterator[Event]:
        """
        Parse what arrived. The caller goes through the events to their end, at any pace, before
        it hands in more.

        @param data: the octets; what follows a Close frame is dropped.
        @return: what they mean, in order; a tuple of one where they are one message and no more.
            After L{close} and L{fail}, nothing but the peer's Close frame means anything, also
            where it is from here that they were called.
        @raise WebSocketProtocolError: from the iteration, after the events that came before: the
            peer broke the protocol or went over a limit. The caller is to L{fail} the connection.
        """
        message = self.read_whole(data)
        if message is not None:
            return (message,)
        if self._deflate is not None and len(data) < _SMALL and data[:1] in _COMPRESSED:
            # As a binary one, it is what that would carry.
            payload = self.read_whole(_BINARY_OCTET + data[1:])
            if payload is not None:
                assert type(payload) is bytes
                return self._inflate(self._deflate, data[0] == _TEXT_COMPRESSED, payload)
        return self._events(data)

    def _inflate(
        self, deflate: PerMessageDeflate, text: bool, payload: bytes
    ) -> tuple[Event] | Iterator[Event]:
        """
        Inflate a message that arrived whole, and no more.
        """
        try:
            inflated = deflate.decompress(payload, True)
        except WebSocketProtocolError as error:
            return _raising(error)
        if type(inflated) is tuple:
            (whole,) = inflated
            if not 0 < self._max_message_size < len(whole):
                if not text:
                    return (whole,)
                try:
                    return (str(whole, "utf-8"),)
                except UnicodeDecodeError:
                    # Said with more care below.
                    pass
        return self._inflated(text, inflated)

    def _inflated(self, text: bool, inflated: Iterable[bytes]) -> Iterator[Event]:
        """
        The same of one that is large, or cannot be.
        """
        self.read_whole = _nothing
        self._incoming = message = IncomingMessage(
            text=text, keep=True, max_size=self._max_message_size, deflate=None
        )
        for _ in message.take(inflated):
            pass
        self._incoming = None
        yield message.end()
        if not self.lifecycle.discards:
            self.read_whole = self._whole_reader

    def _events(self, data: bytes) -> Iterator[Event]:
        self.read_whole = _nothing
        if not self.lifecycle.receives:
            return
        reader = self._reader
        if reader is None:
            self._reader = reader = self._make_reader()
        limit = self._max_message_size or sys.maxsize
        for first, payload, finished in reader.read(data):
            if self.lifecycle.discards and not (first == _CLOSE and self.lifecycle.receives):
                continue
            if finished and len(payload) <= limit and self._incoming is None and not self._pieces:
                if first == _TEXT_WHOLE:
                    yield decode_text(payload)
                    continue
                if first == _BINARY_WHOLE:
                    yield payload
                    continue
            if first & CONTROL:
                yield self._control(first, payload)
                if not self.lifecycle.receives:
                    return
            else:
                yield from self._data(first, payload, finished)
                message = self._incoming
                reader.message_size = 0 if message is None else message.received
        if (
            self._incoming is None
            and reader.between_frames
            and not (self._pieces or self.lifecycle.discards)
        ):
            self.read_whole = self._whole_reader

    def _make_reader(self) -> FrameReader:
        limit = self._max_message_size
        return FrameReader(
            masked=not self.lifecycle.client,
            rsv1=self._deflate is not None,
            # DEFLATE adds to what it cannot compress: with zlib some 0.25 % at most, unless it was
            # told to do with next to no memory.
            max_size=limit + (limit >> 8 if self._deflate is not None else 0),
            collect=not (self._pieces or self.lifecycle.discards),
        )

    def _control(self, first: int, payload: bytes) -> Event:
        opcode = first & 0x0F
        if opcode == Opcode.PING:
            return Ping(payload)
        if opcode == Opcode.PONG:
            return Pong(payload)
        close = _parse_close(payload)
        self._enter(self.lifecycle.received_close(close))
        return close

    def _data(self, first: int, payload: bytes, finished: bool) -> Iterator[Event]:
        message = self._incoming
        opcode = first & 0x0F
        if message is None:
            if opcode == Opcode.CONTINUATION:
                raise WebSocketProtocolError(
                    "a continuation frame continues nothing", CloseCode.PROTOCOL_ERROR
                )
            inflater = self._deflate if first & RSV1 else None
            self._incoming = message = IncomingMessage(
                text=opcode == Opcode.TEXT,
                keep=not self._pieces,
                max_size=self._max_message_size,
                deflate=inflater,
            )
        elif message.between_frames:
            if opcode != Opcode.CONTINUATION:
                raise WebSocketProtocolError(
                    "a new message starts within a fragmented one", CloseCode.PROTOCOL_ERROR
                )
            message.frames += 1
            if 0 < self._max_fragments < message.frames:
                raise WebSocketProtocolError(
                    f"a message has more frames than the limit of {self._max_fragments}",
                    CloseCode.POLICY_VIOLATION,
                )
        message.between_frames = finished
        last = finished and bool(first & FIN)
        for part in message.parts(payload, last):
            if self._pieces:
                yield Piece(part, False)
        if last:
            self._incoming = None
            whole = message.end()
            yield Piece(whole, True) if self._pieces else whole

    # Sending

    def send_text(self, text: str) -> bytes:
        """
        Give the octets of a text message.

        @raise NotConnected: the Close frame was sent already, or there is no connection.
        @raise LocalProtocolError: a message sent in pieces is not finished, or the text has a lone
            surrogate, which UTF-8 cannot encode.
        """
        if not self.lifecycle.may_send or self._sending:
            raise self._cannot_send()
        return self._whole(_TEXT_WHOLE, encode_text(text))

    def send_bytes(self, data: bytes | bytearray | memoryview) -> bytes:
        """
        Give the octets of a binary message.

        @raise LocalProtocolError: as for L{send_text}.
        """
        if not self.lifecycle.may_send or self._sending:
            raise self._cannot_send()
        return self._whole(_BINARY_WHOLE, data)

    def send_large(self, message: str | bytes | bytearray | memoryview) -> Sequence[bytes]:
        """
        Give the octets of a text message or a binary one, where that can be had in two parts: a
        header, and the payload itself instead of a copy of it.

        @raise LocalProtocolError: as for L{send_text}.
        """
        if isinstance(message, str):
            message = encode_text(message)
            first = _TEXT_WHOLE
        else:
            first = _BINARY_WHOLE
        if not self.lifecycle.may_send or self._sending:
            raise self._cannot_send()
        if self.as_is and isinstance(message, bytes):
            return serialize_header(first, len(message), 0), message
        return (self._whole(first, message),)

    def send_prepared(self, message: PreparedMessage) -> bytes:
        """
        Give the octets of a message that goes out on many connections.

        @raise LocalProtocolError: as for L{send_text}.
        """
        if not self.lifecycle.may_send or self._sending:
            raise self._cannot_send()
        return message.frame(client=self.lifecycle.client, deflate=self._deflate)

    def send_piece(self, data: str | bytes, finished: bool) -> bytes:
        """
        Give the octets of a part of a message: a frame. The first one says by its type whether
        the message is text.

        @param data: the part.
        @param finished: whether the message ends with it.
        @raise NotConnected: as for L{send_text}.
        @raise LocalProtocolError: the message began with the other type, or the text has a lone
            surrogate.
        """
        if not self.lifecycle.may_send:
            raise self.lifecycle.cannot_send()
        opcode = Opcode.TEXT if isinstance(data, str) else Opcode.BINARY
        if self._sending not in (0, opcode):
            raise LocalProtocolError(
                f"a message that began as {Opcode(self._sending).name.lower()} "
                f"cannot go on with {type(data).__name__}"
            )
        first = int(Opcode.CONTINUATION if self._sending else opcode)
        payload = encode_message(data)
        if finished:
            first |= FIN
        if self._deflate is not None:
            payload = self._deflate.compress(payload, finished)
            if not self._sending:
                first |= RSV1
        self._sending = 0 if finished else opcode
        self._enter(self.lifecycle)
        return self._frame(first, payload)

    def send_ping(self, payload: bytes = b"") -> bytes:
        """
        Give the octets of a Ping frame.

        @raise NotConnected: as for L{send_text}.
        @raise LocalProtocolError: the payload has more than 125 octets.
        """
        return self._send_control(Opcode.PING, payload)

    def send_pong(self, payload: bytes) -> bytes:
        """
        Give the octets of a Pong frame.

        @raise LocalProtocolError: as for L{send_ping}.
        """
        return self._send_control(Opcode.PONG, payload)

    def send_close(self, code: int = CloseCode.NORMAL_CLOSURE, reason: str = "") -> bytes:
        """
        Give the octets of the Close frame, after which nothing may be sent: what arrives until
        the peer's comes is received still.

        @param code: why; 1005 for a frame that does not say, as in a received L{Close}.
        @param reason: why, in words. It is cut to what a frame can carry: 123 octets.
        @raise NotConnected: it was sent already, or there is no connection.
        @raise LocalProtocolError: the code is none that an endpoint may send (RFC 6455 section
            7.4.1).
        """
        if code == CloseCode.NO_STATUS_RECEIVED:
            payload = b""
        elif not _sendable(code):
            raise LocalProtocolError(
                f"close code {code} is not for sending: use 1000, 1001, 1008, 1011, 3000-4999 ..."
            )
        else:
            words = reason.encode("utf-8", "replace")[: MAX_CONTROL_PAYLOAD - 2]
            payload = code.to_bytes(2, "big") + words.decode("utf-8", "ignore").encode()
        octets = self._send_control(Opcode.CLOSE, payload)
        self._enter(self.lifecycle.sent_close(Close(code, reason)))
        return octets

    def answer_ping(self, payload: bytes) -> bytes:
        """
        Give the octets of the answer to a Ping frame; none where our Close frame was sent.

        @param payload: what it carried.
        """
        return self.send_pong(payload) if self.lifecycle.may_send else b""

    # Closing

    def close(self, code: int = CloseCode.NORMAL_CLOSURE, reason: str = "") -> bytes:
        """
        Begin the closing handshake, or finish it, and take no more messages.

        @param code: as in L{send_close}.
        @param reason: as in L{send_close}.
        @return: the octets of the Close frame; none where it was sent already.
        @raise LocalProtocolError: as in L{send_close}.
        """
        octets = self.send_close(code, reason) if self.lifecycle.may_send else b""
        self._enter(self.lifecycle.discarding())
        self._forget()
        return octets

    def answer_close(self) -> bytes:
        """
        Give the octets of the answer to the peer's Close frame, with its code; none where our own
        was sent before.
        """
        close = self.lifecycle.close_received
        assert close is not None
        return self.close(close.code)

    def fail(self, error: WebSocketProtocolError) -> bytes:
        """
        End the connection without a closing handshake (RFC 6455 section 7.1.7). Nothing more is to
        be handed in.

        @param error: why.
        @return: the octets of the Close frame that says so; none where one was sent already.
        """
        may_send = self.lifecycle.may_send
        octets = self.send_close(error.code, str(error)) if may_send else b""
        self.abort(error)
        return octets

    def abort(self, error: WebSocketProtocolError | None = None) -> None:
        """
        The transport is being cut, without a word to the peer.

        @param error: why; L{None} where the application just wants it so.
        """
        self._enter(self.lifecycle.failed(error))
        self._forget()

    def lost(self) -> None:
        """
        The transport is gone.
        """
        self._enter(self.lifecycle.lost())
        self._forget()

    def _enter(self, lifecycle: Lifecycle) -> None:
        """
        Be in a state.
        """
        self.lifecycle = lifecycle
        self.as_is = (
            lifecycle.may_send
            and not self._sending
            and not lifecycle.client
            and self._deflate is None
        )

    def _forget(self) -> None:
        """
        Keep nothing of messages that nobody wants any more.
        """
        self.read_whole = _nothing
        self._incoming = None
        if self._reader is not None:
            self._reader.forget()

    def _whole(self, first: int, payload: bytes | bytearray | memoryview) -> bytes:
        if self._deflate is not None:
            payload = self._deflate.compress(payload, True)
            first |= RSV1
        return self._frame(first, payload)

    def _send_control(self, opcode: Opcode, payload: bytes) -> bytes:
        if not self.lifecycle.may_send:
            raise self.lifecycle.cannot_send()
        if len(payload) > MAX_CONTROL_PAYLOAD:
            raise LocalProtocolError(
                f"a {opcode.name.lower()} carries {len(payload)} octets, "
                f"more than {MAX_CONTROL_PAYLOAD}"
            )
        return self._frame(FIN | opcode, payload)

    def _frame(self, first: int, payload: bytes | bytearray | memoryview) -> bytes:
        return serialize_frame(first, payload, _keys.next() if self.lifecycle.client else None)

    def _cannot_send(self) -> LocalProtocolError:
        if not self.lifecycle.may_send:
            return self.lifecycle.cannot_send()
        return LocalProtocolError("a message that is sent in pieces is not finished")


def _raising(error: WebSocketProtocolError) -> Iterator[Event]:
    """
    Events of which the first one is an error.
    """
    yield from ()
    raise error


def _sendable(code: int) -> bool:
    # RFC 6455 section 7.4: 1004 is reserved, 1005, 1006 and 1015 never stand in a frame.
    return 1000 <= code <= 1003 or 1007 <= code <= 1014 or 3000 <= code <= 4999


def _parse_close(payload: bytes) -> Close:
    if not payload:
        return Close()
    if len(payload) == 1:
        raise WebSocketProtocolError(
            "a Close frame carries one octet, half a close code", CloseCode.PROTOCOL_ERROR
        )
    code = int.from_bytes(payload[:2], "big")
    if not _sendable(code):
        raise WebSocketProtocolError(
            f"a Close frame has the code {code}, which must not be sent", CloseCode.PROTOCOL_ERROR
        )
    return Close(code, decode_text(payload[2:]))
