"""
Settings of WebSocket connections: limits, compression, time-outs, keepalive.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

from ..base.arguments import checkCallable, checkCount, checkFlag, checkSeconds
from ..wire.http.limits import Limits
from ..wire.websocket.deflate import DeflateSettings


@dataclass(frozen=True, slots=True, kw_only=True)
class WebSocketOptions:
    """
    How WebSocket connections behave, in either role. The defaults are safe on the open Internet.
    A value of another type is a L{TypeError}, one out of range a L{ValueError}.

    @ivar maxMessageSize: how many octets a received message may have, as it arrives and once
        inflated; 0 for no limit. A larger one ends the connection with 1009, as soon as a frame's
        header says that it will be larger.
    @ivar maxFragments: how many frames a received message may have; 0 for no limit. One more ends
        the connection with 1008.
    @ivar maxHandshakeSize: how many octets the head of the peer's opening handshake may have.
    @ivar deflate: whether to agree to permessage-deflate (RFC 7692).
    @ivar deflateLevel: 1 (fastest; less than half of that time where C{isal} is
        installed) to 9 (smallest).
    @ivar deflateWindowBits: the size of the compression windows, 8 to 15; a window has 2 to the
        power of that many octets.
    @ivar deflateContextTakeover: whether a message may refer to earlier ones: smaller messages,
        and up to some 50 KiB of memory for each connection that is in use.
    @ivar openTimeout: how many seconds the opening handshake may take; 0 for no limit. A client's
        time begins with the first octet that it sends, be it to a proxy.
    @ivar closeTimeout: how many seconds the closing handshake may take before the connection is
        aborted, and again as long as the peer still takes what was sent before; 0 for no limit.
    @ivar pingInterval: how many seconds to leave between pings that see whether the peer is
        there; 0 for none.
    @ivar pingTimeout: how many seconds the peer has to answer a ping; 0 for no limit. Where for
        C{pingInterval} and this together nothing arrives from it, not even a part of a message,
        and it takes nothing of what it is sent, the connection is aborted.
    @ivar pingAnswered: called with how many seconds a peer took to answer, for each of these
        pings, for who counts them.
    """

    maxMessageSize: int = 2**20
    maxFragments: int = 2**17
    maxHandshakeSize: int = 2**15
    deflate: bool = True
    deflateLevel: int = 6
    deflateWindowBits: int = 12
    deflateContextTakeover: bool = True
    openTimeout: float = 10.0
    closeTimeout: float = 5.0
    pingInterval: float = 20.0
    pingTimeout: float = 20.0
    pingAnswered: Callable[[float], object] | None = None

    def __post_init__(self) -> None:
        for name in ("maxMessageSize", "maxFragments"):
            checkCount(name, getattr(self, name))
        checkCount("maxHandshakeSize", self.maxHandshakeSize, 1)
        checkCount("deflateLevel", self.deflateLevel, 1, 9)
        checkCount("deflateWindowBits", self.deflateWindowBits, 8, 15)
        for name in ("deflate", "deflateContextTakeover"):
            checkFlag(name, getattr(self, name))
        for name in ("openTimeout", "closeTimeout", "pingInterval", "pingTimeout"):
            checkSeconds(name, getattr(self, name))
        if self.pingAnswered is not None:
            checkCallable("pingAnswered", self.pingAnswered)

    def headLimits(self) -> Limits:
        """
        What the head of the peer's opening handshake may have of each of its parts.
        """
        return _headLimits(self.maxHandshakeSize)

    def deflateSettings(self) -> DeflateSettings | None:
        """
        What to negotiate about compression; L{None} for nothing.
        """
        if not self.deflate:
            return None
        return _deflateSettings(
            self.deflateLevel, self.deflateWindowBits, self.deflateContextTakeover
        )


# Each handshake asks for these.
@cache
def _deflateSettings(level: int, windowBits: int, contextTakeover: bool) -> DeflateSettings:
    return DeflateSettings(level=level, window_bits=windowBits, context_takeover=contextTakeover)


@cache
def _headLimits(size: int) -> Limits:
    return Limits(request_line=size, header_section=size)


DEFAULTS = WebSocketOptions()
