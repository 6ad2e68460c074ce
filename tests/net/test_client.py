"""
Tests for L{netkit.net.client}, and for TLS.
"""

from __future__ import annotations

import pytest
import pytest_twisted
from OpenSSL import SSL
from service_identity import VerificationError
from twisted.internet.defer import CancelledError, Deferred, fail
from twisted.internet.error import (
    ConnectError,
    ConnectionAborted,
    ConnectionLost,
    ConnectionRefusedError,
    DNSLookupError,
    SSLError,
    TimeoutError,
)
from twisted.internet.interfaces import IProtocol, IStreamClientEndpoint
from twisted.internet.protocol import Factory
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.protocols.policies import ProtocolWrapper, WrappingFactory
from twisted.protocols.tls import TLSMemoryBIOFactory
from zope.interface import implementer

from netkit import net
from netkit.net.errors import withEndpoint
from netkit.net.protocol import HANDSHAKE_TIMEOUT, SocketOptions, SocketProtocol
from tests.net.results import now


@implementer(IStreamClientEndpoint)
class Never:
    """
    An endpoint that never connects.
    """

    cancelled = False

    def __str__(self) -> str:
        return "never"

    def connect(self, factory: object) -> Deferred[IProtocol]:
        def cancel(connecting: Deferred[IProtocol]) -> None:
            self.cancelled = True

        return Deferred(cancel)


@implementer(IStreamClientEndpoint)
class Broken:
    def connect(self, factory: object) -> Deferred[IProtocol]:
        return fail(LookupError("a bug"))


@pytest_twisted.ensureDeferred
async def test_refused() -> None:
    with pytest.raises(ConnectionRefusedError, match=r"tcp:127\.0\.0\.1:1: Connection refused"):
        await net.createConnection("tcp:127.0.0.1:1")


@pytest_twisted.ensureDeferred
async def test_no_such_socket() -> None:
    with pytest.raises(ConnectError, match="unix:/no/such: No such file") as caught:
        await net.createConnection("unix:/no/such")
    assert caught.value.osError == 2


@pytest.mark.parametrize(
    "description", ["9872", "nosuch:1", "tcp:localhost:http", "tcp:localhost"]
)
def test_a_bad_string(description: str) -> None:
    with pytest.raises(
        ValueError, match=f"'{description}' is not a client endpoint .*: write tcp:"
    ):
        now(net.createConnection(description))


def test_another_error_is_left_as_it_is() -> None:
    with pytest.raises(LookupError, match="a bug"):
        now(net.createConnection(Broken(), connectTimeout=0))


def test_connecting_takes_too_long() -> None:
    clock, endpoint = Clock(), Never()
    connecting = net.createConnection(endpoint, connectTimeout=5, reactor=clock)
    clock.advance(4.9)
    assert not connecting.called
    clock.advance(0.2)
    with pytest.raises(TimeoutError, match="never: no connection within 5 seconds"):
        now(connecting)
    assert endpoint.cancelled


def test_cancelling() -> None:
    clock, endpoint = Clock(), Never()
    connecting = net.createConnection(endpoint, reactor=clock)
    connecting.cancel()
    with pytest.raises(CancelledError):
        now(connecting)
    assert endpoint.cancelled
    assert not clock.getDelayedCalls()


@pytest.mark.parametrize(
    ("error", "expected", "text"),
    [
        (ConnectionLost("reset"), ConnectionLost, r"fashion: here: reset\."),
        (ConnectionAborted(), ConnectionAborted, r"here\."),
        (DNSLookupError("nobody"), DNSLookupError, r"here: nobody\."),
        (SSL.Error([("lib", "function", "bad record")]), SSLError, "here: bad record"),
        (SSL.Error(), SSLError, "here: the TLS connection failed"),
        (VerificationError([]), SSLError, "here: the certificate is another server's"),
    ],
    ids=lambda value: getattr(type(value), "__name__", None),
)
def test_errors_name_the_endpoint(error: Exception, expected: type[Exception], text: str) -> None:
    told = withEndpoint(error, "here")
    assert type(told) is expected
    with pytest.raises(expected, match=text):
        raise told
    assert "here" not in str(error)


class TLS:
    """
    A socket over TLS, whose peer says nothing yet.
    """

    def __init__(self, wrapper: type[ProtocolWrapper] | None = None) -> None:
        from twisted.internet.ssl import optionsForClientTLS

        self.clock = Clock()
        self.sockets: list[net.Socket] = []
        self.failures: list[Exception] = []
        self.protocol = SocketProtocol(
            SocketOptions(), self.clock, self.sockets.append, self.failures.append
        )
        wrapped = (
            self.protocol if wrapper is None else wrapper(WrappingFactory(None), self.protocol)
        )
        options = optionsForClientTLS("localhost")
        factory = TLSMemoryBIOFactory(options, True, Factory(), self.clock)
        self.tls = factory.protocol(factory, wrapped)
        self.transport = StringTransport()
        self.tls.makeConnection(self.transport)


def test_a_socket_is_there_after_the_handshake() -> None:
    tls = TLS()
    assert tls.sockets == []
    # What the real handshake calls, which tests/net/test_tls.py has.
    tls.protocol.handshakeCompleted()
    assert len(tls.sockets) == 1
    tls.protocol.handshakeCompleted()
    assert len(tls.sockets) == 1
    tls.sockets[0].destroy()
    assert not tls.clock.getDelayedCalls()


def test_a_handshake_takes_too_long() -> None:
    tls = TLS()
    # An event that comes before there is a socket has nobody to be told to.
    tls.protocol.readConnectionLost()
    tls.protocol.writeConnectionLost()
    tls.protocol.dataReceived(b"data")
    tls.clock.advance(HANDSHAKE_TIMEOUT)
    assert tls.transport.disconnected


def test_a_handshake_that_nobody_passes_on() -> None:
    assert len(TLS(ProtocolWrapper).sockets) == 1
