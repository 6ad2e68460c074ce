"""
WebSocket for Twisted: servers and clients (RFC 6455, RFC 7692).

L{WebSocketFactory} listens on any endpoint. What receives a connection's events conforms to
L{WebSocketProtocol}; it sends through the L{WebSocketTransport} it is given.
"""

from .errors import NotConnected, WebSocketClosed
from .factory import WebSocketFactory
from .options import WebSocketOptions
from .protocol import (
    Acceptance,
    ConnectionAcceptor,
    PieceReceiver,
    PingReceiver,
    Rejection,
    WebSocketClientFactory,
    WebSocketProtocol,
    WebSocketServerFactory,
    WebSocketTransport,
)
from .request import WebSocketRequest

__all__ = [
    "Acceptance",
    "ConnectionAcceptor",
    "NotConnected",
    "PieceReceiver",
    "PingReceiver",
    "Rejection",
    "WebSocketClientFactory",
    "WebSocketClosed",
    "WebSocketFactory",
    "WebSocketOptions",
    "WebSocketProtocol",
    "WebSocketRequest",
    "WebSocketServerFactory",
    "WebSocketTransport",
]
