"""
A relay between clients and a server.

    - L{netkit.forward.relay}: C{RelayFactory}, which passes connections on, with
        - L{netkit.forward.unreachable}: what a client is told when there is nothing to pass it to,
        - L{netkit.forward.hostrewriting}: the Host field of HTTP/1 requests.
    - L{netkit.forward.upstream}: what to connect to for a client, with
        - L{netkit.forward.proxyheader}: the header that says whom a connection is for.
"""

from .relay import RelayFactory, RelayProtocol

__all__ = ["RelayFactory", "RelayProtocol"]
