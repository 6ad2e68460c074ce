"""
Sockets that systemd passed on without their names.
"""

from __future__ import annotations

import os
import socket
from pathlib import Path
from typing import Any

from twisted.internet.endpoints import AdoptedStreamServerEndpoint
from twisted.python.systemd import ListenFDs

# What sd_listen_fds_with_names(3) calls a socket without a name.
_UNKNOWN = "unknown"


def unnamedSocket(reactor: Any, domain: str, index: str) -> AdoptedStreamServerEndpoint:
    """
    Make the endpoint of a socket that has no name, as C{systemd-socket-activate} passes it on.
    Twisted takes it for none, and out of the environment.

    @param reactor: what listens.
    @param domain: C{INET}, C{INET6} or C{UNIX}.
    @param index: which socket it is.
    @raise LookupError: there is none.
    """
    family = getattr(socket, f"AF_{domain}")
    descriptor = _inherited().inheritedDescriptors()[int(index)]
    return AdoptedStreamServerEndpoint(reactor, descriptor, family)


def _inherited() -> ListenFDs:
    try:
        # What the process was started with.
        entries = os.fsdecode(Path("/proc/self/environ").read_bytes()).split("\0")
    except OSError:
        return ListenFDs([])
    environment = dict(entry.partition("=")[::2] for entry in entries)
    if environment.get("LISTEN_FDNAMES"):
        # Twisted has had those.
        return ListenFDs([])
    count = environment.get("LISTEN_FDS", "")
    if count.isdigit():
        environment["LISTEN_FDNAMES"] = ":".join([_UNKNOWN] * int(count))
    return ListenFDs.fromEnvironment(environment)
