"""
What a download of 100 MB takes, from netkit and from aiohttp, each with uvloop and without;
they take turns, and the ratios are to aiohttp on asyncio's loop, where the kernel sends the file::

    python -m benchmarks.downloads [ROUNDS]
"""

from __future__ import annotations

import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from .running import freePort

_SIZE = 100_000_000

_SERVERS = ("netkit uvloop", "netkit epoll", "aiohttp uvloop", "aiohttp asyncio")


def _serveNetkit(loop: str, port: int, path: str) -> None:
    if loop == "uvloop":
        import netkit.reactor

        netkit.reactor.install()
    from twisted.internet import reactor
    from twisted.internet.endpoints import serverFromString

    from netkit.http import HTTPFactory, fileResponse

    factory = HTTPFactory(lambda request: fileResponse(request, path))
    serverFromString(reactor, f"tcp:{port}:interface=127.0.0.1").listen(factory)
    reactor.run()


def _serveAiohttp(loop: str, port: int, path: str) -> None:
    from aiohttp import web

    if loop == "uvloop":
        import uvloop

        uvloop.install()

    async def answer(request: web.Request) -> web.FileResponse:
        return web.FileResponse(path)

    application = web.Application()
    application.router.add_get("/", answer)
    web.run_app(application, host="127.0.0.1", port=port, print=None, access_log=None)


def _download(port: int) -> None:
    room = bytearray(2**18)
    with socket.create_connection(("127.0.0.1", port)) as client:
        client.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        received = b""
        while b"\r\n\r\n" not in received:
            received += client.recv(4096)
        left = _SIZE - len(received.partition(b"\r\n\r\n")[2])
        while left:
            octets = client.recv_into(room, min(left, len(room)))
            assert octets, "the response was cut"
            left -= octets


def _processorTime(pid: int) -> float:
    """
    How many seconds all threads of a process ran.
    """
    threads = Path(f"/proc/{pid}/task").iterdir()
    return sum(int((each / "schedstat").read_text().split()[0]) for each in threads) / 1e9


def _measure(rounds: int, path: Path) -> None:
    path.write_bytes(os.urandom(_SIZE // 100) * 100)
    running: dict[str, tuple[subprocess.Popen[bytes], int]] = {}
    wall: dict[str, list[float]] = {name: [] for name in _SERVERS}
    processor: dict[str, list[float]] = {name: [] for name in _SERVERS}
    try:
        for name in _SERVERS:
            port = freePort()
            command = [sys.executable, "-m", __spec__.name, *name.split(), str(port), str(path)]
            running[name] = subprocess.Popen(command), port
        for _, port in running.values():
            while True:
                try:
                    _download(port)
                    break
                except ConnectionRefusedError:
                    time.sleep(0.05)
        for _ in range(rounds):
            for name, (process, port) in running.items():
                ran, began = _processorTime(process.pid), time.perf_counter()
                _download(port)
                wall[name].append(time.perf_counter() - began)
                processor[name].append(_processorTime(process.pid) - ran)
    finally:
        for process, _ in running.values():
            process.kill()
            process.wait()
    for name in _SERVERS:
        told = []
        for what, times in (("time", wall), ("processor time", processor)):
            ratio = statistics.median(
                peer / ours for peer, ours in zip(times[_SERVERS[-1]], times[name], strict=True)
            )
            told.append(f"{what} {statistics.median(times[name]) * 1e3:6.1f} ms ({ratio:.2f} x)")
        print(f"{name:16} {', '.join(told)}")


if __name__ == "__main__":
    if len(sys.argv) > 2:
        serve = _serveNetkit if sys.argv[1] == "netkit" else _serveAiohttp
        serve(sys.argv[2], int(sys.argv[3]), sys.argv[4])
    else:
        with tempfile.TemporaryDirectory() as folder:
            _measure(int(sys.argv[1]) if len(sys.argv) > 1 else 20, Path(folder) / "file")
