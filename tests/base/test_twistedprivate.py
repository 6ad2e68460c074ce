"""
Tests for L{netkit.base.twistedprivate}: each private name of Twisted's that it uses is there.
"""

from __future__ import annotations

import ast
import inspect
from collections.abc import Callable
from typing import Any

import pytest
from twisted.application.internet import StreamServerEndpointService
from twisted.internet import _signals, endpoints, posixbase, process, tcp, unix
from twisted.internet.epollreactor import EPollReactor
from twisted.internet.protocol import Factory, Protocol
from twisted.internet.ssl import CertificateOptions
from twisted.protocols import _tls_legacy
from twisted.protocols.tls import TLSMemoryBIOProtocol
from twisted.web import client
from twisted.web.http import HTTPChannel

from netkit.base import twistedprivate


def reactor() -> Any:
    from twisted.internet import reactor

    return reactor


def connection() -> tcp.Connection:
    import socket

    with socket.socket() as unconnected:
        return tcp.Connection(unconnected, Protocol(), reactor())


def epollReactor() -> EPollReactor:
    class WithoutSignals(EPollReactor):
        def installWaker(self) -> None:
            """
            Not for a reactor that never runs.
            """

    made = WithoutSignals()
    made._poller.close()
    return made


def wrappingFactory() -> Any:
    factory: Any = endpoints._WrappingFactory(Factory())
    factory.startedConnecting(None)
    return factory


WHERE: dict[str, tuple[object | Callable[[], object], tuple[str, ...]]] = {
    "connection": (
        connection,
        (
            "_aborting",
            "_closeSocket",
            "_closeWriteConnection",
            "_getLogPrefix",
            "_isSendBufferFull",
            "_maybePauseProducer",
            "_tempDataBuffer",
            "_tempDataLen",
            "_writeDisconnected",
            "_writeDisconnecting",
        ),
    ),
    "port": (
        lambda: tcp.Port(0, Factory(), reactor=reactor()),
        (
            "_buildAddr",
            "_fromListeningDescriptor",
            "_getLogPrefix",
            "_realPortNumber",
            "_shouldShutdown",
        ),
    ),
    "server": (tcp.Server, ("_fromConnectedSocket",)),
    "unix server": (unix.Server, ("_fromConnectedSocket",)),
    "client": (tcp.Client, ("_connectDone",)),
    "unix client": (unix.Client, ("_connectDone",)),
    "connector": (tcp.Connector, ("_makeTransport",)),
    "unix connector": (unix.Connector, ("_makeTransport",)),
    "tls": (TLSMemoryBIOProtocol, ("_aborted", "_handshakeDone")),
    "context factories": (_tls_legacy, ("_convertToAppropriateFactory",)),
    "reactor": (
        epollReactor,
        (
            "_addInternalReader",
            "_continuousPolling",
            "_internalReaders",
            "_poller",
            "_reads",
            "_removeInternalReader",
            "_selectables",
            "_signalsFactory",
            "_started",
            "_supportedAddressFamilies",
            "_writes",
        ),
    ),
    "posixbase": (posixbase, ("_ContinuousPolling",)),
    "process": (process, ("_BaseProcess",)),
    "signals": (_signals, ("SignalHandling",)),
    "reserved descriptor": (tcp, ("_reservedFD",)),
    "endpoints": (endpoints, ("_WrappingFactory", "_parse")),
    "client's factory": (wrappingFactory, ("_connector", "_onConnection")),
    "accepted connection": (tcp.Server, ("_addressType",)),
    "tcp endpoint": (
        lambda: endpoints.TCP4ClientEndpoint(reactor(), "", 0),
        ("_bindAddress", "_host", "_port", "_timeout"),
    ),
    "ssl endpoint": (
        lambda: endpoints.SSL4ClientEndpoint(reactor(), "", 0, CertificateOptions()),
        ("_bindAddress", "_host", "_port", "_sslContextFactory", "_timeout"),
    ),
    "ssl server endpoint": (
        lambda: endpoints.SSL4ServerEndpoint(reactor(), 0, CertificateOptions()),
        ("_sslContextFactory",),
    ),
    "unix endpoint": (lambda: endpoints.UNIXClientEndpoint(reactor(), ""), ("_path",)),
    "endpoint service": (StreamServerEndpointService, ("_raiseSynchronously",)),
    "agent": (client, ("_StandardEndpointFactory",)),
    "response": (client.Response, ("_bodyDataFinished", "_bodyDataReceived")),
    "channel": (HTTPChannel, ("_protocolUpgradeForWebsockets",)),
}


@pytest.mark.parametrize("where", WHERE)
def test_each_is_there(where: str) -> None:
    owner, names = WHERE[where]
    if inspect.isfunction(owner):
        owner = owner()
    assert [name for name in names if not hasattr(owner, name)] == []


def test_they_are_all_that_there_are() -> None:
    found = set()
    for node in ast.walk(ast.parse(inspect.getsource(twistedprivate))):
        if isinstance(node, ast.Attribute):
            found.add(node.attr)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            # As getattr has it.
            found.add(node.value)
        elif isinstance(node, ast.ImportFrom):
            found.update(alias.name for alias in node.names)
    private = {name for name in found if name.startswith("_") and not name.startswith("__")}
    assert private | {"SignalHandling"} == {name for _, names in WHERE.values() for name in names}
