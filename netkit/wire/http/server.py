"""
A server's side of a connection: whose turn it is, and what becomes of the connection.

What is taken of that which arrives, and what is sent, are two states, which meet where a request
and its response are both over::

    reading   HEAD -> CONTENT -> COMPLETE -> HEAD ...
    writing   IDLE -> RESPONSE -> CONTENT -> IDLE ...

A response may be sent before its request is whole. The rest of the content is then read and
dropped, where it is short (DISCARDED); otherwise the connection ends with the response.

All decisions are made here: whether the connection persists (RFC 9112 section 9.3), when 100
(Continue) is sent (RFC 9110 section 10.1.1), what errors lead to, who closes and how. Whoever
has a L{ServerConnection} feeds it, takes its events, sends what it gives, and closes when
C{closing} says so.
"""

from __future__ import annotations

from collections.abc import Iterable
from enum import Enum

from ..errors import HTTPProtocolError, LocalProtocolError
from .connection import RequestReceiver
from .content import Content, EndOfMessage
from .fields import show
from .head import RequestHead
from .limits import Limits
from .response import CONTINUE, ContentEncoder, ResponseMessage

Event = RequestHead | Content | EndOfMessage | HTTPProtocolError

# After a response that did not wait for the content, this many octets of that are read and dropped
# to keep the connection; for more, closing it is cheaper.
_MAX_DISCARDED = 65536


class Reading(Enum):
    """
    What is taken of that which arrives.
    """

    #: The head of a request, of which nothing may be there yet.
    HEAD = "head"
    #: The content of the request under way, as far as it is wanted.
    CONTENT = "content"
    #: The rest of it, which is dropped: the request is answered.
    DISCARDED = "discarded"
    #: Nothing: the request under way is whole, the next one waits for the response.
    COMPLETE = "complete"
    #: Nothing any more.
    CLOSED = "closed"
    #: Nothing: it is in another protocol.
    SWITCHED = "switched"


class Writing(Enum):
    """
    What is sent.
    """

    #: Nothing: there is no request to answer.
    IDLE = "idle"
    #: The head of a response, which a request waits for.
    RESPONSE = "response"
    #: The content of a response, of which the head is sent.
    CONTENT = "content"
    #: Nothing: the response is sent whole, the rest of its request is waited for.
    COMPLETE = "complete"
    #: Nothing any more.
    CLOSED = "closed"
    #: Nothing: it is in another protocol.
    SWITCHED = "switched"


class Closing(Enum):
    """
    How to close a connection.
    """

    #: As soon as all is sent.
    FLUSH = "flush"
    #: So too, but the client may still be sending: its octets are read and dropped until it closes
    #: or has had time to, since closing at once would reset the connection, and the response
    #: with it (RFC 9112 section 9.6).
    LINGER = "linger"
    #: At once: a response is cut short, which nothing else tells in every framing.
    ABORT = "abort"


# A member of an Enum is looked up more slowly than a name.
_HEAD, _CONTENT, _DISCARDED = Reading.HEAD, Reading.CONTENT, Reading.DISCARDED
_COMPLETE, _CLOSED = Reading.COMPLETE, Reading.CLOSED
_IDLE, _RESPONSE = Writing.IDLE, Writing.RESPONSE


