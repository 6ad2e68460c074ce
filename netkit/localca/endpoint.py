"""
The endpoint string C{localca:}: TLS, with certificates that an authority of one's own issues.

The string of the endpoint itself is escaped in it: C{localca:tcp\\:8443}, and
C{localca:tcp\\:8443:folder=/home/me/ca}.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ..base.endpoints import serverEndpoint
from ..tls import OpenSSLServerEndpoint
from .authority import Authority, AuthorityError, defaultFolder
from .context import IssuingContext


def parseServer(
    reactor: Any, endpoint: str = "", *more: str, folder: str | None = None, **unknown: str
) -> OpenSSLServerEndpoint:
    """
    Make the endpoint of a server's string.

    @param reactor: what listens.
    @param endpoint: the string of the endpoint to listen on.
    @param folder: the authority's; by default the one that C{netkit ca} makes.
    @param more: what else there is, where it is not escaped.
    @param unknown: what else has an C{=} in it.
    @raise ValueError: it is none, or there is no authority.
    """
    unescaped = [*more, *(f"{name}={value}" for name, value in unknown.items())]
    if unescaped:
        raise ValueError(
            f"{unescaped[0]} is unknown; the endpoint in a localca: string is escaped, as in "
            "localca:tcp\\:8443\\:interface\\=127.0.0.1:folder=/home/me/ca"
        )
    try:
        authority = Authority(defaultFolder() if folder is None else Path(folder))
    except AuthorityError as error:
        raise ValueError(str(error)) from error
    creator = IssuingContext(authority)
    return OpenSSLServerEndpoint(
        serverEndpoint(reactor, endpoint), creator, creator.context, reactor
    )
