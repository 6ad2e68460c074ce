"""
Relays that are programs of their own: C{other_forward.py haproxy|socat|mitmdump --to=PORT PORT}.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from tempfile import mkstemp

HAPROXY = """
global
    nbthread 1
    maxconn 2000
defaults
    mode tcp
    timeout connect 10s
    timeout client 600s
    timeout server 600s
listen relay
    bind 127.0.0.1:{port} backlog 4096
    server upstream 127.0.0.1:{to}
"""


def command(program: str, to: str, port: str) -> list[str]:
    """
    The command that runs a relay.
    """
    if program == "haproxy":
        descriptor, path = mkstemp(suffix=".cfg")
        with os.fdopen(descriptor, "w") as file:
            file.write(HAPROXY.format(port=port, to=to))
        return ["haproxy", "-db", "-f", path]
    if program == "socat":
        listen = f"TCP-LISTEN:{port},bind=127.0.0.1,fork,reuseaddr,backlog=4096,nodelay"
        return ["socat", "-b65536", listen, f"TCP:127.0.0.1:{to},nodelay"]
    mitmdump = Path(sys.prefix).with_name("mitmproxy") / "bin" / "mitmdump"
    return [str(mitmdump), "-q", "--mode", f"reverse:http://127.0.0.1:{to}", "-p", port]


program, to, port = sys.argv[1:]
words = command(program, to.removeprefix("--to="), port)
os.execvp(words[0], words)
