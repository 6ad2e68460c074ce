"""
twisted.web's resources as handlers, request by request.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from twisted.internet.defer import Deferred, succeed
from twisted.internet.error import ConnectionAborted, ConnectionLost
from twisted.internet.interfaces import IAddress, IConsumer, IProducer, ISSLTransport, ITransport
from twisted.internet.task import CooperativeTask, TaskStopped, cooperate
from twisted.python.failure import Failure
from twisted.web.http_headers import Headers
from twisted.web.iweb import UNKNOWN_LENGTH, IBodyProducer, IRequest
from twisted.web.resource import IResource
from twisted.web.server import Site
from zope.interface import implementer

from ..wire.errors import HTTPProtocolError
from .content import NO_CONTENT
from .request import Request
from .response import Response
from .settings import HandlerResult

# So much a resource may write before the connection takes it.
_AHEAD = 2**16

# What netkit writes, from the content and the connection.
_OWN = frozenset({b"connection", b"content-length", b"keep-alive", b"transfer-encoding"})


class ResourceHandler:
    """
    A handler that has a tree of twisted.web's resources answer: see L{resourceHandler}.

    @ivar site: what finds the resources, has the sessions, and writes the access log.
    """

    def __init__(self, site: Site) -> None:
        """
        @param site: finds the resources.
        """
        self.site = site
        self._started = False

    def doStart(self) -> None:
        """
        Start the site, which opens its access log. Without that, the first request does.
        """
        if not self._started:
            self._started = True
            self.site.doStart()

    def doStop(self) -> None:
        """
        Stop the site, which closes its access log.
        """
        if self._started:
            self._started = False
            self.site.doStop()

    def __call__(self, request: Request) -> Response | Deferred[HandlerResult]:
        """
        Answer a request.
        """
        self.doStart()
        channel = _Channel(self.site, request.transport)
        resourceRequest = self.site.requestFactory(channel)
        channel.request = resourceRequest
        headers = resourceRequest.requestHeaders
        for name, value in request.headers:
            headers.addRawHeader(name, value)
        resourceRequest.parseCookies()
        resourceRequest.gotLength(request.head.framing.content_length)
        if request.content is NO_CONTENT:
            return channel.answer(request)
        return Deferred.fromCoroutine(_withContent(channel, request))


def resourceHandler(resource: IResource | Site) -> ResourceHandler:
    """
    Have twisted.web answer some of the requests of an L{HTTPFactory
    <netkit.http.HTTPFactory>}: a tree of resources, Klein's C{app.resource()}, or
    L{WSGIResource <twisted.web.wsgi.WSGIResource>} for Flask and Django. Others on the same
    connection can be answered otherwise::

        pages = resourceHandler(app.resource())

        def handler(request):
            return pages(request) if request.path.startswith(b"/app/") else Response.text("hi")

    The content of a request is read before the resource is asked, as twisted.web does.

    @param resource: the root of the tree; or a C{Site}, for one with an access log, sessions of
        another kind or requests of another class.
    @raise TypeError: it is neither.
    """
    if isinstance(resource, Site):
        return ResourceHandler(resource)
    if not IResource.providedBy(resource):
        raise TypeError(f"the resource is an IResource or a Site, not {resource!r}")
    return ResourceHandler(Site(resource))


async def _withContent(channel: _Channel, request: Request) -> HandlerResult:
    try:
        async for piece in request.content:
            channel.request.handleContentChunk(piece)
    except BaseException:
        channel.request.content.close()
        raise
    answer = channel.answer(request)
    return answer if isinstance(answer, Response) else await answer


class _Channel:
    """
    What a request of twisted.web's knows of its connection.

    @ivar request: that request.
    @ivar site: its site.
    @ivar factory: that as well: what logs the request.
    @ivar transport: what it came by.
    """

    request: Any

    def __init__(self, site: Site, transport: ITransport) -> None:
        self.site = self.factory = site
        self.transport = transport
        self._body = _Body(self)
        self._answering = self._done = self._lost = False
        # Of the response: status, length where it is known, and fields.
        self._head: tuple[int, int | None, list[tuple[bytes, bytes]]] | None = None
        self._answer: Deferred[HandlerResult] = Deferred(lambda answer: self.lose())

    def answer(self, request: Request) -> Response | Deferred[HandlerResult]:
        """
        Have the resource answer.

        @param request: what to.
        """
        version = b"HTTP/%d.%d" % request.version
        self._answering = True
        self.request.requestReceived(request.method, request.target, version)
        self._answering = False
        return self._answer if self._head is None else self._response(request.method)

    def lose(self) -> None:
        """
        The client is gone.
        """
        if not (self._done or self._lost):
            self._lost = True
            self._body.stop()
            self.request.connectionLost(Failure(ConnectionLost("the client is gone")))

    def _response(self, method: bytes) -> Response:
        assert self._head is not None
        status, length, fields = self._head
        if self._done and (method != b"HEAD" or length is None):
            # All of it is there, as it is most of the time.
            return Response(status, self._body.take(), fields)
        return Response(status, self._body, fields)

    # From the request

    def writeHeaders(self, version: bytes, code: bytes, reason: bytes, headers: Headers) -> None:
        """
        Take the head of the response.
        """
        # netkit makes the chunks.
        self.request.chunked = 0
        lengths = headers.getRawHeaders(b"content-length")
        length = int(lengths[0]) if lengths and lengths[0].isdigit() else None
        fields = [
            (name, value)
            for name, values in headers.getAllRawHeaders()
            if name.lower() not in _OWN
            for value in values
        ]
        if b"close" in [value.lower() for value in headers.getRawHeaders(b"connection", ())]:
            fields.append((b"connection", b"close"))
        self._head = int(code), length, fields
        self._body.length = UNKNOWN_LENGTH if length is None else length
        if not (self._answering or self._answer.called):
            self._answer.callback(self._response(b""))

    def write(self, data: bytes) -> None:
        """
        Take some of the content.
        """
        self._body.write(data)

    def writeSequence(self, data: list[bytes]) -> None:
        """
        Take some of the content.
        """
        self._body.write(b"".join(data))

    def registerProducer(self, producer: IProducer, streaming: bool) -> None:
        """
        Have a producer paused while the client does not take what was written.
        """
        self._body.registerProducer(producer, streaming)

    def unregisterProducer(self) -> None:
        """
        Undo that.
        """
        self._body.unregisterProducer()

    def requestDone(self, request: IRequest) -> None:
        """
        The response is complete.
        """
        self._done = True
        self._body.end()

    def loseConnection(self) -> None:
        """
        The resource gives the connection up.
        """
        error = ConnectionAborted("the resource closed the connection")
        if not self._answer.called:
            self._answer.errback(error)
        self._body.fail(error)

    abortConnection = loseConnection

    def getPeer(self) -> IAddress:
        """
        The client's address.
        """
        return self.transport.getPeer()

    def getHost(self) -> IAddress:
        """
        Our address.
        """
        return self.transport.getHost()

    def isSecure(self) -> bool:
        """
        Whether it came by TLS.
        """
        return bool(ISSLTransport.providedBy(self.transport))

    def _respondToBadRequestAndDisconnect(self) -> None:
        # How twisted.web says that it does not understand a form.
        self._done = True
        self._answer.errback(HTTPProtocolError("the content is no form", 400))


@implementer(IBodyProducer)
class _Body:
    """
    The content of a response, as the resource writes it.

    @ivar length: how many octets it has, if that is known.
    """

    length: Any = UNKNOWN_LENGTH

    def __init__(self, channel: _Channel) -> None:
        self._channel = channel
        self._consumer: IConsumer | None = None
        self._pieces: list[bytes] = []
        self._size = 0
        self._producer: Any = None
        self._ended = False
        self._finished: Deferred[None] = Deferred()

    def take(self) -> bytes:
        """
        Take what was written.
        """
        return b"".join(self._pieces)

    # From the resource

    def write(self, data: bytes) -> None:
        """
        Take some more.
        """
        if self._consumer is not None:
            self._consumer.write(data)
            return
        self._pieces.append(data)
        self._size += len(data)
        if self._size > _AHEAD and self._producer is not None:
            self._producer.pauseProducing()

    def registerProducer(self, producer: Any, streaming: bool) -> None:
        """
        Have a producer paused while the client does not take what was written.
        """
        self._producer = producer if streaming else _Pulled(producer)

    def unregisterProducer(self) -> None:
        """
        Undo that.
        """
        producer, self._producer = self._producer, None
        if isinstance(producer, _Pulled):
            producer.end()

    def end(self) -> None:
        """
        That was all.
        """
        self._ended = True
        if self._consumer is not None:
            self._finished.callback(None)

    def fail(self, error: Exception) -> None:
        """
        There is no end to come.
        """
        if not self._finished.called:
            self._finished.errback(error)
            self._finished.addErrback(lambda failure: failure if self._consumer else None)

    # From the connection

    def startProducing(self, consumer: IConsumer) -> Deferred[None]:
        """
        Write what there is, and all that comes.
        """
        self._consumer = consumer
        pieces, self._pieces = self._pieces, []
        if pieces:
            consumer.write(b"".join(pieces))
        if self._ended:
            return succeed(None)
        if self._size > _AHEAD:
            self.resumeProducing()
        return self._finished

    def pauseProducing(self) -> None:
        if self._producer is not None:
            self._producer.pauseProducing()

    def resumeProducing(self) -> None:
        if self._producer is not None:
            self._producer.resumeProducing()

    def stopProducing(self) -> None:
        self._channel.lose()

    def stop(self) -> None:
        """
        Nobody takes it any more.
        """
        producer, self._producer = self._producer, None
        if producer is not None:
            producer.stopProducing()


class _Pulled:
    """
    A producer that is asked for each piece, as one that is paused and resumed.
    """

    def __init__(self, producer: Any) -> None:
        self._producer = producer
        self._paused = False
        self._pulling: CooperativeTask[Iterator[None]] = cooperate(self._pull())
        # Who gives it up is told by its own ways, as who wrote the last piece.
        self._pulling.whenDone().addErrback(lambda failure: failure.trap(TaskStopped))

    def _pull(self) -> Iterator[None]:
        while True:
            self._producer.resumeProducing()
            yield None

    def pauseProducing(self) -> None:
        if not self._paused:
            self._paused = True
            self._pulling.pause()

    def resumeProducing(self) -> None:
        if self._paused:
            self._paused = False
            self._pulling.resume()

    def end(self) -> None:
        """
        It has no more.
        """
        self._pulling.stop()

    def stopProducing(self) -> None:
        self.end()
        self._producer.stopProducing()
