"""
What runs in a worker: the command line of its parent, in the foreground, on sockets of its
parent's.
"""

from __future__ import annotations

import json
import os
import runpy
import sys
from pathlib import Path
from typing import Any

from twisted.logger import FileLogObserver, ILogObserver, LogEvent, eventAsText

from .repeats import Summed

#: Where a worker is told what it is to do.
ENVIRONMENT = "NETKIT_WORKER"


def instructions() -> dict[str, Any] | None:
    """
    What this worker was told; L{None} where it is none. It is told once, and its own children are
    no workers.
    """
    told = os.environ.pop(ENVIRONMENT, None)
    return None if told is None else dict(json.loads(told))


#: The name of what makes the observer that a worker logs with.
OBSERVER = "netkit.operation.child.observer"


def observer() -> ILogObserver:
    """
    Make the observer that a worker logs with: its parent has the time, and the file.
    """
    from twisted.internet import reactor

    return Summed(FileLogObserver(sys.stderr, _line), reactor)


def _line(event: LogEvent) -> str:
    text = eventAsText(event, includeTimestamp=False, includeSystem=False)
    return f"{text}\n" if text else ""


def main() -> None:
    """
    Run what the parent runs.
    """
    # The signals of a terminal are for the parent, who tells what to do.
    os.setpgid(0, 0)
    # What is logged goes to the parent, apart from what is printed.
    sys.stdout = sys.stderr
    sys.argv = json.loads(os.environ[ENVIRONMENT])["argv"]
    command = Path(sys.argv[0]).name
    if command == "twistd":
        _runTwistd()
    else:
        # twist, or a program of one's own.
        runpy.run_path(sys.argv[0], run_name="__main__")


def _runTwistd() -> None:
    from twisted.application import app
    from twisted.scripts import twistd

    # The parent did all that.
    foreground = {
        "chroot": None,
        "gid": None,
        "logfile": "-",
        "logger": OBSERVER,
        "nodaemon": True,
        "no_save": True,
        "pidfile": "",
        "rundir": ".",
        "syslog": False,
        "uid": None,
        "umask": None,
    }

    # What mypy knows of is that of Windows.
    known: Any = twistd

    class Options(known.ServerOptions):  # type: ignore[misc]
        @property
        def subCommands(self) -> Any:
            # Looked up between the options of twistd and those of the plugin.
            self.update(foreground)
            return super().subCommands

    app.run(twistd.runApp, Options)


if __name__ == "__main__":
    # Under its own name: others import it.
    from netkit.operation import child

    child.main()
