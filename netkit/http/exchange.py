"""
What became of requests, for whoever counts or logs them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple, Protocol, TypeAlias

from ..wire.http import RequestHead


class Exchange(NamedTuple):
    """
    A request and the response to it, when that is over.

    @ivar head: the head of the request; C{None} where what came was none.
    @ivar status: the status of the response; 499 where the client left before, as nginx has it.
    @ivar octets: how many octets of content were sent.
    @ivar seconds: how long it took, from when the head of the request had arrived, and the
        exchange before it was over, to the last octet of the response being written.
    @ivar ended: when it was over, by the clock of the factory.
    @ivar transport: the transport of the connection.
    """

    head: RequestHead | None
    status: int
    octets: int
    seconds: float
    ended: float
    transport: Any


#: Who is told of exchanges: with the values of an L{Exchange} in their order, since to make one
#: costs more than to count it.
ExchangeDone: TypeAlias = Callable[[RequestHead | None, int, int, float, float, Any], object]


class Observer(Protocol):
    """
    Who is told what a connection does. An error of C{done} is logged; the others, which are called
    for every piece, are not to raise any.

    It may have an L{Answered} as well, C{answered}: that is told, of most responses that are
    written whole, what C{sent} and C{done} would be.
    """

    def received(self, data: bytes, /) -> object:
        """
        Octets arrived.
        """

    def sent(self, data: bytes, /) -> object:
        """
        Octets were written.
        """

    def sentFile(self, octets: int, /) -> object:
        """
        So many octets of a file were sent.
        """

    def begun(self) -> object:
        """
        A request is under way, or waits, which is not answered at once, as most are: what arrives
        from here on belongs to it, or waits for its end.
        """

    def done(self, head: RequestHead | None, status: int, octets: int, /) -> object:
        """
        An exchange is over: the first values of an L{Exchange}.
        """


#: Who is told that a request was answered: its head, with the request line and the header section
#: of that, the status, how many octets of content were sent, and all that was written. An error is
#: logged.
Answered: TypeAlias = Callable[[RequestHead, bytes, bytes, int, int, bytes], object]


def answeredOf(observer: Observer) -> Answered:
    """
    Tell who is to be told, of an observer's, that a request was answered.
    """

    def both(
        head: RequestHead, line: bytes, section: bytes, status: int, octets: int, data: bytes
    ) -> None:
        observer.sent(data)
        observer.done(head, status, octets)

    found: Answered = getattr(observer, "answered", both)
    return found


#: Makes of the transport of a connection who is told what that does.
Observe: TypeAlias = Callable[[Any], Observer]


class ExchangeTeller:
    """
    Tells of a connection's exchanges alone, with all of their values.
    """

    def __init__(
        self, exchangeDone: ExchangeDone, seconds: Callable[[], float], transport: Any
    ) -> None:
        """
        @param exchangeDone: who is told.
        @param seconds: tells the time.
        @param transport: the transport of the connection.
        """
        self._exchangeDone = exchangeDone
        self._seconds = seconds
        self._transport = transport
        self._began = 0.0
        self._busy = False

    def received(self, data: bytes, /) -> None:
        if not self._busy:
            self._began = self._seconds()

    def sent(self, data: bytes, /) -> None:
        """
        Nobody is told.
        """

    def sentFile(self, octets: int, /) -> None:
        """
        Nobody is told.
        """

    def begun(self) -> None:
        self._busy = True

    def done(self, head: RequestHead | None, status: int, octets: int, /) -> None:
        now = self._seconds()
        # A clock may be set back.
        seconds = 0.0 if head is None else max(0.0, now - self._began)
        self._began, self._busy = now, False
        self._exchangeDone(head, status, octets, seconds, now, self._transport)

    def answered(
        self,
        head: RequestHead,
        line: bytes,
        section: bytes,
        status: int,
        octets: int,
        data: bytes,
        /,
    ) -> None:
        self.done(head, status, octets)
