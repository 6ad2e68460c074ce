"""
Reloads and kills a service while wrk asks it, and says what that lost::

    python -m compliance.operation [--seconds 60] [--reactor uvloop] reload
    python -m compliance.operation kill

C{reload}: SIGHUP each three seconds; wrk's requests are all to be answered, and none refused.
C{kill}: SIGKILL for one of three workers each second; the parent's descriptors and memory are to
stay what they were.
"""

from __future__ import annotations

import argparse
import os
import random
import re
import signal
import subprocess
import sys
import sysconfig
import tempfile
import time
from pathlib import Path

TWISTD = Path(sysconfig.get_path("scripts")) / "twistd"


def main() -> int:
    """
    Run it.

    @return: the status: 0 where nothing was lost.
    """
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("what", choices=["reload", "kill"])
    parser.add_argument("--seconds", type=int, default=60)
    parser.add_argument("--reactor", default="epoll")
    parser.add_argument("--connections", type=int, default=100)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        return _run(options, Path(folder))


def _run(options: argparse.Namespace, folder: Path) -> int:
    workers = 3 if options.what == "kill" else 0
    log = folder / "log"
    service = subprocess.Popen(
        [
            *[TWISTD, "-n", "--pidfile=", f"--logfile={log}", f"--reactor={options.reactor}"],
            *["netkit-http", "--format=none", "--delay=0.02", f"--workers={workers}"],
            *["-l", "tcp:0:interface=127.0.0.1"],
        ],
        cwd=folder,
    )
    port = _found(log, r"http listens on 127.0.0.1:(\d+)", 1 + workers)[0]
    before = _resources(service.pid)
    client = subprocess.Popen(
        [
            *["wrk", "-t1", f"-c{options.connections}", f"-d{options.seconds}"],
            *["--timeout", "10", f"http://127.0.0.1:{port}/"],
        ],
        stdout=subprocess.PIPE,
        text=True,
    )
    done = 0
    while client.poll() is None:
        if options.what == "reload":
            time.sleep(3)
            os.kill(service.pid, signal.SIGHUP)
        else:
            time.sleep(1)
            children = Path(f"/proc/{service.pid}/task/{service.pid}/children").read_text().split()
            if children:
                os.kill(int(random.choice(children)), signal.SIGKILL)
        done += 1
    assert client.stdout is not None
    said = client.stdout.read()
    after = _resources(service.pid)
    alive = service.poll() is None
    service.terminate()
    status = service.wait(60)
    print(said)
    came = log.read_text().count("The fresh workers serve")
    print(f"{done} times; {came} reloads; the parent lived: {alive}, and ended by {-status}")
    print(f"memory (KiB) and descriptors of the parent: {before} before, {after} after")
    if options.what == "reload":
        return int("Socket errors" in said or "Non-2xx" in said or not alive)
    return int(not alive)


def _found(log: Path, pattern: str, count: int) -> list[str]:
    for _ in range(600):
        time.sleep(0.1)
        found = re.findall(pattern, log.read_text() if log.exists() else "")
        if len(found) >= count:
            return found
    raise SystemExit(f"the service does not listen: {log.read_text()}")


def _resources(pid: int) -> tuple[int, int]:
    status = Path(f"/proc/{pid}/status").read_text()
    (memory,) = re.findall(r"VmRSS:\s+(\d+)", status)
    return int(memory), len(list(Path(f"/proc/{pid}/fd").iterdir()))


if __name__ == "__main__":
    sys.exit(main())
