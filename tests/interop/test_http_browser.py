"""
The http service, and a page of another origin in a browser.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.interop.browser import browse
from tests.interop.peers import Daemon

SCRIPT = """
const ask = async (path, options) => {
    try {
        const response = await fetch("ORIGIN" + path, options);
        return [response.status, response.headers.get("X-Answer"), await response.text()];
    } catch (error) {
        return error.name;
    }
};
report([
    await ask("/", {}),
    await ask("/status/404", {
        method: "PUT", body: "hello", headers: { Authorization: "me", "X-Ask": "1" }
    }),
]);
"""


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (["--cors"], [[200, "42", "response data"], [404, "42", "status 404\n"]]),
        ([], ["TypeError", "TypeError"]),
    ],
    ids=["cors", "no cors"],
)
def test_chromium(
    serve: Callable[..., Daemon], tmp_path: Path, options: list[str], told: list[object]
) -> None:
    """
    With C{--cors} it reads the answers and their fields, asks with a method and fields that take a
    preflight, and is answered on routes too.
    """
    http = serve("netkit-http", "--format=none", "--routes", "--header=X-Answer: 42", *options)
    origin = http.address("tcp").origin("http")
    assert browse(SCRIPT.replace("ORIGIN", origin), tmp_path) == told
