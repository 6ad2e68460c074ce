"""
Faults: what a network, a peer or a service may do wrong, done on purpose and told.

L{FaultyFactory} wraps any factory. Which faults strike is said by L{Fault}s, each made of a
specification such as C{latency:delay=100ms,jitter=20ms,probability=0.5} (L{parseFault}), and kept
in L{Faults}, to which they can be added and from which they can be taken at any time.
"""

from __future__ import annotations

from .faults import Faults
from .faulty import FaultyFactory
from .specification import KINDS, Fault, parseFault

__all__ = ["KINDS", "Fault", "Faults", "FaultyFactory", "parseFault"]
