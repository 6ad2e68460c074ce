"""
Twisted's log as JSON, an object a line.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import TextIO

from twisted.logger import FileLogObserver, LogEvent, formatEvent


def jsonLogObserver(file: TextIO) -> FileLogObserver:
    """
    Make an observer that writes JSON. An object has time, level, namespace and message; traceback,
    where there is one.

    @param file: where to.
    """
    return FileLogObserver(file, _line)


def _line(event: LogEvent) -> str | None:
    text = formatEvent(event)
    failure = event.get("log_failure")
    if not text and failure is None:
        return None
    time = event.get("log_time")
    level = event.get("log_level")
    found = {
        "time": time and datetime.fromtimestamp(time, UTC).isoformat(timespec="milliseconds"),
        "level": level and level.name,
        "namespace": event.get("log_namespace"),
        "message": text,
        "traceback": failure and failure.getTraceback(),
    }
    return json.dumps({name: value for name, value in found.items() if value is not None}) + "\n"
