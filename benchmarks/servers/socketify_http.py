"""
socketify: an HTTP server on uWebSockets.

    python socketify_http.py PORT
"""

from __future__ import annotations

import sys
from typing import Any

from socketify import App


def greet(response: Any, request: Any) -> None:
    """
    Answer a request.
    """
    response.write_header("content-type", "text/plain")
    response.end("Hello, World!")


app = App()
app.any("/*", greet)
app.listen({"port": int(sys.argv[-1]), "host": "127.0.0.1"}, lambda config: None)
app.run()
