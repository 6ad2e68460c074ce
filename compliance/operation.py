"""
Stops, reloads and kills services while clients that nobody here wrote use them, and says what that
lost; and what metrics, the access log and more workers cost or bring::

    python -m compliance.operation [--launcher twistd|twist|tac] [--behind nginx|haproxy] reload
    python -m compliance.operation kill
    python -m compliance.operation [--launcher twist] websockets
    python -m compliance.operation [--launcher twist] uploads
    python -m compliance.operation cost
    python -m compliance.operation workers

C{reload}: SIGHUP each three seconds; wrk's requests are all to be answered, and none refused.
C{kill}: SIGKILL for one of three workers each second; the parent's descriptors and memory are to
stay what they were. C{websockets}: 1,000 of them are to be closed with 1001, at SIGHUP and at
SIGTERM. C{uploads}: 50 by curl are to be answered with 200 each, while SIGHUP and then SIGTERM
come. C{cost}: processor time of a GET with metrics and access log over that without, in rounds
that alternate. C{workers}: requests of 1 ms of processor time each, with one worker and with two,
which share a socket or have their own (SO_REUSEPORT).
"""

from __future__ import annotations

import argparse
import asyncio
import os
import random
import re
import signal
import socket
import statistics
import subprocess
import sys
import sysconfig
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

SCRIPTS = Path(sysconfig.get_path("scripts"))
LOCAL = "tcp:0:interface=127.0.0.1"

TAC = """
import os, socket, time
from twisted.application.service import Application
from twisted.internet import reactor
from twisted.internet.task import deferLater
from netkit.http import HTTPFactory, Response
from netkit.operation.supervisor import supervisor
from netkit.service import ListeningService

async def waiting(request):
    await deferLater(reactor, 0.02)
    return Response(200, b"done")

def working(request):
    end = time.process_time() + 0.001
    while time.process_time() < end:
        pass
    return Response(200, b"done")

what = os.environ.get("NETKIT_WORK", "0")
factory = HTTPFactory(waiting if what == "0" else working)
if what not in "01":
    supervisor(reactor).supervise(int(what))
listen = os.environ.get("NETKIT_LISTEN", "tcp:0:interface=127.0.0.1")
application = Application("http")
ListeningService(listen, factory, service="http").setServiceParent(application)
"""

# A socket of its own for each process, among which the kernel spreads the connections.
REUSING = """
import socket
from twisted.internet import tcp

class Reusing(tcp.Port):
    def createInternetSocket(self):
        created = super().createInternetSocket()
        created.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        return created

tcp.Port = Reusing
"""

NGINX = """
daemon off;
pid {folder}/nginx.pid;
error_log stderr error;
worker_processes 1;
events {{ }}
http {{
    access_log off;
    client_body_temp_path {folder}/nginx-1;
    proxy_temp_path {folder}/nginx-2;
    fastcgi_temp_path {folder}/nginx-3;
    uwsgi_temp_path {folder}/nginx-4;
    scgi_temp_path {folder}/nginx-5;
    upstream netkit {{
        server 127.0.0.1:{behind};
        keepalive 100;
    }}
    server {{
        listen 127.0.0.1:{port};
        location / {{
            proxy_pass http://netkit;
            proxy_http_version 1.1;
            proxy_set_header Connection "";
        }}
    }}
}}
"""

HAPROXY = """
defaults
    mode http
    timeout connect 10s
    timeout client 60s
    timeout server 60s
    http-reuse always
listen front
    bind 127.0.0.1:{port}
    server netkit 127.0.0.1:{behind}
"""


class Service:
    """
    A service that runs, and logs to a file.
    """

    def __init__(
        self, folder: Path, command: Sequence[str], listening: int = 1, **environment: str
    ) -> None:
        self._log = folder / f"{random.randbytes(4).hex()}.log"
        with self._log.open("w") as log:
            self.process = subprocess.Popen(
                command,
                cwd=folder,
                stdout=log,
                stderr=log,
                env={**os.environ, **environment},
                start_new_session=True,
            )
        self.port = int(self.found(r" listens on 127.0.0.1:(\d+)", listening)[0])

    def found(self, pattern: str, count: int = 1) -> list[str]:
        """
        Wait for lines of the log.
        """
        for _ in range(600):
            time.sleep(0.1)
            found = re.findall(pattern, self._log.read_text())
            if len(found) >= count:
                return found
        raise SystemExit(f"there is no {pattern} in {self._log.read_text()}")

    def count(self, pattern: str) -> int:
        """
        Count lines of the log.
        """
        return len(re.findall(pattern, self._log.read_text()))

    def signal(self, number: int) -> None:
        """
        Send a signal; after SIGHUP, wait until fresh workers serve.
        """
        fresh = "The fresh workers serve"
        before = self.count(fresh)
        os.kill(self.process.pid, number)
        if number == signal.SIGHUP:
            self.found(fresh, before + 1)

    def stop(self) -> int:
        """
        End it.

        @return: the signal that it ended by.
        """
        self.process.terminate()
        return -self.process.wait(60)

    @property
    def ticks(self) -> int:
        """
        The processor time that it has taken.
        """
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return int(fields[11]) + int(fields[12])

    @property
    def resources(self) -> tuple[int, int]:
        """
        Memory in KiB, and descriptors.
        """
        process = Path(f"/proc/{self.process.pid}")
        (memory,) = re.findall(r"VmRSS:\s+(\d+)", (process / "status").read_text())
        return int(memory), len(list((process / "fd").iterdir()))


