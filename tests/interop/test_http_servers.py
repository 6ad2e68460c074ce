"""
The http service, nginx, Node and Apache: the same requests to each of them.
"""

from __future__ import annotations

import re
import socket
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from benchmarks.running import freePort
from tests.interop.http_corpus import ACCEPTED, CORPUS, REFUSED
from tests.interop.http_peers import opened, waitFor
from tests.interop.peers import HERE, Address, Daemon, Program, requirePeer

NGINX = """
daemon off;
user root;
pid {folder}/nginx.pid;
error_log stderr error;
worker_processes 1;
events {{ }}
http {{
    access_log off;
    client_body_temp_path {folder}/nginx-1;
    proxy_temp_path {folder}/nginx-2;
    fastcgi_temp_path {folder}/nginx-3;
    uwsgi_temp_path {folder}/nginx-4;
    scgi_temp_path {folder}/nginx-5;
    server {{
        # A proxy reads the content of a request, which `return` alone does not.
        listen unix:{folder}/nginx.sock;
        location / {{
            proxy_ignore_client_abort on;
            proxy_pass http://unix:{folder}/behind.sock;
        }}
    }}
    server {{
        listen unix:{folder}/behind.sock;
        location / {{ return 200 ok; }}
    }}
}}
"""

APACHE = """
ServerRoot {folder}
PidFile {folder}/apache.pid
Mutex file:{folder}
Listen 127.0.0.1:{port}
ServerName localhost
LoadModule mpm_event_module /usr/lib/apache2/modules/mod_mpm_event.so
LoadModule authz_core_module /usr/lib/apache2/modules/mod_authz_core.so
LoadModule env_module /usr/lib/apache2/modules/mod_env.so
LoadModule proxy_module /usr/lib/apache2/modules/mod_proxy.so
LoadModule proxy_http_module /usr/lib/apache2/modules/mod_proxy_http.so
ErrorLog /dev/stderr
SetEnv proxy-sendcl 1
ProxyPass / unix:{folder}/behind.sock|http://localhost/
"""


def accepted(address: Address, request: bytes) -> int:
    """
    Send a request, and count the responses of success.
    """
    received = b""
    with opened(address) as connection:
        try:
            connection.sendall(request)
            connection.shutdown(socket.SHUT_WR)
            while data := connection.recv(2**16):
                received += data
        except (BrokenPipeError, ConnectionResetError):
            pass
        except OSError as error:
            # ENOTCONN: closed before all of it was sent.
            if isinstance(error, TimeoutError):
                raise
    return len(re.findall(rb"HTTP/1\.[01] 2\d\d", received))


@pytest.fixture(scope="module")
def others(folder: Path) -> Iterator[dict[str, Address]]:
    """
    The other servers.
    """
    node, nginx, apache = map(requirePeer, ("node", "nginx", "apache2"))
    folder.chmod(0o755)
    port = freePort()
    (folder / "nginx.conf").write_text(NGINX.format(folder=folder))
    (folder / "apache.conf").write_text(APACHE.format(folder=folder, port=port))
    servers = {
        "nginx": Address(path=str(folder / "nginx.sock")),
        "node": Address(path=str(folder / "node.sock")),
        "apache": Address(port=port),
    }
    programs = [
        Program([nginx, "-c", str(folder / "nginx.conf")]),
        Program([node, str(HERE / "http_server.mjs"), str(folder / "node.sock")]),
        Program([apache, "-f", str(folder / "apache.conf"), "-DFOREGROUND"]),
    ]
    try:
        for address in servers.values():
            waitFor(address)
        yield servers
    finally:
        for program in programs:
            program.stop()


@pytest.fixture(scope="module")
def netkit(serve: Callable[..., Daemon]) -> Address:
    """
    The service under C{twistd}.
    """
    return serve("netkit-http", "--format", "none").address("unix")


@pytest.mark.parametrize("name", CORPUS)
def test_the_same_request_to_each(name: str, netkit: Address, others: dict[str, Address]) -> None:
    """
    Nothing is refused that two others accept, nothing accepted that two refuse, but for what is
    listed; and no two servers see a different number of requests in the same octets.
    """
    request = CORPUS[name]
    ours = accepted(netkit, request)
    theirs = {server: accepted(address, request) for server, address in others.items()}
    votes = sum(count > 0 for count in theirs.values())
    if ours:
        assert votes >= 2 or name in ACCEPTED, f"accepted, unlike {theirs}"
        assert all(count in (0, ours) for count in theirs.values()), f"{ours} but {theirs}"
    else:
        assert votes < 2 or name in REFUSED, f"refused, unlike {theirs}"


def test_what_is_listed_is_there() -> None:
    assert set(ACCEPTED) | set(REFUSED) <= set(CORPUS)
    assert not set(ACCEPTED) & set(REFUSED)
