"""
netkit's relay: C{netkit_forward.py ... --to=PORT PORT}.
"""

from __future__ import annotations

import sys

from twisted.internet.interfaces import IProtocolFactory
from twisted_listen import serve


def relay(flags: set[str]) -> IProtocolFactory:
    """
    Make the factory, once there is a reactor.
    """
    from twisted.internet import reactor

    from netkit.base.endpoints import clientEndpoint
    from netkit.forward import RelayFactory

    port = next(word for word in sys.argv if word.startswith("--to=")).removeprefix("--to=")
    return RelayFactory(clientEndpoint(reactor, f"tcp:127.0.0.1:{port}"))


serve(relay)
