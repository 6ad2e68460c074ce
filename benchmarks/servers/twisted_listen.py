"""
What the servers on Twisted have in common: their command line, and where they listen.

    python SERVER.py [--reactor=uvloop|epoll] [--tls=PREFIX] [--capture] [--FLAG]... PORT|PATH
"""

from __future__ import annotations

import atexit
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from shutil import rmtree
from tempfile import mkdtemp

from twisted.internet.interfaces import IProtocolFactory


def serve(makeFactory: Callable[[set[str]], IProtocolFactory]) -> None:
    """
    Run a server until it is killed.

    @param makeFactory: makes the factory, given the flags of the command line.
    """
    *flags, address = sys.argv[1:]
    options = dict(flag.removeprefix("--").partition("=")[::2] for flag in flags)
    if options.get("reactor") == "uvloop":
        import netkit.reactor

        netkit.reactor.install()
    elif options.get("reactor") == "epoll":
        from twisted.internet import epollreactor

        epollreactor.install()
    from twisted.internet import reactor
    from twisted.internet.endpoints import serverFromString

    if not address.isdigit():
        endpoint = f"unix:{address}:backlog=4096"
    elif "tls" in options:
        prefix = options["tls"]
        endpoint = (
            f"ssl:{address}:interface=127.0.0.1:backlog=4096"
            f":privateKey={prefix}.key:certKey={prefix}.crt"
        )
    else:
        endpoint = f"tcp:{address}:interface=127.0.0.1:backlog=4096"
    factory = makeFactory(set(options))
    if "tls" in options and type(factory).__module__.partition(".")[0] == "netkit":
        # With its own TLS; only here, for the trees that came before that.
        from netkit.base.endpoints import serverEndpoint

        endpointFromString = serverEndpoint
    else:
        endpointFromString = serverFromString
    if "capture" in options:
        factory = recorded(factory, Path(mkdtemp(prefix="netkit-benchmark-")))
    endpointFromString(reactor, endpoint).listen(factory)
    reactor.run()


def recorded(factory: IProtocolFactory, folder: Path) -> IProtocolFactory:
    """
    Record a factory's connections to a folder, of which the oldest file makes room for the next.
    """
    from twisted.internet import reactor

    from netkit.capture import RecordedFactory
    from netkit.capture.capture import Capture, CaptureSettings

    atexit.register(rmtree, folder, ignore_errors=True)
    # Killed by a signal, a process does not get to that.
    signal.signal(signal.SIGTERM, lambda *arguments: sys.exit())
    capture = Capture(reactor, CaptureSettings(folder, files=2))
    recorder = capture.recorder()
    assert recorder is not None
    capture.start()
    return RecordedFactory(factory, recorder, "benchmark")
