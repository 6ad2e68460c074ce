"""
The benchmarks run: their C programs compile, netkit's servers answer as is expected of them, and a
wrong answer is no score. How fast anything is does not matter here.
"""

from __future__ import annotations

import re
import shutil
import sys
from dataclasses import replace
from functools import partial
from pathlib import Path
from socket import SHUT_WR, create_connection
from xml.etree import ElementTree

import pytest

from benchmarks.comparing import Comparison, compare
from benchmarks.driving import Load, drive
from benchmarks.environment import Environment, Unusable, compileAll
from benchmarks.fairness import FLOODS, measure
from benchmarks.measures import Bounds, Contender, Sample, Throughput
from benchmarks.payloads import varied
from benchmarks.plot import draw
from benchmarks.report import write
from benchmarks.running import Place, Running
from benchmarks.servers import C_ECHO, C_HTTP, NETKIT_ECHO, NETKIT_FORWARD, onEpoll
from benchmarks.workloads import WORKLOADS

pytestmark = pytest.mark.skipif(
    shutil.which("cc") is None, reason="the load generator is in C, and there is no cc"
)

TINY = Bounds(pairs=1, warmup=0.0, seconds=0.02, connections=100)
BY_NAME = {workload.name: workload for workload in WORKLOADS}


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> Environment:
    folder = tmp_path_factory.mktemp("benchmarks")
    compileAll(folder)
    return Environment(sys.executable, folder)


@pytest.mark.parametrize(
    "name",
    [
        "echo-unix",
        "connections",
        "handshakes-resumed",
        "http-get-varied",
        "http-get",
        "http-resource",
        "http-pipelined",
        "http-post",
        "websocket-64",
        "websocket-burst",
        "websocket-broadcast",
        "websocket-handshakes",
    ],
)
def test_netkit_answers(name: str, environment: Environment) -> None:
    measure = BY_NAME[name].measure()
    assert isinstance(measure, Throughput)
    server = onEpoll(BY_NAME[name].pairs[0].subject)

    with Running(server, measure.place, environment) as running:
        outcome = drive(running, environment, measure.load, warmup=0.0, seconds=0.02)

    assert outcome.exchanges > 0


@pytest.mark.parametrize("name", ["echo-blocks", "http-chunks", "websocket-bombs"])
def test_a_victim_of_a_flood_is_answered(name: str, environment: Environment) -> None:
    assert measure(name, FLOODS[name].servers[1], environment, seconds=0.1)


def test_varied_requests_are_as_from_many_browsers() -> None:
    """
    So that no server can have seen one of them just before.
    """
    requests = varied()

    def field(name: bytes) -> set[bytes]:
        found = [re.search(rb"^%s: (.*)\r$" % name, each, re.MULTILINE) for each in requests]
        return {each[1] for each in found if each}

    assert len(requests) >= 997
    assert {len(each) for each in requests} <= set(range(150, 801))
    assert len({each.partition(b" HTTP/1.1\r\n")[0] for each in requests}) == len(requests)
    assert len(field(b"Cookie")) == len(requests)
    assert len(field(b"User-Agent")) == len(requests)
    assert all(each.endswith(b"\r\n\r\n") and each.count(b"\r\n\r\n") == 1 for each in requests)
    assert varied() == requests


@pytest.mark.parametrize("name", ["echo-p99", "echo-memory"])
def test_what_is_no_throughput_is_measured_too(name: str, environment: Environment) -> None:
    contender = Contender(C_ECHO, environment)

    comparison = compare(
        Comparison("one", "other", BY_NAME[name].measure()), contender, contender, TINY
    )

    assert comparison.problem == ""
    assert comparison.score > 0


@pytest.mark.parametrize("size", [1, 7, 2**20])
def test_the_upstream_of_relays_answers_each_head(environment: Environment, size: int) -> None:
    requests = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n" * 2 + b"GET / HTTP/1.1\r\n\r\r\n\r\n" + b"GET"
    with (
        Running(C_HTTP, Place(), environment) as running,
        create_connection(("127.0.0.1", int(running.address))) as connection,
    ):
        for start in range(0, len(requests), size):
            connection.sendall(requests[start : start + size])
        connection.shutdown(SHUT_WR)
        received = b"".join(iter(partial(connection.recv, 2**16), b""))
    assert received.count(b"HTTP/1.1 200 OK") == received.count(b"\r\n\r\nHello, World!") == 3


def test_who_shares_the_core_of_the_load_generator_counts_as_that(
    environment: Environment,
) -> None:
    """
    Nobody else can tell that a relay waited for its upstream.
    """
    measure = BY_NAME["echo-64"].measure()
    assert isinstance(measure, Throughput)
    # It takes a multiple of what the load generator does.
    with Running(onEpoll(NETKIT_ECHO), Place(), environment) as running:
        outcome = drive(
            running, environment, measure.load, warmup=0.0, seconds=0.1, beside=running.pid
        )
    assert outcome.own_share * outcome.seconds > outcome.server_seconds


