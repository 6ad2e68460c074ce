"""
Large programs of others on the uvloop reactor and on the epoll reactor, each with a real exchange.

    python -m compliance.programs [--environment FOLDER] [buildbot] [carbon] [synapse]

FOLDER is a virtual environment in which the program is installed, with C{uvloop} and
C{twisted[tls]} (C{pip install buildbot buildbot-worker}, C{carbon whisper}, C{matrix-synapse});
the one that this runs in by default. netkit is taken from where this is.

    - C{buildbot}: a master and a worker; a change is sent, and a build made of it: commands, one
      with 100,000 lines of output, and an upload.
    - C{carbon}: 100,000 lines in, over TCP, and as many datapoints out of its cache and its files.
    - C{synapse}: two users are registered, one sends 50 messages, the other one waits for each in
      /sync.

A line for each says how much processor time the program took. The exit status is 1 where something
did not come out as it should.
"""

from __future__ import annotations

import json
import os
import pickle
import signal
import socket
import sqlite3
import struct
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from argparse import ArgumentParser
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]

# In seconds: for each thing that is waited for.
PATIENCE = 120.0

_LINES = 100_000
_METRICS = 500
_MESSAGES = 50

_INSTALL = {
    "uvloop": "import netkit.reactor; netkit.reactor.install()",
    "epoll": "from twisted.internet import epollreactor; epollreactor.install()",
}

_MASTER = """
from buildbot.plugins import changes, schedulers, steps, util, worker

BuildmasterConfig = {{
    "protocols": {{"pb": {{"port": "tcp:{workers}:interface=127.0.0.1"}}}},
    "workers": [worker.Worker("worker", "secret")],
    "change_source": [
        changes.PBChangeSource(port="tcp:{changes}:interface=127.0.0.1", user="me", passwd="me")
    ],
    "schedulers": [
        schedulers.SingleBranchScheduler(
            name="any", builderNames=["builder"], change_filter=util.ChangeFilter()
        )
    ],
    "builders": [
        util.BuilderConfig(
            name="builder",
            workernames=["worker"],
            factory=util.BuildFactory([
                steps.ShellCommand(command=["echo", "hello"]),
                steps.ShellCommand(command=["seq", "{lines}"]),
                steps.FileUpload(workersrc="{folder}/info/host", masterdest="uploaded"),
            ]),
        )
    ],
    "db": {{"db_url": "sqlite:///state.sqlite"}},
    "buildbotNetUsageData": None,
}}
"""

_CARBON = """
[cache]
LINE_RECEIVER_INTERFACE = 127.0.0.1
LINE_RECEIVER_PORT = {lines}
PICKLE_RECEIVER_INTERFACE = 127.0.0.1
PICKLE_RECEIVER_PORT = {pickles}
CACHE_QUERY_INTERFACE = 127.0.0.1
CACHE_QUERY_PORT = {queries}
MAX_CREATES_PER_MINUTE = inf
MAX_CACHE_SIZE = inf
"""

_SYNAPSE = """
server_name: localhost
pid_file: homeserver.pid
listeners:
  - {{port: {port}, bind_addresses: [127.0.0.1], type: http, resources: [{{names: [client]}}]}}
database: {{name: sqlite3, args: {{database: homeserver.db}}}}
media_store_path: media
signing_key_path: signing.key
macaroon_secret_key: secret
form_secret: secret
report_stats: false
trusted_key_servers: []
enable_registration: true
enable_registration_without_verification: true
rc_message: {{per_second: 1000, burst_count: 1000}}
"""


class Wrong(Exception):
    """
    Something did not come out as it should.
    """


class Run:
    """
    A program on one reactor.
    """

    def __init__(self, environment: Path, reactor: str, folder: Path) -> None:
        """
        @param environment: the virtual environment.
        @param reactor: C{uvloop} or C{epoll}.
        @param folder: where it runs.
        """
        self.folder = folder
        self.reactor = reactor
        # How much processor time the programs took.
        self.seconds = 0.0
        self._bin = environment / "bin"

    def call(self, name: str, *arguments: str) -> None:
        """
        Run a command of the environment to its end.
        """
        self._start(name, *arguments, cwd=self.folder, log=f"{name}.log").wait(PATIENCE)

    @contextmanager
    def running(self, name: str, *arguments: str, cwd: Path) -> Iterator[None]:
        """
        Have a command of the environment run.
        """
        process = self._start(name, *arguments, cwd=cwd, log="log")
        try:
            yield
        finally:
            process.send_signal(signal.SIGTERM)
            _, status, usage = os.wait4(process.pid, 0)
            process.returncode = os.waitstatus_to_exitcode(status)
            self.seconds += usage.ru_utime + usage.ru_stime

    def _start(self, name: str, *arguments: str, cwd: Path, log: str) -> subprocess.Popen[bytes]:
        environment = {**os.environ, "PYTHONPATH": str(ROOT), "GRAPHITE_ROOT": str(self.folder)}
        with (cwd / log).open("ab") as file:
            return subprocess.Popen(
                [str(self._bin / name), *arguments],
                cwd=cwd,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=subprocess.STDOUT,
            )


