"""
Which resource answers a request.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import NamedTuple
from urllib.parse import unquote

from ...http import Request, Response
from ...wire.errors import HTTPProtocolError
from ..access import TOKEN_PARAMETER
from ..details import GoneError
from ..filters import FilterError
from ..parameters import APIError, Query, readJSON
from .responses import errorResponse

#: How many octets the content of a request may have.
MOST_CONTENT = 16 * 2**20

_CHANGING = {"POST", "PUT", "PATCH", "DELETE"}


class Asked(NamedTuple):
    """
    A request to the API.

    @ivar arguments: what stands in its path.
    """

    request: Request
    query: Query
    arguments: tuple[str, ...]
    method: str

    async def json(self) -> object:
        """
        Read the content.

        @raise APIError: it is no JSON.
        """
        type = self.request.headers.get(b"content-type", b"") or b""
        if type.partition(b";")[0].strip().lower() != b"application/json":
            raise APIError(415, "the content is wanted as Content-Type: application/json")
        return readJSON(await self.request.read(MOST_CONTENT))


Handler = Callable[[Asked], Awaitable[Response]]


@dataclass(frozen=True, slots=True)
class Route:
    """
    A resource, or several of a kind.

    @ivar path: its path without C{/api}, as a regular expression; the groups are the arguments.
    @ivar methods: what answers, by method; HEAD is GET.
    @ivar changes: whether other methods than GET and HEAD change something.
    """

    path: str
    methods: Mapping[str, Handler]
    changes: bool = True


class Router:
    """
    Has the resource that is asked for answer.
    """

    def __init__(self, routes: Iterable[Route], *, readOnly: bool) -> None:
        """
        @param routes: the resources.
        @param readOnly: whether nothing can be changed.
        """
        self._routes = [(re.compile(route.path), route) for route in routes]
        self._readOnly = readOnly

    async def answer(self, request: Request) -> Response:
        """
        Answer a request whose path begins with C{/api}.
        """
        try:
            return await self._answered(request)
        except APIError as error:
            return errorResponse(error.status, str(error), error.fields)
        except FilterError as error:
            return errorResponse(400, str(error))
        except GoneError as error:
            return errorResponse(410, str(error))
        except HTTPProtocolError as error:
            return errorResponse(error.status, str(error))

    async def _answered(self, request: Request) -> Response:
        path = request.path.decode("latin-1").removeprefix("/api").removesuffix("/")
        for pattern, route in self._routes:
            found = pattern.fullmatch(path)
            if found is None:
                continue
            method = request.method.decode("latin-1")
            handler = route.methods.get("GET" if method == "HEAD" else method)
            if handler is None:
                allowed = ", ".join(sorted({*route.methods, *_head(route)}))
                raise APIError(
                    405, f"{method} is none of {allowed}", [(b"allow", allowed.encode())]
                )
            if self._readOnly and route.changes and method in _CHANGING:
                raise APIError(403, "the inspector is for looking alone: --inspect-read-only")
            try:
                arguments = tuple(unquote(each, errors="strict") for each in found.groups())
            except UnicodeDecodeError as error:
                raise APIError(400, "the path is no UTF-8") from error
            query = Query(request.query)
            query.text(TOKEN_PARAMETER)
            return await handler(Asked(request, query, arguments, method))
        raise APIError(404, f"there is nothing at {path!r}")


def _head(route: Route) -> set[str]:
    return {"HEAD"} if "GET" in route.methods else set()
