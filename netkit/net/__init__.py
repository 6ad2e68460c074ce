"""
Node's C{net}, awaitable: TCP and UNIX servers and clients without a Protocol class.

From the outside in:

    - L{netkit.net.service}: C{ServerService}, a server as a part of an Application.
    - L{netkit.net.server}: C{createServer} and C{Server}, with
        - L{netkit.net.networks}: who may connect,
        - L{netkit.net.binding}: how its sockets are bound.
    - L{netkit.net.client}: C{createConnection}.
    - L{netkit.net.socket}: C{Socket}, one connection, made of
        - L{netkit.net.inbox}: what arrived,
        - L{netkit.net.outbox}: what was written,
        - L{netkit.net.idle}: the time nothing moved,
        - L{netkit.net.system}: what the operating system does for it.
    - L{netkit.net.protocol}: Twisted's events of a connection, made a socket's.
    - L{netkit.net.waiting}: Deferreds that wait for the same.
    - L{netkit.net.errors}: what goes wrong.
"""

from .client import createConnection
from .errors import IncompleteReadError, LimitExceededError, WriteAfterEndError
from .server import Server, createServer
from .service import ServerService
from .socket import Socket
from .system import PeerCredentials

__all__ = [
    "IncompleteReadError",
    "LimitExceededError",
    "PeerCredentials",
    "Server",
    "ServerService",
    "Socket",
    "WriteAfterEndError",
    "createConnection",
    "createServer",
]
