"""
Programs that run to their end: how much processor time a unit of their work costs.
"""

from __future__ import annotations

import os
import socket
import subprocess
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Thread

from .environment import Unusable
from .measures import Bounds, Contender, Sample, Samples
from .programs.amounts import LINES, PAGES
from .running import awaitListening, cores, pinned, start

Beside = Callable[[], AbstractContextManager[str]]


@dataclass(frozen=True)
class Job:
    """
    How much is done in a second of processor time, the program's start included.

    @ivar count: how many units of work one run does.
    @ivar unit: what scores are in.
    @ivar beside: runs what the program speaks with, and gives the address of that.
    """

    count: int
    unit: str
    beside: Beside
    moreIsBetter = True

    def pairs(self, one: Contender, other: Contender, bounds: Bounds) -> Iterator[Samples]:
        with self.beside() as address:
            for _ in range(bounds.pairs):
                yield self._sample(one, address), self._sample(other, address)

    def _sample(self, contender: Contender, address: str) -> Sample:
        command = contender.server.command(contender.environment, (), address)
        with TemporaryDirectory() as folder, (Path(folder) / "log").open("w+") as log:
            process = start(command, contender.environment, log)
            _, status, usage = os.wait4(process.pid, 0)
            process.returncode = os.waitstatus_to_exitcode(status)
            if process.returncode:
                log.seek(0)
                raise Unusable(f"{contender.server.name} failed:\n{log.read()[-2000:]}")
        cost = (usage.ru_utime + usage.ru_stime) / self.count
        return Sample(1 / cost, cost)


@contextmanager
def site() -> Iterator[str]:
    """
    A web site whose pages have ten links each, to further ones.
    """

    class Page(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        # The head and the content leave together.
        wbufsize = -1

        def do_GET(self) -> None:
            number = int(self.path[1:])
            further = range(10 * number - 8, min(10 * number + 1, PAGES) + 1)
            links = "".join(f'<p><a href="/{each}">page {each}</a></p>' for each in further)
            content = f"<html><body>{links}{'<p>some text</p>' * 100}</body></html>".encode()
            self.send_response(200)
            self.send_header("Content-Type", "text/html")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *arguments: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Page) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield str(server.server_port)
        server.shutdown()


@contextmanager
def metrics() -> Iterator[str]:
    """
    Sends lines of metrics to whoever connects.
    """
    lines = b"".join(
        b"servers.web-%d.requests %d 1700000000\n" % (n % 97, n) for n in range(LINES)
    )

    def send() -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            with connection:
                connection.sendall(lines)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = Thread(target=send, daemon=True)
        thread.start()
        yield str(listener.getsockname()[1])
        listener.shutdown(socket.SHUT_RDWR)
        thread.join()


@contextmanager
def redis() -> Iterator[str]:
    """
    A Redis server, on a UNIX socket.
    """
    with TemporaryDirectory() as folder:
        path = f"{folder}/redis"
        command = ["redis-server", "--port", "0", "--unixsocket", path, "--save", ""]
        process = pinned(
            [*command, "--dir", folder],
            cores()[1],
            stdout=subprocess.DEVNULL,
            stdin=subprocess.DEVNULL,
        )
        try:
            awaitListening(path, process)
            yield path
        finally:
            process.kill()
            process.wait()
