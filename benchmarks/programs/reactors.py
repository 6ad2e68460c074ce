"""
Which reactor a program is to run on.
"""

from __future__ import annotations

import sys

NAMES = {
    "netkit": "netkit.reactor.UvloopReactor",
    "epoll": "twisted.internet.epollreactor.EPollReactor",
    "asyncio": "twisted.internet.asyncioreactor.AsyncioSelectorReactor",
}


def chosen() -> tuple[str, str]:
    """
    The path of the reactor's class, and the last word of the command line.
    """
    option, address = sys.argv[1:]
    return NAMES[option.removeprefix("--reactor=")], address


def install() -> str:
    """
    Install the reactor.

    @return: the last word of the command line.
    """
    path, address = chosen()
    if path == NAMES["netkit"]:
        import netkit.reactor

        netkit.reactor.install()
    elif path == NAMES["epoll"]:
        from twisted.internet import epollreactor

        epollreactor.install()
    else:
        from twisted.internet import asyncioreactor

        asyncioreactor.install()
    return address