def main() -> int:
    """
    Run it.

    @return: the status: 0 where nothing was lost.
    """
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("what", choices=sorted(_RUNS))
    parser.add_argument("--seconds", type=int, default=60)
    parser.add_argument("--reactor", default="epoll")
    parser.add_argument("--connections", type=int, default=100)
    parser.add_argument("--launcher", choices=["twistd", "twist", "tac"], default="twistd")
    parser.add_argument("--behind", choices=["nginx", "haproxy"])
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        return _RUNS[options.what](options, Path(folder))


def _command(options: argparse.Namespace, folder: Path, *service: str) -> list[str]:
    if options.launcher == "twist":
        launcher = [str(SCRIPTS / "twist"), "--log-format=text"]
    else:
        launcher = [str(SCRIPTS / "twistd"), "-n", "--pidfile="]
    launcher.append(f"--reactor={options.reactor}")
    if options.launcher == "tac":
        (folder / "service.tac").write_text(TAC)
        return [*launcher, "-y", "service.tac"]
    return [*launcher, *service]


def _wrk(port: int, connections: int, seconds: int) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [
            *["wrk", "-t1", f"-c{connections}", f"-d{seconds}", "--timeout", "10"],
            f"http://127.0.0.1:{port}/",
        ],
        stdout=subprocess.PIPE,
        text=True,
    )


def _requests(client: subprocess.Popen[str]) -> int:
    return int(re.findall(r"(\d+) requests in", client.communicate()[0])[0])


def _freePort() -> int:
    with socket.create_server(("127.0.0.1", 0)) as free:
        return int(free.getsockname()[1])


def _front(options: argparse.Namespace, folder: Path, behind: int) -> tuple[int, list[str]]:
    """
    The port of a proxy, and the command that runs it.
    """
    port = _freePort()
    text = NGINX if options.behind == "nginx" else HAPROXY
    (folder / "proxy").write_text(text.format(folder=folder, port=port, behind=behind))
    command = [options.behind, "-c" if options.behind == "nginx" else "-f", str(folder / "proxy")]
    return port, command


def _disturbed(options: argparse.Namespace, folder: Path) -> int:
    """
    Reload or kill while wrk asks.
    """
    workers = 3 if options.what == "kill" else 0
    command = ["netkit-http", "--format=none", "--delay=0.02", f"--workers={workers}", "-l", LOCAL]
    service = Service(folder, _command(options, folder, *command), 1 + workers)
    before = service.resources
    port, proxy = service.port, None
    if options.behind is not None:
        port, front = _front(options, folder, service.port)
        proxy = subprocess.Popen(front)
        time.sleep(1)
    client = _wrk(port, options.connections, options.seconds)
    done = 0
    while client.poll() is None:
        if options.what == "reload":
            time.sleep(3)
            os.kill(service.process.pid, signal.SIGHUP)
        else:
            time.sleep(1)
            task = Path(f"/proc/{service.process.pid}/task/{service.process.pid}/children")
            if children := task.read_text().split():
                os.kill(int(random.choice(children)), signal.SIGKILL)
        done += 1
    said = client.communicate()[0]
    after = service.resources
    alive = service.process.poll() is None
    came = service.count("The fresh workers serve")
    status = service.stop()
    if proxy is not None:
        proxy.terminate()
        proxy.wait()
    print(said)
    print(f"{done} times; {came} reloads; the parent lived: {alive}, and ended by {status}")
    print(f"memory (KiB) and descriptors of the parent: {before} before, {after} after")
    if options.what == "reload":
        return int("Socket errors" in said or "Non-2xx" in said or not alive)
    return int(not alive)


