"""
What records the connections of services.
"""

from __future__ import annotations

from pathlib import Path

from twisted.internet.interfaces import IReactorFromThreads

from ..capture.capture import Capture, CaptureSettings
from ..capture.passing import EventSender
from ..capture.printed import PrintedStream, Selection
from ..capture.ring import Ring
from ..operation.supervisor import supervisor
from .options import CommonOptions


def makeCapture(options: CommonOptions) -> Capture:
    """
    Make what records the connections of all services that share options.

    @param options: the parsed options.
    """
    from twisted.internet import reactor

    settings = None
    if options["capture"] is not None:
        settings = CaptureSettings(
            Path(options["capture"]),
            fileSize=options["capture-file-size"],
            files=options["capture-files"],
            snaplen=options["capture-snaplen"],
            drop=options["capture-when-full"] == "drop",
        )
    selection = Selection(options["print"])
    printed = PrintedStream(options["output"], IReactorFromThreads(reactor), selection=selection)
    its = supervisor(reactor)
    its.onReopen(printed.reopen)
    ring = sender = None
    if its.events is not None:
        sender = EventSender(its.events, IReactorFromThreads(reactor))
    elif options["inspect"] is not None and not its.isWorker:
        ring = Ring(options["inspect-buffer"])
    return Capture(reactor, settings, printed, ring, sender=sender, numbers=its.numbers)
