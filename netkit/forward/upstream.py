"""
What is connected to for a client, and what is said there before anything of the client's is.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

from twisted.internet.interfaces import IStreamClientEndpoint, ITCPTransport

from ..base.endpoints import clientEndpoint
from ..base.tls import tlsAgreement
from ..base.tlsclient import TLSTarget
from ..base.trust import Trust
from ..base.twistedprivate import splitEndpoint
from ..tls import wrapClientTLS
from .proxyheader import PrefacedEndpoint, proxyHeader

# How many names of servers are remembered with what TLS needs for them.
_NAMES = 128


class Upstream:
    """
    Makes the endpoint to connect to for a client.
    """

    def __init__(
        self,
        reactor: Any,
        description: str,
        *,
        trust: Trust | None = None,
        serverName: str | None = None,
        passServerName: bool = False,
        protocols: Sequence[bytes] = (),
        sendProxy: str | None = None,
    ) -> None:
        """
        @param reactor: what connects.
        @param description: a client endpoint string.
        @param trust: whose certificates to trust; those that the system trusts by default.
        @param serverName: the name that a server of TLS is told (SNI), and its certificate is to
            have; the host's by default.
        @param passServerName: whether that is the one that the client asked us for, if it did.
        @param protocols: what to offer to a server of TLS (ALPN) for a client with which nothing
            was agreed on; what was is offered alone otherwise.
        @param sendProxy: the version of the PROXY protocol to begin with: C{v1} or C{v2}; none by
            default.
        @raise ValueError: it is no client endpoint string, or one that this cannot be done with.
        """
        self._reactor = reactor
        self._passServerName = passServerName
        self._serverName = serverName
        self._protocols = tuple(protocols)
        self._sendProxy = sendProxy
        self._target: TLSTarget | None = None
        kind = description.partition(":")[0].lower()
        if kind == "tls":
            self._target = TLSTarget(reactor, description, trust or Trust())
            self._endpoint = self._target.endpoint
            # It takes a millisecond and more to make one.
            self._creator = lru_cache(_NAMES)(self._target.connectionCreator)
            return
        if trust is not None and kind != "wss":
            raise ValueError(f"{description!r} is not TLS that verifies anything: write tls:")
        if serverName is not None or passServerName:
            raise ValueError(f"{description!r} is told no name of a server: write tls:")
        if sendProxy is not None and kind in ("ssl", "ws", "wss"):
            raise ValueError(
                f"a PROXY header cannot come before what {kind}: sends itself: write tls: or tcp:"
            )
        if kind == "wss" and trust is not None:
            # The others can do without.
            from ..websocket.strings import parseClient

            (_, *parts), named = splitEndpoint(description)
            self._endpoint = parseClient(reactor, kind, tuple(parts), named, trust)
        else:
            self._endpoint = clientEndpoint(reactor, description)

    def __call__(self, transport: ITCPTransport) -> IStreamClientEndpoint:
        """
        Make the endpoint for a client.

        @param transport: the client's.
        """
        endpoint = self._endpoint
        if self._sendProxy is not None:
            endpoint = PrefacedEndpoint(endpoint, proxyHeader(transport, self._sendProxy))
        if self._target is None:
            return endpoint
        name, protocols = self._serverName, self._protocols
        agreement = tlsAgreement(transport)
        if agreement is not None:
            if agreement.protocol:
                protocols = (agreement.protocol,)
            if agreement.serverName and self._passServerName:
                name = agreement.serverName.decode("ascii")
        return wrapClientTLS(self._creator(name, protocols), endpoint, self._reactor)
