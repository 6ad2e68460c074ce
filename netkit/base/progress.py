"""
How far the octets of a connection have got: whether a peer that is not heard of is there.
"""

from __future__ import annotations

import socket
import struct
import sys
from typing import Any, NamedTuple, cast

from twisted.internet.abstract import FileDescriptor
from twisted.internet.interfaces import ISystemHandle, ITransport

from .sockopts import lowestTransport
from .twistedprivate import unsentSize

if sys.platform == "linux":
    from fcntl import ioctl
    from termios import TIOCOUTQ

_INT = struct.Struct("=i")
# tcpi_bytes_acked and tcpi_bytes_received of Linux's struct tcp_info.
_TCP_OCTETS = struct.Struct("=QQ")
_TCP_OCTETS_AT = 120
_TCP_INFO_SIZE = _TCP_OCTETS_AT + _TCP_OCTETS.size


class Progress(NamedTuple):
    """
    How far the octets of a connection have got at some time. What nobody tells is 0.

    @ivar received: how many have arrived in the system.
    @ivar delivered: changes when some of ours arrive in the peer's system, or on a UNIX socket,
        when the peer reads some.
    @ivar taken: how many more the system has taken from the transport than at some other time.
    """

    received: int
    delivered: int
    taken: int

    def shows(self, before: Progress) -> bool:
        """
        Whether the peer has sent something since, or taken something.

        @param before: how far they were earlier.
        """
        return self.received != before.received or self.took(before)

    def took(self, before: Progress) -> bool:
        """
        Whether the peer has taken something since of what it is sent.

        @param before: how far they were earlier.
        """
        return self.delivered != before.delivered or self.taken > before.taken


def progress(transport: ITransport, written: int) -> Progress | None:
    """
    Ask how far the octets of a connection have got.

    @param written: how many more were written than at some other time.
    @return: L{None} where the connection has no socket.
    """
    lowest = lowestTransport(transport)
    if not ISystemHandle.providedBy(lowest):
        return None
    system = cast(socket.socket, ISystemHandle(lowest).getHandle())
    if system.fileno() < 0:
        return None
    received = delivered = 0
    if sys.platform == "linux":
        if system.family == socket.AF_UNIX:
            (delivered,) = _INT.unpack(ioctl(system, TIOCOUTQ, bytes(_INT.size)))
        else:
            info = system.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _TCP_INFO_SIZE)
            if len(info) == _TCP_INFO_SIZE:
                delivered, received = _TCP_OCTETS.unpack_from(info, _TCP_OCTETS_AT)
    return Progress(received, delivered, written - unsent(transport))


def unsent(transport: ITransport) -> int:
    """
    Ask how many of the octets that were written to a connection the system has not taken yet.

    @return: 0 as well where the transport is of a kind that does not tell.
    """
    lowest: Any = lowestTransport(transport)
    # What a channel has to send is not in the buffers of Twisted's.
    if hasattr(lowest, "getWriteBufferSize"):
        return int(lowest.getWriteBufferSize())
    if isinstance(lowest, FileDescriptor):
        return unsentSize(lowest)
    return 0