def buildbot(run: Run) -> None:
    """
    Make a build.
    """
    workers, changes = freePort(), freePort()
    run.call("buildbot", "create-master", "-q", "master")
    run.call(
        "buildbot-worker", "create-worker", "work", f"127.0.0.1:{workers}", "worker", "secret"
    )
    master, worker = run.folder / "master", run.folder / "work"
    config = _MASTER.format(workers=workers, changes=changes, lines=_LINES, folder=worker)
    (master / "master.cfg").write_text(config)
    (worker / "info" / "host").write_text("here")
    arguments = (f"--reactor={run.reactor}", "--pidfile=", "-noy", "buildbot.tac")
    with (
        run.running("twistd", *arguments, cwd=master),
        run.running("twistd", *arguments, cwd=worker),
    ):
        wait("the master's port", lambda: connects(changes))
        run.call(
            *("buildbot", "sendchange", "--master", f"127.0.0.1:{changes}", "--auth", "me:me"),
            *("--who", "me", "--branch", "main", "file"),
        )
        wait("a build", lambda: select(master, "select results from builds"))
    for log in (master / "twistd.log", worker / "twistd.log"):
        check("the reactor", "UvloopReactor" in log.read_text(), run.reactor == "uvloop")
    check("the results", set(select(master, "select results from steps")), {0})
    longest = max(select(master, "select num_lines from logs"))
    check("the lines of output", longest >= _LINES, True)
    check("the upload", (master / "uploaded").read_text(), "here")


def carbon(run: Run) -> None:
    """
    Send lines, and look for what they say.
    """
    ports = {name: freePort() for name in ("lines", "pickles", "queries")}
    (run.folder / "conf").mkdir()
    (run.folder / "storage").mkdir()
    (run.folder / "conf" / "carbon.conf").write_text(_CARBON.format(**ports))
    schema = "[all]\npattern = .*\nretentions = 1s:1h\n"
    (run.folder / "conf" / "storage-schemas.conf").write_text(schema)
    arguments = (f"--reactor={run.reactor}", "--nodaemon", "--pidfile=", "carbon-cache")
    with run.running("twistd", *arguments, cwd=run.folder):
        wait("carbon's port", lambda: connects(ports["lines"]))
        now = int(time.time())
        each = _LINES // _METRICS
        with socket.create_connection(("127.0.0.1", ports["lines"]), PATIENCE) as client:
            for number in range(_LINES):
                second, metric = now - each + number // _METRICS, number % _METRICS
                client.sendall(b"netkit.m%d %d %d\n" % (metric, number, second))

        def datapoints() -> bool:
            """
            Those in the cache, and those in the files already.
            """
            files = list((run.folder / "storage" / "whisper" / "netkit").glob("*.wsp"))
            written = sum(_written(file) for file in files)
            with socket.create_connection(("127.0.0.1", ports["queries"]), PATIENCE) as client:
                cached = sum(
                    len(ask(client, f"netkit.m{number}")["datapoints"])
                    for number in range(_METRICS)
                )
            # What is written meanwhile may be counted twice, and nothing less often.
            return written + cached >= _LINES

        wait("all datapoints", datapoints)
    log = (run.folder / "log").read_text()
    check("the reactor", "UvloopReactor" in log, run.reactor == "uvloop")


def synapse(run: Run) -> None:
    """
    Have one user talk to another.
    """
    port = freePort()
    base = f"http://127.0.0.1:{port}/_matrix/client"
    (run.folder / "homeserver.yaml").write_text(_SYNAPSE.format(port=port))
    main = "from synapse.app.homeserver import main; main()"
    program = f"import sys; sys.argv[0] = 'synapse'\n{_INSTALL[run.reactor]}\n{main}"
    run.call("python", "-c", program, "-c", "homeserver.yaml", "--generate-keys")
    with run.running("python", "-c", program, "-c", "homeserver.yaml", cwd=run.folder):
        wait("synapse's port", lambda: connects(port))
        one, other = (
            request(f"{base}/v3/register", {"username": name, "password": "long enough"})
            for name in ("one", "other")
        )
        made = request(f"{base}/v3/createRoom", {"invite": [other["user_id"]]}, one)
        room = made["room_id"]
        request(f"{base}/v3/join/{room}", {}, other)
        since = request(f"{base}/v3/sync", None, other)["next_batch"]
        with ThreadPoolExecutor() as pool:
            for number in range(_MESSAGES):
                waiting = pool.submit(receive, f"{base}/v3/sync", since, other, f"{number}")
                message = {"msgtype": "m.text", "body": f"{number}"}
                path = f"{base}/v3/rooms/{room}/send/m.room.message/{number}"
                request(path, message, one, method="PUT")
                since = waiting.result(PATIENCE)


