"""
Programs that ask which reactor they run on, on the uvloop reactor.
"""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import httpx
import pytest
from websockets.sync.client import connect

from tests.interop.peers import PATIENCE, Program, requireModule, requirePeer

# How many pages the site has.
PAGES = 60

SPIDERS = """
import asyncio
import sys

import scrapy
from scrapy.crawler import CrawlerProcess
from scrapy.utils.defer import maybe_deferred_to_future


class Plain(scrapy.Spider):
    name = "spider"

    def __init__(self, site):
        super().__init__(start_urls=[site])

    def parse(self, response):
        yield {"page": response.url}
        for link in response.css("a::attr(href)").getall():
            yield response.follow(link)


class AsyncioStart(Plain):
    async def start(self):
        await asyncio.sleep(0.01)
        for url in self.start_urls:
            yield scrapy.Request(url)


class AsyncioCallback(Plain):
    async def parse(self, response):
        await asyncio.sleep(0.001)
        assert await asyncio.to_thread(len, response.body) == len(response.body)
        for each in super().parse(response):
            yield each


kind, site = sys.argv[1:]
process = CrawlerProcess(
    {"TWISTED_REACTOR": "netkit.reactor.UvloopReactor", "TELNETCONSOLE_ENABLED": False}
)
crawler = process.create_crawler(globals()[kind])
process.crawl(crawler, site)
process.start()
from twisted.internet import reactor
print(type(reactor).__name__, crawler.stats.get_value("item_scraped_count"))
"""

APPLICATION = """
async def application(scope, receive, send):
    from asyncio import to_thread
    from twisted.internet import reactor

    if scope["type"] == "http":
        content, more = b"", True
        while more:
            event = await receive()
            content += event.get("body", b"")
            more = event.get("more_body")
        answer = await to_thread(bytes.upper, content)
        name = type(reactor).__name__.encode()
        await send(
            {"type": "http.response.start", "status": 200, "headers": [(b"reactor", name)]}
        )
        await send({"type": "http.response.body", "body": answer})
    elif scope["type"] == "websocket":
        await receive()
        await send({"type": "websocket.accept"})
        while (event := await receive())["type"] == "websocket.receive":
            await send({"type": "websocket.send", "text": event["text"].upper()})
"""

DAPHNE = """
import netkit.reactor
netkit.reactor.install()

from daphne.cli import CommandLineInterface
CommandLineInterface().run(
    ["--endpoint", "tcp:port=0:interface=127.0.0.1", "application:application"]
)
"""


CLIENTS = """
import sys

import netkit.reactor
netkit.reactor.install()

import aiohttp
import httpx
from twisted.internet import reactor, task
from twisted.internet.defer import Deferred


async def withAiohttp(url):
    async with aiohttp.ClientSession() as session, session.get(url) as response:
        return await response.text()


async def withHttpx(url):
    async with httpx.AsyncClient() as client:
        return (await client.get(url)).text


async def main(reactor):
    pages = [
        await Deferred.fromFuture(reactor.eventloop.create_task(ask(sys.argv[1])))
        for ask in (withAiohttp, withHttpx)
    ]
    print(*("href" in page for page in pages))


task.react(lambda reactor: Deferred.fromCoroutine(main(reactor)))
"""

REDIS = """
import sys

import netkit.reactor
netkit.reactor.install()

import txredisapi
from twisted.internet import task
from twisted.internet.defer import Deferred, gatherResults


async def main(reactor):
    redis = await txredisapi.UnixConnectionPool(sys.argv[1], poolsize=3)
    await gatherResults([redis.set(f"key{number}", number) for number in range(5)])
    values = await gatherResults([redis.get(f"key{number}") for number in range(5)])
    await redis.set("large", "x" * 100_000)
    print(values, len(await redis.get("large")))
    await redis.disconnect()


task.react(lambda reactor: Deferred.fromCoroutine(main(reactor)))
"""

