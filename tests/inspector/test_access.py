"""
Who may speak with the inspector.
"""

from __future__ import annotations

import pytest
import pytest_twisted
from twisted.internet.address import IPv4Address, IPv6Address, UNIXAddress

from netkit.services.inspection import isLocal
from tests.inspector.conftest import Inspected, Make


@pytest_twisted.ensureDeferred
@pytest.mark.parametrize("path", ["/", "/api", "/robots.txt", "/api/exchanges"])
async def test_other_hosts_and_origins(inspect: Make, path: str) -> None:
    its: Inspected = await inspect(hosts=["Known.Example"])
    port = its.port
    for host in ("evil.example", "192.0.2.1", "127.0.0.1.evil.example", "localhost.evil.example"):
        assert (await raw(its, path, host)) == 403
    # What would stand in the policy of the page.
    for host in ("a;script-src-elem.localhost", "'unsafe-inline'.localhost", "*.localhost"):
        assert (await raw(its, path, host)) == 403
    for host in ("localhost", f"localhost:{port}", "[::1]:80", "known.example", "a.localhost"):
        assert (await raw(its, path, host)) in (200, 404)
    assert (await its.ask(path, origin="http://evil.example")).status == 403
    assert (await its.ask(path, origin="null")).status == 403
    assert (await its.ask(path, origin=f"http://127.0.0.1:{port + 1}")).status == 403
    assert (await its.ask(path, origin=f"http://127.0.0.1:{port}")).status in (200, 404)
    assert (await its.ask(path, sec_fetch_site="cross-site")).status == 403
    assert (await its.ask(path, sec_fetch_site="same-site")).status == 403
    assert (await its.ask(path, sec_fetch_site="same-origin")).status in (200, 404)


async def raw(its: Inspected, path: str, host: str, *fields: str) -> int:
    """
    Ask as no client would.

    @return: the status.
    """
    lines = [f"GET {path} HTTP/1.1", f"Host: {host}", "Connection: close", *fields, "", ""]
    return int((await its.say("\r\n".join(lines).encode())).split()[1])


UPGRADE = (
    "Upgrade: websocket",
    "Connection: Upgrade",
    "Sec-WebSocket-Version: 13",
    "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==",
)


@pytest_twisted.ensureDeferred
async def test_the_feed_is_held_to_the_same(inspect: Make) -> None:
    its: Inspected = await inspect()
    host = f"127.0.0.1:{its.port}"
    for name, *fields in (
        ("evil.example",),
        (host, "Origin: http://evil.example"),
        (host, "Origin: https://localhost"),
    ):
        assert await upgraded(its, "/api/feed", name, *fields) == 403
    assert await upgraded(its, "/api/feed", host, f"Origin: http://{host}") == 101
    assert await upgraded(its, "/api/feed", host) == 101
    assert await upgraded(its, "/api/feed?since=x", host) == 400
    assert await upgraded(its, "/api/feed?filter=nothing:x", host) == 400
    assert await upgraded(its, "/api/feed?filter=text:x", host) == 400
    assert await upgraded(its, "/api/exchanges", host) == 404


async def upgraded(its: Inspected, path: str, host: str, *fields: str) -> int:
    lines = [f"GET {path} HTTP/1.1", f"Host: {host}", *UPGRADE, *fields, "", ""]
    return int((await its.say("\r\n".join(lines).encode())).split()[1])


@pytest_twisted.ensureDeferred
async def test_a_token(inspect: Make) -> None:
    its: Inspected = await inspect(token=True)
    token = its.access.token
    host = f"127.0.0.1:{its.port}"
    assert (await its.ask("/")).status == 401
    refused = await its.ask("/api")
    assert refused.status == 401
    assert refused.fields["www-authenticate"] == "Bearer"
    assert (await its.ask("/api", authorization="Bearer wrong")).status == 401
    assert (await its.ask("/api", authorization=f"Bearer {token}")).status == 200
    assert await upgraded(its, "/api/feed", host) == 401
    assert await upgraded(its, f"/api/feed?token={token}", host) == 101
    # A browser is let in by the address, and then by a cookie.
    let = await its.ask(f"/?token={token}")
    assert (let.status, let.fields["location"]) == (303, "/")
    cookie, *attributes = let.fields["set-cookie"].split("; ")
    assert attributes == ["HttpOnly", "SameSite=Strict", "Path=/"]
    assert (await its.ask("/api", cookie=cookie)).status == 200
    assert await upgraded(its, "/api/feed", host, f"Cookie: {cookie}") == 101
    assert (await its.ask("/api", cookie=cookie[:-1])).status == 401
    # With a token, an address is nobody's who could have a page lead here.
    assert await raw(its, "/api", "192.0.2.1", f"Authorization: Bearer {token}") == 200
    assert await raw(its, "/api", "evil.example", f"Authorization: Bearer {token}") == 403


@pytest_twisted.ensureDeferred
async def test_looking_alone(inspect: Make) -> None:
    its: Inspected = await inspect(readOnly=True)
    await its.serveHTTP()
    await its.ask("/200", port=its.http)
    assert (await its.ask("/api")).json["readOnly"] is True
    for method, path in (
        ("POST", "/send"),
        ("DELETE", "/exchanges"),
        ("PUT", "/services/http/answer"),
        ("DELETE", "/services/http/answer"),
        ("POST", "/services/http/faults"),
        ("DELETE", "/services/http/faults"),
        ("PATCH", "/services/http/faults/x"),
        ("DELETE", "/services/http/faults/x"),
    ):
        assert (await its.ask(f"/api{path}", method, {})).status == 403
    posted = await its.ask("/api/export", "POST", {"format": "har"})
    assert posted.status == 200


@pytest.mark.parametrize(
    ("address", "local"),
    [
        (IPv4Address("TCP", "127.0.0.1", 1), True),
        (IPv4Address("TCP", "127.1.2.3", 1), True),
        (IPv4Address("TCP", "0.0.0.0", 1), False),
        (IPv4Address("TCP", "192.0.2.1", 1), False),
        (IPv6Address("TCP", "::1", 1), True),
        (IPv6Address("TCP", "::", 1), False),
        (IPv6Address("TCP", "fe80::1%eth0", 1), False),
        (UNIXAddress("/run/x"), True),
    ],
)
def test_which_addresses_are_this_machines_own(address: object, local: bool) -> None:
    assert isLocal(address) is local  # type: ignore[arg-type]


@pytest_twisted.ensureDeferred
async def test_what_the_page_is_told(inspect: Make) -> None:
    its: Inspected = await inspect()
    file = await its.ask("/robots.txt")
    assert "script-src 'self'" in file.fields["content-security-policy"]
    assert "unsafe" not in file.fields["content-security-policy"]
    assert file.fields["cache-control"] == "no-cache"
    assert (await its.ask("/robots.txt", if_none_match=file.fields["etag"])).status == 304
    api = await its.ask("/api")
    assert api.fields["cache-control"] == "no-store"
    for answer in (file, api, await its.ask("/none"), await its.ask("/api/none")):
        assert answer.fields["x-content-type-options"] == "nosniff"
    assert (await its.ask("/", "POST", {})).status == 405
    assert (await its.ask("/../api.py")).status == 404
    assert (await its.ask("/%2e%2e/api.py")).status == 404