def _webSockets(options: argparse.Namespace, folder: Path) -> int:
    """
    Stop and reload while WebSockets are open.
    """
    from websockets.asyncio.client import connect
    from websockets.exceptions import ConnectionClosed

    command = ["netkit-websocket", "--format=none", "--grace=5", "-l", LOCAL]
    service = Service(folder, _command(options, folder, *command))

    async def closed(number: int) -> Counter[int]:
        ready: asyncio.Queue[None] = asyncio.Queue()
        some = asyncio.Semaphore(50)

        async def one() -> int:
            await some.acquire()
            async with connect(f"ws://127.0.0.1:{service.port}", open_timeout=60) as connection:
                some.release()
                ready.put_nowait(None)
                try:
                    await connection.recv()
                except ConnectionClosed as error:
                    return 1006 if error.rcvd is None else error.rcvd.code
            return 0

        all = [asyncio.create_task(one()) for _ in range(1000)]
        for _ in all:
            await ready.get()
        await asyncio.to_thread(service.signal, number)
        return Counter(await asyncio.gather(*all))

    reloaded = asyncio.run(closed(signal.SIGHUP))
    stopped = asyncio.run(closed(signal.SIGTERM))
    service.process.wait(60)
    print(f"close codes at SIGHUP: {dict(reloaded)}, at SIGTERM: {dict(stopped)}")
    return int(not (reloaded == stopped == {1001: 1000}))


def _uploads(options: argparse.Namespace, folder: Path) -> int:
    """
    Stop and reload while contents are on their way.
    """
    command = ["netkit-http", "--format=none", "--max-content=0", "--grace=60", "-l", LOCAL]
    service = Service(folder, _command(options, folder, *command))
    (folder / "content").write_bytes(bytes(8 * 2**20))
    url = f"http://127.0.0.1:{service.port}/"
    curl = ["curl", "-sS", "-T", "content", "--limit-rate", "1M", "-o", os.devnull]
    clients = []
    for number in (signal.SIGHUP, signal.SIGTERM):
        clients += [
            subprocess.Popen(
                [*curl, "-w", "%{http_code}", url], cwd=folder, stdout=subprocess.PIPE, text=True
            )
            for _ in range(25)
        ]
        time.sleep(3)
        service.signal(number)
    statuses = Counter(client.communicate()[0] for client in clients)
    service.process.wait(60)
    print(f"statuses: {dict(statuses)}")
    return int(statuses != {"200": 50})


def _cost(options: argparse.Namespace, folder: Path) -> int:
    """
    Compare the processor time of requests.
    """
    log = ["--access-log", str(folder / "access")]
    metrics = ["--metrics", LOCAL]
    kinds = {
        "neither": [],
        "metrics": metrics,
        "combined": log,
        "json": [*log, "--access-log-format=json"],
        "metrics and combined": [*metrics, *log],
    }
    command = ["netkit-http", "--format=none", "-l", LOCAL]
    services = {
        kind: Service(folder, _command(options, folder, *command, *more))
        for kind, more in kinds.items()
    }
    costs: dict[str, list[float]] = {kind: [] for kind in kinds}
    for number in range(max(2, options.seconds // len(kinds))):
        for kind, service in services.items():
            before = service.ticks
            requests = _requests(_wrk(service.port, options.connections, 1))
            # The first round warms them up.
            if number:
                costs[kind].append((service.ticks - before) / requests)
        # It is on the same disk as all else.
        os.truncate(folder / "access", 0)
    for service in services.values():
        service.stop()
    least = costs["neither"]
    tick = 1e6 / os.sysconf("SC_CLK_TCK")
    for kind, found in costs.items():
        over = statistics.median(one / other for one, other in zip(found, least, strict=True)) - 1
        print(f"{kind:22}{statistics.median(found) * tick:6.2f} us a request, {over:+.1%}")
    return 0


def _workers(options: argparse.Namespace, folder: Path) -> int:
    """
    Compare how many requests are answered.
    """
    options.launcher = "tac"
    rates: dict[str, list[int]] = {"one": [], "two": [], "two, SO_REUSEPORT": []}
    command = _command(options, folder)
    for _ in range(3):
        for kind, found in rates.items():
            if kind == "two, SO_REUSEPORT":
                (folder / "service.tac").write_text(REUSING + TAC)
                listen = f"tcp:{_freePort()}:interface=127.0.0.1"
                services = [
                    Service(folder, command, NETKIT_WORK="1", NETKIT_LISTEN=listen)
                    for _ in range(2)
                ]
                (folder / "service.tac").write_text(TAC)
            else:
                # One, or a parent and two workers, say where they listen.
                count = 1 if kind == "one" else 2
                services = [Service(folder, command, 2 * count - 1, NETKIT_WORK=str(count))]
            found.append(_requests(_wrk(services[0].port, options.connections, 5)) // 5)
            for service in services:
                service.stop()
    one = statistics.median(rates["one"])
    for kind, found in rates.items():
        rate = statistics.median(found)
        print(f"{kind:20}{rate:8.0f} requests a second, {rate / one:.2f} times one")
    return 0


_RUNS = {
    "reload": _disturbed,
    "kill": _disturbed,
    "websockets": _webSockets,
    "uploads": _uploads,
    "cost": _cost,
    "workers": _workers,
}


if __name__ == "__main__":
    sys.exit(main())