TESTS = """
import asyncio

import pytest_twisted
from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.task import deferLater


@pytest_twisted.ensureDeferred
async def test_waits():
    assert type(reactor).__name__ == "UvloopReactor"
    assert await deferLater(reactor, 0.01, lambda: "waited") == "waited"


@pytest_twisted.ensureDeferred
async def test_waits_for_asyncio():
    task = reactor.eventloop.create_task(asyncio.sleep(0.01, "waited"))
    assert await Deferred.fromFuture(task) == "waited"
"""


class Site(BaseHTTPRequestHandler):
    """
    Pages that link to two further ones each.
    """

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        number = int(self.path.strip("/") or 0)
        links = [link for link in (2 * number + 1, 2 * number + 2) if link < PAGES]
        page = "".join(f'<a href="/{link}">{link}</a>' for link in links).encode()
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.send_header("Content-Length", str(len(page)))
        self.end_headers()
        self.wfile.write(page)

    def log_message(self, *args: object) -> None:
        """
        Say nothing.
        """


@pytest.fixture(scope="module")
def site() -> Iterator[str]:
    """
    The URL of a site.
    """
    with ThreadingHTTPServer(("127.0.0.1", 0), Site) as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()
        thread.join()


@pytest.mark.parametrize("kind", ["Plain", "AsyncioStart", "AsyncioCallback"])
def test_scrapy_crawls(site: str, kind: str) -> None:
    requireModule("scrapy")
    ran = subprocess.run(
        [sys.executable, "-c", SPIDERS, kind, site],
        capture_output=True,
        text=True,
        timeout=PATIENCE,
    )
    assert ran.stdout == f"UvloopReactor {PAGES}\n", ran.stderr
    assert "Traceback" not in ran.stderr
    assert ran.returncode == 0


def test_daphne_serves(tmp_path: Path) -> None:
    requireModule("daphne")
    (tmp_path / "application.py").write_text(APPLICATION)
    daphne = Program([sys.executable, "-c", DAPHNE], cwd=tmp_path)
    try:
        [said] = daphne.waitForLines(re.compile(r"Listening on TCP address (127.0.0.1:\d+)"))
        for content in (b"hello", b"x" * 300_000):
            response = httpx.post(f"http://{said[1]}/", content=content)
            assert response.headers["reactor"] == "UvloopReactor"
            assert response.content == content.upper()
        with connect(f"ws://{said[1]}/") as websocket:
            for message in ("first", "second" * 10_000):
                websocket.send(message)
                assert websocket.recv(timeout=PATIENCE) == message.upper()
    finally:
        daphne.stop()
    assert "Traceback" not in daphne.output


def test_clients_of_asyncio_ask_a_site(site: str) -> None:
    requireModule("aiohttp")
    ran = subprocess.run(
        [sys.executable, "-c", CLIENTS, site], capture_output=True, text=True, timeout=PATIENCE
    )
    assert (ran.stdout, ran.returncode) == ("True True\n", 0), ran.stderr


def test_txredisapi_speaks_with_redis(tmp_path: Path) -> None:
    requireModule("txredisapi")
    path = tmp_path / "redis"
    redis = Program(
        [
            *(requirePeer("redis-server"), "--port", "0", "--unixsocket", str(path)),
            *("--save", "", "--dir", str(tmp_path)),
        ]
    )
    try:
        redis.waitForLines(re.compile("[Rr]eady to accept connections"))
        ran = subprocess.run(
            [sys.executable, "-c", REDIS, str(path)],
            capture_output=True,
            text=True,
            timeout=PATIENCE,
        )
    finally:
        redis.stop()
    assert (ran.stdout, ran.returncode) == ("[0, 1, 2, 3, 4] 100000\n", 0), ran.stderr


def test_pytest_twisted_runs_on_it(tmp_path: Path) -> None:
    (tmp_path / "conftest.py").write_text("import netkit.reactor\nnetkit.reactor.install()\n")
    (tmp_path / "test_it.py").write_text(TESTS)
    ran = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "--reactor=asyncio", str(tmp_path)],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
    )
    assert "2 passed" in ran.stdout, ran.stdout + ran.stderr
