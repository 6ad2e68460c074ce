"""
How the connections of an HTTP server are to behave.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any

from twisted.internet.defer import Deferred

from ..wire.http import Limits
from .exchange import Observe
from .refusals import RefusalResponse
from .request import Request
from .response import Response, Upgrade

#: What a handler leads to.
HandlerResult = Response | Upgrade

#: What answers requests.
Handler = Callable[
    [Request],
    HandlerResult
    | Deferred[Response]
    | Deferred[Upgrade]
    | Deferred[HandlerResult]
    | Coroutine[Deferred[Any], Any, HandlerResult],
]


@dataclass(frozen=True, slots=True)
class HTTPSettings:
    """
    What all connections of a factory share; as the arguments of L{HTTPFactory
    <netkit.http.HTTPFactory>}.
    """

    handler: Handler
    limits: Limits
    headTimeout: float
    contentTimeout: float
    refusedMethods: frozenset[bytes]
    allowHalfOpen: bool
    refusal: RefusalResponse
    observe: Observe | None
