"""
What is measured: netkit and each peer, by the same load.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial

from . import payloads as octets
from . import servers as s
from .driving import Load
from .fairness import FLOODS, Flood, Wait
from .jobs import Job, metrics, redis, site
from .measures import Latency, Measure, Memory, Relayed, StartUp, Throughput, Wrk
from .programs.amounts import LINES, OPERATIONS, PAGES
from .running import Place
from .servers import Server, onEpoll


@dataclass(frozen=True)
class Pair:
    """
    Two servers to measure side by side.

    @ivar subject: netkit.
    @ivar peer: who it is compared with.
    @ivar atLeast: the ratio to be reached.
    """

    subject: Server
    peer: Server
    atLeast: float | None = None


@dataclass(frozen=True)
class Workload:
    """
    Something to measure.

    @ivar name: what it is called on the command line.
    @ivar title: what it is called in the report.
    @ivar measure: makes how it is measured: payloads are not made before they are needed.
    @ivar pairs: what is measured.
    @ivar atMost: the score that netkit is not to go beyond, where less is better.
    """

    name: str
    title: str
    measure: Callable[[], Measure]
    pairs: tuple[Pair, ...]
    atMost: float | None = None


def _toReach(pairs: tuple[Pair, ...], goals: Mapping[Server, float]) -> tuple[Pair, ...]:
    return tuple(replace(pair, atLeast=goals.get(pair.peer, pair.atLeast)) for pair in pairs)


def _against(subject: Server, *peers: Server | tuple[Server, float]) -> tuple[Pair, ...]:
    return tuple(
        Pair(subject, *peer) if isinstance(peer, tuple) else Pair(subject, peer) for peer in peers
    )


def _echo(size: int, connections: int = 50, mode: str = "closed") -> Load:
    payload = octets.octets(size)
    return Load((payload,), (payload,), connections=connections, mode=mode)


def _message(payload: bytes, connections: int = 50, opcode: int = octets.BINARY) -> Load:
    return Load(
        (octets.message(payload, opcode),),
        (octets.echoed(payload, opcode),),
        connections=connections,
        handshake=octets.UPGRADE,
        accept=octets.ACCEPT,
    )


def _http(request: bytes, content: bytes, connections: int = 50, replies: int = 1) -> Load:
    return Load((request * replies,), (content,), "http", replies, connections)


def _deflated() -> Load:
    # More of them than any window has room for: what repeats costs a fourth.
    texts = tuple(octets.document() for _ in range(64))
    return replace(
        _message(b""),
        requests=tuple(map(octets.compressed, texts)),
        expected=texts,
        check="inflate",
        handshake=octets.UPGRADE_WITH_DEFLATE,
    )


def _burst() -> Load:
    sent = [octets.octets(48) for _ in range(64)]
    return replace(
        _message(b""),
        requests=(b"".join(map(octets.message, sent)),),
        expected=(b"".join(map(octets.echoed, sent)),),
    )


def _upload() -> Load:
    size = 100 * 2**20
    content = octets.octets(2**20) * 100
    return _http(octets.post("/upload", content), b"%d" % size, connections=1)


_EVERY_WEBSOCKET = (s.AIOHTTP_WEBSOCKET, s.WEBSOCKETS, s.AUTOBAHN, s.TWISTED_WEBSOCKET)
_WEBSOCKET_TARGETS = (
    *_against(
        s.NETKIT_WEBSOCKET,
        s.UVLOOP_WEBSOCKET,
        (s.PICOWS, 1.0),
        s.BUN_WEBSOCKET,
        (s.NPM_WS, 1.4),
        s.AIOHTTP_WEBSOCKET,
        (s.WEBSOCKETS, 2.4),
        (s.AUTOBAHN, 4.0),
        (s.TWISTED_WEBSOCKET, 3.5),
    ),
    Pair(onEpoll(s.NETKIT_WEBSOCKET), s.TWISTED_WEBSOCKET, 1.5),
)
_ECHO_TARGETS = (
    *_against(
        s.NETKIT_ECHO,
        (s.C_ECHO, 0.85),
        s.UVLOOP_ECHO,
        s.BUN_ECHO,
        s.GO_ECHO,
        (s.NODE_ECHO, 2.2),
        (s.TWISTED_ECHO, 2.2),
    ),
    Pair(onEpoll(s.NETKIT_ECHO), s.TWISTED_ECHO, 1.0),
)
_ECHO_PEERS = _against(s.NETKIT_ECHO, s.C_ECHO, s.UVLOOP_ECHO, s.NODE_ECHO, s.TWISTED_ECHO)
_TLS_PEERS = _against(s.NETKIT_ECHO, s.C_TLS, s.UVLOOP_ECHO, (s.NODE_ECHO, 1.0), s.TWISTED_ECHO)
_HTTPS_PEERS = _against(s.NETKIT_HTTP, s.UVLOOP_HTTP, (s.NODE_HTTP, 1.0), (s.NGINX, 0.8))
_HTTP_SERVERS = (s.NODE_HTTP, s.UVICORN, s.AIOHTTP_HTTP, s.TWISTED_WEB)
_HTTP_PEERS = _against(s.NETKIT_HTTP, s.UVLOOP_HTTP, *_HTTP_SERVERS)
_WEBSOCKET_PEERS = _against(
    s.NETKIT_WEBSOCKET,
    s.UVLOOP_WEBSOCKET,
    s.PICOWS,
    s.BUN_WEBSOCKET,
    s.NPM_WS,
    *_EVERY_WEBSOCKET,
)
_FASTEST_HTTP = (s.BUN_HTTP, s.GO_HTTP, s.NGINX, s.SOCKETIFY, s.GRANIAN)
_HTTP_TARGETS = (
    *_against(
        s.NETKIT_HTTP,
        s.UVLOOP_HTTP,
        *_FASTEST_HTTP,
        (s.NODE_HTTP, 2.0),
        (s.UVICORN, 2.4),
        s.AIOHTTP_HTTP,
        (s.TWISTED_WEB, 6.0),
    ),
    Pair(onEpoll(s.NETKIT_HTTP), s.TWISTED_WEB, 3.0),
)

_RESOURCE_TARGETS = (
    Pair(s.NETKIT_RESOURCE, s.TWISTED_WEB, 1.0),
    Pair(onEpoll(s.NETKIT_RESOURCE), s.TWISTED_WEB, 1.0),
)


def _recorded(server: s.Server, toReach: float) -> tuple[Pair, ...]:
    return (Pair(s.recorded(server), server, toReach),)


def _onOthers(
    programs: Mapping[str, Server], epoll: float | None = None, asyncio: float | None = None
) -> tuple[Pair, ...]:
    ours = programs["netkit"]
    return (
        Pair(ours, programs["epoll"], epoll),
        Pair(ours, programs["asyncio"], asyncio),
    )


def _fair(name: str, flood: Flood) -> tuple[Pair, ...]:
    """
    A victim may wait half as long again as on epoll, and at chunks twice as long as at Node.
    """
    ours, itsEpoll, *others = flood.servers
    toNode = 1 / 2 if name == "http-chunks" else None
    return (
        Pair(ours, itsEpoll, 1 / 1.5),
        *(Pair(ours, each, toNode if each is s.NODE_HTTP else None) for each in others),
    )


def _file(size: int) -> Throughput:
    name = f"{size}.txt"
    content = octets.octets(size)
    s.FILES.mkdir(parents=True, exist_ok=True)
    (s.FILES / name).write_bytes(content)
    request = f"GET /{name} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n".encode()
    return Throughput(_http(request, content), "requests/s")


def _relayed(size: int) -> Relayed:
    unit = "MiB/s" if size == 2**20 else "messages/s"
    return Relayed(Throughput(_echo(size), unit), s.C_ECHO)


def _forwarders(*peers: Server | tuple[Server, float]) -> tuple[Pair, ...]:
    return (
        *_against(s.NETKIT_FORWARD, *peers),
        Pair(s.recorded(s.NETKIT_FORWARD), s.NETKIT_FORWARD),
    )


WORKLOADS = (
    Workload(
        "echo-64",
        "TCP echo, 64 B, 50 connections",
        lambda: Throughput(_echo(64), "messages/s"),
        _ECHO_TARGETS,
    ),
    Workload(
        "echo-1k",
        "TCP echo, 1 KiB, 50 connections",
        lambda: Throughput(_echo(2**10), "messages/s"),
        _ECHO_TARGETS,
    ),
    Workload(
        "echo-16k",
        "TCP echo, 16 KiB, 50 connections",
        lambda: Throughput(_echo(2**14), "messages/s"),
        _ECHO_TARGETS,
    ),
    Workload(
        "echo-1m",
        "TCP echo, 1 MiB, 50 connections",
        lambda: Throughput(_echo(2**20), "MiB/s"),
        _ECHO_PEERS,
    ),
    Workload(
        "echo-64-1000",
        "TCP echo, 64 B, 1,000 connections",
        lambda: Throughput(_echo(64, 1000), "messages/s"),
        _toReach(_ECHO_PEERS, {s.C_ECHO: 0.85}),
    ),
    Workload(
        "echo-64-8000",
        "TCP echo, 64 B, 8,000 connections",
        lambda: Throughput(_echo(64, 8000), "messages/s"),
        _against(s.NETKIT_ECHO, (s.C_ECHO, 0.95), s.UVLOOP_ECHO, s.NODE_ECHO),
    ),
    Workload(
        "echo-unix",
        "UNIX socket echo, 64 B, 50 connections",
        lambda: Throughput(_echo(64), "messages/s", Place(unix=True)),
        _toReach(_ECHO_PEERS, {s.C_ECHO: 0.75}),
    ),
    Workload(
        "echo-tls",
        "TLS echo, 1 KiB, 50 connections",
        lambda: Throughput(_echo(2**10), "messages/s", Place(tls=True)),
        _toReach(_TLS_PEERS, {s.UVLOOP_ECHO: 1.0}),
    ),
    Workload(
        "echo-tls-1m",
        "TLS echo, 1 MiB, 50 connections",
        lambda: Throughput(_echo(2**20), "messages/s", Place(tls=True)),
        _TLS_PEERS,
    ),
    Workload(
        "handshakes",
        "TLS connections, each for one echo of 64 B, 50 at a time",
        lambda: Throughput(_echo(64, mode="reconnect"), "connections/s", Place(tls=True)),
        _TLS_PEERS,
    ),
    Workload(
        "handshakes-resumed",
        "TLS connections that resume the last session, each for one echo of 64 B, 50 at a time",
        lambda: Throughput(
            _echo(64, mode="reconnect"), "connections/s", Place(tls=True, resume=True)
        ),
        _TLS_PEERS,
    ),
    Workload(
        "https",
        "HTTPS connections, each for one GET, 50 at a time",
        lambda: Throughput(
            replace(_http(octets.GET, octets.HELLO), mode="reconnect"),
            "connections/s",
            Place(tls=True),
        ),
        _HTTPS_PEERS,
    ),
    Workload(
        "https-resumed",
        "HTTPS connections that resume the last session, each for one GET, 50 at a time",
        lambda: Throughput(
            replace(_http(octets.GET, octets.HELLO), mode="reconnect"),
            "connections/s",
            Place(tls=True, resume=True),
        ),
        _HTTPS_PEERS,
    ),
    Workload(
        "connections",
        "TCP connections, each for one echo of 64 B, 50 at a time",
        lambda: Throughput(_echo(64, mode="reconnect"), "connections/s"),
        _toReach(_ECHO_PEERS, {s.UVLOOP_ECHO: 1.0, s.NODE_ECHO: 1.5}),
    ),
    Workload(
        "echo-p50",
        "TCP echo, 64 B, 50 connections: median latency at half load",
        lambda: Latency(_echo(64), "p50"),
        _against(s.NETKIT_ECHO, s.C_ECHO, s.NODE_ECHO, s.TWISTED_ECHO),
    ),
    Workload(
        "echo-p99",
        "TCP echo, 64 B, 50 connections: 99th percentile of latency at half load",
        lambda: Latency(_echo(64), "p99"),
        _against(s.NETKIT_ECHO, s.C_ECHO, s.NODE_ECHO, s.TWISTED_ECHO),
    ),
    Workload(
        "echo-memory",
        "Memory of an idle TCP connection",
        lambda: Memory(Load()),
        _against(s.NETKIT_ECHO, s.UVLOOP_ECHO, s.NODE_ECHO, s.TWISTED_ECHO),
    ),
    Workload(
        "tls-memory",
        "Memory of an idle TLS connection",
        lambda: Memory(Load(), Place(tls=True)),
        _TLS_PEERS,
    ),
    Workload(
        "start-up",
        "Start of twistd -n netkit-echo until it listens",
        StartUp,
        _against(s.NETKIT_TWISTD, (s.STOCK_TWISTD, 1 / 1.2), s.NODE_ECHO),
    ),
    Workload(
        "http-get-varied",
        "HTTP GET, each with another path, cookie and user agent, keep-alive, 50 connections",
        lambda: Throughput(Load(octets.varied(), (octets.HELLO,), "http"), "requests/s"),
        (
            *_against(
                s.NETKIT_HTTP,
                s.UVLOOP_HTTP,
                (s.NODE_HTTP, 1.7),
                (s.GO_HTTP, 1.2),
                (s.SOCKETIFY, 1.0),
                (s.BUN_HTTP, 0.8),
                s.NGINX,
                s.GRANIAN,
                s.UVICORN,
                s.AIOHTTP_HTTP,
                s.TWISTED_WEB,
            ),
            Pair(onEpoll(s.NETKIT_HTTP), s.TWISTED_WEB),
        ),
    ),
    Workload(
        "http-get",
        "HTTP GET, keep-alive, 50 connections",
        lambda: Throughput(_http(octets.GET, octets.HELLO), "requests/s"),
        _HTTP_TARGETS,
    ),
    Workload(
        "http-get-wrk",
        "HTTP GET, keep-alive, 50 connections, by wrk",
        Wrk,
        _HTTP_TARGETS,
    ),
    Workload(
        "http-resource",
        "HTTP GET, answered by a resource of twisted.web's, keep-alive, 50 connections",
        lambda: Throughput(_http(octets.GET, octets.HELLO), "requests/s"),
        _RESOURCE_TARGETS,
    ),
    Workload(
        "http-resource-short",
        "HTTP GET without fields, answered by a resource of twisted.web's, 50 connections",
        lambda: Throughput(_http(octets.SHORT_GET, octets.HELLO), "requests/s"),
        _RESOURCE_TARGETS,
    ),
    Workload(
        "http-pipelined",
        "HTTP GET, 16 requests pipelined, 50 connections",
        lambda: Throughput(_http(octets.GET, octets.HELLO, replies=16), "requests/s", scale=16),
        _HTTP_PEERS,
    ),
    Workload(
        "http-post",
        "HTTP POST of 64 KiB, answered with the same, 50 connections",
        lambda: _post(),
        _toReach(_HTTP_PEERS, {s.NODE_HTTP: 1.5}),
    ),
    Workload(
        "http-upload",
        "HTTP POST of 100 MiB, one connection",
        lambda: Throughput(_upload(), "MiB/s", scale=100),
        # The floor sends back what is posted.
        _against(s.NETKIT_HTTP, *_HTTP_SERVERS),
    ),
    Workload(
        "http-p50",
        "HTTP GET, keep-alive, 50 connections: median latency at half load",
        lambda: Latency(_http(octets.GET, octets.HELLO), "p50"),
        _against(s.NETKIT_HTTP, s.NODE_HTTP, s.UVICORN),
    ),
    Workload(
        "http-p99",
        "HTTP GET, keep-alive, 50 connections: 99th percentile of latency at half load",
        lambda: Latency(_http(octets.GET, octets.HELLO), "p99"),
        _against(s.NETKIT_HTTP, s.NODE_HTTP, s.UVICORN),
    ),
    Workload(
        "websocket-64",
        "WebSocket echo, 64 B, 50 connections",
        lambda: Throughput(_message(octets.octets(64)), "messages/s"),
        _toReach(_WEBSOCKET_TARGETS, {s.PICOWS: 1.1, s.BUN_WEBSOCKET: 1.1}),
    ),
    Workload(
        "websocket-16k",
        "WebSocket echo, 16 KiB, 50 connections",
        lambda: Throughput(_message(octets.octets(2**14)), "messages/s"),
        _WEBSOCKET_TARGETS,
    ),
    Workload(
        "websocket-1m",
        "WebSocket echo, 1 MiB, 50 connections",
        lambda: Throughput(_message(octets.octets(2**20)), "MiB/s"),
        _toReach(_WEBSOCKET_PEERS, {s.PICOWS: 1.1, s.BUN_WEBSOCKET: 1.1}),
    ),
    Workload(
        "websocket-burst",
        "WebSocket echo, 64 messages of 48 B in one segment, 50 connections",
        lambda: Throughput(_burst(), "messages/s", scale=64),
        _against(s.NETKIT_WEBSOCKET, (s.PICOWS, 1.0), s.NPM_WS, *_EVERY_WEBSOCKET),
    ),
    Workload(
        "websocket-deflate",
        "WebSocket echo, JSON texts of 2 KiB that differ, permessage-deflate, 50 connections",
        lambda: Throughput(_deflated(), "messages/s", Place(flags=("--deflate",))),
        _against(
            s.NETKIT_WEBSOCKET,
            s.UVLOOP_WEBSOCKET,
            (s.BUN_WEBSOCKET, 1.0),
            s.NPM_WS,
            (s.AIOHTTP_WEBSOCKET, 1.2),
            s.WEBSOCKETS,
            s.AUTOBAHN,
        )
        + _against(
            s.NETKIT_FASTEST_DEFLATE,
            (s.BUN_WEBSOCKET, 1.0),
            s.NPM_WS,
            (s.AIOHTTP_WEBSOCKET, 1.2),
            s.WEBSOCKETS,
        ),
    ),
    Workload(
        "websocket-broadcast",
        "WebSocket broadcast of 64 B to 1,000 connections",
        lambda: Throughput(
            replace(_message(octets.octets(64), 1000), mode="broadcast"),
            "deliveries/s",
            Place(flags=("--broadcast",)),
            scale=1000,
        ),
        _toReach(_WEBSOCKET_PEERS, {s.PICOWS: 1.2, s.NPM_WS: 1.2, s.BUN_WEBSOCKET: 0.8}),
    ),
    Workload(
        "websocket-handshakes",
        "WebSocket handshakes, each on a connection of its own, 50 at a time",
        lambda: Throughput(
            Load(mode="reconnect", handshake=octets.UPGRADE, accept=octets.ACCEPT), "handshakes/s"
        ),
        _toReach(_WEBSOCKET_PEERS, {s.PICOWS: 1.0}),
    ),
    Workload(
        "websocket-p50",
        "WebSocket echo, 64 B, 50 connections: median latency at half load",
        lambda: Latency(_message(octets.octets(64)), "p50"),
        _against(s.NETKIT_WEBSOCKET, s.PICOWS, s.NPM_WS),
    ),
    Workload(
        "websocket-p99",
        "WebSocket echo, 64 B, 50 connections: 99th percentile of latency at half load",
        lambda: Latency(_message(octets.octets(64)), "p99"),
        _against(s.NETKIT_WEBSOCKET, s.PICOWS, s.NPM_WS),
    ),
    Workload(
        "websocket-memory",
        "Memory of an idle WebSocket connection",
        lambda: Memory(Load(handshake=octets.UPGRADE, accept=octets.ACCEPT)),
        _WEBSOCKET_PEERS,
        atMost=3.0,
    ),
    Workload(
        "program-scrapy",
        "Scrapy crawls 1,500 pages of a local site",
        lambda: Job(PAGES, "pages/s of processor time", site),
        _onOthers(s.SCRAPY, epoll=1 / 0.75),
    ),
    Workload(
        "program-daphne",
        "Daphne serves an ASGI application, HTTP GET, 50 connections",
        lambda: Throughput(_http(octets.GET, octets.HELLO), "requests/s"),
        _onOthers(s.DAPHNE, asyncio=1 / 0.8),
    ),
    Workload(
        "program-web-2k",
        "twistd web serves a file of 2 KB, 50 connections",
        lambda: _file(2_000),
        _onOthers(s.WEB),
    ),
    Workload(
        "program-web-300k",
        "twistd web serves a file of 300 KB, 50 connections",
        lambda: _file(300_000),
        _onOthers(s.WEB, epoll=1 / 0.85),
    ),
    Workload(
        "program-txredisapi",
        "txredisapi sets and gets values, 10,000 times",
        lambda: Job(OPERATIONS, "operations/s of processor time", redis),
        _onOthers(s.TXREDISAPI),
    ),
    Workload(
        "program-carbon",
        "carbon takes 100,000 lines of metrics",
        lambda: Job(LINES, "lines/s of processor time", metrics),
        _onOthers(s.CARBON),
    ),
    *(
        Workload(
            f"fairness-{name}",
            f"The longest wait of one client while another one floods: {flood.title}",
            partial(Wait, name),
            _fair(name, flood),
        )
        for name, flood in FLOODS.items()
    ),
    Workload(
        "forward-echo-64",
        "TCP echo, 64 B, 50 connections, through a relay; without and with recording",
        lambda: _relayed(64),
        _forwarders(
            (s.HAPROXY, 0.5), (s.NODE_FORWARD, 1.5), s.C_FORWARD, s.UVLOOP_FORWARD, s.SOCAT
        ),
    ),
    Workload(
        "forward-http-get",
        "HTTP GET, keep-alive, 50 connections, through a relay; without and with recording",
        lambda: Relayed(Throughput(_http(octets.GET, octets.HELLO), "requests/s"), s.C_HTTP),
        _forwarders(
            (s.HAPROXY, 0.5),
            (s.NODE_FORWARD, 1.5),
            s.C_FORWARD,
            s.UVLOOP_FORWARD,
            s.SOCAT,
            (s.MITMDUMP, 20.0),
        ),
    ),
    Workload(
        "forward-echo-1m",
        "TCP echo, 1 MiB, 50 connections, through a relay; without and with recording",
        lambda: _relayed(2**20),
        _forwarders(s.HAPROXY, (s.NODE_FORWARD, 1.0), s.UVLOOP_FORWARD, s.SOCAT),
    ),
    Workload(
        "observed-http-get",
        "HTTP GET, requests that differ, 50 connections: netkit-http observed, and not",
        lambda: Throughput(Load(octets.varied(), (octets.HELLO,), "http"), "requests/s"),
        tuple(
            Pair(s.HTTP_PLUGIN[what], s.HTTP_PLUGIN[""], atLeast)
            for what, atLeast in (
                (", printing", 0.65),
                (", capture", 0.65),
                (", access log", 0.65),
                (", metrics", 0.95),
                (", access log and metrics", 0.95),
            )
        ),
    ),
    Workload(
        "capture-echo-64",
        "TCP echo, 64 B, 50 connections, recorded, and not",
        lambda: Throughput(_echo(64), "messages/s"),
        _recorded(s.NETKIT_ECHO, 0.65),
    ),
    Workload(
        "capture-echo-16k",
        "TCP echo, 16 KiB, 50 connections, recorded, and not",
        lambda: Throughput(_echo(2**14), "messages/s"),
        _recorded(s.NETKIT_ECHO, 0.4),
    ),
    Workload(
        "capture-http-get",
        "HTTP GET, keep-alive, 50 connections, recorded, and not",
        lambda: Throughput(_http(octets.GET, octets.HELLO), "requests/s"),
        _recorded(s.NETKIT_HTTP, 0.7),
    ),
    Workload(
        "capture-websocket-64",
        "WebSocket echo, 64 B, 50 connections, recorded, and not",
        lambda: Throughput(_message(octets.octets(64)), "messages/s"),
        _recorded(s.NETKIT_WEBSOCKET, 0.65),
    ),
)


def _post() -> Throughput:
    content = octets.octets(2**16)
    return Throughput(_http(octets.post("/", content), content), "requests/s")