class ServerConnection:
    """
    One connection of a server.

    @ivar receiver: what has arrived, as far as it is in no event yet.
    @ivar reading: what is taken of that which arrives.
    @ivar writing: what is sent.
    @ivar closing: how to close the connection, once nothing more is to be sent; C{None} till then.
    @ivar ended: whether what arrives has ended.
    """

    __slots__ = (
        "_allow_half_open",
        "_content_started",
        "_content_wanted",
        "_continue_expected",
        "_encoder",
        "_error",
        "_head",
        "_keep_alive",
        "_refused_methods",
        "closing",
        "ended",
        "reading",
        "receiver",
        "writing",
    )

    def __init__(
        self,
        limits: Limits | None = None,
        *,
        refused_methods: frozenset[bytes] = frozenset(),
        allow_half_open: bool = False,
    ) -> None:
        """
        @param limits: how large everything may be.
        @param refused_methods: the methods that are answered 501.
        @param allow_half_open: whether a client that has ended what it sends is still answered.
        """
        self.receiver = RequestReceiver(limits)
        self._refused_methods = refused_methods
        self._allow_half_open = allow_half_open
        self.reading = _HEAD
        self.writing = _IDLE
        self.closing: Closing | None = None
        self.ended = False
        self._keep_alive = True
        # Of the exchange under way: the head of its request, what is wrong with its content (no
        # exception, which would lead to the frames of all who were told), what encodes the content
        # of its response.
        self._head: RequestHead | None = None
        self._continue_expected = self._content_wanted = self._content_started = False
        self._error: tuple[str, int] | None = None
        self._encoder: ContentEncoder | None = None

    # What is the case

    @property
    def wants_input(self) -> bool:
        """
        Whether what arrives next is taken, rather than kept.
        """
        reading = self.reading
        return reading is _HEAD or reading is _DISCARDED or self._content_wanted

    @property
    def abandoned(self) -> bool:
        """
        Whether a response is awaited for a client that has gone away, as the end of what it sends
        tells.
        """
        return self.ended and not self._allow_half_open and self._answers()

    def _answers(self) -> bool:
        return self.writing is _RESPONSE or self.writing is Writing.CONTENT

    # What arrives

    def receive(self, data: bytes) -> None:
        """
        Take octets that arrived.
        """
        if self.reading is not _CLOSED:
            self.receiver.receive(data)

    def receive_end(self) -> None:
        """
        Take the end of what arrives.
        """
        self.ended = True
        self.receiver.receive_end()

    def next_event(self) -> Event | None:
        """
        Take the next event.

        @return: the head of a request, which is to be answered; what L{want_content} asked for; or
            an error: where no request is under way, it is to be answered, else it is for who
            wants the content. C{None}: nothing to do until something is received or done.
        """
        reading = self.reading
        if reading is _HEAD:
            if not self.receiver.buffered:
                if self.ended:
                    self._close(Closing.FLUSH)
                return None
        elif reading is _CONTENT:
            if not self._content_wanted:
                return None
        elif reading is not _DISCARDED:
            return self._known_error()
        try:
            event = self.receiver.next_event()
        except HTTPProtocolError as error:
            self.fail(error)
            # Whoever dropped the content is not to be told.
            return None if reading is _DISCARDED else error
        if event.__class__ is RequestHead:
            self._head = event
            self.writing = _RESPONSE
            if event.framing.has_content:
                self.reading = _CONTENT
                self._content_started = False
                self._continue_expected = event.framing.expects_continue
            else:
                self.reading = _COMPLETE
            if event.method in self._refused_methods:
                return self._refused(event)
        elif event.__class__ is Content:
            self._content_started = True
            # Some octets are the framing of chunks alone.
            if event.data:
                self._content_wanted = False
        elif event is not None:
            self._completed()
        elif self.ended and reading is _HEAD:
            # Empty lines, and no request behind them.
            self._close(Closing.FLUSH)
        return event

    def _refused(self, head: RequestHead) -> HTTPProtocolError:
        # Of CONNECT, for one, nobody knows whether what follows is HTTP.
        self._close_reading()
        return HTTPProtocolError(f"the method {show(head.method)} is not implemented here", 501)

    def _completed(self) -> None:
        self._content_started = True
        self._content_wanted = False
        self.reading = _COMPLETE
        if self.writing is Writing.COMPLETE:
            self._end_exchange()

    def _known_error(self) -> HTTPProtocolError | None:
        if self._error is None or not self._content_wanted:
            return None
        self._content_wanted = False
        return HTTPProtocolError(*self._error)

    def want_content(self, wanted: bool = True) -> bytes:
        """
        Say whether somebody waits for a piece of the content of the request under way.

        @param wanted: whether.
        @return: octets to send: 100 (Continue), where the client waits for it.
        """
        self._content_wanted = wanted
        if not (wanted and self._continue_expected):
            return b""
        self._continue_expected = False
        # Who has begun to send, or to read the response, waits no longer.
        return b"" if self.receiver.buffered or self.writing is not _RESPONSE else CONTINUE

    def take_content(self) -> bytes | None:
        """
        Take all of the content that is still to come of the request under way: that ends it, and
        no event tells of it any more.

        @return: C{None} where the length is not known, or not all has arrived: L{want_content}
            asks for that.
        """
        content = self.receiver.take_content() if self.reading is _CONTENT else None
        if content is not None:
            self._completed()
        return content

    def fail(self, error: HTTPProtocolError) -> None:
        """
        Understand no more of what arrives, and take none of it: it is not sound, or too much. The
        request under way can still be answered, and the connection ends with that.

        @param error: what to tell who wants its content.
        """
        reading = self.reading
        if self.closing is not None or reading is Reading.SWITCHED:
            return
        self._close_reading()
        if reading is _HEAD:
            # The answer to what is no request.
            self.writing = _RESPONSE
        elif self.writing is Writing.COMPLETE:
            self._close(Closing.LINGER)
        self._error = str(error), error.status

    def time_out(self, seconds: float) -> HTTPProtocolError | None:
        """
        Say that what was awaited from the client did not come in time.

        @param seconds: what its time was.
        @return: as from L{next_event}.
        """
        if self.reading is _DISCARDED:
            self._close(Closing.ABORT)
            return None
        if not self.wants_input:
            return None
        what = "head" if self.reading is _HEAD else "content"
        error = HTTPProtocolError(f"the {what} did not arrive within {seconds:g} seconds", 408)
        self.fail(error)
        return error

    # What is sent

    def respond(self, response: ResponseMessage, date_line: bytes) -> bytes:
        """
        Answer the request under way, or what was none.

        @param response: the answer, all of it.
        @param date_line: the field line that says the date.
        @return: octets to send.
        """
        head = self._head
        if self.reading is _CONTENT:
            self._discard_content()
        if response.closes or not (head is None or head.framing.keep_alive):
            self._keep_alive = False
        method = self.receiver.method if head is None else head.method
        octets = response.encode(method, head, date_line, self._keep_alive)
        if self._keep_alive and self.reading is _COMPLETE:
            # As in _end_exchange: without that call, since it is nearly always so.
            self._head = None
            self.reading, self.writing = _HEAD, _IDLE
        else:
            self._end_exchange()
        return octets

    def start_response(
        self, response: ResponseMessage, length: int | None, date_line: bytes
    ) -> bytes:
        """
        Answer the request under way with content that comes little by little. Meanwhile its own
        content can still be read.

        @param response: the answer, without content.
        @param length: how many octets there will be, if that is known.
        @param date_line: the field line that says the date.
        @return: octets to send.
        """
        head = self._head
        assert head is not None
        self._encoder = encoder = ContentEncoder(head.minor, length)
        if response.closes or not (head.framing.keep_alive and encoder.keeps_connection):
            self._keep_alive = False
        self.writing = Writing.CONTENT
        return response.encode_head(head, date_line, self._keep_alive, encoder.line)

    def send_content(self, data: bytes) -> bytes:
        """
        Send a piece of the content.

        @return: octets to send.
        @raise LocalProtocolError: it is more than the length said.
        """
        if self._encoder is None or self.writing is not Writing.CONTENT:
            raise LocalProtocolError("the response is over, and its content with it")
        return self._encoder.encode(data)

    def takes_verbatim(self, octets: int) -> bool:
        """
        Tell whether content can be sent as it is: in no chunks, and no more than the length said.

        @param octets: how many octets.
        """
        return self._encoder is not None and self._encoder.takes_verbatim(octets)

    def content_sent(self, octets: int) -> None:
        """
        Take note of content that was sent as it is, as L{takes_verbatim} allows, by other means.

        @param octets: how many octets.
        @raise LocalProtocolError: it is more than the length said.
        """
        if self._encoder is not None:
            self._encoder.count(octets)

    def end_response(self, trailers: Iterable[tuple[bytes, bytes]] = ()) -> bytes:
        """
        Send the end of the content.

        @param trailers: the trailer section.
        @return: octets to send.
        @raise LocalProtocolError: the content is less than the length said, or a trailer not to be
            sent.
        """
        assert self._encoder is not None
        octets = self._encoder.finish(trailers)
        if self.reading is _CONTENT:
            self._discard_content()
        self._end_exchange()
        return octets

    def _discard_content(self) -> None:
        """
        The content of the request under way is not read: drop what has arrived of it, and see
        whether the rest is worth waiting for (RFC 9112 section 9.3).
        """
        self.reading = _DISCARDED
        while self.reading is _DISCARDED and self.next_event() is not None:
            pass
        if self.reading is not _DISCARDED:
            return
        remaining = self.receiver.remaining
        # A client that waits for 100 (Continue) may or may not send the content now.
        if self._continue_expected or remaining is None or remaining > _MAX_DISCARDED:
            self._keep_alive = False

    def switch(self, answered: bool) -> bytes:
        """
        Go on in another protocol (RFC 9110 section 7.8), as soon as the response is sent.

        @param answered: whether the request is answered with 101 (Switching Protocols) before. If
            not, the other protocol gets it and answers by itself.
        @return: what the other protocol is to receive first.
        @raise LocalProtocolError: the client did not offer that, or what the other protocol would
            have to receive is gone, or not there yet.
        """
        head = self._head
        assert head is not None
        if answered:
            if self.reading is _CONTENT:
                self._discard_content()
            possible = self.reading is _COMPLETE and head.framing.upgrade
        else:
            started = head.framing.has_content and self._content_started
            possible = not started and self.reading in (_CONTENT, _COMPLETE)
        if not possible:
            raise LocalProtocolError(f"{head} cannot be answered by an upgrade")
        self.reading, self.writing = Reading.SWITCHED, Writing.SWITCHED
        rest = self.receiver.detach()
        return rest if answered else head.raw + rest

    # The end

    def retire(self) -> None:
        """
        Close the connection behind the next response, or that to the request under way.
        """
        self._keep_alive = False

    def stop(self) -> None:
        """
        Take no further request: the request under way is answered, and the connection closed.
        """
        self._keep_alive = False
        if self.reading is _HEAD:
            self._close(Closing.FLUSH)

    def abandon(self) -> None:
        """
        Send no more, although a response is awaited or only begun.
        """
        if self._answers():
            cut = self.writing is Writing.CONTENT
            self._close(Closing.ABORT if cut else Closing.FLUSH)

    def lost(self) -> None:
        """
        The connection is gone.
        """
        self._close(Closing.ABORT)

    def _end_exchange(self) -> None:
        """
        The response is sent.
        """
        self._head = None
        if self._keep_alive:
            if self.reading is _COMPLETE:
                self.reading, self.writing = _HEAD, _IDLE
            else:
                self.writing = Writing.COMPLETE
        elif self.reading is _COMPLETE and not self.receiver.buffered:
            self._close(Closing.FLUSH)
        else:
            self._close(Closing.LINGER)

    def _close_reading(self) -> None:
        self.reading = Reading.CLOSED
        self.receiver.detach()
        self._keep_alive = self._content_wanted = False

    def _close(self, how: Closing) -> None:
        self._close_reading()
        self.writing = Writing.CLOSED
        self._head = None
        # Whoever has ended what it sends has nothing to be waited for.
        self.closing = Closing.FLUSH if how is Closing.LINGER and self.ended else how
