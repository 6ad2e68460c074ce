"""
The twistd plugin C{netkit-echo}.
"""

from __future__ import annotations

from ..echo import EchoFactory
from .listening import PluginService, listeningService
from .options import ServiceOptions


class Options(ServiceOptions):
    """
    The command line of C{netkit-echo}.
    """

    service = "echo"
    defaultEndpoint = "tcp:3200:interface=127.0.0.1"
    # What arrives goes back anyway, where it can be seen.
    defaultFormat = "none"


def makeService(options: Options) -> PluginService:
    """
    Make the echo service.
    """
    return listeningService(options, EchoFactory(**options.limits()))
