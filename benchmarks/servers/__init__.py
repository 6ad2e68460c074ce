"""
The servers that are measured. Each one is a program in this folder, and each peer runs at the
settings that its documentation recommends for speed: C{settings} says which.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from ..environment import FOLDER, Environment

_HERE = Path(__file__).parent


@dataclass(frozen=True)
class Server:
    """
    A server.

    @ivar name: what it is called in the report.
    @ivar file: its program, in this folder.
    @ivar settings: how it is set up, for the report.
    @ivar flags: the words of its command line before the address.
    """

    name: str
    file: str
    settings: str
    flags: tuple[str, ...] = ()

    def command(self, environment: Environment, flags: Sequence[str], address: str) -> list[str]:
        """
        The command that runs it.

        @param flags: more words before the address.
        @param address: a port number or the path of a UNIX socket.
        """
        if self.file.endswith((".c", ".go")):
            program = [str(environment.folder / Path(self.file).stem)]
        elif self.file.startswith("bun"):
            program = [str(environment.folder / "node_modules/.bin/bun"), str(_HERE / self.file)]
        elif self.file.endswith(".js"):
            program = ["node", str(_HERE / self.file)]
        else:
            program = [environment.python, str(_HERE / self.file)]
        return [*program, *self.flags, *flags, address]


@dataclass(frozen=True)
class Nginx(Server):
    """
    nginx, with a configuration of which C{file} is the pattern.
    """

    def command(self, environment: Environment, flags: Sequence[str], address: str) -> list[str]:
        folder = environment.folder / "nginx"
        folder.mkdir(exist_ok=True)
        configuration = folder / "nginx.conf"
        pattern = (_HERE / self.file).read_text()
        tls, certificate = "", ""
        for flag in flags:
            prefix = flag.removeprefix("--tls=")
            tls = " ssl"
            # TLS 1.3 is off by default in some versions.
            certificate = (
                f"ssl_certificate {prefix}.crt; ssl_certificate_key {prefix}.key; "
                "ssl_protocols TLSv1.2 TLSv1.3;"
            )
        configuration.write_text(
            pattern.format(folder=folder, address=address, tls=tls, certificate=certificate)
        )
        return ["nginx", "-p", str(folder), "-e", "stderr", "-c", str(configuration)]


@dataclass(frozen=True)
class Plugin(Server):
    """
    A server that is a plugin of twistd: C{file} is the plugin's name, and its flags have C{{}}
    where the port stands.

    @ivar reactor: the reactor's name.
    """

    reactor: str = "default"

    def command(self, environment: Environment, flags: Sequence[str], address: str) -> list[str]:
        twistd = str(Path(environment.python).parent / "twistd")
        words = [word.format(address) for word in self.flags]
        how = [f"--reactor={self.reactor}", "--nodaemon", "--pidfile="]
        return [twistd, *how, self.file, *words, *flags]


@dataclass(frozen=True)
class Program(Server):
    """
    A program that somebody else wrote, on one reactor or another.
    """

    def command(self, environment: Environment, flags: Sequence[str], address: str) -> list[str]:
        program = str(_HERE.parent / "programs" / self.file)
        return [environment.python, program, *self.flags, *flags, address]


def _onReactors(name: str, file: str, settings: str) -> dict[str, Program]:
    return {
        reactor: Program(
            f"{name} on {reactor}", file, f"{settings}, {which}", (f"--reactor={reactor}",)
        )
        for reactor, which in (
            ("netkit", "on netkit's uvloop reactor"),
            ("epoll", "on Twisted's epoll reactor"),
            ("asyncio", "on Twisted's asyncio reactor"),
        )
    }


def onEpoll(server: Server) -> Server:
    """
    A server of netkit's on Twisted's epoll reactor.
    """
    return replace(
        server,
        name=f"{server.name} on epoll",
        settings="as above, on Twisted's epoll reactor",
        flags=("--reactor=epoll",),
    )


def recorded(server: Server) -> Server:
    """
    A server of netkit's whose connections are recorded to files.
    """
    return replace(
        server,
        name=f"{server.name}, recorded",
        settings="as above, with --capture: files of 64 MiB",
        flags=(*server.flags, "--capture"),
    )


_UVLOOP = ("--reactor=uvloop",)
_ON_EPOLL = "on Twisted's epoll reactor"

NETKIT_ECHO = Server(
    "netkit echo", "netkit_echo.py", "EchoFactory on the uvloop reactor, default limits", _UVLOOP
)
NETKIT_HTTP = Server(
    "netkit http",
    "netkit_http.py",
    "HTTPFactory with a handler on the uvloop reactor; default limits but for content, which has "
    "none; printing off",
    _UVLOOP,
)
NETKIT_RESOURCE = Server(
    "netkit http with a resource",
    "netkit_resource.py",
    "HTTPFactory with a resourceHandler on the uvloop reactor; otherwise as netkit http",
    _UVLOOP,
)
NETKIT_WEBSOCKET = Server(
    "netkit websocket",
    "netkit_websocket.py",
    "WebSocketFactory on the uvloop reactor; default limits but for the message size, 16 MiB; "
    "deflate only where it is measured; broadcast()",
    _UVLOOP,
)
NETKIT_FASTEST_DEFLATE = Server(
    "netkit websocket, deflate level 1",
    "netkit_websocket.py",
    "as netkit websocket, but for the level; isal is installed",
    (*_UVLOOP, "--fastest"),
)

NETKIT_TWISTD = Plugin(
    "twistd netkit-echo",
    "netkit-echo",
    "twistd's default reactor",
    ("--listen=tcp:{}:interface=127.0.0.1",),
)
STOCK_TWISTD = Plugin(
    "twistd portforward",
    "portforward",
    "the smallest of Twisted's own plugins that listen",
    ("--port=tcp:{}:interface=127.0.0.1", "--host=127.0.0.1"),
)

C_ECHO = Server("C epoll", "epoll_server.c", "one thread, one epoll, compiled with -O2")
C_TLS = Server(
    "C epoll and OpenSSL", "epoll_tls.c", "one thread, one epoll, compiled with -O2: the floor"
)
NODE_ECHO = Server(
    "Node net", "node_echo.js", "noDelay, backpressure by pause and resume; TLS by tls"
)
TWISTED_ECHO = Server(
    "Twisted echo",
    "twisted_echo.py",
    f"twisted.protocols.wire.Echo {_ON_EPOLL}",
    ("--reactor=epoll",),
)
UVLOOP_ECHO = Server("asyncio on uvloop", "uvloop_echo.py", "asyncio.Protocol, with flow control")

BUN_ECHO = Server("Bun sockets", "bun_server.js", "Bun.listen", ("echo",))
GO_ECHO = Server("Go net", "go_server.go", "a goroutine for each connection", ("echo",))

UVLOOP_HTTP = Server(
    "bare HTTP on uvloop", "uvloop_http.py", "asyncio.Protocol that checks nothing: the floor"
)
BUN_HTTP = Server("Bun http", "bun_server.js", "Bun.serve", ("http",))
GO_HTTP = Server("Go http", "go_server.go", "net/http", ("http",))
NGINX = Nginx("nginx", "nginx.conf", "one process, return 200, no access log")
GRANIAN = Server("granian", "granian_http.py", "RSGI, uvloop, one worker, no log")
SOCKETIFY = Server("socketify", "socketify_http.py", "default settings")
NODE_HTTP = Server("Node http", "node_http.js", "http.createServer, Content-Length by writeHead")
UVICORN = Server(
    "uvicorn",
    "uvicorn_http.py",
    "httptools, uvloop, lifespan and ws off, no access log, one worker",
)
AIOHTTP_HTTP = Server("aiohttp http", "aiohttp_http.py", "uvloop, no access log, C extensions")
TWISTED_WEB = Server(
    "twisted.web", "twisted_web.py", f"Site {_ON_EPOLL}, no access log", ("--reactor=epoll",)
)

UVLOOP_WEBSOCKET = Server(
    "bare WebSocket on uvloop",
    "uvloop_websocket.py",
    "asyncio.Protocol that checks nothing, zlib at level 6: the floor",
)
BUN_WEBSOCKET = Server(
    "Bun websocket",
    "bun_server.js",
    "Bun.serve (uWebSockets), perMessageDeflate only where measured, publish()",
    ("websocket",),
)
PICOWS = Server(
    "picows", "picows_websocket.py", "uvloop, aiofastnet, memoryview payloads, no automatic pings"
)
NPM_WS = Server(
    "npm ws",
    "node_websocket.js",
    "bufferutil, clientTracking off, perMessageDeflate only where measured",
)
WEBSOCKETS = Server(
    "websockets", "websockets_websocket.py", "asyncio server on uvloop, C speedups, broadcast()"
)
AIOHTTP_WEBSOCKET = Server(
    "aiohttp websocket", "aiohttp_websocket.py", "uvloop, no access log, C extensions"
)
AUTOBAHN = Server(
    "Autobahn", "autobahn_websocket.py", "asyncio on uvloop, NVX, tcpNoDelay, sendPreparedMessage"
)
TWISTED_WEBSOCKET = Server(
    "twisted.web.websocket",
    "twisted_websocket.py",
    f"WebSocketResource {_ON_EPOLL}, no access log",
    ("--reactor=epoll",),
)

NETKIT_FORWARD = Server(
    "netkit forward",
    "netkit_forward.py",
    "RelayFactory on the uvloop reactor, default limits",
    _UVLOOP,
)
C_HTTP = Server(
    "C answers on epoll", "epoll_http.c", "what relays pass GETs on to; compiled with -O2"
)
C_FORWARD = Server(
    "C relay on epoll", "epoll_server.c", "one thread, one epoll, compiled with -O2: the floor"
)
HAPROXY = Server("HAProxy", "other_forward.py", "mode tcp, one thread", ("haproxy",))
NODE_FORWARD = Server("Node pipe", "node_forward.js", "net, noDelay, client.pipe(upstream)")
UVLOOP_FORWARD = Server(
    "asyncio relay on uvloop", "uvloop_forward.py", "asyncio.Protocol at both ends, no limits"
)
SOCAT = Server("socat", "other_forward.py", "a process for each connection", ("socat",))
MITMDUMP = Server("mitmdump", "other_forward.py", "reverse mode, quiet", ("mitmdump",))

SCRAPY = _onReactors("Scrapy", "scrapy_crawl.py", "a spider that follows links, default settings")
DAPHNE = _onReactors("Daphne", "daphne_server.py", "an ASGI application, default settings")
TXREDISAPI = _onReactors("txredisapi", "redis_operations.py", "four connections, 20 callers")
CARBON = _onReactors("carbon", "carbon_lines.py", "its MetricLineReceiver")

#: What C{twistd web} serves.
FILES = FOLDER / "files"
WEB = {
    name: Plugin(
        f"twistd web on {name}",
        "web",
        "files, with its access log",
        ("--listen=tcp:{}:interface=127.0.0.1", f"--path={FILES}"),
        reactor,
    )
    for name, reactor in (("netkit", "uvloop"), ("epoll", "epoll"), ("asyncio", "asyncio"))
}

# The plugin with what shows and counts what it does.
_OBSERVED = {
    "": ("--format=none", "nothing printed"),
    ", printing": ("--output=/dev/null", "prints what arrives, to /dev/null"),
    ", capture": ("--format=none", "--capture={folder}", "--capture-files=2", "records to files"),
    ", access log": ("--format=none", "--access-log=/dev/null", "logs to /dev/null"),
    ", metrics": ("--format=none", "--metrics=unix:{folder}/metrics", "counts"),
    ", access log and metrics": (
        *("--format=none", "--access-log=/dev/null", "--metrics=unix:{folder}/metrics"),
        "logs to /dev/null, and counts",
    ),
}
HTTP_PLUGIN = {
    what: Plugin(
        f"netkit-http{what}",
        "netkit-http",
        f"the plugin on the uvloop reactor; {options[-1]}",
        (
            *("--listen=tcp:{}:interface=127.0.0.1:backlog=4096", "--response=Hello, World!"),
            *(option.replace("{folder}", str(FOLDER / "observed")) for option in options[:-1]),
        ),
        "uvloop",
    )
    for what, options in _OBSERVED.items()
}

# In the order of the report.
ALL = (
    NETKIT_ECHO,
    onEpoll(NETKIT_ECHO),
    C_ECHO,
    C_TLS,
    UVLOOP_ECHO,
    NODE_ECHO,
    BUN_ECHO,
    GO_ECHO,
    TWISTED_ECHO,
    NETKIT_TWISTD,
    STOCK_TWISTD,
    NETKIT_HTTP,
    onEpoll(NETKIT_HTTP),
    UVLOOP_HTTP,
    NODE_HTTP,
    BUN_HTTP,
    GO_HTTP,
    NGINX,
    SOCKETIFY,
    GRANIAN,
    UVICORN,
    AIOHTTP_HTTP,
    TWISTED_WEB,
    NETKIT_WEBSOCKET,
    onEpoll(NETKIT_WEBSOCKET),
    UVLOOP_WEBSOCKET,
    PICOWS,
    BUN_WEBSOCKET,
    NPM_WS,
    AIOHTTP_WEBSOCKET,
    WEBSOCKETS,
    AUTOBAHN,
    TWISTED_WEBSOCKET,
    NETKIT_FORWARD,
    C_FORWARD,
    C_HTTP,
    HAPROXY,
    NODE_FORWARD,
    UVLOOP_FORWARD,
    SOCAT,
    MITMDUMP,
    *SCRAPY.values(),
    *DAPHNE.values(),
    *WEB.values(),
    *TXREDISAPI.values(),
    *CARBON.values(),
    *HTTP_PLUGIN.values(),
)
