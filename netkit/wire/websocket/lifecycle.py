"""
The life of a connection, from its opening handshake to its end. All that says what may or must be
done next is here (RFC 6455 sections 4 and 7.1)::

    CONNECTING --opening handshake--> OPEN --a Close frame, or a failure--> CLOSING
        |                                                                      |
        +------------------ the transport's end, at any time -----------------+--> CLOSED
"""

from __future__ import annotations

from enum import IntEnum
from typing import NamedTuple

from ..errors import LocalProtocolError, WebSocketProtocolError
from .events import Close


class State(IntEnum):
    """
    Where a connection is. Names and numbers are those of C{readyState} in browsers.
    """

    #: The opening handshake is not done.
    CONNECTING = 0
    #: Messages go both ways.
    OPEN = 1
    #: One side has sent its Close frame, or failed the connection. We can send until we sent ours.
    CLOSING = 2
    #: The transport is gone.
    CLOSED = 3


class Closure(NamedTuple):
    """
    How a connection was closed, as opposed to lost.

    @ivar code: the close code of the side that closed first.
    @ivar reason: its reason.
    @ivar by_peer: whether that was the peer; else we closed, perhaps for what the peer did.
    """

    code: int
    reason: str
    by_peer: bool


class NotConnected(LocalProtocolError):
    """
    Something was to be sent while nothing can be: the opening handshake is not done, or our Close
    frame was sent, or the connection is lost.

    @ivar state: the L{State} of the connection.
    """

    def __init__(self, message: str, state: State) -> None:
        """
        @param message: what cannot be done, and why.
        @param state: the state of the connection.
        """
        super().__init__(message)
        self.state = state


class Lifecycle:
    """
    The state of one side of a connection, and how far its closing handshake is.

    @ivar state: the state.
    @ivar close_sent: the Close frame that we sent, once we did.
    @ivar close_received: the Close frame that the peer sent, once it arrived.
    @ivar failure: why we failed the connection, if we did.
    @ivar may_send: whether frames may be sent.
    @ivar discards: whether the messages that arrive are of no use any more.
    @ivar receives: whether anything is that arrives, be it the peer's Close frame alone.
    """

    __slots__ = (
        "_client",
        "_closed_by_peer",
        "close_received",
        "close_sent",
        "discards",
        "failure",
        "may_send",
        "receives",
        "state",
    )

    def __init__(self, client: bool) -> None:
        """
        @param client: whether we are the client; else the server.
        """
        self._client = client
        self._closed_by_peer = False
        self.state = State.CONNECTING
        self.close_sent: Close | None = None
        self.close_received: Close | None = None
        self.failure: WebSocketProtocolError | None = None
        self.may_send = self.receives = self.discards = False

    # What happens

    def opened(self) -> None:
        """
        The opening handshake is done.
        """
        self._enter(State.OPEN)
        self.may_send = self.receives = True

    def sent_close(self, close: Close) -> None:
        """
        We sent our Close frame.
        """
        self.close_sent = close
        self.may_send = False
        self.discards = self.discards or self._exchanged
        self._enter(State.CLOSING)

    def received_close(self, close: Close) -> None:
        """
        The peer's Close frame arrived.
        """
        self._closed_by_peer = self.close_sent is None
        self.close_received = close
        self.receives = False
        self.discards = self.discards or self._exchanged
        self._enter(State.CLOSING)

    def discard(self) -> None:
        """
        The application wants no more messages.
        """
        self.discards = True

    def failed(self, error: WebSocketProtocolError | None) -> None:
        """
        The connection is to end without a closing handshake (section 7.1.7).

        @param error: why; L{None} where the application just wants it gone.
        """
        self.failure = self.failure or error
        self.may_send = self.receives = False
        self.discards = True
        self._enter(State.CLOSING)

    def lost(self) -> None:
        """
        The transport is gone.
        """
        self.may_send = self.receives = False
        self.discards = True
        self._enter(State.CLOSED)

    # What is next

    @property
    def answers_pings(self) -> bool:
        """
        Whether the peer would answer a ping, and we may send it.
        """
        return self.state is State.OPEN

    @property
    def must_close(self) -> bool:
        """
        Whether we have to close the transport now, which is for the server (section 7.1.1). The
        peer may still be sending where we failed the connection.
        """
        return not self._client and self._exchanged and self.state is State.CLOSING

    @property
    def close_expected(self) -> bool:
        """
        Whether all that is waited for is the peer's Close frame, or the transport's end: there is
        to be a limit to the time that takes.
        """
        return self.discards and not self.must_close and self.state is State.CLOSING

    @property
    def closure(self) -> Closure | None:
        """
        How the connection was closed; L{None} where it was not.
        """
        if self.failure is not None:
            return Closure(self.failure.code, str(self.failure), False)
        if self.close_received is None:
            return None
        first = self.close_received if self._closed_by_peer else self.close_sent
        assert first is not None
        return Closure(*first, self._closed_by_peer)

    def cannot_send(self) -> NotConnected:
        """
        Make the error for what is to be sent while L{may_send} is false.
        """
        if self.state is State.CONNECTING:
            problem = "before the opening handshake is done"
        elif self.close_sent is not None:
            problem = "after the Close frame"
        else:
            problem = "any more: the connection is gone"
        return NotConnected(f"nothing can be sent {problem}", self.state)

    @property
    def _exchanged(self) -> bool:
        if self.failure is not None:
            return True
        return self.close_sent is not None and self.close_received is not None

    def _enter(self, state: State) -> None:
        """
        Go on to a state; there is no way back.
        """
        self.state = max(self.state, state)
