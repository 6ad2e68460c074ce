"""
Fixtures that every test has.
"""

from __future__ import annotations

import gc
import os
import signal
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from itertools import count
from pathlib import Path
from typing import cast

import pytest
import pytest_twisted
from hypothesis import settings
from twisted.internet.defer import maybeDeferred
from twisted.internet.endpoints import clientFromString, serverFromString
from twisted.internet.interfaces import IListeningPort, IProtocolFactory, IStreamClientEndpoint
from twisted.logger import ILogObserver, LogEvent, globalLogPublisher

if os.environ.get("NETKIT_TEST_COMPILED") == "no":
    # As if there had been no compiler.
    for package in (
        "capture.views.lanes",
        "operation.exchanges",
        "reactor.channels",
        "wire.http.scanning",
        "wire.recording.contents",
        "wire.websocket.codec",
    ):
        sys.modules[f"netkit.{package}.native"] = None  # type: ignore[assignment]

if os.environ.get("NETKIT_TEST_REACTOR") == "uvloop":
    # Before pytest-twisted installs the default one, which it does when it is configured.
    import netkit.reactor

    netkit.reactor.install()

    @pytest.hookimpl(tryfirst=True)
    def pytest_configure(config: pytest.Config) -> None:
        """
        Have pytest-twisted take it, which it does where one of asyncio's is asked for.
        """
        config.option.reactor = "asyncio"


# The programs that tests start ignore what is ignored here, as under nohup and in the background.
for number in (signal.SIGHUP, signal.SIGINT, signal.SIGQUIT):
    if signal.getsignal(number) is signal.SIG_IGN:
        signal.signal(
            number, signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL
        )

# How long an example takes hangs on what else the machine does. A test that needs more of them or
# fewer says so in relation to these. For a longer run: NETKIT_TEST_EXAMPLES=100000 make test
examples = int(os.environ.get("NETKIT_TEST_EXAMPLES", "100"))
settings.register_profile("netkit", deadline=None, max_examples=examples)
settings.load_profile("netkit")

Listen = Callable[[IProtocolFactory], Awaitable[IStreamClientEndpoint]]


def pytest_xdist_auto_num_workers() -> int:
    """
    How many tests run at a time: they wait for programs and the network half of the time.
    """
    return min(2 * len(os.sched_getaffinity(0)), 12)


# After so many tests all garbage is looked for, rather than what came up since the last one.
_TESTS = 400

_tests = count(1)


def collectGarbage() -> None:
    """
    Have what a test left behind tell what it has to tell. What survives is not looked at again
    after each test: that would take three quarters of the time of them all.
    """
    if not next(_tests) % _TESTS:
        gc.unfreeze()
    gc.collect()
    gc.freeze()


def pytest_collection_finish() -> None:
    """
    Leave what is loaded by now out of the collections to come.
    """
    collectGarbage()


@pytest.fixture(autouse=True)
def logged() -> Iterator[list[LogEvent]]:
    """
    The events logged while the test runs.

    A failure that was logged and not looked at fails the test: a failed Deferred with no errback
    would pass unseen otherwise. A test that expects one takes it out of the list.
    """
    events: list[LogEvent] = []
    # Twisted takes any function, which mypy-zope does not see to be what the interface asks for.
    observer = cast(ILogObserver, events.append)
    globalLogPublisher.addObserver(observer)
    try:
        yield events
        # A Deferred reports its unhandled failure when it is collected.
        collectGarbage()
    finally:
        globalLogPublisher.removeObserver(observer)
    failures = [event["log_failure"] for event in events if event.get("log_failure") is not None]
    assert not failures, "\n".join(failure.getTraceback() for failure in failures)


@pytest_twisted.async_yield_fixture(params=["tcp", "unix"])
async def listen(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Listen]:
    """
    A function that makes a factory listen, on TCP in one run of the test and on a UNIX socket in
    the other, and gives the endpoint by which a client reaches it.
    """
    from twisted.internet import reactor

    ports: list[IListeningPort] = []

    async def listen(factory: IProtocolFactory) -> IStreamClientEndpoint:
        if request.param == "unix":
            path = tmp_path / f"{len(ports)}.sock"
            server, client = f"unix:{path}", f"unix:{path}"
        else:
            server, client = "tcp:0:interface=127.0.0.1", "tcp:127.0.0.1:{port}"
        port = await serverFromString(reactor, server).listen(factory)
        ports.append(port)
        client = client.format(port=getattr(port.getHost(), "port", ""))
        endpoint: IStreamClientEndpoint = clientFromString(reactor, client)
        return endpoint

    yield listen
    for port in ports:
        await maybeDeferred(port.stopListening)
