"""
Whether a server accepts a handshake: path, origin, and the application's decision.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any, NamedTuple

from twisted.internet.defer import Deferred

from ..base.coroutines import maybeCoroutine
from ..wire.http.fields import show
from ..wire.websocket.handshake import Agreement, Offer, accept
from .arguments import checkOrigins, checkPath, checkSubprotocols
from .options import WebSocketOptions
from .protocol import (
    Acceptance,
    ConnectionAcceptor,
    Decision,
    Rejection,
    WebSocketProtocol,
    WebSocketServerFactory,
)

# The decision where the application makes none.
_ACCEPTED = Acceptance()


class Accepted(NamedTuple):
    """
    An accepted handshake.

    @ivar application: what receives the connection's events.
    @ivar agreement: the subprotocol and the compression that were agreed on.
    @ivar response: the octets of the response 101.
    """

    application: WebSocketProtocol
    agreement: Agreement
    response: bytes


class Refused(NamedTuple):
    """
    A refused handshake.

    @ivar rejection: the response.
    @ivar reason: which rule refused it, for the log.
    """

    rejection: Rejection
    reason: str


class Acceptor:
    """
    Decides whether a handshake is accepted: by its path and its origin (RFC 6455 section 10.2),
    then by the application.

    @ivar path: the only path; L{None} for any.
    @ivar subprotocols: the subprotocols that are spoken.
    @ivar origins: the web origins that browsers may connect from; L{None} for any.
    @ivar options: how the connections are to behave.
    @ivar limits: what the head of a request may have of each of its parts.
    """

    def __init__(
        self,
        application: WebSocketServerFactory[WebSocketProtocol],
        *,
        path: bytes | None = None,
        subprotocols: Iterable[str] = (),
        origins: Iterable[str] | None = None,
        options: WebSocketOptions,
    ) -> None:
        """
        @param application: makes the application's side of each connection; where it is a
            L{ConnectionAcceptor <netkit.websocket.ConnectionAcceptor>}, it decides as well.
        @param path: the only path that there is a WebSocket at; any by default.
        @param subprotocols: the subprotocols that are spoken.
        @param origins: the web origins that browsers may connect from; any by default.
        @param options: how the connections are to behave.
        @raise TypeError: one of these is of another type.
        @raise ValueError: no request could be accepted with one of these.
        """
        if not callable(getattr(application, "buildProtocol", None)):
            raise TypeError(
                f"{application!r} has no buildProtocol(request): a factory such as "
                "Factory.forProtocol(Chat) makes the application's side of each connection"
            )
        if not isinstance(options, WebSocketOptions):
            raise TypeError(f"options is a WebSocketOptions, not {options!r}")
        self._application = application
        self._decide: Callable[[Any], Any] | None = (
            application.acceptConnection if isinstance(application, ConnectionAcceptor) else None
        )
        self.path = checkPath(path)
        self.subprotocols = frozenset(checkSubprotocols(subprotocols))
        self.origins = checkOrigins(origins)
        self.options = options
        # The content is the plain protocol's to limit.
        self.limits = replace(options.headLimits(), content=0)

    def decide(self, request: Any) -> Decision | Refused | Deferred[Decision | Refused]:
        """
        Decide about a handshake.

        @param request: the request: a L{WebSocketRequest <netkit.websocket.WebSocketRequest>},
            or one of L{twisted.web}.
        @return: the decision; where it is the application's, what fires with it, or fails as the
            application does.
        """
        refused = self._refusal(request)
        if refused is not None or self._decide is None:
            return refused
        decision: Deferred[Decision | Refused] = maybeCoroutine(self._decide, request)
        return decision

    def _refusal(self, request: Any) -> Refused | None:
        """
        Apply the rules on path and origin.
        """
        if self.path is not None and request.path != self.path:
            return Refused(
                Rejection(status=404),
                f"the path is {show(request.path)}, and the WebSocket's is {show(self.path)}",
            )
        if self.origins is not None:
            origin = request.getHeader(b"origin")
            # Who sends none is no browser.
            if origin is not None and origin.decode("latin-1").lower() not in self.origins:
                return Refused(
                    Rejection(status=403), f"the origin {show(origin)} is none that is allowed"
                )
        return None

    def answer(
        self, decision: Decision | Refused, request: Any, offer: Offer
    ) -> Accepted | Refused:
        """
        Carry out a decision: negotiate, and build the application.

        @param decision: the result of L{decide}.
        @param request: the request.
        @param offer: what the client offers in it.
        @raise TypeError: C{acceptConnection} returned something else.
        @raise LocalProtocolError: it chose a subprotocol that the client does not offer.
        """
        if decision is None:
            decision = _ACCEPTED
        elif isinstance(decision, Refused):
            return decision
        elif isinstance(decision, Rejection):
            return Refused(decision, f"acceptConnection rejects {show(request.uri)}")
        elif not isinstance(decision, Acceptance):
            raise TypeError(
                f"acceptConnection returned {decision!r}: an Acceptance, a Rejection or None is "
                "a decision"
            )
        subprotocol = decision.subprotocol
        if subprotocol is None and offer.subprotocols:
            wanted = (name for name in offer.subprotocols if name in self.subprotocols)
            subprotocol = next(wanted, None)
        response, agreement = accept(
            offer,
            subprotocol=subprotocol,
            settings=self.options.deflateSettings(),
            fields=decision.headers,
        )
        application = self._application.buildProtocol(request)
        if application is None:
            return Refused(Rejection(), f"buildProtocol returned None for {show(request.uri)}")
        return Accepted(application, agreement, response)
