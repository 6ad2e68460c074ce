"""
Fixtures that every test has.
"""

from __future__ import annotations

import gc
import os
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path

import pytest
import pytest_twisted
from twisted.internet.endpoints import clientFromString, serverFromString
from twisted.internet.interfaces import IProtocolFactory, IStreamClientEndpoint
from twisted.logger import LogEvent, globalLogPublisher

if os.environ.get("NETKIT_TEST_REACTOR") == "uvloop":
    # Before pytest-twisted installs the default one, which it does when it is configured.
    import netkit.reactor

    netkit.reactor.install()

if os.environ.get("NETKIT_TEST_CODEC") == "python":
    # As if there had been no compiler.
    sys.modules["netkit.wire.websocket.codec.native"] = None  # type: ignore[assignment]

Listen = Callable[[IProtocolFactory], Awaitable[IStreamClientEndpoint]]


def pytest_collection_finish() -> None:
    """
    Leave what is loaded by now out of the collections to come: there is one after each test.
    """
    gc.collect()
    gc.freeze()


@pytest.fixture(autouse=True)
def logged() -> Iterator[list[LogEvent]]:
    """
    The events logged while the test runs.

    A failure that was logged and not looked at fails the test: a failed Deferred with no errback
    would pass unseen otherwise. A test that expects one takes it out of the list.
    """
    events: list[LogEvent] = []
    globalLogPublisher.addObserver(events.append)
    try:
        yield events
        # A Deferred reports its unhandled failure when it is collected.
        gc.collect()
    finally:
        globalLogPublisher.removeObserver(events.append)
    failures = [event["log_failure"] for event in events if event.get("log_failure") is not None]
    assert not failures, "\n".join(failure.getTraceback() for failure in failures)


@pytest_twisted.async_yield_fixture(params=["tcp", "unix"])
async def listen(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Listen]:
    """
    A function that makes a factory listen, on TCP in one run of the test and on a UNIX socket in
    the other, and gives the endpoint by which a client reaches it.
    """
    from twisted.internet import reactor

    ports = []

    async def listen(factory: IProtocolFactory) -> IStreamClientEndpoint:
        if request.param == "unix":
            path = tmp_path / f"{len(ports)}.sock"
            server, client = f"unix:{path}", f"unix:{path}"
        else:
            server, client = "tcp:0:interface=127.0.0.1", "tcp:127.0.0.1:{port}"
        port = await serverFromString(reactor, server).listen(factory)
        ports.append(port)
        return clientFromString(reactor, client.format(port=getattr(port.getHost(), "port", "")))

    yield listen
    for port in ports:
        await port.stopListening()
