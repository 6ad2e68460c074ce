"""
A twistd plugin of one's own, in a distribution of its own, with all that netkit's plugins take::

    pip install ./examples/plugin
    twistd -n upper -l tcp:3210 --marks 2 --max-connections 100 --capture recordings
"""

from __future__ import annotations

from netkit.server import ServerFactory, ServerProtocol
from netkit.services.listening import PluginService, listeningService
from netkit.services.options import ServiceOptions, wholeNumber


class Upper(ServerProtocol):
    """
    Sends back what it receives in capital letters.
    """

    factory: UpperFactory

    def dataReceived(self, data: bytes) -> None:
        # Not silent: for the factory, which ends those who are.
        self.idleTicks = 0
        self.transport.write(data.upper() + self.factory.marks)


class UpperFactory(ServerFactory):
    """
    Makes them.

    @ivar marks: what follows each piece.
    """

    protocol = Upper
    marks = b""


class Options(ServiceOptions):
    """
    The command line of C{upper}: netkit's endpoints, limits, captures and faults, and its own.
    """

    service = "upper"
    defaultEndpoint = "tcp:3210:interface=127.0.0.1"
    defaultFormat = "none"
    optParameters = [
        ["marks", None, 0, "How many exclamation marks to add.", wholeNumber("marks")],
    ]


def makeService(options: Options) -> PluginService:
    """
    Make the service.
    """
    factory = UpperFactory(**options.limits())
    factory.marks = b"!" * options["marks"]
    return listeningService(options, factory)
