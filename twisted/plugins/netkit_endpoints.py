# This file is imported at every scan, so nothing of netkit is imported before a string is parsed.
from twisted.internet.interfaces import (
    IStreamClientEndpointStringParserWithReactor,
    IStreamServerEndpointStringParser,
)
from twisted.plugin import IPlugin
from zope.interface import implementer


@implementer(IPlugin, IStreamServerEndpointStringParser)
class _Server:
    prefix = "ws"

    def parseStreamServer(self, reactor, *args, **options):  # type: ignore[no-untyped-def]
        from netkit.websocket.strings import parseServer

        return parseServer(reactor, *args, **options)


@implementer(IPlugin, IStreamClientEndpointStringParserWithReactor)
class _Client:
    def __init__(self, prefix):  # type: ignore[no-untyped-def]
        self.prefix = prefix

    def parseStreamClient(self, reactor, *args, **options):  # type: ignore[no-untyped-def]
        from netkit.websocket.strings import parseClient

        return parseClient(reactor, self.prefix, args, options)


@implementer(
    IPlugin, IStreamServerEndpointStringParser, IStreamClientEndpointStringParserWithReactor
)
class _Capture:
    prefix = "capture"

    def parseStreamServer(self, reactor, *args, **options):  # type: ignore[no-untyped-def]
        from netkit.capture.endpoint import parseServer

        return parseServer(reactor, *args, **options)

    def parseStreamClient(self, reactor, *args, **options):  # type: ignore[no-untyped-def]
        from netkit.capture.endpoint import parseClient

        return parseClient(reactor, *args, **options)


@implementer(
    IPlugin, IStreamServerEndpointStringParser, IStreamClientEndpointStringParserWithReactor
)
class _Fault:
    prefix = "fault"

    def parseStreamServer(self, reactor, *args, **options):  # type: ignore[no-untyped-def]
        from netkit.faults.endpoint import parseServer

        return parseServer(reactor, *args, **options)

    def parseStreamClient(self, reactor, *args, **options):  # type: ignore[no-untyped-def]
        from netkit.faults.endpoint import parseClient

        return parseClient(reactor, *args, **options)


@implementer(IPlugin, IStreamServerEndpointStringParser)
class _LocalCA:
    prefix = "localca"

    def parseStreamServer(self, reactor, *args, **options):  # type: ignore[no-untyped-def]
        from netkit.localca.endpoint import parseServer

        return parseServer(reactor, *args, **options)


@implementer(
    IPlugin, IStreamServerEndpointStringParser, IStreamClientEndpointStringParserWithReactor
)
class _TLS:
    prefix = "netkit-tls"

    def parseStreamServer(self, reactor, *args, **options):  # type: ignore[no-untyped-def]
        from netkit.base.endpoints import tlsServer

        return tlsServer(reactor, *args, **options)

    def parseStreamClient(self, reactor, *args, **options):  # type: ignore[no-untyped-def]
        from netkit.base.endpoints import tlsClient

        return tlsClient(reactor, *args, **options)


server = _Server()
tls = _TLS()
localca = _LocalCA()
capture = _Capture()
fault = _Fault()
ws = _Client("ws")
wss = _Client("wss")
