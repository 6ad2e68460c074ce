"""
The twistd plugin C{netkit-print-respond}.
"""

from __future__ import annotations

import os

from twisted.python.usage import UsageError

from ..printrespond import PrintRespondFactory, Until
from .listening import PluginService, listeningService
from .options import ResponseOptions, wholeNumber


class Options(ResponseOptions):
    """
    The command line of C{netkit-print-respond}.
    """

    service = "print-respond"
    defaultEndpoint = "tcp:3201:interface=127.0.0.1"

    optParameters = [
        [
            "until",
            "u",
            "end",
            "For clients that never half-close, when to answer: end, line or idle:SECONDS.",
        ],
        ["on-connect", None, "", "What to send as soon as a client has connected."],
        [
            "max-content",
            None,
            64 * 2**20,
            "How many bytes a client may send before it is answered.",
            wholeNumber("max-content"),
        ],
    ]

    def postOptions(self) -> None:
        super().postOptions()
        try:
            self["until"] = Until.parse(self["until"])
        except ValueError as error:
            raise UsageError(f"--until: {error}") from error


def makeService(options: Options) -> PluginService:
    """
    Make the print-respond service.
    """
    return listeningService(
        options,
        PrintRespondFactory(
            options["response"],
            banner=os.fsencode(options["on-connect"]),
            until=options["until"],
            maxContent=options["max-content"],
            **options.limits(),
        ),
    )
