"""
What became of a request, for whoever counts or logs them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple, TypeAlias

from ..wire.http import RequestHead


class Exchange(NamedTuple):
    """
    A request and the response to it, when that is over.

    @ivar head: the head of the request; C{None} where what came was none.
    @ivar status: the status of the response; 499 where the client left before, as nginx has it.
    @ivar octets: how many octets of content were sent.
    @ivar seconds: how long it took, from the head of the request to the last octet of the response
        being written.
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
