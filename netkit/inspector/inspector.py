"""
The inspector: its page, its API and its feed, on one port.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterable
from typing import Any
from urllib.parse import parse_qs

from twisted.internet.interfaces import IReactorTime

from ..capture.recorder import Recorder
from ..capture.ring import Ring
from ..http import HTTPFactory, Request, Response
from ..websocket import (
    Rejection,
    WebSocketFactory,
    WebSocketOptions,
    WebSocketRequest,
)
from .access import TOKEN_PARAMETER, Access, Denied
from .api.connections import Connections
from .api.exchanges import Exchanges
from .api.exporting import Exporter
from .api.lookup import Lookup
from .api.overview import Overview
from .api.responses import COMMON_FIELDS, errorResponse
from .api.router import MOST_CONTENT, Router
from .api.search import Search
from .api.sending import Sender
from .api.services import Services
from .api.threads import Threads
from .feed import Feed, feedFilter
from .filters import Filter, FilterError
from .index import Index
from .indexing import Indexing
from .parameters import APIError, Query
from .services import InspectedService
from .static import INDEX, StaticFile, staticFiles

# How many may watch at once, and how many connections may be open.
_MOST_FEEDS = 32
_MOST_CONNECTIONS = 200

_FEED = b"/api/feed"

_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; "
    "font-src 'self'; connect-src 'self' ws://{host} wss://{host}; manifest-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'; "
    "require-trusted-types-for 'script'; trusted-types 'none'"
)


class Inspector:
    """
    Shows what is in a ring.

    @ivar factory: serves the page, the API and the feed.
    @ivar access: decides who may speak with it.
    """

    def __init__(
        self,
        ring: Ring,
        reactor: Any,
        *,
        access: Access,
        flush: Callable[[], None] = lambda: None,
        recorder: Recorder | None = None,
        services: Iterable[InspectedService] = (),
        recording: str | None = None,
        readOnly: bool = False,
        changed: Callable[[], object] = lambda: None,
    ) -> None:
        """
        @param ring: the ring.
        @param reactor: what calls, and has threads.
        @param access: decides who may speak with it.
        @param flush: has the ring take what is under way to it.
        @param recorder: records what is sent again; nothing can be without it.
        @param services: the services whose connections are in the ring.
        @param recording: the path of the recording, where it is one.
        @param readOnly: whether nothing can be changed.
        @param changed: called when something of a service was.
        """
        self.access = access
        self._changed = changed
        self._services = services
        self._session = secrets.token_hex(8)
        self._readOnly = readOnly
        self._files = staticFiles()
        self._feeds: set[Feed] = set()
        self._indexing = indexing = Indexing(Index(ring), reactor, flush)
        self._lookup = lookup = Lookup(indexing, Threads(reactor))
        search = Search(lookup, reactor)
        about = Overview(
            indexing,
            services,
            session=self._session,
            recording=recording,
            readOnly=readOnly,
        )
        routes = [
            *about.routes,
            *Exchanges(indexing, lookup, search).routes,
            *Connections(indexing, lookup).routes,
            *Services(services, self._serviceChanged).routes,
            *Exporter(indexing, lookup, search).routes,
        ]
        self._sender: Sender | None = None
        if recorder is not None:
            self._sender = Sender(lookup, indexing.index, recorder, reactor)
            routes += self._sender.routes
        self._api = Router(routes, readOnly=readOnly)
        clock = IReactorTime(reactor)
        self.factory = WebSocketFactory(
            self,
            path=_FEED,
            httpFactory=HTTPFactory(
                self.answer,
                maxConnections=_MOST_CONNECTIONS,
                maxBuffered=4 * MOST_CONTENT,
                clock=clock,
            ),
            options=WebSocketOptions(deflate=False, maxMessageSize=2**16),
            maxConnections=_MOST_CONNECTIONS,
            clock=clock,
        )

    def stop(self) -> None:
        """
        End what is under way.
        """
        self._indexing.stop()
        if self._sender is not None:
            self._sender.stop()
        for feed in list(self._feeds):
            feed.close()

    # The feed.

    def acceptConnection(self, request: WebSocketRequest) -> Rejection | None:
        """
        Decide about somebody who wants to watch.
        """
        try:
            self.access.check(request.fields, request.uri)
            self._wanted(request)
        except Denied as error:
            return _rejection(error.status, str(error))
        except (APIError, FilterError) as error:
            return _rejection(400, str(error))
        if len(self._feeds) >= _MOST_FEEDS:
            return _rejection(503, f"{_MOST_FEEDS} watch, the limit")
        return None

    def buildProtocol(self, request: WebSocketRequest) -> Feed:
        """
        Make what tells somebody what happens.
        """
        since, session, filter = self._wanted(request)
        feed = Feed(
            self._indexing,
            self._session,
            self._lookup.rowJSON,
            since=since,
            resumes=since == 0 or session == self._session,
            filter=filter,
            readOnly=self._readOnly,
            left=self._feeds.discard,
        )
        self._feeds.add(feed)
        return feed

    @staticmethod
    def _wanted(request: WebSocketRequest) -> tuple[int, str, Filter]:
        query = Query(request.uri.partition(b"?")[2])
        query.text(TOKEN_PARAMETER)
        since = query.number("since", 0, 0, 2**62)
        session = query.text("session")
        filter = feedFilter(query.text("filter"))
        query.end()
        return since, session, filter

    def _serviceChanged(self) -> None:
        self._changed()
        services = [service.json() for service in self._services]
        for feed in list(self._feeds):
            feed.send({"type": "services", "services": services})

    # The page and the API.

    async def answer(self, request: Request) -> Response:
        """
        Answer a request over HTTP.
        """
        try:
            self.access.check(request.headers.pairs, request.target)
        except Denied as error:
            fields = [(b"www-authenticate", b"Bearer")] if error.status == 401 else []
            return errorResponse(error.status, str(error), fields)
        path = request.path
        if path == b"/api" or path.startswith(b"/api/"):
            return await self._api.answer(request)
        if request.method not in (b"GET", b"HEAD"):
            return errorResponse(405, "that is for looking alone", [(b"allow", b"GET, HEAD")])
        given = parse_qs(request.query.decode("latin-1")).get(TOKEN_PARAMETER, [])
        if any(map(self.access.isToken, given)):
            return self._letIn(request)
        file = self._files.get(path[1:].decode("latin-1") or INDEX)
        if file is None:
            return errorResponse(404, f"there is nothing at {path.decode('latin-1')!r}")
        return self._file(request, file)

    def _letIn(self, request: Request) -> Response:
        """
        Give a browser the token as a cookie, and the page without it in its address.
        """
        cookie = f"{self.access.cookie}={self.access.token}; HttpOnly; SameSite=Strict; Path=/"
        fields = [(b"location", b"/"), (b"set-cookie", cookie.encode())]
        return Response(303, b"", [*fields, (b"cache-control", b"no-store"), *COMMON_FIELDS])

    def _file(self, request: Request, file: StaticFile) -> Response:
        host = (request.headers.get(b"host") or b"").decode("latin-1")
        fields = [
            (b"content-type", file.type.encode()),
            (b"content-security-policy", _POLICY.format(host=host).encode("latin-1")),
            (b"cache-control", b"no-cache"),
            (b"etag", file.tag.encode()),
            (b"vary", b"accept-encoding"),
            *COMMON_FIELDS,
        ]
        if file.tag.encode() in request.headers.elements(b"if-none-match"):
            return Response(304, b"", fields)
        if file.compressed is not None and _takesGzip(request):
            return Response(200, file.compressed, [*fields, (b"content-encoding", b"gzip")])
        return Response(200, file.content, fields)


def _takesGzip(request: Request) -> bool:
    for element in request.headers.elements(b"accept-encoding"):
        name, _, weight = element.lower().partition(b";")
        if name.strip() in (b"gzip", b"*") and weight.replace(b" ", b"") not in (
            b"q=0",
            b"q=0.0",
            b"q=0.00",
            b"q=0.000",
        ):
            return True
    return False


def _rejection(status: int, message: str) -> Rejection:
    response = errorResponse(status, message)
    assert isinstance(response.content, bytes)
    return Rejection(
        status=status, headers=((b"content-type", b"application/json"),), body=response.content
    )
