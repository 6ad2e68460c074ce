"""
Tests for what the verbs do about TLS, each of which runs the command against a server of Python's
own ssl module.
"""

from __future__ import annotations

import socket
import ssl
import subprocess
import sysconfig
import warnings
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from pathlib import Path
from threading import Thread

import pytest

from ..certificates import Authority

COMMAND = str(Path(sysconfig.get_path("scripts")) / "netkit")
PATIENCE = 60.0

Serve = Callable[..., int]


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


def tls(certificate: Path) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    return context


@pytest.fixture
def serve() -> Iterator[Serve]:
    """
    A function that starts a server on a port, which it gives. The server answers each connection
    that says something with an octet, and closes it; with no context, it speaks no TLS.
    """
    with ExitStack() as listeners:

        def start(context: ssl.SSLContext | None) -> int:
            listener = listeners.enter_context(socket.create_server(("127.0.0.1", 0)))
            listeners.callback(lambda: listener.shutdown(socket.SHUT_RDWR))

            def answer() -> None:
                while True:
                    try:
                        connection, _ = listener.accept()
                    except OSError:
                        return
                    with connection, suppress(OSError):
                        if context is None:
                            answerOne(connection)
                            continue
                        with context.wrap_socket(connection, server_side=True) as secure:
                            answerOne(secure)
                            secure.unwrap().close()

            Thread(target=answer, daemon=True).start()
            return int(listener.getsockname()[1])

        yield start


