"""
The endpoint strings C{fault:}, of servers and of clients: faults strike the connections of any
Twisted program.

The string of the endpoint itself is escaped in it, and each fault is said by its kind::

    fault:tcp\\:8080:latency=delay\\=100ms,jitter\\=20ms:reset=octets\\=1000,first\\=3:seed=7

A kind of which nothing is said has an empty value: C{fault:tcp\\:8080:black-hole=}.
"""

from __future__ import annotations

from functools import partial
from typing import Any

from twisted.internet.interfaces import IReactorTime

from ..base.endpoints import clientEndpoint, serverEndpoint
from ..base.quantities import parseCount
from ..base.wrappingendpoints import WrappingClientEndpoint, WrappingServerEndpoint
from .faults import Faults
from .faulty import FaultyFactory
from .specification import parseFault


def parseServer(
    reactor: Any, endpoint: str = "", seed: str | None = None, **faults: str
) -> WrappingServerEndpoint:
    """
    Make the endpoint of a server's string.

    @param endpoint: the string of the endpoint to listen on.
    @param seed: what decides when faults strike.
    @param faults: by its kind, what there is to say of each fault.
    @raise ValueError: it is none.
    """
    armed = _faults(seed, faults)
    wrap = partial(FaultyFactory, faults=armed, clock=IReactorTime(reactor), changing=False)
    return WrappingServerEndpoint(serverEndpoint(reactor, endpoint), wrap)


def parseClient(
    reactor: Any, endpoint: str = "", seed: str | None = None, **faults: str
) -> WrappingClientEndpoint:
    """
    Make the endpoint of a client's string; as L{parseServer}.
    """
    armed = _faults(seed, faults)
    wrap = partial(
        FaultyFactory, faults=armed, clock=IReactorTime(reactor), server=False, changing=False
    )
    return WrappingClientEndpoint(clientEndpoint(reactor, endpoint), wrap)


def _faults(seed: str | None, faults: dict[str, str]) -> Faults:
    if not faults:
        raise ValueError(
            "no fault is said; a fault: string is written as in "
            "fault:tcp\\:8080:latency=delay\\=100ms"
        )
    chosen = [parseFault(f"{kind}:{said}") for kind, said in faults.items()]
    return Faults(*chosen, seed=None if seed is None else parseCount(seed))
