"""
The Host field of HTTP/1 requests (RFC 9112 section 3.2), set on their way through; all else stays
as it was sent, octet by octet.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from ..wire.errors import HTTPProtocolError
from ..wire.http.connection import RequestReceiver
from ..wire.http.framing import HOST, PORT
from ..wire.http.head import RequestHead
from ..wire.http.limits import Limits

# How large the content is, is not for us to say. What has larger heads is passed on as it is.
_LIMITS = Limits(content=0)

_HOST_LINE = re.compile(rb"(?im)^(host:[ \t]*+)[^\r\n]*")
_HOST = re.compile(HOST + PORT + rb"?+")


def checkHost(value: object) -> bytes:
    """
    See that something can be the value of a Host field.

    @param value: the host's name, and a port where that is not the scheme's own.
    @raise TypeError: it is not of bytes.
    @raise ValueError: it can not.
    """
    if not isinstance(value, bytes):
        raise TypeError(f"host is bytes, not {value!r}")
    if not _HOST.fullmatch(value):
        raise ValueError(f"host is a host, or a host and a port, not {value!r}")
    return value


class HostRewriter:
    """
    Sets the Host field of each request of a connection, that of a request which has none excepted.

    What is not HTTP/1, or not sound, goes through as it is from there on, and so does all that
    follows CONNECT: nobody knows what that is. So a WebSocket's frames do, since none of them
    looks like a request.

    @ivar passOn: called with what is to be sent on; set before anything is received.
    """

    passOn: Callable[[bytes], object]

    def __init__(self, host: bytes, gaveUp: Callable[[str], object]) -> None:
        """
        @param host: the value of the field.
        @param gaveUp: called with why all goes through as it is from there on.
        """
        self._host = host
        self._gaveUp = gaveUp
        self._requests = RequestReceiver(_LIMITS)
        self._opaque = False

    def receive(self, data: bytes) -> None:
        """
        Take what arrived.
        """
        if self._opaque:
            self.passOn(data)
            return
        requests = self._requests
        unread = requests.detach() + data
        requests.receive(unread)
        rewritten: list[bytes] = []
        position = 0
        try:
            while not self._opaque:
                event = requests.next_event()
                end = len(unread) - requests.buffered
                octets = unread[position:end]
                position = end
                if isinstance(event, RequestHead):
                    octets = _HOST_LINE.sub(rb"\g<1>" + self._host, octets, count=1)
                    if event.method == b"CONNECT":
                        self._giveUp("what follows CONNECT may be anything")
                rewritten.append(octets)
                if event is None:
                    break
        except HTTPProtocolError as error:
            self._giveUp(str(error))
        if self._opaque:
            rewritten.append(unread[position:])
            requests.detach()
        if octets := b"".join(rewritten):
            self.passOn(octets)

    def _giveUp(self, reason: str) -> None:
        self._opaque = True
        self._gaveUp(reason)

    def end(self) -> None:
        """
        Nothing more arrives: send on what was kept, the begin of a head.
        """
        if rest := self._requests.detach():
            self.passOn(rest)
