"""
One direction of a connection: octets to events.

A message is a head, any number of L{Content}, and an L{EndOfMessage}::

    +------+  RequestHead   +---------+  EndOfMessage   +------+
    | head | -------------> | content | --------------> | head |  ...
    +------+  ResponseHead  +---------+                 +------+
                             | Content ^
                             +---------+

Most requests have no content: such a one is complete with its head, and the next event is the next
request's (L{Framing.has_content <netkit.wire.http.framing.Framing>}). A response always has its
end told.

Whoever feeds a receiver asks it for one event at a time, and so decides when the content is taken
and when the next message is; what has not been asked for stays in the receiver as it came.
"""

from __future__ import annotations

import re

from ..errors import HTTPProtocolError
from .content import (
    ChunkedDecoder,
    Content,
    Decoder,
    EndDecoder,
    EndOfMessage,
    LengthDecoder,
    check_content,
)
from .framing import Framing
from .head import RequestHead, RequestHeadParser, ResponseHead, ResponseHeadParser
from .limits import Limits

# A server ignores these before a request (RFC 9112 section 2.2).
_EMPTY_LINES = re.compile(rb"(?:\r\n)*+")
_CR = 13


class _Receiver:
    """
    What the receivers of both roles share: the buffer, the content.

    @ivar buffered: how many of the octets that arrived are in no event yet: the last ones of the
        buffer.
    """

    __slots__ = ("_buffer", "_decoder", "_ended", "_error", "_limits", "buffered")

    def __init__(self, limits: Limits | None = None) -> None:
        """
        @param limits: how large everything may be.
        """
        self._limits = limits or Limits()
        self._buffer = b""
        self.buffered = 0
        self._decoder: Decoder | None = None
        self._ended = False
        # Not the exception, which would lead to the frames of all who were told.
        self._error: tuple[str, int] | None = None

    @property
    def remaining(self) -> int | None:
        """
        How many octets of content are still to come, C{None} where that is not known.
        """
        if self._decoder is None:
            return 0
        return self._decoder.left if isinstance(self._decoder, LengthDecoder) else None

    def receive(self, data: bytes) -> None:
        """
        Take octets that arrived.
        """
        self._buffer = self._rest() + data if self.buffered else data
        self.buffered = len(self._buffer)

    @property
    def _between(self) -> bool:
        """
        Whether nothing of the next message has arrived, and it may.
        """
        return not self.buffered and self._decoder is None and self._error is None

    def receive_end(self) -> None:
        """
        Take the end of what arrives: the peer closed the connection, or its half of it.
        """
        self._ended = True

    def take_content(self) -> bytes | None:
        """
        Take all of the content that is still to come of the message under way: that ends the
        message, and no more is told of it.

        @return: L{None} where the length is not known, or not all has arrived.
        """
        decoder = self._decoder
        if not isinstance(decoder, LengthDecoder) or decoder.left > self.buffered:
            return None
        buffer = self._buffer
        start = len(buffer) - self.buffered
        end = start + decoder.left
        self._decoder = None
        self.buffered = len(buffer) - end
        if not self.buffered:
            self._buffer = b""
        return buffer[start:end]

    def detach(self) -> bytes:
        """
        Give up the octets that are in no event yet: after a change of protocol they belong to it.
        """
        rest, self._buffer, self.buffered = self._rest(), b"", 0
        return rest

    def _rest(self) -> bytes:
        return self._buffer[len(self._buffer) - self.buffered :]

    def _start_content(self, framing: Framing) -> None:
        if framing.chunked:
            self._decoder = ChunkedDecoder(self._limits)
        elif framing.content_length is None:
            self._decoder = EndDecoder(self._limits)
        else:
            check_content(framing.content_length, self._limits.content)
            self._decoder = LengthDecoder(framing.content_length)

    def _next_content(self, decoder: Decoder) -> Content | EndOfMessage | None:
        buffer = self._buffer
        event, end = decoder.decode(buffer, len(buffer) - self.buffered, self._ended)
        self.buffered = len(buffer) - end
        if not self.buffered:
            # Of contents that is much, and the memory is at hand for the next one.
            self._buffer = b""
        if event.__class__ is EndOfMessage:
            self._decoder = None
        return event

    def _check_end(self) -> None:
        """
        A head is not complete: refuse it if the rest will not come.
        """
        if self._ended and self.buffered:
            raise HTTPProtocolError("the connection ended in the middle of a head", 400)


