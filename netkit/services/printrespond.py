"""
The twistd plugin C{netkit-print-respond}.
"""

from __future__ import annotations

from ..printrespond import PrintRespondFactory
from .listening import ListeningService, listeningService
from .options import ResponseOptions, wholeNumber


class Options(ResponseOptions):
    """
    The command line of C{netkit-print-respond}.
    """

    service = "print-respond"
    defaultEndpoint = "tcp:3201:interface=127.0.0.1"

    optParameters = [
        [
            "max-content",
            None,
            64 * 2**20,
            "How many bytes a client may send before it half-closes.",
            wholeNumber("max-content"),
        ],
    ]


def makeService(options: Options) -> ListeningService:
    """
    Make the print-respond service.
    """
    return listeningService(
        options,
        lambda printer: PrintRespondFactory(
            options["response"],
            printer=printer,
            maxContent=options["max-content"],
            **options.limits(),
        ),
    )
