"""
WebSocket as a Twisted endpoint, and the endpoint strings C{ws:} and C{wss:}.

A server's string has the string of another endpoint in it, escaped: C{ws:tcp\\:8080:path=/chat}. A
client's is a URL: C{ws://localhost:8080/chat}.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.error import NoProtocol
from twisted.internet.interfaces import (
    IListeningPort,
    ILoggingContext,
    IProtocol,
    IProtocolFactory,
    IReactorTime,
    IStreamClientEndpoint,
    IStreamServerEndpoint,
)
from twisted.web.client import BrowserLikePolicyForHTTPS
from twisted.web.iweb import IPolicyForHTTPS
from zope.interface import implementer

from ..base.endpoints import serverEndpoint
from ..base.quantities import parseSeconds
from ..wire.http.head import is_path
from .arguments import checkPath
from .endpoint import WebSocketClientEndpoint
from .factory import WebSocketFactory
from .options import WebSocketOptions
from .protocol import WebSocketTransport
from .stream import WebSocketStream

# The stream's protocol has limits of its own; each piece of a message is handed over at once.
_OPTIONS = WebSocketOptions(maxMessageSize=0, maxFragments=0)


class _StreamApplication:
    """
    Makes a stream for each connection.
    """

    def __init__(self, factory: IProtocolFactory) -> None:
        self._factory = factory

    def buildProtocol(self, request: Any) -> WebSocketStream | None:
        protocol = self._factory.buildProtocol(request.getClientAddress())
        return None if protocol is None else WebSocketStream(protocol)


class _StreamFactory(WebSocketFactory):
    """
    Starts and stops with the factory whose protocols it connects.
    """

    def __init__(self, factory: IProtocolFactory, path: bytes | None, clock: IReactorTime) -> None:
        super().__init__(
            _StreamApplication(factory),
            path=path,
            options=_OPTIONS,
            maxConnections=0,
            idleTimeout=0,
            clock=clock,
        )
        self._factory = factory

    def logPrefix(self) -> str:
        """
        As the factory is called in the log that somebody asked for.
        """
        if ILoggingContext.providedBy(self._factory):
            return str(ILoggingContext(self._factory).logPrefix())
        return type(self._factory).__name__

    def doStart(self) -> None:
        super().doStart()
        self._factory.doStart()

    def doStop(self) -> None:
        self._factory.doStop()
        super().doStop()


@implementer(IStreamServerEndpoint)
class WebSocketStreamServerEndpoint:
    """
    Listens for WebSockets that carry the octets of any protocol.
    """

    def __init__(
        self, endpoint: IStreamServerEndpoint, *, path: bytes | None = None, clock: IReactorTime
    ) -> None:
        """
        @param endpoint: what to listen on.
        @param path: the only path that there is a WebSocket at; any by default.
        @param clock: what tells the time.
        @raise TypeError: the path is not of bytes.
        @raise ValueError: no request can be for that path.
        """
        self._endpoint = endpoint
        self._path = checkPath(path)
        self._clock = clock

    def listen(self, protocolFactory: IProtocolFactory) -> Deferred[IListeningPort]:
        """
        Listen.

        @param protocolFactory: makes the protocols.
        """
        return self._endpoint.listen(_StreamFactory(protocolFactory, self._path, self._clock))


@implementer(IStreamClientEndpoint)
class WebSocketStreamClientEndpoint:
    """
    Connects WebSockets that carry the octets of any protocol.
    """

    def __init__(self, endpoint: WebSocketClientEndpoint) -> None:
        """
        @param endpoint: what to connect with.
        """
        self._endpoint = endpoint

    def connect(self, protocolFactory: IProtocolFactory) -> Deferred[IProtocol]:
        """
        Connect.

        @param protocolFactory: makes the protocol.
        @return: fires with that protocol once the opening handshake is done.
        """
        return Deferred.fromCoroutine(self._connect(protocolFactory))

    async def _connect(self, protocolFactory: IProtocolFactory) -> IProtocol:
        stream = await self._endpoint.connect(_StreamClientFactory(protocolFactory))
        return await stream.connected


class _ClientStream(WebSocketStream):
    """
    Makes its protocol when the opening handshake is done.
    """

    def __init__(self, factory: IProtocolFactory) -> None:
        self._factory = factory
        self.connected: Deferred[IProtocol] = Deferred()

    def negotiationStarted(self, transport: WebSocketTransport) -> None:
        super().negotiationStarted(transport)
        self._transport = transport

    def negotiationFinished(self) -> None:
        protocol = self._factory.buildProtocol(self.getPeer())
        if protocol is None:
            self._transport.loseConnection()
            self.connected.errback(NoProtocol())
            return
        super().__init__(protocol)
        super().negotiationFinished()
        self.connected.callback(protocol)


class _StreamClientFactory:
    def __init__(self, factory: IProtocolFactory) -> None:
        self._factory = factory

    def buildProtocol(self, url: str) -> _ClientStream:
        return _ClientStream(self._factory)


def parseServer(
    reactor: Any, endpoint: str = "", path: str | None = None, **unknown: str
) -> WebSocketStreamServerEndpoint:
    """
    Make the endpoint of a server's string.

    @param endpoint: the string of the endpoint to listen on.
    @param path: the only path that there is a WebSocket at.
    @param unknown: what else has an C{=} in it.
    @raise ValueError: it is none.
    """
    if unknown:
        name, value = next(iter(unknown.items()))
        raise ValueError(
            f"{name}={value} is unknown; the endpoint in a ws: string is escaped, as in "
            "ws:tcp\\:8080\\:interface\\=127.0.0.1:path=/chat"
        )
    octets = None if path is None else path.encode()
    if octets is not None and not is_path(octets):
        raise ValueError(f"path={path} is not a path as in a URL, such as /chat, without a query")
    return WebSocketStreamServerEndpoint(
        serverEndpoint(reactor, endpoint),
        path=octets,
        clock=IReactorTime(reactor),
    )


def parseClient(
    reactor: Any,
    scheme: str,
    parts: tuple[str, ...],
    options: dict[str, str],
    tlsPolicy: IPolicyForHTTPS = BrowserLikePolicyForHTTPS(),  # noqa: B008 - it is immutable
) -> WebSocketStreamClientEndpoint:
    """
    Make the endpoint of a client's string: a URL. Where it has an C{=} in it, that is to be
    escaped: C{ws://host/?a\\=b}.

    @param scheme: C{ws} or C{wss}.
    @param parts: what is between the colons behind it.
    @param options: what has an C{=} in it.
    @param tlsPolicy: how to verify the server's certificate.
    @raise ValueError: it is no URL.
    """
    timeout = options.pop("timeout", None)
    subprotocol = options.pop("subprotocol", None)
    url = ":".join((scheme, *parts))
    if options:
        name, value = next(iter(options.items()))
        raise ValueError(
            f"{name}={value} is unknown; where the URL itself has a = in it, write \\="
        )
    return WebSocketStreamClientEndpoint(
        WebSocketClientEndpoint.new(
            reactor,
            url,
            tlsPolicy,
            connectTimeout=None if timeout is None else parseSeconds(timeout),
            options=_OPTIONS,
            subprotocols=() if subprotocol is None else (subprotocol,),
        )
    )
