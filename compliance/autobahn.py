"""
The Autobahn Testsuite against netkit: C{python -m compliance.autobahn server}, or C{client}.

It takes C{wstest} from the environment variable C{NETKIT_WSTEST}; without one, the suite's
container image, run by docker or podman.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import sysconfig
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

_HERE = Path(__file__).parent
_TWISTD = str(Path(sysconfig.get_path("scripts")) / "twistd")
_IMAGE = "docker.io/crossbario/autobahn-testsuite"
_CASES = 517
_PATIENCE = 30.0

# What else than OK a case may come to, and why.
EXPLAINED = {
    "7.1.6": "INFORMATIONAL: what becomes of a large message before a Close frame is open",
    "7.13.1": "INFORMATIONAL: what becomes of the close code 5000 is open",
    "7.13.2": "INFORMATIONAL: what becomes of the close code 65535 is open",
}

# How to serve on a port, by the name of what is tested.
SERVERS = {
    "netkit": [
        *[sys.executable, _TWISTD, "-n", "--pidfile=", "netkit-websocket"],
        *["-l", "tcp:{port}:interface=127.0.0.1", "--max-message-size=0", "--format=none"],
    ],
    "websockets": [sys.executable, str(_HERE / "peers" / "websockets_server.py"), "{port}"],
    "ws": ["node", str(_HERE / "peers" / "ws_server.mjs"), "{port}"],
}


def wstest(folder: Path) -> list[str]:
    """
    The command that runs the suite.

    @param folder: where its configuration is, and its reports go.
    @raise SystemExit: there is none.
    """
    given = os.environ.get("NETKIT_WSTEST")
    if given is not None:
        return [given]
    for engine in ("docker", "podman"):
        if shutil.which(engine) is not None:
            mount = f"{folder}:{folder}"
            return [engine, "run", "--rm", "--network=host", "-v", mount, _IMAGE, "wstest"]
    raise SystemExit("set NETKIT_WSTEST to a wstest, or install docker or podman")


def freePort() -> int:
    """
    A TCP port that nothing listens on.
    """
    with socket.create_server(("127.0.0.1", 0)) as server:
        port: int = server.getsockname()[1]
        return port


@contextmanager
def running(command: Sequence[str], port: int) -> Iterator[None]:
    """
    Run a server as long as the context lasts.

    @param command: how to start it.
    @param port: where it will listen.
    """
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + _PATIENCE
        while True:
            try:
                socket.create_connection(("127.0.0.1", port), timeout=1).close()
                break
            except OSError:
                if process.poll() is not None or time.monotonic() > deadline:
                    raise SystemExit(f"{command[0]} does not listen on port {port}") from None
                time.sleep(0.1)
        yield
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(_PATIENCE)
        except subprocess.TimeoutExpired:
            process.kill()


def server(folder: Path, agents: Sequence[str], cases: Sequence[str]) -> None:
    """
    Test servers with the suite's fuzzing client, one after another.
    """
    for agent in agents:
        port = freePort()
        spec = {
            "outdir": str(folder / agent),
            "servers": [{"agent": agent, "url": f"ws://127.0.0.1:{port}"}],
            "cases": list(cases),
            "exclude-cases": [],
            "exclude-agent-cases": {},
        }
        path = folder / f"{agent}.json"
        path.write_text(json.dumps(spec))
        with running([word.format(port=port) for word in SERVERS[agent]], port):
            subprocess.run(
                [*wstest(folder), "-m", "fuzzingclient", "-s", str(path)],
                check=True,
                stdout=sys.stderr,
            )


def client(folder: Path, cases: Sequence[str]) -> None:
    """
    Test netkit's client with the suite's fuzzing server.
    """
    port = freePort()
    spec = {
        "url": f"ws://127.0.0.1:{port}",
        "outdir": str(folder / "netkit-client"),
        "cases": list(cases),
        "exclude-cases": [],
        "exclude-agent-cases": {},
        "webport": 0,
    }
    path = folder / "client.json"
    path.write_text(json.dumps(spec))
    suite = [*wstest(folder), "-m", "fuzzingserver", "-s", str(path)]
    with running(suite, port):
        subprocess.run(
            [sys.executable, "-m", "compliance.client", spec["url"], "netkit-client"],
            check=True,
        )


def judge(folder: Path, agent: str, complete: bool) -> bool:
    """
    Print what came of an agent's cases.

    @param complete: whether all cases were run.
    @return: whether each of them is OK or explained.
    """
    (report,) = json.loads((folder / agent / "index.json").read_text()).values()
    counts = Counter(result["behavior"] for result in report.values())
    bad = {
        case: f"{result['behavior']}, close {result['behaviorClose']}"
        for case, result in report.items()
        if (result["behavior"], result["behaviorClose"]) != ("OK", "OK")
    }
    summary = ", ".join(f"{count} {behavior}" for behavior, count in counts.most_common())
    print(f"{agent}: {summary or 'nothing ran'}")
    for case, result in bad.items():
        print(f"  {case}: {result}{' (explained)' if case in EXPLAINED else ''}")
    return (
        bool(report) and bad.keys() <= EXPLAINED.keys() and (not complete or len(report) == _CASES)
    )


def main(arguments: Sequence[str]) -> int:
    """
    Run the suite.

    @return: 0 if all cases that ran are OK or explained.
    """
    parser = argparse.ArgumentParser(prog="python -m compliance.autobahn", description=__doc__)
    parser.add_argument("role", choices=("server", "client"))
    parser.add_argument("--cases", nargs="+", default=["*"], metavar="CASE", help="such as 7.*")
    parser.add_argument(
        *["--agents", "-a"], nargs="+", choices=SERVERS, default=["netkit"], help="what to test"
    )
    parser.add_argument("--output", type=Path, help="where the reports go; forgotten by default")
    options = parser.parse_args(arguments)
    complete = options.cases == ["*"]
    with tempfile.TemporaryDirectory(prefix="netkit-autobahn") as temporary:
        folder = (options.output or Path(temporary)).absolute()
        folder.mkdir(parents=True, exist_ok=True)
        if options.role == "server":
            server(folder, options.agents, options.cases)
            agents = options.agents
        else:
            client(folder, options.cases)
            agents = ["netkit-client"]
        results = [judge(folder, agent, complete) for agent in agents]
        return 0 if all(results) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
