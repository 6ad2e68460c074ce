"""
Connecting to a URL.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeVar
from urllib.parse import urljoin

from twisted.internet.interfaces import IReactorTime, IStreamClientEndpoint
from twisted.logger import Logger
from twisted.web.client import URI, BrowserLikePolicyForHTTPS
from twisted.web.iweb import IAgentEndpointFactory, IPolicyForHTTPS
from zope.interface import implementer

from ..base.arguments import checkCount
from ..base.twistedprivate import standardEndpoints
from ..tls import wrapClientTLS
from ..wire.websocket.handshake import HANDSHAKE_FIELDS, ClientHandshake
from .arguments import checkFields, checkSubprotocols
from .awaitable import WebSocket
from .client import WebSocketClientConnection, clientFactory
from .deadline import OpeningDeadline
from .errors import ConnectionRejected
from .options import DEFAULTS, WebSocketOptions
from .protocol import WebSocketClientFactory, WebSocketProtocol
from .proxy import Proxy
from .url import WebSocketURL

_log = Logger()

ProtocolT = TypeVar("ProtocolT", bound=WebSocketProtocol)

_REDIRECTIONS = frozenset((301, 302, 303, 307, 308))

# What is meant for one server alone.
_FOR_ONE_SERVER = frozenset((b"authorization", b"cookie", b"host", b"proxy-authorization"))


@dataclass(frozen=True)
class WebSocketClientEndpoint:
    """
    A URL, and how to connect to it.

    @ivar endpointFactory: gives the endpoint for a URL of the scheme C{http} or C{https}.
    @ivar url: the URL: C{ws:}, C{wss:}, or the C{http:} and C{https:} that these stand for.
    @ivar options: how the connections are to behave.
    @ivar subprotocols: what to offer, the preferred one first.
    @ivar headers: more header fields for the request, such as C{Origin} or C{Authorization}. A
        C{Host} takes the place of our own; what makes the handshake itself is not sent.
    @ivar redirects: how many redirections to follow.
    @ivar clock: what tells the time; the global reactor by default.
    @ivar proxy: what to connect through, if anything.
    """

    endpointFactory: IAgentEndpointFactory
    url: str
    options: WebSocketOptions = DEFAULTS
    subprotocols: Sequence[str] = ()
    headers: Sequence[tuple[bytes, bytes]] = ()
    redirects: int = 0
    clock: IReactorTime | None = None
    proxy: Proxy | None = None

    def __post_init__(self) -> None:
        WebSocketURL.parse(self.url)
        if not isinstance(self.options, WebSocketOptions):
            raise TypeError(f"options is a WebSocketOptions, not {self.options!r}")
        checkSubprotocols(self.subprotocols)
        checkFields("headers", self.headers)
        checkCount("redirects", self.redirects)
        names = [name.lower() for name, _ in self.headers]
        if names.count(b"host") > 1:
            raise ValueError("headers: there is more than one Host")
        for name in HANDSHAKE_FIELDS.intersection(names):
            _log.warn(
                "{name} is not sent to {url}: it is a part of the handshake itself; "
                "subprotocols and options say what to offer",
                name=name.decode(),
                url=self.url,
            )

    @classmethod
    def new(
        cls,
        reactor: Any,
        url: str,
        tlsPolicy: IPolicyForHTTPS = BrowserLikePolicyForHTTPS(),  # noqa: B008 - it is immutable
        connectTimeout: float | None = None,
        bindAddress: bytes | None = None,
        *,
        proxy: str | None = None,
        options: WebSocketOptions = DEFAULTS,
        subprotocols: Sequence[str] = (),
        headers: Sequence[tuple[bytes, bytes]] = (),
        redirects: int = 0,
    ) -> WebSocketClientEndpoint:
        """
        Connect over TCP, and TLS where the URL says so.

        @param reactor: what connects and tells the time.
        @param url: the URL.
        @param tlsPolicy: how to verify the server's certificate.
        @param connectTimeout: how many seconds making the connection may take.
        @param bindAddress: the address to connect from.
        @param proxy: the URL of an HTTP proxy to connect through, with the user's name and
            password in it where it takes them: C{http://name:password@proxy.example:3128}.
        @param options: how the connections are to behave.
        @param subprotocols: what to offer, the preferred one first.
        @param headers: more header fields for the request.
        @param redirects: how many redirections to follow.
        @raise TypeError: an argument is of another type.
        @raise ValueError: a URL is none that can be connected to, or something cannot be sent.
        """
        return cls(
            endpointFactory=_Endpoints(reactor, tlsPolicy, connectTimeout, bindAddress),
            url=url,
            options=options,
            subprotocols=subprotocols,
            headers=headers,
            redirects=redirects,
            clock=IReactorTime(reactor),
            proxy=None if proxy is None else Proxy(proxy, tlsPolicy, reactor),
        )

    @classmethod
    def over(
        cls,
        endpoint: IStreamClientEndpoint,
        url: str = "ws://localhost/",
        *,
        options: WebSocketOptions = DEFAULTS,
        subprotocols: Sequence[str] = (),
        headers: Sequence[tuple[bytes, bytes]] = (),
        clock: IReactorTime | None = None,
    ) -> WebSocketClientEndpoint:
        """
        Connect over any other endpoint: a UNIX socket, a process, ...

        @param endpoint: what to connect with.
        @param url: what to ask for there.
        @param options: how the connections are to behave.
        @param subprotocols: what to offer, the preferred one first.
        @param headers: more header fields for the request.
        @param clock: what tells the time; the global reactor by default.
        @raise TypeError: as L{new} does.
        @raise ValueError: as L{new} does.
        """
        return cls(
            endpointFactory=_OneEndpoint(endpoint),
            url=url,
            options=options,
            subprotocols=subprotocols,
            headers=headers,
            clock=clock,
        )

    async def connect(self, protocolFactory: WebSocketClientFactory[ProtocolT]) -> ProtocolT:
        """
        Connect, and do the opening handshake.

        @param protocolFactory: makes what receives the connection's events.
        @return: what it made, once the connection is open.
        @raise ConnectionRejected: the server answered with another HTTP response.
        @raise HandshakeFailed: it answered with what is none, or not in time.
        @raise ConnectError: no connection to it could be made.
        """
        return (await self.establish(protocolFactory))[1]

    async def open(self) -> WebSocket:
        """
        Connect, for a coroutine that receives and sends: C{async with await endpoint.open() as
        ws}.

        @return: the connection, once it is open.
        @raise ConnectionRejected: as L{connect}.
        @raise HandshakeFailed: as L{connect}.
        @raise ConnectError: as L{connect}.
        """
        return await self.connect(_WebSockets())

    async def establish(
        self, protocolFactory: WebSocketClientFactory[ProtocolT]
    ) -> tuple[WebSocketClientConnection, ProtocolT]:
        """
        As L{connect}, for those who want the connection as well.
        """
        clock = self.clock
        if clock is None:
            from twisted.internet import reactor

            clock = IReactorTime(reactor)
        deadline = OpeningDeadline(self.options.openTimeout, clock)
        return await deadline.limit(self._establish(protocolFactory, deadline, clock))

    async def _establish(
        self,
        protocolFactory: WebSocketClientFactory[ProtocolT],
        deadline: OpeningDeadline,
        clock: IReactorTime,
    ) -> tuple[WebSocketClientConnection, ProtocolT]:
        here = self
        while True:
            application = protocolFactory.buildProtocol(here.url)
            connection = await here._request(application, deadline, clock)
            try:
                await connection.opened
            except ConnectionRejected as rejected:
                target = here._redirection(rejected)
                if target is None:
                    raise
                connection.transport.abortConnection()
                here = target
            else:
                return connection, application

    async def _request(
        self, application: WebSocketProtocol, deadline: OpeningDeadline, clock: IReactorTime
    ) -> WebSocketClientConnection:
        """
        Connect, and send the request.
        """
        url = WebSocketURL.parse(self.url)
        fields = list(self.headers)
        given = any(name.lower() == b"authorization" for name, _ in fields)
        if url.credentials is not None and not given:
            fields.append((b"Authorization", url.credentials))
        handshake = ClientHandshake(
            url.authority.encode("ascii"),
            url.target.encode("ascii"),
            subprotocols=self.subprotocols,
            settings=self.options.deflateSettings(),
            fields=fields,
        )
        uri = URI.fromBytes(url.http.encode("ascii"))
        if self.proxy is None:
            endpoint = self.endpointFactory.endpointForURI(uri)
        else:
            endpoint = self.proxy.endpoint(self.endpointFactory, uri, deadline.start)
        connection: WebSocketClientConnection = await endpoint.connect(
            clientFactory(
                lambda: WebSocketClientConnection(
                    handshake, application, self.options, clock, deadline.start
                )
            )
        )
        return connection

    def _redirection(self, rejected: ConnectionRejected) -> WebSocketClientEndpoint | None:
        """
        Where a response redirects to, if that is to be followed.
        """
        response = rejected.response
        locations = response.headers.getRawHeaders(b"location", [])
        if not self.redirects or response.code not in _REDIRECTIONS or len(locations) != 1:
            return None
        here = WebSocketURL.parse(self.url)
        try:
            location = urljoin(self.url, locations[0].decode("ascii"))
            there = WebSocketURL.parse(location)
        except ValueError:
            return None
        if here.secure and not there.secure:
            return None
        headers = self.headers
        if (there.host, there.port, there.secure) != (here.host, here.port, here.secure):
            headers = [field for field in headers if field[0].lower() not in _FOR_ONE_SERVER]
        return replace(self, url=location, headers=headers, redirects=self.redirects - 1)


@implementer(IAgentEndpointFactory)
class _Endpoints:
    """
    Those of Twisted's C{Agent}, with netkit's TLS.
    """

    def __init__(
        self,
        reactor: Any,
        tlsPolicy: IPolicyForHTTPS,
        connectTimeout: float | None,
        bindAddress: bytes | None,
    ) -> None:
        self._reactor = reactor
        self._tlsPolicy = tlsPolicy
        self._plain = standardEndpoints(reactor, tlsPolicy, connectTimeout, bindAddress)

    def endpointForURI(self, uri: URI) -> IStreamClientEndpoint:
        secure = uri.scheme == b"https"
        if secure:
            rest = (uri.path, uri.params, uri.query, uri.fragment)
            uri = URI(b"http", uri.netloc, uri.host, uri.port, *rest)
        endpoint: IStreamClientEndpoint = self._plain.endpointForURI(uri)
        if secure:
            creator = self._tlsPolicy.creatorForNetloc(uri.host, uri.port)
            endpoint = wrapClientTLS(creator, endpoint, self._reactor)
        return endpoint


@implementer(IAgentEndpointFactory)
class _OneEndpoint:
    """
    The same endpoint for all URLs.
    """

    def __init__(self, endpoint: IStreamClientEndpoint) -> None:
        self._endpoint = endpoint

    def endpointForURI(self, uri: URI) -> IStreamClientEndpoint:
        return self._endpoint


class _WebSockets:
    """
    Makes what is received from and sent through by coroutines.
    """

    def buildProtocol(self, url: str) -> WebSocket:
        """
        Make one.
        """
        return WebSocket()