def receive(url: str, since: str, user: dict[str, Any], body: str) -> str:
    """
    Wait for a message.

    @return: where to go on from.
    """
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        found = request(f"{url}?timeout=10000&since={since}", None, user)
        since = found["next_batch"]
        for room in found.get("rooms", {}).get("join", {}).values():
            events = room["timeline"]["events"]
            if any(event["content"].get("body") == body for event in events):
                return since
    raise Wrong(f"the message {body} did not come")


def request(
    url: str, content: object, user: dict[str, Any] | None = None, method: str | None = None
) -> Any:
    """
    Ask Synapse for something.

    @param content: what to send, as JSON; C{None} for a GET.
    @param user: who asks.
    """
    if url.endswith("/register"):
        assert isinstance(content, dict)
        content = {**content, "auth": {"type": "m.login.dummy"}}
    asked = urllib.request.Request(
        url, None if content is None else json.dumps(content).encode(), method=method
    )
    asked.add_header("Content-Type", "application/json")
    if user is not None:
        asked.add_header("Authorization", f"Bearer {user['access_token']}")
    try:
        with urllib.request.urlopen(asked, timeout=PATIENCE) as response:
            return json.load(response)
    except urllib.error.HTTPError as error:
        raise Wrong(f"{url}: {error}: {error.read()[:500]!r}") from error


def ask(client: socket.socket, metric: str) -> Any:
    """
    Ask carbon's cache.
    """
    question = pickle.dumps({"type": "cache-query", "metric": metric}, 2)
    client.sendall(struct.pack("!L", len(question)) + question)
    (length,) = struct.unpack("!L", client.recv(4, socket.MSG_WAITALL))
    return pickle.loads(client.recv(length, socket.MSG_WAITALL))


def _written(file: Path) -> int:
    """
    Count the datapoints in a file of whisper's: 12 octets each, behind 28 of a head.
    """
    points = struct.iter_unpack("!Ld", file.read_bytes()[28:])
    return sum(second != 0 for second, _ in points)


def select(folder: Path, query: str) -> list[Any]:
    """
    Look up a column in Buildbot's database.
    """
    with sqlite3.connect(folder / "state.sqlite") as database:
        return [row[0] for row in database.execute(query) if row[0] is not None]


def freePort() -> int:
    """
    Find a port that is free just now.
    """
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port: int = found.getsockname()[1]
        return port


def connects(port: int) -> bool:
    """
    Tell whether something listens.
    """
    with socket.socket() as client:
        return client.connect_ex(("127.0.0.1", port)) == 0


def wait(what: str, there: Callable[[], object]) -> None:
    """
    Wait until something is there.

    @raise Wrong: it does not come.
    """
    deadline = time.monotonic() + PATIENCE
    while not there():
        if time.monotonic() > deadline:
            raise Wrong(f"{what} did not come")
        time.sleep(0.2)


def check(what: str, found: object, expected: object) -> None:
    """
    Compare.

    @raise Wrong: it is something else.
    """
    if found != expected:
        raise Wrong(f"{what}: {found!r}, not {expected!r}")


PROGRAMS: dict[str, Callable[[Run], None]] = {
    "buildbot": buildbot,
    "carbon": carbon,
    "synapse": synapse,
}


def main() -> None:
    """
    The command.
    """
    parser = ArgumentParser(prog="python -m compliance.programs")
    parser.add_argument("--environment", type=Path, default=Path(sys.prefix))
    parser.add_argument("programs", nargs="*", metavar="PROGRAM", help=", ".join(PROGRAMS))
    options = parser.parse_args()
    if unknown := set(options.programs) - set(PROGRAMS):
        parser.error(f"{', '.join(unknown)}: the programs are {', '.join(PROGRAMS)}")
    failed = False
    for name in options.programs or PROGRAMS:
        for reactor in _INSTALL:
            with tempfile.TemporaryDirectory() as folder:
                run = Run(options.environment.absolute(), reactor, Path(folder))
                try:
                    PROGRAMS[name](run)
                    print(
                        f"{name} on {reactor}: {run.seconds:.1f} s of processor time", flush=True
                    )
                except (Wrong, OSError, sqlite3.Error) as error:
                    failed = True
                    print(f"{name} on {reactor}: {error}", flush=True)
                    for log in sorted(Path(folder).rglob("*log")):
                        print(f"{log}:\n{log.read_text(errors='replace')[-2000:]}", flush=True)
    raise SystemExit(1 if failed else 0)


if __name__ == "__main__":
    main()
