"""
The HTTP Archive that netkit makes, beside the one that Chromium's developer tools make of the same
traffic.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from typing import Any

import pytest

from tests.interop.peers import HERE, SCRIPTS, Daemon, requireNpm, requirePeer, run

SCRIPT = """
const fetched = async (path, options) => (await fetch("HTTP" + path, options)).arrayBuffer();
await fetched("/get?a=1&b=%20x&c");
await fetched("/post", {method: "POST", headers: {"content-type": "text/plain"}, body: "k=v"});
await fetched("/status/404");
await fetched("/bytes/300");
await fetched("/stream/3");
const webSocket = new WebSocket("WS/chat");
let count = 0;
await new Promise((resolve) => {
    webSocket.onopen = () => {
        webSocket.send("hello");
        webSocket.send(new Uint8Array([0, 255]));
    };
    webSocket.onmessage = () => { if (++count === 2) webSocket.close(1000, "bye"); };
    webSocket.onclose = resolve;
});
"""

# What only one of the two can know, or what is another time there.
ONE_SIDED = {
    "_connectionId",
    "_fetchedViaServiceWorker",
    "_initiator",
    "_priority",
    "_resourceType",
    "connection",
    "cookies",
    "startedDateTime",
    "time",
    "timings",
}

Entry = dict[str, Any]


@pytest.fixture(scope="module")
def archives(tmp_path_factory: pytest.TempPathFactory) -> tuple[list[Entry], list[Entry]]:
    """
    The entries of Chromium's archive, and of netkit's.
    """
    node = requireNpm("ws")
    found = shutil.which("chromium-browser") or shutil.which("google-chrome")
    chromium = found or requirePeer("chromium")
    folder = tmp_path_factory.mktemp("har")
    options = ("-l", "tcp:0:interface=127.0.0.1", "--format", "none", "--capture")
    http = Daemon("netkit-http", *options, "http", "--routes", "--cors", cwd=folder)
    webSocket = Daemon("netkit-websocket", *options, "websocket", cwd=folder)
    script = SCRIPT.replace("HTTP", http.address("tcp").origin("http"))
    script = script.replace("WS", webSocket.address("tcp").origin("ws"))
    program = str(HERE / "chromium_har.mjs")
    done = run([node, program, chromium, str(folder / "profile"), script])
    http.stop()
    webSocket.stop()
    assert done.status == 0, done.errors.decode()
    ours: list[Entry] = []
    for name in ("http", "websocket"):
        made = run([str(SCRIPTS / "netkit"), "export", "--har", str(folder / name)])
        ours += json.loads(made.output)["log"]["entries"]
    return json.loads(done.output)["entries"], ours


def flat(value: object, path: str = "") -> Iterator[tuple[str, object]]:
    """
    The values of an entry by where they stand, but for what is one-sided.
    """
    if isinstance(value, dict):
        for name, each in value.items():
            if name not in ONE_SIDED:
                yield from flat(each, f"{path}.{name}")
    elif isinstance(value, list) and path.endswith(".headers"):
        # Chromium sorts them by name.
        yield path, sorted((each["name"], each["value"]) for each in value)
    elif isinstance(value, list):
        for number, each in enumerate(value):
            yield from flat(each, f"{path}[{number}]")
    else:
        yield path, value


def test_of_http(archives: tuple[list[Entry], list[Entry]]) -> None:
    theirs, ours = archives
    assert [(e["request"]["method"], e["request"]["url"]) for e in theirs] == [
        (e["request"]["method"], e["request"]["url"]) for e in ours
    ]
    for one, other in zip(theirs[:-1], ours[:-1], strict=True):
        was, made = dict(flat(one)), dict(flat(other))
        # The specification has it that the empty line and the charset count.
        sizes = [each["request"]["headersSize"] for each in (one, other)]
        assert sizes[0] + 2 == sizes[1]
        del was[".request.headersSize"], made[".request.headersSize"]
        mimeType = str(made.pop(".response.content.mimeType"))
        assert mimeType.startswith(str(was.pop(".response.content.mimeType")))
        # Without a window they have no content of what a page has read.
        made.pop(".response.content.text")
        made.pop(".response.content.encoding", None)
        for name in (".response.content.text", ".response.content.encoding"):
            was.pop(name, None)
        assert was == made
        assert one["startedDateTime"][:16] == other["startedDateTime"][:16]
        assert one["startedDateTime"][-1] == other["startedDateTime"][-1] == "Z"
        assert set(other["timings"]) <= set(one["timings"])


def test_of_a_websocket(archives: tuple[list[Entry], list[Entry]]) -> None:
    one, other = (entries[-1] for entries in archives)
    assert one["_resourceType"] == other["_resourceType"] == "websocket"
    for part, name in (("request", "url"), ("response", "status"), ("response", "statusText")):
        assert one[part][name] == other[part][name]
    for part in ("request", "response"):
        headers = [sorted(h["name"].lower() for h in e[part]["headers"]) for e in (one, other)]
        assert headers[0] == headers[1]
    was, made = one["_webSocketMessages"], other["_webSocketMessages"]
    # The two replies may have come before the second was sent.
    key = json.dumps
    both = [
        sorted(key({**each, "time": 0}, sort_keys=True) for each in messages)
        for messages in (was, made)
    ]
    assert both[0] == both[1]
    assert len(made) == 4
    assert {type(each["time"]) for each in made} == {float}
    assert abs(was[0]["time"] - made[0]["time"]) < 60
