"""
The uvloop reactor: any Twisted program on uvloop's event loop, with what moves octets in C under
every TCP and UNIX connection.

Selected with C{twistd --reactor=uvloop}, or with L{install} before anything imports
C{twisted.internet.reactor}::

    import netkit.reactor
    netkit.reactor.install()

What is where:

  - C{core}: L{UvloopReactor} itself: run, stop, crash, threads, and which class serves what
  - C{turn}: what all connections share in a turn of the loop
  - C{timers}: delayed calls on uvloop's timers
  - C{channels}: what reads and writes the sockets, in C and in Python
  - C{stream}: what a connection is once a channel moves its octets
  - C{accepting}: ports, and their sockets
  - C{tcp}, C{unix}: the connections, ports and connectors that use them
  - C{children}: child processes, each watched on its own
"""

from __future__ import annotations

try:
    from netkit.reactor.core import UvloopReactor, install
except ModuleNotFoundError as missing:
    if missing.name != "uvloop":
        raise
    raise ModuleNotFoundError(
        "uvloop is not installed (pip install uvloop)", name="uvloop"
    ) from None

__all__ = ["UvloopReactor", "install"]
