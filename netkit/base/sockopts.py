"""
What a socket asks of the operating system, through a transport's public interfaces.
"""

from __future__ import annotations

import select
import socket
import struct
from enum import Enum
from typing import NamedTuple, cast

from twisted.internet.address import IPv4Address, IPv6Address
from twisted.internet.interfaces import ISystemHandle, ITCPTransport, ITransport
from twisted.protocols.policies import ProtocolWrapper

# How long a connection is silent before the first probe; macOS has a name of its own for it.
_KEEP_IDLE = getattr(socket, "TCP_KEEPIDLE", getattr(socket, "TCP_KEEPALIVE", None))
_PEER_CREDENTIALS = getattr(socket, "SO_PEERCRED", None)


# The peer has closed its half; without the name, it is seen only with the rest.
_PEER_CLOSED = getattr(select, "POLLRDHUP", 0)


class PeerState(Enum):
    """
    What the operating system knows of the peer of a connection that is not read from.
    """

    #: Nothing else is known.
    OPEN = "open"
    #: It has closed its half, behind what is still to be read.
    CLOSED = "closed"
    #: The connection is broken: it was reset, say.
    BROKEN = "broken"


class PeerCredentials(NamedTuple):
    """
    Who is at the other end of a UNIX socket.

    @ivar pid: the number of the process that connected, or that listened.
    @ivar uid: its effective user number then.
    @ivar gid: its effective group number then.
    """

    pid: int
    uid: int
    gid: int


def setNoDelay(transport: ITCPTransport, enabled: bool) -> None:
    """
    Send small writes at once (TCP_NODELAY); nothing on what is not TCP.
    """
    if _isTCP(transport):
        transport.setTcpNoDelay(enabled)


def disableDelay(transport: ITCPTransport) -> None:
    """
    Send small writes at once, as L{setNoDelay} does. The uvloop reactor makes its sockets so, and
    to do it again would be a part of what a handshake costs.
    """
    if not getattr(lowestTransport(transport), "native", False):
        setNoDelay(transport, True)


def setKeepAlive(transport: ITCPTransport, enabled: bool, initialDelay: float) -> None:
    """
    Have the system probe a silent peer (SO_KEEPALIVE); nothing on what is not TCP.

    @param initialDelay: seconds of silence before the first probe; 0 for the system's own.
    """
    if not _isTCP(transport):
        return
    transport.setTcpKeepAlive(enabled)
    system = _systemSocket(transport)
    if enabled and initialDelay and _KEEP_IDLE is not None and system is not None:
        system.setsockopt(socket.IPPROTO_TCP, _KEEP_IDLE, max(1, round(initialDelay)))


def peerCredentials(transport: ITCPTransport) -> PeerCredentials | None:
    """
    Ask who is at the other end of a UNIX socket.

    @return: L{None} on another kind of socket, and where the system does not tell.
    """
    system = _systemSocket(transport)
    if _PEER_CREDENTIALS is None or system is None or system.family != socket.AF_UNIX:
        return None
    size = struct.calcsize("3i")
    answer = system.getsockopt(socket.SOL_SOCKET, _PEER_CREDENTIALS, size)
    return PeerCredentials(*struct.unpack("3i", answer))


def peerState(transport: ITCPTransport) -> PeerState:
    """
    Ask whether the peer has left. A reactor hears of that only while it reads.

    @return: L{PeerState.OPEN} as well where the system does not tell.
    """
    system = _systemSocket(transport)
    if system is None or not hasattr(select, "poll"):
        return PeerState.OPEN
    poll = select.poll()
    poll.register(system.fileno(), _PEER_CLOSED)
    events = sum(event for _, event in poll.poll(0))
    if events & select.POLLERR:
        return PeerState.BROKEN
    return PeerState.CLOSED if events & (_PEER_CLOSED | select.POLLHUP) else PeerState.OPEN


def closeAfterWrites(transport: ITCPTransport) -> None:
    """
    Close a connection when all that was written is handed to the system, which delivers it. TLS
    is closed without waiting for the peer's close_notify.
    """
    ITransport(lowestTransport(transport)).loseConnection()


def _isTCP(transport: ITCPTransport) -> bool:
    # A UNIX transport provides ITCPTransport as well, and TLS whatever it is on.
    if not ITCPTransport.providedBy(lowestTransport(transport)):
        return False
    system = _systemSocket(transport)
    if system is None:
        return isinstance(transport.getHost(), IPv4Address | IPv6Address)
    # The addresses may be those of a proxy's client, and the connection one on a UNIX socket.
    return system.family in (socket.AF_INET, socket.AF_INET6)


def lowestTransport(transport: ITransport) -> object:
    """
    Tell what a transport stands on: the one that has the socket, where TLS, say, has none.
    """
    lowest: object = transport
    while isinstance(lowest, ProtocolWrapper):
        lowest = lowest.transport
    return lowest


def _systemSocket(transport: ITCPTransport) -> socket.socket | None:
    wrapped = lowestTransport(transport)
    if not ISystemHandle.providedBy(wrapped):
        return None
    return cast(socket.socket, ISystemHandle(wrapped).getHandle())
