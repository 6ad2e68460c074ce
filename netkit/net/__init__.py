"""
Node's C{net}, awaitable: TCP and UNIX servers and clients without a Protocol class.

From the outside in:

    - L{netkit.net.service}: C{ServerService}, a server as a part of an Application.
    - L{netkit.net.server}: C{createServer} and C{Server}.
    - L{netkit.net.client}: C{createConnection}, with
        - L{netkit.net.blocking}: what is not connected to.
    - L{netkit.net.accesslist}: who may connect, or be connected to.
    - L{netkit.net.socket}: C{Socket}, one connection, made of
        - L{netkit.net.receivebuffer}: what arrived,
        - L{netkit.net.sendbuffer}: what was written,
        - L{netkit.net.piping}: two of them as the ends of a pipe.
    - L{netkit.net.protocol}: Twisted's events of a connection, made a socket's.
    - L{netkit.net.errors}: what goes wrong.
"""

from ..base.budget import BudgetExceededError
from ..base.sockopts import PeerCredentials
from .client import createConnection
from .errors import (
    AddressBlockedError,
    IncompleteReadError,
    LimitExceededError,
    WriteAfterEndError,
)
from .piping import Piped
from .server import Server, createServer
from .service import ServerService
from .socket import Socket

__all__ = [
    "AddressBlockedError",
    "BudgetExceededError",
    "IncompleteReadError",
    "LimitExceededError",
    "PeerCredentials",
    "Piped",
    "Server",
    "ServerService",
    "Socket",
    "WriteAfterEndError",
    "createConnection",
    "createServer",
]
