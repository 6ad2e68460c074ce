"""
twisted.web's resources as handlers, request by request.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from twisted.internet.defer import Deferred, fail, succeed
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
from ..wire.http import RequestHead
from .content import NO_CONTENT
from .request import Request
from .response import Response
from .settings import HandlerResult

# So much a resource may write before the connection takes it.
_AHEAD = 2**16

# What netkit writes, from the content and the connection; as C{Headers} has them.
_OWN = frozenset({b"Connection", b"Content-Length", b"Keep-Alive", b"Transfer-Encoding"})


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
        if not self._started:
            self.doStart()
        head = request.head
        channel = _Channel(self.site, request.transport)
        channel.request = resourceRequest = self.site.requestFactory(channel)
        addHeader = resourceRequest.requestHeaders.addRawHeader
        for name, value in head.fields.pairs:
            addHeader(name, value)
        resourceRequest.parseCookies()
        resourceRequest.gotLength(head.framing.content_length)
        if request.content is NO_CONTENT:
            return channel.answer(head)
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
    answer = channel.answer(request.head)
    return answer if isinstance(answer, Response) else await answer


class _Channel:
    """
    What a request of twisted.web's knows of its connection.

    Most resources answer before they give the control back, and all at once: what it takes to
    answer otherwise is made once one does.

    @ivar request: that request.
    @ivar site: its site.
    @ivar factory: that as well: what logs the request.
    @ivar transport: what it came by.
    """

    __slots__ = (
        "_answer",
        "_answering",
        "_body",
        "_done",
        "_head",
        "_lost",
        "_written",
        "factory",
        "request",
        "site",
        "transport",
    )

    def __init__(self, site: Site, transport: ITransport) -> None:
        self.site = self.factory = site
        self.transport = transport
        self.request: Any = None
        # What is written, up to where it cannot be answered at once any more.
        self._written: list[bytes] = []
        self._body: _Body | None = None
        self._answer: Deferred[HandlerResult] | None = None
        self._answering = self._done = self._lost = False
        # Of the response: status, length where it is known, and fields.
        self._head: tuple[int, int | None, list[tuple[bytes, bytes]]] | None = None

    def answer(self, head: RequestHead) -> Response | Deferred[HandlerResult]:
        """
        Have the resource answer.

        @param head: what to.
        """
        self._answering = True
        self.request.requestReceived(head.method, head.target, b"HTTP/1.%d" % head.minor)
        self._answering = False
        # It may have failed already.
        if self._head is None or self._answer is not None:
            return self._later()
        return self._response(head.method)

    def lose(self) -> None:
        """
        The client is gone.
        """
        if not (self._done or self._lost):
            self._lost = True
            if self._body is not None:
                self._body.stop()
            self.request.connectionLost(Failure(ConnectionLost("the client is gone")))

    def _response(self, method: bytes) -> Response:
        assert self._head is not None
        status, length, fields = self._head
        if self._done and self._body is None and method != b"HEAD":
            return Response(status, b"".join(self._written), fields)
        body = self._streamed()
        body.length = UNKNOWN_LENGTH if length is None else length
        return Response(status, body, fields)

    def _later(self) -> Deferred[HandlerResult]:
        if self._answer is None:
            self._answer = Deferred(lambda answer: self.lose())
        return self._answer

    def _streamed(self) -> _Body:
        if self._body is None:
            self._body = _Body(self, self._written)
            if self._done:
                self._body.end()
        return self._body

    # From the request

    def writeHeaders(self, version: bytes, code: bytes, reason: bytes, headers: Headers) -> None:
        """
        Take the head of the response.
        """
        # netkit makes the chunks.
        self.request.chunked = 0
        length = None
        fields = []
        for name, values in headers.getAllRawHeaders():
            if name not in _OWN:
                for value in values:
                    fields.append((name, value))
            elif name == b"Content-Length":
                if values and values[0].isdigit():
                    length = int(values[0])
            elif name == b"Connection" and b"close" in [value.lower() for value in values]:
                fields.append((name, b"close"))
        self._head = int(code), length, fields
        if not self._answering:
            answer, self._answer = self._later(), None
            if not answer.called:
                answer.callback(self._response(self.request.method))

    def write(self, data: bytes) -> None:
        """
        Take some of the content.
        """
        if self._body is None:
            self._written.append(data)
        else:
            self._body.write(data)

    def writeSequence(self, data: list[bytes]) -> None:
        """
        Take some of the content.
        """
        self.write(b"".join(data))

    def registerProducer(self, producer: IProducer, streaming: bool) -> None:
        """
        Have a producer paused while the client does not take what was written.
        """
        self._streamed().registerProducer(producer, streaming)

    def unregisterProducer(self) -> None:
        """
        Undo that.
        """
        self._streamed().unregisterProducer()

    def requestDone(self, request: IRequest) -> None:
        """
        The response is complete.
        """
        self._done = True
        if self._body is not None:
            self._body.end()
            if not self._answering:
                # So that they are collected where they are let go of.
                self._body = None

    def loseConnection(self) -> None:
        """
        The resource gives the connection up.
        """
        error = ConnectionAborted("the resource closed the connection")
        if self._head is None and not self._later().called:
            self._later().errback(error)
        self._streamed().fail(error)

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
        self._later().errback(HTTPProtocolError("the content is no form", 400))


@implementer(IBodyProducer)
class _Body:
    """
    The content of a response, as the resource writes it.

    @ivar length: how many octets it has, if that is known.
    """

    length: Any = UNKNOWN_LENGTH

    def __init__(self, channel: _Channel, written: list[bytes]) -> None:
        self._channel = channel
        self._consumer: IConsumer | None = None
        self._pieces = written
        self._size = sum(map(len, written))
        self._producer: Any = None
        self._ended = False
        self._error: Exception | None = None
        self._finished: Deferred[None] = Deferred()

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
        if self._consumer is not None and not self._finished.called:
            self._finished.callback(None)

    def fail(self, error: Exception) -> None:
        """
        There is no end to come.
        """
        self._error = error
        if self._consumer is not None and not self._finished.called:
            self._finished.errback(error)

    # From the connection

    def startProducing(self, consumer: IConsumer) -> Deferred[None]:
        """
        Write what there is, and all that comes.
        """
        self._consumer = consumer
        pieces, self._pieces = self._pieces, []
        if pieces:
            consumer.write(b"".join(pieces))
        if self._error is not None:
            return fail(self._error)
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
