"""
Figures for Prometheus, and whether the service is up.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from prometheus_client import ProcessCollector
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector, CollectorRegistry
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IListeningPort
from twisted.logger import Logger

from ..base.addresses import addressText
from ..base.endpoints import serverEndpoint
from ..http import HTTPFactory, Request, Response
from .figures import Figures
from .supervisor import Supervisor

_log = Logger()

_COUNTERS = {
    "accepted": ("netkit_connections_accepted", "Connections that were accepted.", ["service"]),
    "refused": (
        "netkit_connections_refused",
        "Connections that were refused, by reason; of no service where none knew of them yet.",
        ["service", "reason"],
    ),
    "requests": (
        "netkit_http_requests",
        "HTTP requests that are over; 4xx has those whose client left (499).",
        ["service", "method", "status"],
    ),
    "octets": (
        "netkit_octets",
        "Octets that went over connections: received, and sent.",
        ["service", "direction"],
    ),
    "messages": (
        "netkit_websocket_messages",
        "Messages of WebSockets that are over: received, and sent.",
        ["service", "direction"],
    ),
    "closed": (
        "netkit_websocket_closed",
        "WebSockets that are over, by close code; 1006 are those that were lost.",
        ["service", "code"],
    ),
    "handshakes": (
        "netkit_websocket_handshakes_refused",
        "Opening handshakes that were refused, by status.",
        ["service", "status"],
    ),
    "faults": ("netkit_faults_struck", "How often faults struck.", ["service", "fault"]),
    "capture events": ("netkit_capture_events", "What happened on recorded connections.", []),
    "capture octets": ("netkit_capture_octets", "Octets that are kept.", []),
    "capture dropped": ("netkit_capture_dropped_octets", "Octets that were left out.", []),
    "capture unrecorded": (
        "netkit_capture_unrecorded_connections",
        "Connections that were left out as a whole.",
        [],
    ),
    "capture unshown": (
        "netkit_capture_unshown_octets",
        "Octets of workers that did not get to the inspector, since that was too slow.",
        [],
    ),
    "ended": ("netkit_workers_ended", "Workers that ended and were started again.", []),
}

_GAUGES = {
    "open": ("netkit_connections", "Connections that are open.", ["service"]),
    "capture queued": ("netkit_capture_queued_octets", "Octets that wait for the disk.", []),
    "workers": ("netkit_workers", "Workers that serve whoever connects.", []),
    "lag": (
        "netkit_event_loop_lag_seconds",
        "How late the event loop was at worst since the last scrape.",
        [],
    ),
}

_HISTOGRAMS = {
    "requests": (
        "netkit_http_request_seconds",
        "How long requests took, from their heads to the last octet of their responses.",
    ),
    "pings": (
        "netkit_websocket_ping_seconds",
        "How long the peers of WebSockets took to answer pings.",
    ),
}


class _Figures(Collector):
    def __init__(self, figures: Figures) -> None:
        self._figures = figures

    def collect(self) -> Iterator[Metric]:
        families: dict[str, Metric] = {}
        for (kind, *labels), value in sorted(self._figures.items()):
            name = kind
            if kind == "capture":
                name, labels = f"capture {labels[0]}", []
            if name in _COUNTERS:
                family = families.setdefault(name, _made(CounterMetricFamily, *_COUNTERS[name]))
                family.add_metric(labels, value)  # type: ignore[attr-defined]
            elif name in _GAUGES:
                family = families.setdefault(name, _made(GaugeMetricFamily, *_GAUGES[name]))
                family.add_metric(labels, value)  # type: ignore[attr-defined]
            elif kind == "seconds":
                name, *labels = labels
                family = families.setdefault(
                    f"{name} seconds",
                    _made(HistogramMetricFamily, *_HISTOGRAMS[name], ["service"]),
                )
                family.add_metric(labels, self._buckets(name, *labels), value)  # type: ignore[attr-defined]
        yield from families.values()

    def _buckets(self, *histogram: str) -> list[tuple[str, float]]:
        buckets = [
            (key[-1], number)
            for key, number in self._figures.items()
            if key[:-1] == ("bucket", *histogram)
        ]
        return sorted(buckets, key=lambda each: float(each[0]))


def _made(kind: Any, name: str, help: str, labels: Iterable[str]) -> Metric:
    made: Metric = kind(name, help, labels=list(labels))
    return made


class MetricsEndpoint:
    """
    Answers C{/metrics}, C{/healthz} and C{/readyz} for all processes together.

    It listens until all services of the process have stopped, so that whoever looks can tell that
    it is draining.
    """

    def __init__(self, supervisor: Supervisor, reactor: Any, description: str) -> None:
        """
        @param supervisor: knows the processes.
        @param reactor: what listens.
        @param description: a server endpoint string.
        """
        self._supervisor = supervisor
        self._reactor = reactor
        self._endpoint = serverEndpoint(reactor, description)
        self._factory = HTTPFactory(self._answer, maxConnections=100, clock=reactor)

    def start(self) -> Deferred[Any]:
        """
        Listen.

        @return: fires with the port.
        """
        return self._endpoint.listen(self._factory).addCallback(self._listens)

    def _listens(self, port: IListeningPort) -> IListeningPort:
        self._reactor.addSystemEventTrigger("during", "shutdown", port.stopListening)
        _log.info("The metrics are on {address}", address=addressText(port.getHost()))
        return port

    async def _answer(self, request: Request) -> Response:
        if request.method not in (b"GET", b"HEAD"):
            return _text(405, "GET it", [(b"Allow", b"GET, HEAD")])
        if request.path == b"/metrics":
            accept = ", ".join(
                each.decode("latin-1") for each in request.head.fields.all(b"accept")
            )
            encode, kind = choose_encoder(accept)
            registry = CollectorRegistry()
            registry.register(_Figures(await self._supervisor.figures()))
            ProcessCollector(registry=registry)
            return Response(200, encode(registry), [(b"Content-Type", kind.encode())])
        if request.path == b"/healthz":
            return _text(200, "ok")
        if request.path == b"/readyz":
            return _text(200, "ready") if self._supervisor.ready else _text(503, "not ready")
        return _text(404, "see /metrics, /healthz and /readyz")


def _text(status: int, text: str, fields: Iterable[tuple[bytes, bytes]] = ()) -> Response:
    return Response(status, f"{text}\n".encode(), [(b"Content-Type", b"text/plain"), *fields])
