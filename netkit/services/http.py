"""
The twistd plugin C{netkit-http}.
"""

from __future__ import annotations

import os
import re
from collections.abc import Coroutine
from functools import partial
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import deferLater
from twisted.python.usage import UsageError

from ..http import HTTPFactory, Request, Response
from ..http.exchange import Observe
from ..inspector.services import AnswerChange, fieldsJSON, octetsJSON
from ..operation.figures import Requests
from ..operation.supervisor import supervisor
from ..wire.errors import LocalProtocolError
from ..wire.http import Limits
from .cors import CORS_FIELDS, isPreflight, preflightAnswer
from .listening import PluginService, listeningService, makeAccessLog
from .options import ResponseOptions, seconds, wholeNumber
from .routes import Routes, completed

_HEADER = re.compile(r"([^:]*):(.*)", re.DOTALL)

_TEXT = [(b"content-type", b"text/plain")]

_LIMITS = Limits()


class Options(ResponseOptions):
    """
    The command line of C{netkit-http}: C{self["response"]} is a L{Response} in the end.
    """

    service = "http"
    defaultEndpoint = "tcp:3202:interface=127.0.0.1"

    optParameters = [
        ["status", "s", 200, "The status to answer, 200 to 999.", wholeNumber("status")],
        *(
            [f"max-{name}", None, default, help, wholeNumber(f"max-{name}")]
            for name, default, help in (
                ("content", _LIMITS.content, "Bytes of content, as sent; 0 for no limit."),
                ("request-line", _LIMITS.request_line, "Bytes of a request line."),
                ("header-section", _LIMITS.header_section, "Bytes of a header section."),
                ("fields", _LIMITS.fields, "Fields of a header or trailer section."),
                ("chunk-extensions", _LIMITS.chunk_extensions, "Bytes of chunk extensions."),
                ("trailer-section", _LIMITS.trailer_section, "Bytes of a trailer section."),
            )
        ),
        ["head-timeout", None, 30.0, "Seconds that a head may take.", seconds("head-timeout")],
        [
            "content-timeout",
            None,
            300.0,
            "Seconds that the content of a request may take.",
            seconds("content-timeout"),
        ],
        ["delay", None, 0.0, "How many seconds to wait before answering.", seconds("delay")],
    ]

    optFlags = [
        [
            "routes",
            None,
            "Answer /status/N, /delay/S, /bytes/N, /stream/N, /drip and /anything as they say.",
        ],
        [
            "cors",
            None,
            "Let web pages of any origin read the answers, and ask for what they like.",
        ],
    ]

    def __init__(self) -> None:
        super().__init__()
        self["header"] = []

    def opt_header(self, line: str) -> None:
        """
        A field to answer with, on routes too, as 'Name: value'. May be given several times;
        Content-Type takes the place of text/plain.
        """
        found = _HEADER.fullmatch(line)
        if found is None:
            raise UsageError(f"--header {line!r} is not 'Name: value': it has no colon")
        name, value = found.groups()
        self["header"].append((os.fsencode(name), os.fsencode(value.strip())))

    def postOptions(self) -> None:
        super().postOptions()
        if self["cors"]:
            self["header"] = completed(self["header"], CORS_FIELDS)
        self["headers"] = headers = completed(self["header"], _TEXT)
        try:
            self["response"] = Response(self["status"], self["response"], headers)
        except LocalProtocolError as error:
            raise UsageError(f"--status or --header: {error}") from error


class ConfiguredHandler:
    """
    The handler of the service: reads each request to its end, and answers it. What it answers can
    be changed.
    """

    def __init__(
        self,
        response: Response,
        fields: list[tuple[bytes, bytes]],
        *,
        headers: list[tuple[bytes, bytes]] | None = None,
        delay: float,
        routes: bool,
        cors: bool,
        clock: IReactorTime,
    ) -> None:
        """
        @param response: what to answer.
        @param fields: the fields to answer with where it is something else.
        @param headers: the fields of C{response}, to tell; C{fields} by default.
        @param delay: how many seconds to wait before.
        @param routes: whether to answer on the paths of L{Routes} as they say.
        @param cors: whether to answer the preflights of browsers.
        @param clock: what tells the time.
        """
        self._response = response
        self._headers = fields if headers is None else headers
        self._fields = fields
        self._delay = delay
        self._atStart = response, delay, self._headers
        self._routes = Routes(clock, fields) if routes else None
        self._cors = cors
        self._clock = clock

    def answer(self, request: Request) -> Response | Coroutine[Deferred[Any], Any, Response]:
        """
        Answer a request.
        """
        if request.complete and not (self._delay or self._routes or self._cors):
            return self._response
        return self._answerLater(request)

    def answerJSON(self) -> dict[str, Any]:
        """
        What it answers, for an inspector.
        """
        response = self._response
        assert isinstance(response.content, bytes)
        return {
            "status": response.status,
            "fields": fieldsJSON(self._headers),
            "content": octetsJSON(response.content),
            "delay": self._delay,
        }

    def changeAnswer(self, change: AnswerChange) -> None:
        """
        Answer something else from now on.

        @raise ValueError: that cannot be answered; nothing changes.
        """
        if change.echo:
            raise ValueError('content is {"text": ...} or {"base64": ...}')
        headers = self._headers if change.fields is None else list(change.fields)
        content = self._response.content if change.content is None else change.content
        status = self._response.status if change.status is None else change.status
        try:
            self._response = Response(status, content, headers)
        except LocalProtocolError as error:
            raise ValueError(str(error)) from error
        self._headers = headers
        if change.delay is not None:
            self._delay = change.delay

    def resetAnswer(self) -> None:
        """
        Answer as at the start.
        """
        self._response, self._delay, self._headers = self._atStart

    async def _answerLater(self, request: Request) -> Response:
        response = None
        if self._cors and isPreflight(request):
            response = preflightAnswer(request, self._fields)
        elif self._routes is not None:
            response = await self._routes.answer(request)
        # What is recorded and limited elsewhere need not be kept here as well.
        async for _ in request.content:
            pass
        if self._delay:
            await deferLater(self._clock, self._delay)
        return response or self._response


def makeService(options: Options) -> PluginService:
    """
    Make the http service.
    """
    from twisted.internet import reactor

    handler = ConfiguredHandler(
        options["response"],
        options["header"],
        headers=options["headers"],
        delay=options["delay"],
        routes=bool(options["routes"]),
        cors=bool(options["cors"]),
        clock=IReactorTime(reactor),
    )
    accessLog = makeAccessLog(options)
    observe: Observe | None = None
    if options["metrics"] is not None or accessLog is not None:
        lines = None if accessLog is None else accessLog.lines
        requests = Requests(lines, IReactorTime(reactor))
        observe = requests.observe
    if options["metrics"] is not None:
        supervisor(reactor).addFigures(partial(requests.figures, options.service))
    return listeningService(
        options,
        HTTPFactory(
            handler.answer,
            observe=observe,
            limits=Limits(
                request_line=options["max-request-line"],
                header_section=options["max-header-section"],
                fields=options["max-fields"],
                content=options["max-content"],
                chunk_extensions=options["max-chunk-extensions"],
                trailer_section=options["max-trailer-section"],
            ),
            headTimeout=options["head-timeout"],
            contentTimeout=options["content-timeout"],
            # For who asks by hand: nc closes its half behind what it is given.
            allowHalfOpen=True,
            **options.limits(),
        ),
        answer=handler,
        accessLog=accessLog,
        counted=False,
    )