@pytest.mark.parametrize("name", ["forward-echo-64", "forward-http-get"])
def test_a_relay_is_measured(name: str, environment: Environment) -> None:
    measure = BY_NAME[name].measure()
    contender = Contender(onEpoll(NETKIT_FORWARD), environment)
    comparison = compare(Comparison("one", "other", measure), contender, contender, TINY)
    assert comparison.problem == ""
    assert comparison.score > 0


def test_a_run_is_reported(environment: Environment, tmp_path: Path) -> None:
    workload = BY_NAME["echo-64"]
    measure = workload.measure()
    pairs = [(Sample(2000), Sample(1000))] * 3
    comparison = Comparison("netkit echo", "C epoll", measure, atLeast=1.5, pairs=pairs)
    broken = Comparison("netkit echo", "nobody", measure, problem="it is away")

    write(tmp_path, [(workload, [comparison, broken])], environment, TINY)

    report = (tmp_path / "RESULTS.md").read_text()
    assert workload.title in report
    assert "| **2.00** (2.00 to 2.00) |  | 1.5: reached |" in report
    assert "not measured: it is away" in report
    ElementTree.parse(tmp_path / "plots" / "echo-64.svg")


def test_what_does_more_is_drawn_beside_what_does_not() -> None:
    measure = BY_NAME["echo-64"].measure()
    pairs = [(Sample(500), Sample(1000))]
    comparison = Comparison("netkit echo, recorded", "netkit echo", measure, pairs=pairs)
    texts = [each.text or "" for each in ElementTree.fromstring(draw("a title", [comparison]))]
    assert {"1.00", "0.50"} <= set(texts)
    assert texts.index("netkit echo") < texts.index("netkit echo, recorded")


def test_all_that_was_compared_with_one_is_in_the_picture() -> None:
    measure = BY_NAME["echo-64"].measure()
    comparisons = [
        Comparison(subject, "bare", measure, pairs=[(Sample(score), Sample(1000))])
        for subject, score in (("seen", 500), ("recorded", 250))
    ]
    title = " ".join(["a long title"] * 10)
    texts = [each.text or "" for each in ElementTree.fromstring(draw(title, comparisons))]
    assert {"bare", "seen", "recorded", "1.00", "0.50", "0.25"} <= set(texts)
    lines = [each for each in texts if each.startswith("a long") or each.endswith("title")]
    assert len(lines) == 2
    assert " ".join(lines) == title


def test_who_was_compared_with_the_same_peer_is_in_the_picture() -> None:
    measure = BY_NAME["echo-64"].measure()
    comparisons = [
        Comparison(subject, peer, measure, pairs=[(Sample(score), Sample(1000))])
        for subject, peer, score in (
            ("ours", "theirs", 2000),
            ("ours", "slow", 4000),
            ("faster", "theirs", 3000),
            ("faster", "slow", 6500),
        )
    ]
    texts = [each.text or "" for each in ElementTree.fromstring(draw("a title", comparisons))]
    assert [each for each in texts if each in ("ours", "theirs", "slow", "faster")] == [
        *("ours", "theirs", "slow", "faster")
    ]
    assert {"1.00", "0.50", "0.25", "1.50"} <= set(texts)


@pytest.mark.parametrize(
    ("load", "said"),
    [
        (Load((b"sent",), (b"back",)), "octet 0 is 73, not 62"),
        # The second of two requests, and its answer.
        (Load((b"same", b"other"), (b"same",)), "octet 0 is 6f, not 73"),
        (Load((b"one", b"two"), (b"one", b"six")), "octet 0 is 74, not 73"),
        (Load((b"one", b"two"), (b"one", b"two", b"six")), "2 requests, and 3 replies"),
        (Load((b"twotwo",), (b"two",)), "2 replies for 1"),
        (Load((b"HTTP/1.1 404 Not Found\r\n\r\n",), (b"",), "http"), "wrong reply: HTTP/1.1 404"),
    ],
)
def test_a_wrong_answer_is_no_score(environment: Environment, load: Load, said: str) -> None:
    measure = Throughput(load, "messages/s")
    contender = Contender(C_ECHO, environment)

    comparison = compare(Comparison("one", "other", measure), contender, contender, TINY)

    assert comparison.pairs == []
    assert said in comparison.problem


def test_the_deflated_reply_is_inflated_and_compared(environment: Environment) -> None:
    measure = BY_NAME["websocket-deflate"].measure()
    assert isinstance(measure, Throughput)
    server = onEpoll(BY_NAME["websocket-deflate"].pairs[0].subject)
    wrong = replace(measure.load, expected=(*measure.load.expected[1:], b""))

    with Running(server, measure.place, environment) as running:
        outcome = drive(running, environment, measure.load, warmup=0.0, seconds=0.02)
        with pytest.raises(Unusable, match="wrong reply"):
            drive(running, environment, wrong, warmup=0.0, seconds=0.02)

    assert outcome.exchanges > 0


def test_a_server_that_does_not_start_is_named(environment: Environment) -> None:
    server = replace(NETKIT_ECHO, flags=("--reactor=epoll",), file="no_such_program.py")

    with pytest.raises(Unusable, match="netkit echo ended before it listened"):
        Running(server, Place(), environment).__enter__()
