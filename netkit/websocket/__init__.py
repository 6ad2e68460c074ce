"""
WebSocket for Twisted: servers and clients (RFC 6455, RFC 7692).

L{WebSocketFactory} listens on any endpoint. What receives a connection's events conforms to
L{WebSocketProtocol}; it sends through the L{WebSocketTransport} it is given. For coroutines there
is L{WebSocket}, whose messages are awaited.
"""

from ..wire.websocket.lifecycle import NotConnected, State
from .awaitable import WebSocket, WebSocketApplication
from .broadcast import broadcast
from .conversation import Conversation
from .endpoint import WebSocketClientEndpoint
from .errors import ConnectionRejected, HandshakeFailed, WebSocketClosed
from .factory import WebSocketFactory
from .options import WebSocketOptions
from .protocol import (
    Acceptance,
    CloseReceiver,
    ConnectionAcceptor,
    PieceReceiver,
    PingReceiver,
    Rejection,
    WebSocketClientFactory,
    WebSocketProtocol,
    WebSocketServerFactory,
    WebSocketTransport,
)
from .proxy import ProxyFailed
from .request import WebSocketRequest
from .resource import WebSocketResource
from .service import WebSocketClientService
from .stream import WebSocketStream
from .strings import WebSocketStreamClientEndpoint, WebSocketStreamServerEndpoint

__all__ = [
    "Acceptance",
    "CloseReceiver",
    "ConnectionAcceptor",
    "ConnectionRejected",
    "Conversation",
    "HandshakeFailed",
    "NotConnected",
    "PieceReceiver",
    "PingReceiver",
    "ProxyFailed",
    "Rejection",
    "State",
    "WebSocket",
    "WebSocketApplication",
    "WebSocketClientEndpoint",
    "WebSocketClientFactory",
    "WebSocketClientService",
    "WebSocketClosed",
    "WebSocketFactory",
    "WebSocketOptions",
    "WebSocketProtocol",
    "WebSocketRequest",
    "WebSocketResource",
    "WebSocketServerFactory",
    "WebSocketStream",
    "WebSocketStreamClientEndpoint",
    "WebSocketStreamServerEndpoint",
    "WebSocketTransport",
    "broadcast",
]
