"""
What a browser has to be told before a page of another origin may read an answer: the CORS protocol
of the Fetch standard.
"""

from __future__ import annotations

from ..http import Request, Response

#: The fields that let a page of any origin read an answer.
CORS_FIELDS = [
    (b"access-control-allow-origin", b"*"),
    (b"access-control-expose-headers", b"*"),
]

# For how many seconds a browser need not ask again.
_MAX_AGE = b"600"


def isPreflight(request: Request) -> bool:
    """
    Tell whether a browser asks what a page may ask for.

    @param request: the request.
    """
    return (
        request.method == b"OPTIONS"
        and b"origin" in request.headers
        and b"access-control-request-method" in request.headers
    )


def preflightAnswer(request: Request, fields: list[tuple[bytes, bytes]]) -> Response:
    """
    Tell a browser that a page may ask for what it wants to.

    @param request: the browser's request.
    @param fields: the fields of every answer.
    """
    asked = request.headers
    allowed = [
        (b"access-control-allow-methods", asked.all(b"access-control-request-method")),
        # A * would leave out Authorization.
        (b"access-control-allow-headers", asked.all(b"access-control-request-headers")),
        (
            # From a public site to a private network.
            b"access-control-allow-private-network",
            asked.all(b"access-control-request-private-network"),
        ),
    ]
    return Response(
        204,
        b"",
        [
            *fields,
            *((name, b", ".join(values)) for name, values in allowed if values),
            (b"access-control-max-age", _MAX_AGE),
            (b"vary", b"access-control-request-method, access-control-request-headers"),
        ],
    )
