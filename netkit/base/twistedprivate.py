"""
The private names of Twisted that netkit uses: here, and nowhere else.
"""

from __future__ import annotations

from twisted.application.internet import StreamServerEndpointService
from twisted.internet import tcp
from twisted.internet.interfaces import IProtocolFactory, IStreamServerEndpoint


def reserveDescriptor() -> None:
    """
    Have a descriptor in reserve, so that a port can refuse a connection where there is none left.
    """
    tcp._reservedFD.reserve()


def endpointService(
    endpoint: IStreamServerEndpoint, factory: IProtocolFactory
) -> StreamServerEndpointService:
    """
    Make a service that listens on an endpoint, and fails to start where that fails at once, as
    C{twisted.application.strports.service} does of an endpoint string.
    """
    service = StreamServerEndpointService(endpoint, factory)
    service._raiseSynchronously = True
    return service
