"""
A page in a real browser.
"""

from __future__ import annotations

import json
import shutil
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from queue import Queue
from threading import Thread
from typing import Any

from tests.interop.peers import PATIENCE, Program, requirePeer

_PAGE = """<!doctype html><title>netkit</title><script type="module">
const report = (result) => fetch("/", { method: "POST", body: JSON.stringify(result) });
SCRIPT
</script>"""


def browse(script: str, profile: Path, *arguments: str) -> Any:
    """
    Run a script in a page of Chromium, and return what it reports, with C{report(result)}.

    @param script: the script: a JavaScript module.
    @param profile: a folder for the browser.
    @param arguments: further arguments of its.
    """
    found = shutil.which("chromium-browser") or shutil.which("google-chrome")
    chromium = found or requirePeer("chromium")
    reports: Queue[Any] = Queue()
    content = _PAGE.replace("SCRIPT", script).encode()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "text/html; charset=utf-8")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def do_POST(self) -> None:
            reports.put(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(204)
            self.end_headers()

        def log_message(self, *arguments: object) -> None:
            """
            Say nothing.
            """

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = Thread(target=server.serve_forever, daemon=True)
    thread.start()
    browser = Program(
        [
            *(chromium, "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"),
            *("--no-first-run", "--no-proxy-server", f"--user-data-dir={profile}"),
            *("--remote-debugging-port=0", *arguments),
            f"http://127.0.0.1:{server.server_address[1]}/",
        ]
    )
    try:
        return reports.get(timeout=PATIENCE)
    finally:
        browser.stop()
        server.shutdown()
        server.server_close()
        thread.join(PATIENCE)
