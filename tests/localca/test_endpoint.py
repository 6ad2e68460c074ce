"""
Tests for C{localca:} in endpoint strings.
"""

from __future__ import annotations

import socket
import ssl
from collections.abc import AsyncIterator

import pytest
import pytest_twisted
from cryptography import x509
from twisted.internet import reactor as globalReactor
from twisted.internet.defer import Deferred, maybeDeferred
from twisted.internet.interfaces import IListeningPort
from twisted.internet.threads import deferToThread

from netkit.base.endpoints import clientEndpoint, serverEndpoint
from netkit.echo import EchoFactory
from netkit.forward import RelayFactory
from netkit.localca import context
from netkit.localca.authority import Authority

from ..narrow import tcpAddress


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority.make(tmp_path_factory.mktemp("ca") / "ca")


@pytest_twisted.async_yield_fixture
async def port(authority: Authority) -> AsyncIterator[int]:
    """
    The port of an echo with certificates of that authority.
    """
    string = f"localca:tcp\\:0\\:interface\\=127.0.0.1:folder={authority.folder}"
    listening: IListeningPort = await serverEndpoint(globalReactor, string).listen(EchoFactory())
    yield tcpAddress(listening.getHost()).port
    await maybeDeferred(listening.stopListening)


def shake(
    port: int, authority: Authority, name: str | None, protocols: list[str] | None = None
) -> Deferred[tuple[set[str], str | None]]:
    """
    Agree on TLS, with a client that verifies, and tell for which names the certificate is, and
    what is to be spoken.

    @param name: what the client asks for; for an address, it asks for no name.
    """

    def inThread() -> tuple[set[str], str | None]:
        trust = ssl.create_default_context(cafile=str(authority.path))
        if protocols is not None:
            trust.set_alpn_protocols(protocols)
        with (
            socket.create_connection(("127.0.0.1", port), 20) as plain,
            trust.wrap_socket(plain, server_hostname=name) as secure,
        ):
            secure.sendall(b"x")
            assert secure.recv(1) == b"x"
            shown = x509.load_der_x509_certificate(secure.getpeercert(True) or b"")
            spoken = secure.selected_alpn_protocol()
        names = shown.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        return {str(each.value) for each in names}, spoken

    return deferToThread(inThread)


@pytest.mark.parametrize("name", ["a.example", "localhost", "xn--caf-dma.example"])
@pytest_twisted.ensureDeferred
async def test_the_name_that_is_asked_for(port: int, authority: Authority, name: str) -> None:
    assert await shake(port, authority, name) == ({name}, None)


@pytest.mark.parametrize("name", ["a_b", "xn--a.example"])
@pytest_twisted.ensureDeferred
async def test_what_can_be_no_name(port: int, authority: Authority, name: str) -> None:
    with pytest.raises(ssl.SSLCertVerificationError, match="mismatch"):
        await shake(port, authority, name)


@pytest_twisted.ensureDeferred
async def test_no_name_is_asked_for(port: int, authority: Authority) -> None:
    assert await shake(port, authority, "127.0.0.1") == ({"localhost", "127.0.0.1"}, None)


@pytest_twisted.ensureDeferred
async def test_certificates_are_kept_and_bounded(
    port: int, authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    issued: list[str] = []
    issue = Authority.issue

    def counted(self: Authority, *names: str) -> tuple[x509.Certificate, object]:
        issued.extend(names)
        return issue(self, *names)

    monkeypatch.setattr(Authority, "issue", counted)
    monkeypatch.setattr(context, "MOST_NAMES", 2)
    for name in ["a", "B", "b", "A", "c", "a", "b"]:
        await shake(port, authority, name)
    assert issued == ["a", "b", "c", "b"]


@pytest_twisted.ensureDeferred
async def test_protocols_are_agreed_on_as_with_other_certificates(authority: Authority) -> None:
    string = f"localca:tcp\\:0\\:interface\\=127.0.0.1:folder={authority.folder}"
    echo = await serverEndpoint(globalReactor, "tcp:0:interface=127.0.0.1").listen(EchoFactory())
    upstream = clientEndpoint(globalReactor, f"tcp:127.0.0.1:{tcpAddress(echo.getHost()).port}")
    factory = RelayFactory(upstream, acceptableProtocols=[b"http/1.1"])
    relay = await serverEndpoint(globalReactor, string).listen(factory)
    number = tcpAddress(relay.getHost()).port
    assert await shake(number, authority, "a", ["h2", "http/1.1"]) == ({"a"}, "http/1.1")
    for listening in (relay, echo):
        await maybeDeferred(listening.stopListening)


@pytest.mark.parametrize(
    ("string", "names"),
    [
        ("localca:tcp\\:0:folder=/no/such", ["/no/such", "netkit ca"]),
        ("localca:tcp:0", ["localca:tcp\\:8443"]),
        ("localca:tcp\\:x:folder={}", ["'x'"]),
        ("localca:tcp\\:0:interface=1:folder={}", ["interface=1", "escaped"]),
    ],
)
def test_mistakes(authority: Authority, string: str, names: list[str]) -> None:
    string = string.format(authority.folder)
    with pytest.raises(ValueError, match="not a server endpoint string") as caught:
        serverEndpoint(globalReactor, string)
    assert [name for name in names if name not in str(caught.value)] == []
