"""
Toxiproxy's API, as its own clients use it, and what its toxics do to a connection.
"""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import pytest

from tests.interop.peers import PATIENCE, Daemon, requireModule, requirePeer, run

HERE = Path(__file__).parent

HUGE = f'{{"type":"latency","attributes":{{"latency":1{"0" * 400}}}}}'
NUL = '{"name":"nul","upstream":"a:1","listen":"\\u0000:1"}'
LONG = f'{{"name":"{"x" * 1001}","upstream":"a:1"}}'
TOXICS = '{"name":"a","upstream":"a:1","toxics":%s}'


@pytest.fixture(scope="module")
def echo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    daemon = Daemon(
        *("netkit-echo", "-l", "tcp:0:interface=127.0.0.1"), cwd=tmp_path_factory.mktemp("echo")
    )
    yield f"127.0.0.1:{daemon.address('tcp').port}"
    daemon.stop()


@pytest.fixture(scope="module")
def control(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    daemon = Daemon(
        *("netkit-forward", "--control", "tcp:0:interface=127.0.0.1", "--fault-seed", "7"),
        cwd=tmp_path_factory.mktemp("control"),
        listening=1,
    )
    yield f"127.0.0.1:{daemon.address('tcp').port}"
    daemon.stop()


@pytest.fixture
def server(control: str) -> Any:
    requireModule("toxiproxy")
    from toxiproxy import Toxiproxy

    host, port = control.split(":")
    server = Toxiproxy()
    server.update_api_consumer(host, int(port))
    server.destroy_all()
    return server


@pytest.fixture
def proxy(server: Any, echo: str) -> Any:
    return server.create(name="echo", upstream=echo)


def curl(control: str, *arguments: str) -> tuple[int, Any]:
    """
    @return: the status and the object of the answer.
    """
    *options, path = arguments
    command = [requirePeer("curl"), "--silent", "--write-out", "\n%{http_code}", *options]
    content, _, status = run([*command, f"http://{control}{path}"]).output.rpartition(b"\n")
    return int(status), json.loads(content) if content else None


@contextmanager
def connected(proxy: Any) -> Iterator[socket.socket]:
    host, _, port = proxy.listen.rpartition(":")
    with socket.create_connection((host, int(port)), PATIENCE) as client:
        yield client


def talk(client: socket.socket, data: bytes = b"hello") -> bytes:
    """
    Send, and take as much as comes before the end.
    """
    client.sendall(data)
    received = b""
    while len(received) < len(data) and (piece := client.recv(65536)):
        received += piece
    return received


def test_the_client_for_node(control: str, echo: str) -> None:
    done = run([requirePeer("node"), str(HERE / "toxiproxy.mjs"), f"http://{control}", echo])
    assert done.status == 0, done.errors.decode()
    said = json.loads(done.output)
    assert {toxic["name"]: toxic["attributes"] for toxic in said["toxics"]} == {
        "latency": {"latency": 10, "jitter": 5},
        "bandwidth": {"rate": 100},
        "slow_close": {"delay": 10},
        "timeout": {"timeout": 10},
        "reset_peer": {"timeout": 10},
        "slicer": {"average_size": 10, "size_variation": 5, "delay": 10},
        "limit_data": {"bytes": 10},
    }
    assert {(toxic["stream"], toxic["toxicity"]) for toxic in said["toxics"]} == {
        ("upstream", 0.5)
    }
    assert said["listen"].startswith("127.0.0.1:")
    assert (said["updated"], said["disabled"], said["reset"]) == ([20, 1], False, True)
    assert (said["version"], said["upstream"]) == ("2.9.0", echo)
    assert (said["proxies"], said["removed"], said["populated"]) == (["mine"], [], ["two"])
    assert ("404" in said["gone"], "409" in said["again"]) == (True, True)


def test_latency(proxy: Any) -> None:
    proxy.add_toxic(type="latency", attributes={"latency": 200, "jitter": 0})
    with connected(proxy) as client:
        began = time.monotonic()
        assert talk(client) == b"hello"
        assert time.monotonic() - began >= 0.2


def test_bandwidth(proxy: Any) -> None:
    proxy.add_toxic(type="bandwidth", attributes={"rate": 100})
    with connected(proxy) as client:
        began = time.monotonic()
        assert talk(client, bytes(50_000)) == bytes(50_000)
        assert time.monotonic() - began >= 0.45


def test_limit_data(proxy: Any) -> None:
    proxy.add_toxic(type="limit_data", attributes={"bytes": 1234})
    with connected(proxy) as client:
        assert len(talk(client, bytes(5000))) == 1234


def test_limit_data_that_is_changed(control: str, proxy: Any) -> None:
    """
    What went through already counts.
    """
    proxy.add_toxic(name="limit", type="limit_data", attributes={"bytes": 5})
    with connected(proxy) as client:
        assert talk(client, b"abc") == b"abc"
        change = json.dumps({"attributes": {"bytes": 7}})
        path = "/proxies/echo/toxics/limit"
        status, toxic = curl(control, "--json", change, path)
        assert (status, toxic["attributes"]) == (200, {"bytes": 7})
        assert talk(client, b"defgh") == b"defg"
        assert client.recv(1) == b""


def test_bandwidth_of_nothing(proxy: Any) -> None:
    """
    It holds back, and loses nothing.
    """
    proxy.add_toxic(name="none", type="bandwidth", attributes={"rate": 0})
    with connected(proxy) as client:
        client.sendall(bytes(1000))
        proxy.destroy_toxic("none")
        assert client.recv(1000, socket.MSG_WAITALL) == bytes(1000)


def test_timeout(proxy: Any) -> None:
    proxy.add_toxic(type="timeout", attributes={"timeout": 100})
    with connected(proxy) as client:
        assert talk(client) == b""


def test_a_timeout_that_is_taken_away_closes(proxy: Any) -> None:
    proxy.add_toxic(name="silent", type="timeout", attributes={"timeout": 0})
    with connected(proxy) as client:
        client.sendall(b"lost")
        proxy.add_toxic(name="slow", type="latency", attributes={"latency": 1})
        proxy.destroy_toxic("slow")
        proxy.destroy_toxic("silent")
        assert client.recv(10) == b""
    with connected(proxy) as client:
        assert talk(client) == b"hello"


def test_reset_peer(proxy: Any) -> None:
    """
    The time runs from the first that is sent, and nothing of that arrives.
    """
    proxy.add_toxic(type="reset_peer", attributes={"timeout": 50})
    with connected(proxy) as client, pytest.raises(ConnectionResetError):
        talk(client)


def test_slow_close(proxy: Any) -> None:
    proxy.add_toxic(type="slow_close", attributes={"delay": 200})
    with connected(proxy) as client:
        client.shutdown(socket.SHUT_WR)
        began = time.monotonic()
        assert client.recv(1) == b""
        assert time.monotonic() - began >= 0.2


def test_slicer(proxy: Any) -> None:
    attributes = {"average_size": 50, "size_variation": 0, "delay": 300_000}
    proxy.add_toxic(type="slicer", attributes=attributes)
    with connected(proxy) as client:
        began, received = time.monotonic(), b""
        client.sendall(bytes(range(100)))
        while len(received) < 100:
            received += client.recv(65536)
        assert received == bytes(range(100))
        assert time.monotonic() - began >= 0.29


def test_down(proxy: Any) -> None:
    with connected(proxy) as client:
        assert talk(client) == b"hello"
        with proxy.down():
            with pytest.raises((ConnectionResetError, BrokenPipeError)):
                assert client.recv(1), "closed, not reset"
            with pytest.raises(ConnectionRefusedError):
                connected(proxy).__enter__()
    with connected(proxy) as client:
        assert talk(client) == b"hello"


def test_a_toxic_of_an_open_connection(proxy: Any) -> None:
    """
    It strikes what is open when it comes, and no more once it is gone.
    """
    with connected(proxy) as client:
        assert talk(client) == b"hello"
        proxy.add_toxic(name="slow", type="latency", attributes={"latency": 150})
        began = time.monotonic()
        assert talk(client) == b"hello"
        assert time.monotonic() - began >= 0.15
        proxy.destroy_toxic("slow")
        assert talk(client) == b"hello"
    assert proxy.toxics() == {}


def test_http_faults_of_an_open_connection(control: str, server: Any) -> None:
    """
    They come and go from one request to the next.
    """
    proxy = server.create(name="http", upstream=control)
    host, _, port = proxy.listen.rpartition(":")
    client = HTTPConnection(host, int(port), timeout=PATIENCE)

    def ask() -> int:
        client.request("GET", "/version")
        response = client.getresponse()
        response.read()
        return response.status

    with closing(client):
        seen, socket = [ask()], client.sock
        proxy.add_toxic(name="mine", type="status", attributes={"status": 502})
        seen.append(ask())
        proxy.destroy_toxic("mine")
        seen.append(ask())
        assert (seen, client.sock) == ([200, 502, 200], socket)


def test_relays_of_the_command_line(tmp_path: Path, echo: str) -> None:
    """
    They are proxies as those are that are made by the API, and go on as what they are.
    """
    requireModule("toxiproxy")
    from toxiproxy import Toxiproxy

    local, host = "tcp:0:interface=127.0.0.1", echo.replace(":", "\\:")
    daemon = Daemon(
        *("netkit-forward", "--control", local, "--name", "named", "--fault", "latency:delay=0"),
        *("-l", local, "--to", f"tcp:{echo}", "-l", f"unix:{tmp_path}/socket"),
        *("--to", f"fault:tcp\\:{host}:latency=delay\\=0"),
        cwd=tmp_path,
        listening=3,
    )
    try:
        control, listening, _ = daemon.addresses
        api = f"127.0.0.1:{control.port}"
        server = Toxiproxy()
        server.update_api_consumer("127.0.0.1", control.port)
        proxies = server.proxies()
        named, socket_ = proxies.pop("named"), next(iter(proxies.values()))
        assert (named.listen, named.upstream) == (f"127.0.0.1:{listening.port}", echo)
        assert (socket_.listen, socket_.enabled) == (f"unix:{tmp_path}/socket", True)
        named.add_toxic(name="mine", type="limit_data", attributes={"bytes": 2})
        with connected(named) as client:
            assert talk(client) == b"he"
        for name in ("mine", "latency-1"):
            again = json.dumps({"name": name, "type": "latency"})
            assert curl(api, "--json", again, "/proxies/named/toxics")[0] == 409
        with named.down():
            assert not server.get_proxy("named").enabled
            with pytest.raises(ConnectionRefusedError):
                connected(named).__enter__()
        with connected(named) as client:
            assert talk(client) == b"he"
        assert curl(api, "-X", "POST", "/reset")[0] == 204
        with connected(named) as client:
            assert talk(client) == b"hello"
        moved = json.dumps({"upstream": "127.0.0.1:1"})
        assert curl(api, "--json", moved, "/proxies/named")[1]["listen"] == named.listen
        with connected(named) as client, pytest.raises(ConnectionResetError):
            client.recv(1)
        socket_.destroy()
        assert list(server.proxies()) == ["named"]
        assert not (tmp_path / "socket").exists()
    finally:
        daemon.stop()


def test_our_own_faults_beside_them(control: str, proxy: Any) -> None:
    toxic = {"name": "mine", "type": "truncate", "attributes": {"octets": 2, "first": 1}}
    path = "/proxies/echo/toxics"
    assert curl(control, "--json", json.dumps(toxic), path)[0] == 200
    with connected(proxy) as client:
        client.sendall(b"hello")
        client.shutdown(socket.SHUT_WR)
        assert client.recv(10) == b"he"
    with connected(proxy) as client:
        assert talk(client) == b"hello"
    command = [requirePeer("curl"), "--silent", f"http://{control}/metrics"]
    assert b'{proxy="echo",toxic="mine"} 1' in run(command).output


def test_made_with_its_toxics_at_once(control: str, server: Any, echo: str) -> None:
    wanted = {
        "name": "whole",
        "listen": "127.0.0.1:0",
        "upstream": echo,
        "toxics": [{"type": "limit_data", "attributes": {"bytes": 3}}],
    }
    status, made = curl(control, "--json", json.dumps(wanted), "/proxies")
    assert (status, made["toxics"][0]["name"]) == (201, "limit_data_downstream")
    with connected(server.get_proxy("whole")) as client:
        assert talk(client) == b"hel"


@pytest.mark.parametrize(
    ("arguments", "status", "problem"),
    [
        (("/proxies/none",), 404, "proxy not found"),
        (("/proxies/echo/toxics/none",), 404, "toxic not found"),
        (("/nothing",), 404, "404 page not found"),
        (("--json", "{", "/proxies"), 400, "bad request body"),
        (("--json", "[]", "/proxies"), 400, "bad request body"),
        (("--json", "{}", "/proxies"), 400, "missing required field: name"),
        (("--json", '{"name":"a"}', "/proxies"), 400, "missing required field: upstream"),
        (("--json", '{"name":"echo","upstream":"a:1"}', "/proxies"), 409, "already exists"),
        (("--json", '{"name":"a","upstream":"a:x"}', "/proxies"), 400, "a:"),
        (("--json", '{"type":"x"}', "/proxies/echo/toxics"), 400, "invalid toxic type"),
        (
            ("--json", '{"type":"latency","stream":"x"}', "/proxies/echo/toxics"),
            *(400, "stream was invalid"),
        ),
        (
            ("--json", '{"type":"latency","toxicity":2}', "/proxies/echo/toxics"),
            *(400, "toxicity is a number from 0 to 1"),
        ),
        (
            ("--json", '{"type":"limit_data","attributes":{"bytes":-1}}', "/proxies/echo/toxics"),
            *(400, "bytes is a whole number"),
        ),
        (
            ("--json", '{"type":"flip","attributes":{"share":"x"}}', "/proxies/echo/toxics"),
            *(400, "flip: share=x is not"),
        ),
        (("--header", "Origin: http://a.example", "/proxies"), 403, "not for browsers"),
        (("--user-agent", "Mozilla/5.0", "/proxies"), 403, "not for browsers"),
        (("--header", "Host: rebound.example", "/proxies"), 403, "this is localhost"),
        (("-X", "PUT", "/proxies"), 405, "PUT is not for /proxies"),
        (("-X", "PUT", "/proxies/echo"), 405, "PUT is not for a proxy"),
        (("--json", '{"listen":5}', "/proxies/echo"), 400, "listen is a string"),
        (("--json", '{"listen":false}', "/proxies/echo"), 400, "listen is a string"),
        (("--json", '{"name":0,"upstream":"a:1"}', "/proxies"), 400, "name is a string"),
        (("--json", TOXICS % "0", "/proxies"), 400, "toxics is a list of objects"),
        (
            ("--json", '{"type":"latency","attributes":[]}', "/proxies/echo/toxics"),
            *(400, "attributes are an object"),
        ),
        (("--json", '{"upstream":["a:1"]}', "/proxies/echo"), 400, "upstream is a string"),
        (("--json", '{"enabled":"no"}', "/proxies/echo"), 400, "enabled is true or false"),
        (("--json", '{"name":"\\ud800","upstream":"a:1"}', "/proxies"), 400, "name is a string"),
        (("--json", TOXICS % "5", "/proxies"), 400, "toxics is a list of objects"),
        (("--json", TOXICS % '["x"]', "/proxies"), 400, "toxics is a list of objects"),
        (("--json", TOXICS % '[{"type":"refuse"},{"type":"refuse"}]', "/proxies"), 409, "toxic"),
        (("--json", '{"name":"a","upstream":"a:1","listen":"192.0.2.1:1"}', "/proxies"), 500, "a"),
        (("--json", NUL, "/proxies"), 400, "must not contain null"),
        (("--json", LONG, "/proxies"), 400, "1000 characters at most"),
        (("--json", '[{"name":"echo"}]', "/populate"), 400, "field: upstream at proxy 1"),
        (
            ("--json", '{"type":"refuse","name":"\\udfff"}', "/proxies/echo/toxics"),
            *(400, "bad request body: name, type and stream are strings"),
        ),
        (
            ("--json", HUGE, "/proxies/echo/toxics"),
            *(400, "latency is a whole number"),
        ),
        (
            ("--json", '{"type":"status","stream":"upstream"}', "/proxies/echo/toxics"),
            *(400, "status: it strikes what the server sends"),
        ),
    ],
)
@pytest.mark.usefixtures("proxy")
def test_mistakes(control: str, arguments: tuple[str, ...], status: int, problem: str) -> None:
    found, said = curl(control, *arguments)
    assert (found, said["status"]) == (status, status)
    assert problem in said["error"]
    assert list(curl(control, "/proxies")[1]) == ["echo"]


def test_version(server: Any) -> None:
    assert json.loads(server.version()) == {"version": "2.9.0"}


def test_populated_again(control: str, server: Any, echo: str) -> None:
    """
    What is there already, by whatever name its place is called, stays as it is.
    """
    first = server.create(name="one", upstream=echo)
    port = first.listen.rpartition(":")[2]
    first.destroy()
    wanted = [{"name": "two", "listen": f"localhost:{port}", "upstream": echo}]
    assert curl(control, "--json", json.dumps(wanted), "/populate")[0] == 201
    proxy = server.get_proxy("two")
    assert proxy.listen == f"127.0.0.1:{port}"
    with connected(proxy) as client:
        assert talk(client) == b"hello"
        assert curl(control, "--json", json.dumps(wanted), "/populate")[0] == 201
        assert curl(control, "--json", json.dumps(wanted[0]), "/proxies/two")[0] == 200
        assert talk(client) == b"hello"


def test_populated_in_part(control: str, server: Any, echo: str) -> None:
    wanted = [
        {"name": "good", "listen": "127.0.0.1:0", "upstream": echo},
        {"name": "bad", "listen": "192.0.2.1:1", "upstream": echo},
    ]
    status, said = curl(control, "--json", json.dumps(wanted), "/populate")
    assert (status, said["status"], [each["name"] for each in said["proxies"]]) == (
        *(500, 500),
        ["good"],
    )
    assert list(server.proxies()) == ["good"]


def test_a_proxy_that_goes_while_it_is_changed(control: str, proxy: Any) -> None:
    """
    A request that takes long to arrive changes nothing that is gone by then.
    """
    port = int(proxy.listen.rpartition(":")[2])
    proxy.disable()
    host, _, api = control.partition(":")
    with socket.create_connection((host, int(api)), PATIENCE) as client:
        client.sendall(
            b"POST /proxies/echo HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"
            b"Content-Length: 16\r\n\r\n{"
        )
        assert curl(control, "-X", "DELETE", "/proxies/echo")[0] == 204
        client.sendall(b'"enabled": true}')
        assert client.recv(65536).startswith(b"HTTP/1.1 404 ")
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port), PATIENCE)
