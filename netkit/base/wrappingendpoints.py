"""
Endpoints by which another endpoint's connections are wrapped.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import (
    IListeningPort,
    IProtocol,
    IProtocolFactory,
    IStreamClientEndpoint,
    IStreamServerEndpoint,
)
from zope.interface import implementer

#: Makes the factory whose protocols wrap those of another one.
Wrap = Callable[[IProtocolFactory], IProtocolFactory]


@implementer(IStreamServerEndpoint)
class WrappingServerEndpoint:
    """
    Listens on another endpoint.
    """

    def __init__(self, endpoint: IStreamServerEndpoint, wrap: Wrap) -> None:
        """
        @param endpoint: what to listen on.
        @param wrap: wraps the factory of the protocols.
        """
        self._endpoint = endpoint
        self._wrap = wrap

    def listen(self, protocolFactory: IProtocolFactory) -> Deferred[IListeningPort]:
        """
        Listen.

        @param protocolFactory: makes the protocols.
        """
        return Deferred.fromCoroutine(self._listen(protocolFactory))

    async def _listen(self, factory: IProtocolFactory) -> IListeningPort:
        return await self._endpoint.listen(self._wrap(factory))


@implementer(IStreamClientEndpoint)
class WrappingClientEndpoint:
    """
    Connects by another endpoint.
    """

    def __init__(self, endpoint: IStreamClientEndpoint, wrap: Wrap) -> None:
        """
        @param endpoint: what to connect with.
        @param wrap: wraps the factory of the protocol.
        """
        self._endpoint = endpoint
        self._wrap = wrap

    def connect(self, protocolFactory: IProtocolFactory) -> Deferred[IProtocol]:
        """
        Connect.

        @param protocolFactory: makes the protocol.
        @return: fires with that protocol.
        """
        return Deferred.fromCoroutine(self._connect(protocolFactory))

    async def _connect(self, factory: IProtocolFactory) -> IProtocol:
        wrapping: Any = await self._endpoint.connect(self._wrap(factory))
        protocol: IProtocol = wrapping.wrappedProtocol
        return protocol
