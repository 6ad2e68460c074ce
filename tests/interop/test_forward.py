"""
The relay between real clients and real servers: every octet arrives, and what was recorded is read
by tshark as the protocol that they spoke.
"""

from __future__ import annotations

import hashlib
import json
import os
import pwd
import random
import re
import shutil
import socket
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from benchmarks.running import freePort
from netkit.localca.authority import Authority
from tests.interop.browser import browse
from tests.interop.http_peers import waitFor
from tests.interop.peers import (
    HERE,
    PATIENCE,
    Address,
    Daemon,
    Finished,
    Program,
    requireNpm,
    requirePeer,
    run,
)
from tests.interop.test_websocket_browser import SCRIPT

CONTENT = random.Random(16).randbytes(2**20)

# What scp copies: compliance/README.md has it larger.
_COPIED = CONTENT * int(os.environ.get("NETKIT_TEST_SCP_MIB", "1"))

Start = Callable[..., Daemon]


@pytest.fixture(scope="module")
def authority(folder: Path) -> Authority:
    return Authority.make(folder / "ca")


@pytest.fixture(scope="module")
def localca(authority: Authority) -> str:
    """
    A server endpoint string, on any port, with certificates of an authority of our own.
    """
    return f"localca:tcp\\:0\\:interface\\=127.0.0.1:folder={authority.folder}"


@pytest.fixture(scope="module")
def programs() -> Iterator[Callable[..., Program]]:
    """
    A function that starts a server, which is stopped at the end.
    """
    with ExitStack() as running:

        def start(*command: str, cwd: Path | None = None) -> Program:
            program = Program(command, cwd=cwd)
            running.callback(program.stop)
            return program

        yield start