class RequestReceiver(_Receiver):
    """
    What a server receives.
    """

    __slots__ = ("_head",)

    def __init__(self, limits: Limits | None = None) -> None:
        """
        @param limits: how large everything may be.
        """
        super().__init__(limits)
        self._head = RequestHeadParser(self._limits)

    @property
    def method(self) -> bytes | None:
        """
        The method of the latest request, of one that was refused as well; C{None} where its first
        line was not understood.
        """
        return self._head.method

    def receive_alone(self, data: bytes) -> RequestHead | None:
        """
        Take octets that are a request without content, and nothing else: for who wants to know of
        messages, and not what is in them.

        @return: its head, which is the only event of it; C{None} where they are something else:
            it is to be received.
        @raise HTTPProtocolError: as L{next_event} does.
        """
        if not data or data[0] == _CR or not self._between:
            return None
        try:
            found = self._head.parse(data, 0)
        except HTTPProtocolError as error:
            self._error = str(error), error.status
            raise
        if found is None or found[1] != len(data) or found[0].framing.has_content:
            return None
        return found[0]

    def next_event(self) -> RequestHead | Content | EndOfMessage | None:
        """
        Take the next event; C{None} when more octets are needed for one.

        @raise HTTPProtocolError: what arrived is not HTTP, or too much: nothing that follows
            on this connection can be understood, and every further call raises the same.
        """
        if self._error is not None:
            raise HTTPProtocolError(*self._error)
        try:
            if self._decoder is not None:
                return self._next_content(self._decoder)
            if not self.buffered:
                return None
            buffer = self._buffer
            start = len(buffer) - self.buffered
            if buffer[start] == _CR:
                lines = _EMPTY_LINES.match(buffer, start)
                start = lines.end()  # type: ignore[union-attr] # matches nothing too
                self.buffered = len(buffer) - start
            found = self._head.parse(buffer, start)
            if found is None:
                self._check_end()
                return None
            head, end = found
            self.buffered = len(buffer) - end
            if head.framing.has_content:
                self._start_content(head.framing)
            return head
        except HTTPProtocolError as error:
            self._error = str(error), error.status
            raise


class ResponseReceiver(_Receiver):
    """
    What a client receives.
    """

    __slots__ = ("_head", "_interim", "_methods")

    def __init__(self, limits: Limits | None = None) -> None:
        """
        @param limits: how large everything may be.
        """
        super().__init__(limits)
        self._head = ResponseHeadParser(self._limits)
        self._methods: list[bytes] = []
        self._interim = 0

    def request_sent(self, method: bytes) -> None:
        """
        Say that a request was sent: the framing of its response hangs on its method.
        """
        self._methods.append(method)

    def receive_alone(self, data: bytes) -> ResponseHead | None:
        """
        Take octets that are a final response, and nothing else: for who wants to know of messages,
        and not what is in them.

        @return: its head, which is the only event of it; C{None} where they are something else:
            it is to be received.
        @raise HTTPProtocolError: as L{next_event} does.
        """
        if not (data and self._methods and self._between):
            return None
        try:
            found = self._head.parse(data, 0, self._methods[0])
        except HTTPProtocolError as error:
            self._error = str(error), error.status
            raise
        if found is None:
            return None
        head, end = found
        framing = head.framing
        length = framing.content_length
        if head.status < 200 or framing.chunked or length is None or end + length != len(data):
            return None
        check_content(length, self._limits.content)
        self.pass_over()
        return head

    def pass_over(self) -> None:
        """
        Say that the response to the earliest request was read elsewhere, all of it.
        """
        del self._methods[0]
        self._interim = 0

    def next_event(self) -> ResponseHead | Content | EndOfMessage | None:
        """
        Take the next event; C{None} when more octets are needed for one. A 1xx response is a
        message as every other is.

        @raise HTTPProtocolError: what arrived is not HTTP, too much, or answers no request:
            nothing that follows on this connection can be understood, and every further call
            raises the same.
        """
        if self._error is not None:
            raise HTTPProtocolError(*self._error)
        try:
            if self._decoder is not None:
                return self._next_content(self._decoder)
            if not self.buffered:
                return None
            if not self._methods:
                raise HTTPProtocolError("there is a response to no request", 400)
            buffer = self._buffer
            found = self._head.parse(buffer, len(buffer) - self.buffered, self._methods[0])
            if found is None:
                self._check_end()
                return None
            head, end = found
            self.buffered = len(buffer) - end
            if head.status >= 200:
                del self._methods[0]
                self._interim = 0
            elif self._interim == self._limits.interim_responses:
                raise HTTPProtocolError(
                    f"more than {self._interim} interim responses precede the final one", 400
                )
            else:
                self._interim += 1
            self._start_content(head.framing)
            return head
        except HTTPProtocolError as error:
            self._error = str(error), error.status
            raise

    def next_final_head(self) -> ResponseHead | None:
        """
        Take the head of the response that answers the request, and pass over the interim ones
        that precede it: all of 1xx (RFC 9110 section 15.2) but 101, which ends what HTTP is
        spoken on a connection, and but those that frame a content, which no interim response
        does (section 8.6; RFC 9112 section 6.1): nothing follows those. C{None} when more octets
        are needed for it.

        @raise HTTPProtocolError: as L{next_event} does.
        """
        while (event := self.next_event()) is not None:
            if isinstance(event, ResponseHead) and not _is_interim(event):
                return event
        return None


def _is_interim(head: ResponseHead) -> bool:
    return (
        head.status < 200
        and head.status != 101
        and b"content-length" not in head.fields
        and b"transfer-encoding" not in head.fields
    )
