"""
Lines of the access log.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Generator
from pathlib import Path
from typing import Any

import pytest
import pytest_twisted
from twisted.internet import reactor
from twisted.internet.address import IPv4Address
from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionLost
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.logger import LogEvent, formatEvent
from twisted.python.failure import Failure

from netkit.http import Exchange, HTTPFactory, Response
from netkit.operation.accesslog import AccessLog, parseFormat
from netkit.operation.logfile import LogFile

REQUEST = (
    b'GET /a%20b HTTP/1.1\r\nHost: x\r\nReferer: http://y/\r\nUser-Agent: q"\xff\r\n'
    b"traceparent: 00-1-2-03\r\n\r\n"
)


# When the clock of these tests began.
NOON = 1_700_000_000.25


class Peer(StringTransport):
    def loseWriteConnection(self) -> None:
        """
        Nobody reads.
        """

    def getPeer(self) -> Any:
        return IPv4Address("TCP", "192.0.2.1", 1234)


def exchanges(
    handler: Any, octets: bytes = REQUEST, leave: bool = False, end: bool = False
) -> list[Exchange]:
    done: list[Exchange] = []
    clock = Clock()
    factory = HTTPFactory(
        handler, exchangeDone=lambda *values: done.append(Exchange(*values)), clock=clock
    )
    protocol: Any = factory.buildProtocol(None)
    protocol.makeConnection(Peer())
    protocol.dataReceived(octets)
    clock.advance(0.5)
    if end:
        protocol.readConnectionLost()
    if end or leave:
        protocol.connectionLost(Failure(ConnectionLost()))
    return done


def written(format: str, done: list[Exchange]) -> bytes:
    lines = parseFormat(format).lines(lambda: NOON, lambda: None)
    for exchange in done:
        lines.add(*exchange)
    taken, count = lines.take()
    assert count == len(done)
    return taken


def line(format: str, response: Response) -> str:
    return written(format, exchanges(lambda request: response)).decode()


def test_combined() -> None:
    found = line("combined", Response(404, b"12345"))
    assert re.fullmatch(
        r"192\.0\.2\.1 - - \[14/Nov/2023:22:13:20 \+0000\] "
        r'"GET /a%20b HTTP/1\.1" 404 5 '
        r'"http://y/" "q\\x22\\xff"\n',
        found,
    )


def test_json() -> None:
    found = json.loads(line("json", Response(200, b"12345")))
    assert found == {
        "time": "2023-11-14T22:13:20.250+00:00",
        "peer": "192.0.2.1:1234",
        "method": "GET",
        "target": "/a%20b",
        "status": 200,
        "octets": 5,
        "seconds": 0.0,
        "referer": "http://y/",
        "agent": 'q"\xff',
        "traceparent": "00-1-2-03",
    }


def test_a_format_of_ones_own() -> None:
    assert line("{method} {status} {connection}", Response(200)) == "GET 200 -\n"
    with pytest.raises(ValueError, match="verb} is none of agent, code, connection, "):
        parseFormat("{verb}")


@pytest.mark.parametrize("text", ["", "Combined", "{peer"])
def test_a_format_that_tells_nothing(text: str) -> None:
    with pytest.raises(ValueError, match=f"^'{text}' is neither combined nor json"):
        parseFormat(text)


@pytest.mark.parametrize("format", ["combined", "json", "{peer} {method} {target} {agent}"])
def test_lines_of_many_are_those_of_each(format: str) -> None:
    requests = [
        b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\nUser-Agent: other\r\n\r\n",
        b"GET /other HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
        REQUEST,
        b"none\r\n\r\n",
    ]
    done = [
        exchange
        for number, octets in enumerate(requests)
        for exchange in exchanges(
            lambda request, number=number: Response(200 + number, b"x" * number), octets
        )
    ]
    assert len(done) == len(requests)
    together = written(format, done)
    assert together == b"".join(written(format, [each]) for each in done)
    assert len(set(together.splitlines())) == len(requests) - (format[0] == "{")


@pytest_twisted.inlineCallbacks
def test_what_waits_to_be_logged_goes_before_a_file_moves_and_before_the_end(
    tmp_path: Path,
) -> Generator[Deferred[None], Any, None]:
    path = tmp_path / "log"
    log = AccessLog(LogFile(str(path), reactor), parseFormat("{method} {status}"), reactor)
    log.start()
    [found] = exchanges(lambda request: Response(200))
    [missing] = exchanges(lambda request: Response(404))
    log.lines.add(*found)
    log.lines.add(*found)
    path.rename(tmp_path / "before")
    log.reopen()
    log.lines.add(*missing)
    yield log.stop()
    assert (tmp_path / "before").read_text() == "GET 200\nGET 200\n"
    assert path.read_text() == "GET 404\n"


@pytest_twisted.inlineCallbacks
def test_what_a_reader_who_stalls_does_not_get_is_told(
    tmp_path: Path, logged: list[LogEvent]
) -> Generator[Deferred[None], Any, None]:
    os.mkfifo(tmp_path / "log")
    reader = os.open(tmp_path / "log", os.O_RDONLY | os.O_NONBLOCK)
    file = LogFile(str(tmp_path / "log"), reactor)
    file.start()
    # More than a FIFO takes; what waits has no room for more behind it.
    file.write(b"x" * 5 * 2**20, 1)
    file.write(b"more\n", 1)
    stopped = file.stop()
    stopped.cancel()
    yield stopped
    os.close(reader)
    told = [formatEvent(event) for event in logged if "path" in event]
    assert told[0].endswith("/log' was too slow: 1 lines are lost")
    assert told[1].endswith("/log' did not take its last lines in time: 5242880 octets are lost")


def test_what_is_told_of_exchanges() -> None:
    (late,) = exchanges(lambda request: Deferred(), leave=True)
    assert (late.status, late.seconds) == (499, 0.5)
    (ended,) = exchanges(lambda request: Deferred(), end=True)
    assert (ended.status, ended.seconds) == (499, 0.5)
    (bad,) = exchanges(lambda request: Response(), b"no HTTP\r\n\r\n")
    assert (bad.status, bad.head) == (400, None)
    (head,) = exchanges(lambda request: Response(200, b"12345"), REQUEST.replace(b"GET", b"HEAD"))
    assert head.octets == 0

    async def pieces() -> Any:
        yield b"12"
        yield b"345"

    (streamed, again) = exchanges(lambda request: Response(200, pieces()), REQUEST * 2)
    assert (streamed.status, streamed.octets) == (again.status, again.octets) == (200, 5)


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        (b"", b'"-" "-"'),
        (b"USER-agent:\t a \t\r\nX-Referer: x\r\nreferer:b\r\n", b'"b" "a"'),
        (b"User-Agent: first\r\nUser-Agent: second\r\nReferer:\r\n", b'"" "first"'),
        (b"user-agent: first\r\nUser-Agent: second\r\n", b'"-" "first"'),
        (b"User-Agent: back\\slash\r\n", rb'"-" "back\x5cslash"'),
        (b"Filler: " + b"x" * 3000 + b"\r\nUser-Agent: a\r\n", b'"-" "a"'),
    ],
)
def test_who_asks_and_where_that_was_found(fields: bytes, told: bytes) -> None:
    octets = b"GET / HTTP/1.1\r\nHost: x\r\n%b\r\n" % fields
    done = exchanges(lambda request: Response(200), octets)
    assert written("combined", done).endswith(b" 200 0 %b\n" % told)
    found = json.loads(written("json", done))
    plain = [found.get(name, "-").replace("\\", "\\x5c") for name in ("referer", "agent")]
    assert '"{}" "{}"'.format(*plain).encode() == told


def test_a_target_with_a_backslash() -> None:
    done = exchanges(lambda request: Response(200), b"GET /a?b\\c HTTP/1.1\r\nHost: x\r\n\r\n")
    assert rb'"GET /a?b\x5cc HTTP/1.1" 200' in written("combined", done)
