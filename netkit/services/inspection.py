"""
The inspector of services, as a service.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from ipaddress import ip_address
from typing import Any

from twisted.application.service import MultiService
from twisted.internet.address import IPv4Address, IPv6Address, UNIXAddress
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import (
    IAddress,
    IListeningPort,
    IProtocolFactory,
    IReactorTime,
    IStreamServerEndpoint,
)
from twisted.logger import Logger
from zope.interface import implementer

from ..base.addresses import addressText
from ..base.endpoints import serverEndpoint
from ..base.twistedprivate import endpointService, splitEndpoint
from ..capture.capture import Capture
from ..capture.passing import EventReceiver
from ..inspector.access import TOKEN_PARAMETER, Access
from ..inspector.changes import changesJSON
from ..inspector.inspector import Inspector
from ..inspector.services import InspectedService
from ..operation.supervisor import supervisor
from ..service import AnnouncedEndpoint, CannotStart

_log = Logger()

#: Where it listens for whoever does not say otherwise.
DEFAULT_ENDPOINT = "tcp:3210:interface=127.0.0.1"

#: Where it listens when that is taken.
OTHER_ENDPOINT = "tcp:0:interface=127.0.0.1"


class InspectorService(MultiService):
    """
    An inspector that listens, and says under which address it is to be opened.

    @ivar addresses: where it listens, as far as it does.
    @ivar url: the address to open; L{None} while it does not listen, or where it is no web
        address.
    """

    service = "inspector"

    def __init__(
        self,
        inspector: Inspector,
        description: str,
        reactor: Any,
        *,
        otherwise: str | None = None,
        tell: Callable[[str], None] | None = None,
    ) -> None:
        """
        @param inspector: the inspector.
        @param description: a server endpoint string.
        @param reactor: what listens.
        @param otherwise: what to listen on where that cannot be had.
        @param tell: told the address to open; the log by default.
        """
        super().__init__()
        self.addresses: list[IAddress] = []
        self.url: str | None = None
        self._inspector = inspector
        self._secure = splitEndpoint(description)[0][0].lower() in ("ssl", "tls")
        self._tell = tell or _logged
        self._clock = IReactorTime(reactor)
        endpoints = [
            AnnouncedEndpoint(self, each, serverEndpoint(reactor, each))
            for each in (description, otherwise)
            if each is not None
        ]
        listening = _Listening(endpoints, self._listens)
        endpointService(listening, inspector.factory).setServiceParent(self)

    def stopService(self) -> Deferred[Any]:
        """
        End it, with all that is under way.
        """
        self._inspector.stop()
        stopped: Deferred[Any] = super().stopService()
        return stopped.addCallback(lambda _: self._inspector.factory.closeConnections(0.5))

    def _listens(self, address: IAddress) -> None:
        access = self._inspector.access
        local = isLocal(address)
        if local:
            access.trustConnections()
        if not isinstance(address, IPv4Address | IPv6Address):
            self._tell(f"The inspector listens on {addressText(address)}")
            return
        host = f"[{address.host}]" if ":" in address.host else address.host
        scheme = "https" if self._secure else "http"
        self.url = f"{scheme}://{host}:{address.port}/"
        if access.token is not None:
            self.url += f"?{TOKEN_PARAMETER}={access.token}"
        self._tell(f"The inspector is at {self.url}")
        if not local and not self._secure:
            _log.warn(
                "The inspector on {address} speaks no TLS: whoever is on the way can read "
                "all that it shows, its token too",
                address=addressText(address),
            )


def _logged(text: str) -> None:
    _log.info("{text}", text=text)


def isLocal(address: IAddress) -> bool:
    """
    Whether this machine's own users alone can connect to an address.
    """
    if isinstance(address, IPv4Address | IPv6Address):
        return ip_address(address.host.partition("%")[0]).is_loopback
    return isinstance(address, UNIXAddress)


@implementer(IStreamServerEndpoint)
class _Listening:
    """
    The first of several endpoints that can be had.
    """

    def __init__(
        self, endpoints: Sequence[AnnouncedEndpoint], listens: Callable[[IAddress], None]
    ) -> None:
        self._endpoints = endpoints
        self._listens = listens

    def listen(self, protocolFactory: IProtocolFactory) -> Deferred[IListeningPort]:
        """
        Listen.
        """
        return Deferred.fromCoroutine(self._listen(protocolFactory))

    async def _listen(self, factory: IProtocolFactory) -> IListeningPort:
        *others, last = self._endpoints
        for endpoint in others:
            try:
                return self._listening(await endpoint.listen(factory))
            except CannotStart:
                continue
        return self._listening(await last.listen(factory))

    def _listening(self, port: IListeningPort) -> IListeningPort:
        self._listens(port.getHost())
        return port


def makeInspector(
    options: Any,
    capture: Capture,
    services: Iterable[InspectedService],
    *,
    otherwise: str | None = None,
) -> InspectorService:
    """
    Make the inspector that options ask for. It shows what workers record as well, and they take
    what is changed by it.

    @param options: the parsed options.
    @param capture: what records the connections, in a ring too.
    @param services: whose connections these are.
    @param otherwise: where to listen if it cannot where the options say.
    """
    from twisted.internet import reactor

    ring = capture.ring
    assert ring is not None
    its = supervisor(reactor)
    its.watch(lambda: EventReceiver(ring))
    services = list(services)
    inspector = Inspector(
        ring,
        reactor,
        access=Access(options["inspect-host"]),
        flush=capture.flush,
        recorder=capture.recorder(),
        services=services,
        readOnly=bool(options["inspect-read-only"]),
        changed=lambda: its.share(changesJSON(services)),
    )
    return InspectorService(inspector, options["inspect"], reactor, otherwise=otherwise)