class Relays:
    """
    Relays that record, each to a folder of its own.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._daemons: list[Daemon] = []

    def start(self, *options: str, haproxy: bool = False) -> Daemon:
        """
        Start one.

        @param haproxy: whether it expects PROXY headers.
        """
        number = len(self._daemons)
        recorded = self._folder / f"recorded{number}"
        ends = ("tcp:0:interface=127.0.0.1", f"unix:{self._folder}/{number}.relay")
        before = "haproxy:" if haproxy else ""
        listen = [part for end in ends for part in ("-l", before + end)]
        daemon = Daemon(
            *("netkit-forward", *listen, *options, "--capture", str(recorded)), cwd=self._folder
        )
        self._daemons.append(daemon)
        return daemon

    def recorded(self, daemon: Daemon, protocol: str, wanted: str, *names: str) -> list[list[str]]:
        """
        End a relay, and tell what tshark finds in its recording.

        @param protocol: what tshark is told to take it for.
        @param wanted: its filter.
        @param names: the fields.
        """
        daemon.stop()
        fields = [part for name in names for part in ("-e", name)]
        as_ = ["-d", f"tcp.port==0-65535,{protocol}"]
        rows = []
        for path in (self._folder / f"recorded{self._daemons.index(daemon)}").glob("*.pcapng"):
            found = run(
                [
                    *(requirePeer("tshark"), "-r", str(path), *as_, "-Y", wanted),
                    *("-T", "fields", "-E", "occurrence=f", *fields),
                ]
            )
            assert found.status == 0, found.errors
            rows += [line.split("\t") for line in found.output.decode().splitlines()]
        return rows

    def stop(self) -> None:
        for daemon in self._daemons:
            daemon.stop()


@pytest.fixture(scope="module")
def relays(folder: Path) -> Iterator[Relays]:
    relays = Relays(folder)
    yield relays
    relays.stop()


def done(finished: Finished) -> bytes:
    assert finished.status == 0, finished.errors.decode()
    return finished.output


# PostgreSQL

_POSTGRESQL = sorted(Path("/usr/lib/postgresql").glob("*/bin"))
ROWS = "".join(f"{number}\tnetkit {number * number}\n" for number in range(10_000)).encode()


@pytest.fixture(scope="module")
def postgresql(folder: Path, programs: Callable[..., Program]) -> Address:
    requirePeer("psql")
    if not _POSTGRESQL:
        requirePeer("initdb")
    place = folder / "postgresql"
    place.mkdir()
    command: list[str] = []
    if os.geteuid() == 0:
        # It refuses to be run by root: be somebody else who may do the same.
        who = ["--map-user=1000", "--map-group=1000", "--keep-caps"]
        command = [requirePeer("unshare"), "--user", *who]
    bin_ = _POSTGRESQL[-1]
    data = str(place / "data")
    initdb = [str(bin_ / "initdb"), "--no-sync", "-A", "trust", "-U", "me", "-D", data]
    done(run([*command, *initdb], cwd=place))
    address = Address(port=freePort())
    settings = [f"-cport={address.port}", "-clisten_addresses=127.0.0.1"]
    settings += [f"-cunix_socket_directories={place}", "-cfsync=off"]
    programs(*command, str(bin_ / "postgres"), "-D", data, *settings, cwd=place)
    waitFor(address)
    return address


def test_postgresql(folder: Path, postgresql: Address, relays: Relays) -> None:
    psql = requirePeer("psql")
    link = folder / "psql"
    link.mkdir()
    relay = relays.start("-l", f"unix:{link}/.s.PGSQL.5432", "--to", postgresql.client)
    for number, (host, port) in enumerate(
        [("127.0.0.1", relay.address("tcp").port), (str(link), 5432)]
    ):
        ask = [psql, "-X", "-q", "-h", host, "-p", str(port), "-U", "me", "postgres"]
        done(run([*ask, "-c", f"create table t{number} (n int, t text)"]))
        done(run([*ask, "-c", f"copy t{number} from stdin"], ROWS))
        rows = done(run([*ask, "-c", f"copy (select * from t{number} order by n) to stdout"]))
        assert rows == ROWS
    seen = relays.recorded(relay, "pgsql", "pgsql", "tcp.stream", "pgsql.query")
    assert {stream for stream, _ in seen} == {"0", "1", "2", "3", "4", "5"}
    assert ["1", "copy t0 from stdin"] in seen
    assert ["2", "copy (select * from t0 order by n) to stdout"] in seen


# Redis


@pytest.fixture(scope="module")
def redis(folder: Path, programs: Callable[..., Program]) -> Address:
    address = Address(path=str(folder / "redis.sock"))
    options = [
        "--port",
        "0",
        "--unixsocket",
        str(address.path),
        "--save",
        "",
        "--dir",
        str(folder),
    ]
    programs(requirePeer("redis-server"), *options)
    waitFor(address)
    return address


def test_redis(redis: Address, relays: Relays, localca: str, authority: Authority) -> None:
    requirePeer("redis-benchmark")
    cli = requirePeer("redis-cli")
    relay = relays.start("-l", localca, "--to", redis.client)
    tcp, unix = relay.address("tcp"), relay.address("unix")
    [tls] = [each for each in relay.addresses if each not in (tcp, unix)]
    trust = ["--tls", "--cacert", str(authority.path)]
    ways = [
        ["-p", str(tcp.port)],
        ["-s", str(unix.path)],
        ["-p", str(tls.port), *trust],
    ]
    text = CONTENT.hex().encode()
    for way in ways:
        said = done(run(["redis-benchmark", *way, "-q", "-n", "500", "-c", "20", "-t", "set,get"]))
        assert re.search(rb"SET: [0-9.]+ requests", said), said
        assert re.search(rb"GET: [0-9.]+ requests", said), said
        assert done(run([cli, *way, "-x", "set", "it"], text)) == b"OK\n"
        assert done(run([cli, *way, "get", "it"])) == text + b"\n"
    found = relays.recorded(relay, "resp", "resp.bulk_string", "resp.bulk_string.value")
    assert len(found) > 500


# ssh


@pytest.fixture(scope="module")
def sshd(folder: Path, programs: Callable[..., Program]) -> Address:
    program = shutil.which("sshd") or shutil.which("sshd", path="/usr/sbin")
    if program is None:
        requirePeer("sshd")
    keygen = requirePeer("ssh-keygen")
    for key in ("host", "user"):
        done(run([keygen, "-q", "-t", "ed25519", "-N", "", "-f", str(folder / key)]))
    address = Address(port=freePort())
    config = folder / "sshd_config"
    config.write_text(
        f"ListenAddress 127.0.0.1:{address.port}\nHostKey {folder}/host\nPidFile none\n"
        f"AuthorizedKeysFile {folder}/user.pub\nStrictModes no\nPasswordAuthentication no\n"
        "Subsystem sftp internal-sftp\nUsePAM no\n"
    )
    if os.geteuid() == 0:
        # Which a service manager makes.
        Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)
    programs(str(program), "-D", "-e", "-f", str(config))
    waitFor(address)
    return address


def test_scp(folder: Path, sshd: Address, relays: Relays) -> None:
    scp = requirePeer("scp")
    relay = relays.start("--to", sshd.client)
    (folder / "sent").write_bytes(_COPIED)
    options = ["-q", "-F", "none", "-i", str(folder / "user"), "-oBatchMode=yes"]
    options += ["-oStrictHostKeyChecking=no", "-oUserKnownHostsFile=/dev/null"]
    me = pwd.getpwuid(os.geteuid()).pw_name
    for way in (
        [f"-oPort={relay.address('tcp').port}"],
        [f"-oProxyCommand=socat - {relay.address('unix').socat}"],
    ):
        there, back = folder / "there", folder / "back"
        done(run([scp, *options, *way, str(folder / "sent"), f"{me}@127.0.0.1:{there}"]))
        done(run([scp, *options, *way, f"{me}@127.0.0.1:{there}", str(back)]))
        assert hashlib.sha256(there.read_bytes()).digest() == hashlib.sha256(_COPIED).digest()
        assert hashlib.sha256(back.read_bytes()).digest() == hashlib.sha256(_COPIED).digest()
        there.unlink()
        back.unlink()
    versions = relays.recorded(relay, "ssh", "ssh.protocol", "ssh.protocol")
    assert len(versions) == 8
    assert all("SSH-2.0-" in version for [version] in versions)


# HTTP

NGINX = """
daemon off;
pid {folder}/relayed.pid;
error_log stderr;
worker_processes 1;
events {{}}
http {{
    access_log off;
    client_body_temp_path {folder}/relayed-1;
    proxy_temp_path {folder}/relayed-2;
    fastcgi_temp_path {folder}/relayed-3;
    uwsgi_temp_path {folder}/relayed-4;
    scgi_temp_path {folder}/relayed-5;
    root {folder}/files;
    server {{
        listen unix:{folder}/nginx.sock;
        location /host {{ return 200 $http_host; }}
        location / {{ }}
    }}
    server {{
        listen unix:{folder}/proxied.sock proxy_protocol;
        location / {{ return 200 $proxy_protocol_addr:$proxy_protocol_port; }}
    }}
    server {{
        listen unix:{folder}/tls.sock ssl;
        ssl_certificate {cert};
        ssl_certificate_key {key};
        location / {{ return 200 "$ssl_server_name $ssl_alpn_protocol"; }}
    }}
    server {{
        listen unix:{folder}/proxiedtls.sock ssl proxy_protocol;
        ssl_certificate {cert};
        ssl_certificate_key {key};
        location / {{ return 200 $proxy_protocol_addr; }}
    }}
}}
"""


@pytest.fixture(scope="module")
def nginx(folder: Path, certificate: dict[str, str], programs: Callable[..., Program]) -> Path:
    """
    nginx, which listens on UNIX sockets in this folder.
    """
    (folder / "files").mkdir()
    (folder / "files" / "content").write_bytes(CONTENT)
    (folder / "files").chmod(0o755)
    folder.chmod(0o711)
    config = folder / "relayed.conf"
    config.write_text(NGINX.format(folder=folder, **certificate))
    programs(requirePeer("nginx"), "-e", "stderr", "-c", str(config))
    waitFor(Address(path=str(folder / "nginx.sock")))
    return folder


def curl(address: Address, path: str, *options: str, trust: Path | None = None) -> bytes:
    words = [requirePeer("curl"), "--silent", "--show-error", "--http1.1", "--max-time", "60"]
    if address.path is not None:
        words += ["--unix-socket", address.path]
    host = "localhost" if address.port is None else f"127.0.0.1:{address.port}"
    scheme = "http"
    if trust is not None:
        words += ["--cacert", str(trust)]
        scheme = "https"
    return done(run([*words, *options, f"{scheme}://{host}{path}"]))


def test_nginx(nginx: Path, relays: Relays, localca: str, authority: Authority) -> None:
    relay = relays.start("-l", localca, "--to", f"unix:{nginx}/nginx.sock")
    tcp, unix = relay.address("tcp"), relay.address("unix")
    [tls] = [each for each in relay.addresses if each not in (tcp, unix)]
    assert curl(tcp, "/content") == CONTENT
    assert curl(unix, "/content") == CONTENT
    assert curl(tls, "/content", trust=authority.path) == CONTENT
    wrk = [
        requirePeer("wrk"),
        "-t",
        "1",
        "-c",
        "20",
        "-d",
        "1",
        f"http://127.0.0.1:{tcp.port}/host",
    ]
    said = done(run(wrk)).decode()
    assert re.search(r"[1-9]\d* requests in", said), said
    assert "Socket errors" not in said
    assert "Non-2xx" not in said
    found = relays.recorded(relay, "http", "http.request", "tcp.stream", "http.request.uri")
    assert [stream for stream, uri in found if uri == "/content"] == ["0", "1", "2"]
    assert len(found) > 100


def test_the_host(nginx: Path, relays: Relays) -> None:
    """
    Of each request of a connection.
    """
    relay = relays.start("--to", f"unix:{nginx}/nginx.sock", "--host", "other.example:8080")
    both = curl(
        relay.address("tcp"),
        "/host",
        f"http://127.0.0.1:{relay.address('tcp').port}/host",
    )
    assert both == b"other.example:8080" * 2


@pytest.mark.parametrize("version", ["v1", "v2"])
def test_a_proxy_header_for_nginx(nginx: Path, relays: Relays, version: str) -> None:
    relay = relays.start("--to", f"unix:{nginx}/proxied.sock", "--send-proxy", version)
    port = freePort()
    said = curl(relay.address("tcp"), "/", "--local-port", str(port))
    assert said.decode() == f"127.0.0.1:{port}"


def test_proxies_in_a_row(nginx: Path, relays: Relays) -> None:
    """
    Each tells the next one, of a UNIX socket as well, who the first one's client is.
    """
    last = relays.start("--to", f"unix:{nginx}/proxied.sock", "--send-proxy", "v1", haproxy=True)
    first = relays.start("--to", last.address("unix").client, "--send-proxy", "v2")
    port = freePort()
    said = curl(first.address("tcp"), "/", "--local-port", str(port))
    assert said.decode() == f"127.0.0.1:{port}"


def test_a_proxy_header_before_tls(
    nginx: Path, relays: Relays, certificate: dict[str, str]
) -> None:
    to = f"tls:127.0.0.1:443:endpoint=unix\\:{nginx}/proxiedtls.sock"
    relay = relays.start("--to", to, "--send-proxy", "v2", "--ca", certificate["cert"])
    assert curl(relay.address("tcp"), "/") == b"127.0.0.1"


def test_what_is_agreed_on_in_tls_goes_on(
    nginx: Path, relays: Relays, localca: str, authority: Authority
) -> None:
    to = f"tls:127.0.0.1:443:endpoint=unix\\:{nginx}/tls.sock"
    relay = relays.start(
        *("-l", localca, "--to", to, "--insecure", "--pass-sni", "--alpn", "http/1.1")
    )
    tcp, unix = relay.address("tcp"), relay.address("unix")
    [tls] = [each for each in relay.addresses if each not in (tcp, unix)]
    name = ["--connect-to", f"::127.0.0.1:{tls.port}", "https://a.example/"]
    words = [requirePeer("curl"), "--silent", "--show-error", "--cacert", str(authority.path)]
    # HTTP/2 is what curl would like best.
    assert done(run([*words, "--http2", *name])) == b"a.example http/1.1"


def test_nobody_listens(folder: Path, relays: Relays) -> None:
    relay = relays.start("--to", f"unix:{folder}/nobody.sock")
    for transport in ("tcp", "unix"):
        said = curl(relay.address(transport), "/", "-i")
        assert said.startswith(b"HTTP/1.1 502 Bad Gateway\r\n")
    with socket.create_connection(("127.0.0.1", relay.address("tcp").port or 0)) as plain:
        plain.settimeout(PATIENCE)
        plain.sendall(b"\x16\x03\x01")
        with pytest.raises(ConnectionResetError):
            plain.recv(1)


# WebSocket


@pytest.fixture(scope="module")
def websocket(serve: Start) -> Daemon:
    options = ("--path", "/chat", "--subprotocol", "two", "--format", "none")
    return serve("netkit-websocket", *options)


def test_websocket_over_tls(
    websocket: Daemon,
    relays: Relays,
    localca: str,
    authority: Authority,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """
    npm's ws, and Chromium that was told to trust the authority as netkit ca says.
    """
    node = requireNpm("ws")
    relay = relays.start("-l", localca, "--to", websocket.address("unix").client)
    tcp, unix = relay.address("tcp"), relay.address("unix")
    [tls] = [each for each in relay.addresses if each not in (tcp, unix)]
    for url in (
        f"ws://127.0.0.1:{tcp.port}",
        f"ws+unix:{unix.path}:",
        f"wss://localhost:{tls.port}",
    ):
        settings = {"url": f"{url}/chat", "perMessageDeflate": True}
        settings["ca"] = authority.path.read_text()
        said = json.loads(done(run([node, str(HERE / "websocket.mjs"), json.dumps(settings)])))
        assert (said["echoed"], said["close"]) == (6, 4711)
    monkeypatch.setenv("HOME", str(tmp_path))
    trusted = f"sql:{tmp_path}/.pki/nssdb"
    (tmp_path / ".pki" / "nssdb").mkdir(parents=True)
    certutil = [requirePeer("certutil"), "-d", trusted]
    done(run([*certutil, "-N", "--empty-password"]))
    done(run([*certutil, "-A", "-t", "C,,", "-n", "netkit", "-i", str(authority.path)]))
    report = browse(SCRIPT.replace("ORIGIN", f"wss://localhost:{tls.port}"), tmp_path)
    assert report["echoed"] == [True] * 4
    assert (report["code"], report["wasClean"]) == (4711, True)
    streams = relays.recorded(relay, "http", "websocket", "tcp.stream")
    assert {stream for [stream] in streams} == {"0", "1", "2", "3"}


def test_a_stream_over_websocket_and_back(serve: Start, relays: Relays, folder: Path) -> None:
    """
    From one relay to the other.
    """
    socat = requirePeer("socat")
    port = freePort()
    echo = serve("netkit-echo")
    there = f"ws:tcp\\:{port}\\:interface\\=127.0.0.1"
    relays.start("-l", there, "--to", echo.address("tcp").client)
    near = relays.start("--to", f"ws://127.0.0.1:{port}/")
    for transport in ("tcp", "unix"):
        words = [socat, "-t", "60", "-b", "65536", "-", near.address(transport).socat]
        assert done(run(words, CONTENT)) == CONTENT
