"""
What the connections of one reactor share in a turn of its loop.
"""

from __future__ import annotations

from asyncio import AbstractEventLoop
from collections.abc import Callable
from contextvars import Context, copy_context
from typing import Any

from netkit.reactor.channels import Poller

# How often a producer may be asked for more when a turn ends, before the others have theirs.
_ROUNDS = 4


class LogContext(dict[str, str]):
    """
    The log context of a reactor's thread: sets an event's C{system} to the connection whose
    callback is running, as C{callWithLogger} does elsewhere, at the cost of two assignments.
    """

    __slots__ = ("_turn",)

    def __init__(self, turn: Turn) -> None:
        """
        @param turn: knows the connection.
        """
        super().__init__(system="-")
        self._turn = turn

    def __getitem__(self, key: str) -> str:
        connection = self._turn.current
        if key == "system" and connection is not None:
            prefix: str = connection.logPrefix()
            return prefix
        return super().__getitem__(key)

    def copy(self) -> dict[str, str]:
        """
        What an event is made from.
        """
        return {"system": self["system"]}


class Turn(Poller):
    """
    The state of a turn of the loop, in which the channels of connections are polled.

    @ivar loop: the uvloop event loop.
    @ivar context: in which everything runs that is not a connection's callback: the same for all,
        as under any other reactor, and not each time a copy of the one in which it was asked for.
    @ivar connecting: the context for the connection that is being made.
    @ivar natives: the connections whose socket a channel has, and the ports whose socket uvloop
        watches.
    """

    __slots__ = (
        "_polling",
        "_unflushed",
        "connecting",
        "context",
        "loop",
        "natives",
    )

    def __init__(self, loop: AbstractEventLoop) -> None:
        """
        @param loop: the uvloop event loop.
        """
        super().__init__()
        self.loop = loop
        self.context = copy_context()
        self.connecting: Context = self.context
        self.natives: set[Any] = set()
        self._polling = False
        self._unflushed: list[Any] = []

    def update(self) -> None:
        """
        Take into the shared context what was set in the current one.
        """
        for variable, value in copy_context().items():
            self.context.run(variable.set, value)

    def connect(self, made: Callable[..., Any], *args: Any) -> Any:
        """
        Call what makes a connection, in a new context: all callbacks of the connection, from
        C{connectionMade} to C{connectionLost}, run in it, and those of no other.
        """
        self.connecting = self.context.copy()
        try:
            return self.connecting.run(made, *args)
        finally:
            self.connecting = self.context

    def flushSoon(self, stream: Any) -> None:
        """
        Call C{stream.turnEnded} when this turn is over.
        """
        if not self.ending:
            self.expectEnd()
        self._unflushed.append(stream)

    def expectEnd(self) -> None:
        """
        Count the next turn as another one.
        """
        self.ending = True
        if not self._polling:
            self.loop.call_soon(self._ended, context=self.context)

    def serve(self) -> None:
        """
        Have connections receive and send what they can now: a turn of its own.
        """
        ending = self.ending
        self._polling = True
        try:
            self.poll()
        finally:
            self._polling = False
            if self.ending and not ending:
                self._ended()

    def _ended(self) -> None:
        try:
            # Where all was sent, the next round has what was written when that was told.
            for _ in range(_ROUNDS):
                unflushed, self._unflushed = self._unflushed, []
                for stream in unflushed:
                    stream.turnEnded()
                if not self._unflushed:
                    break
        finally:
            self.ending = False
            self.number += 1
            if self._unflushed:
                self.expectEnd()
