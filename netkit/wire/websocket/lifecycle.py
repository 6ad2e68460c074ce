"""
The life of a connection, from its opening handshake to its end. All that says what may or must be
done next is here (RFC 6455 sections 4 and 7.1)::

    CONNECTING --opening handshake--> OPEN --a Close frame, or a failure--> CLOSING
        |                                                                      |
        +------------------ the transport's end, at any time -----------------+--> CLOSED
"""

from __future__ import annotations

from dataclasses import dataclass, replace
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


@dataclass(frozen=True, slots=True)
class Lifecycle:
    """
    The state of one side of a connection, and how far its closing handshake is: a value, from
    which each thing that happens leads to another one. All connections that are open share one.

    @ivar client: whether we are the client; else the server.
    @ivar state: the state.
    @ivar may_send: whether frames may be sent.
    @ivar receives: whether what arrives matters, be it the peer's Close frame alone.
    @ivar discards: whether the messages that arrive do not.
    @ivar close_sent: the Close frame that we sent, once we did.
    @ivar close_received: the Close frame that the peer sent, once it arrived.
    @ivar closed_by_peer: whether it arrived before we sent ours.
    @ivar failure: why we failed the connection, if we did.
    """

    client: bool
    state: State = State.CONNECTING
    may_send: bool = False
    receives: bool = False
    discards: bool = False
    close_sent: Close | None = None
    close_received: Close | None = None
    closed_by_peer: bool = False
    failure: WebSocketProtocolError | None = None

    # What happens

    @staticmethod
    def connecting(client: bool) -> Lifecycle:
        """
        The opening handshake begins.
        """
        return _CONNECTING[client]

    def opened(self) -> Lifecycle:
        """
        The opening handshake is done.
        """
        return _OPEN[self.client]

    def sent_close(self, close: Close) -> Lifecycle:
        """
        We sent our Close frame.
        """
        return replace(
            self,
            state=State.CLOSING,
            may_send=False,
            discards=self.discards or self.close_received is not None,
            close_sent=close,
        )

    def received_close(self, close: Close) -> Lifecycle:
        """
        The peer's Close frame arrived.
        """
        return replace(
            self,
            state=State.CLOSING,
            receives=False,
            discards=self.discards or self.close_sent is not None,
            close_received=close,
            closed_by_peer=self.close_sent is None,
        )

    def discarding(self) -> Lifecycle:
        """
        The application wants no more messages.
        """
        return replace(self, discards=True)

    def failed(self, error: WebSocketProtocolError | None) -> Lifecycle:
        """
        The connection is to end without a closing handshake (section 7.1.7).

        @param error: why; L{None} where the application just wants it gone.
        """
        return replace(
            self,
            state=State.CLOSING,
            may_send=False,
            receives=False,
            discards=True,
            failure=self.failure or error,
        )

    def lost(self) -> Lifecycle:
        """
        The transport is gone.
        """
        if self is _OPEN[self.client]:
            return _LOST[self.client]
        return replace(self, state=State.CLOSED, may_send=False, receives=False, discards=True)

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
        return not self.client and self._exchanged and self.state is State.CLOSING

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
        first = self.close_received if self.closed_by_peer else self.close_sent
        assert first is not None
        return Closure(*first, self.closed_by_peer)

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


_CONNECTING = tuple(Lifecycle(client) for client in (False, True))
_OPEN = tuple(
    Lifecycle(client, State.OPEN, may_send=True, receives=True) for client in (False, True)
)
# What most connections come to, for which another value each would be made.
_LOST = tuple(Lifecycle(client, State.CLOSED, discards=True) for client in (False, True))