def answerOne(connection: socket.socket) -> None:
    connection.recv(1)
    connection.sendall(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")


def run(*arguments: str) -> tuple[int, str, str]:
    done = subprocess.run(
        [COMMAND, *arguments],
        capture_output=True,
        timeout=PATIENCE,
        text=True,
        stdin=subprocess.DEVNULL,
        check=False,
    )
    return done.returncode, done.stdout, done.stderr


def old(context: ssl.SSLContext) -> ssl.SSLContext:
    """
    Have it speak what is spoken no more.
    """
    context.set_ciphers("ALL:@SECLEVEL=0")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        context.minimum_version = context.maximum_version = ssl.TLSVersion.TLSv1_1
    return context


@pytest.mark.parametrize("verb", ["send", "ws"])
@pytest.mark.parametrize(
    ("kind", "told"),
    [
        ("untrusted", "comes from an authority that is not trusted"),
        ("another name", "is for example.org, not for 127.0.0.1"),
        ("expired", "the certificate of the server expired on "),
        ("not yet valid", "the certificate of the server is not valid before "),
        ("plain", "the peer does not speak TLS"),
        ("old version", "protocol version"),
    ],
)
def test_a_fault_is_one_line(
    serve: Serve, authority: Authority, verb: str, kind: str, told: str
) -> None:
    arguments = [] if kind == "untrusted" else ["--ca", str(authority.path)]
    name, valid = "127.0.0.1", (-1, 1)
    if kind == "another name":
        name = "example.org"
    elif kind == "expired":
        valid = (-2, -1)
    elif kind == "not yet valid":
        valid = (1, 2)
    context = None if kind == "plain" else tls(authority.issue(name, valid=valid))
    if kind == "old version":
        assert context is not None
        old(context)
    port = serve(context)
    endpoint = f"tls:127.0.0.1:{port}" if verb == "send" else f"wss://127.0.0.1:{port}/"
    data = ["x"] if verb == "send" else []
    status, output, errors = run(verb, *arguments, endpoint, *data)
    assert (status, output) == (1, "")
    assert errors.count("\n") == 1, errors
    assert errors.startswith(f"netkit {verb}: ")
    assert endpoint in errors
    assert told in errors


@pytest.mark.parametrize("how", ["authority", "certificate", "insecure"])
def test_whom_to_believe(serve: Serve, authority: Authority, how: str) -> None:
    certificate = authority.issue("127.0.0.1")
    port = serve(tls(certificate))
    arguments = {
        "authority": ["--ca", str(authority.path)],
        "certificate": ["--ca", str(certificate)],
        "insecure": ["--insecure"],
    }[how]
    status, output, errors = run("send", *arguments, f"tls:127.0.0.1:{port}", "x")
    assert (status, errors) == (0, "")
    assert output.startswith("HTTP/1.1 400")


@pytest.mark.parametrize(
    ("verb", "target"),
    [
        ("ws", ["wss://127.0.0.1:{}/"]),
        ("send", ["wss://127.0.0.1:{}/", "x"]),
        ("ws", ["--over", "tls:127.0.0.1:{}", "ws://x/"]),
    ],
)
def test_whom_the_others_believe(
    serve: Serve, authority: Authority, verb: str, target: list[str]
) -> None:
    port = serve(tls(authority.issue("127.0.0.1")))
    words = [word.format(port) for word in target]
    status, _, errors = run(verb, "--ca", str(authority.path), *words)
    assert (status, errors.count("\n")) == (1, 1)
    assert "the server answers 400 Bad Request" in errors


def test_the_string_says_whom_to_believe(
    serve: Serve, authority: Authority, tmp_path: Path
) -> None:
    """
    C{trustRoots}, C{certificate} and C{privateKey} are taken as Twisted takes them.
    """
    (tmp_path / "roots").mkdir()
    (tmp_path / "roots" / "one.pem").write_bytes(authority.path.read_bytes())
    ours = authority.issue("client.example")
    context = tls(authority.issue("127.0.0.1"))
    context.load_verify_locations(authority.path)
    context.verify_mode = ssl.CERT_REQUIRED
    endpoint = f"tls:127.0.0.1:{serve(context)}:trustRoots={tmp_path}/roots"
    identity = f"certificate={ours}:privateKey={ours}"
    status, output, errors = run("send", f"{endpoint}:{identity}", "x")
    assert (status, errors) == (0, "")
    assert output.startswith("HTTP/1.1 400")
    status, _, errors = run("send", endpoint, "x")
    assert (status, errors.count("\n")) == (1, 1)
    assert "certificate required" in errors


def test_ssl_checks_nothing_and_says_so(serve: Serve, authority: Authority) -> None:
    endpoint = f"ssl:127.0.0.1:{serve(tls(authority.issue('example.org')))}"
    status, output, errors = run("send", endpoint, "x")
    assert (status, output[:12]) == (0, "HTTP/1.1 400")
    assert errors.startswith("ssl: does not check any certificate")
    assert errors.count("\n") == 1
    assert run("send", "--insecure", endpoint, "x")[2] == ""


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["send", "--ca", "/no/such", "tls:localhost:1"], "--ca '/no/such': No such file"),
        (["ws", "--ca", "/dev/null", "wss://localhost:1/"], "--ca '/dev/null': no certificate"),
        (
            ["send", "--ca", "/dev/null", "tcp:localhost:1"],
            "--ca is about tls: and wss:",
        ),
        (["send", "--insecure", "unix:/x"], "--insecure is about tls: and wss:"),
        (["send", "--ca", "/dev/null", "ssl:localhost:1"], "no effect on ssl:"),
        (["send", "--ca", "x", "--insecure", "tls:localhost:1"], "not allowed with"),
        (["send", "wss:x:colour=red"], "colour=red is unknown"),
        (["send", "tls:localhost"], "'tls:localhost' is not a client endpoint"),
        (["send", "tls:localhost:x"], "'tls:localhost:x' is not a client endpoint"),
        (["send", "tls:localhost:1:colour=red"], "colour"),
        (["send", "tls:localhost:1:certificate=/no/such"], "/no/such"),
    ],
)
def test_mistakes(arguments: list[str], told: str) -> None:
    status, _, errors = run(*arguments)
    assert status == 2
    assert told in errors
    assert errors.count("\n") == 1
