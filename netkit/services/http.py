"""
The twistd plugin C{netkit-http}.
"""

from __future__ import annotations

import os
import re
from collections.abc import Coroutine
from typing import Any

from twisted.internet.defer import Deferred
from twisted.python.usage import UsageError

from ..http import Handler, HTTPFactory, Request, Response
from ..wire.errors import LocalProtocolError
from ..wire.http import Limits
from .listening import ListeningService, listeningService
from .options import ResponseOptions, wholeNumber

_HEADER = re.compile(r"([^:]*):(.*)", re.DOTALL)


class Options(ResponseOptions):
    """
    The command line of C{netkit-http}: C{self["response"]} is a L{Response} in the end.
    """

    service = "http"
    defaultEndpoint = "tcp:3202:interface=127.0.0.1"

    optParameters = [
        ["status", "s", 200, "The status to answer, 200 to 999.", wholeNumber("status")],
        [
            "max-content",
            None,
            64 * 2**20,
            "How many bytes of content a request may have, as sent; 0 for no limit.",
            wholeNumber("max-content"),
        ],
    ]

    def __init__(self) -> None:
        super().__init__()
        self["header"] = []

    def opt_header(self, line: str) -> None:
        """
        A field to answer with, as 'Name: value'. May be given several times; Content-Type takes
        the place of text/plain.
        """
        found = _HEADER.fullmatch(line)
        if found is None:
            raise UsageError(f"--header {line!r} is not 'Name: value': it has no colon")
        name, value = found.groups()
        self["header"].append((os.fsencode(name), os.fsencode(value.strip())))

    def postOptions(self) -> None:
        super().postOptions()
        headers = self["header"]
        if not any(name.lower() == b"content-type" for name, _ in headers):
            headers = [(b"content-type", b"text/plain"), *headers]
        try:
            self["response"] = Response(self["status"], self["response"], headers)
        except LocalProtocolError as error:
            raise UsageError(f"--status or --header: {error}") from error


def fixedHandler(response: Response) -> Handler:
    """
    Make the handler that reads every request to its end and answers with one response.

    @param response: the response.
    """

    async def readThenAnswer(request: Request) -> Response:
        # What the printer shows and the factory limits need not be kept here as well.
        async for _ in request.content:
            pass
        return response

    def answer(request: Request) -> Response | Coroutine[Deferred[Any], Any, Response]:
        return response if request.complete else readThenAnswer(request)

    return answer


def makeService(options: Options) -> ListeningService:
    """
    Make the http service.
    """
    return listeningService(
        options,
        lambda printer: HTTPFactory(
            fixedHandler(options["response"]),
            printer=printer,
            limits=Limits(content=options["max-content"]),
            **options.limits(),
        ),
    )
