"""
A factory that listens, as a service of C{.tac} files and plugins: its stop loses nothing that is
under way.
"""

from __future__ import annotations

import signal
from collections.abc import Generator, Iterable, Sequence
from typing import Any, cast

from twisted.application.service import MultiService
from twisted.internet.defer import (
    Deferred,
    gatherResults,
    inlineCallbacks,
    maybeDeferred,
    succeed,
)
from twisted.internet.interfaces import (
    IAddress,
    IListeningPort,
    IProtocolFactory,
    IReactorCore,
    IReactorFromThreads,
    IReactorTime,
    IStreamServerEndpoint,
)
from twisted.logger import Logger
from zope.interface import implementer

from .base.addresses import addressText
from .base.arguments import checkSeconds
from .base.endpoints import serverEndpoint
from .base.factories import AnyFactory
from .base.listening import SteadyReactor
from .base.starting import LISTENING_ERRORS, CannotStart, cannotListen
from .base.twistedprivate import endpointService
from .operation.signals import addSignalCall
from .operation.supervisor import supervisor

__all__ = ["AnnouncedEndpoint", "CannotStart", "ListeningService"]

_log = Logger()


class ListeningService(MultiService):
    """
    One factory on any number of endpoints.

    Starting it raises L{CannotStart} where an endpoint cannot be had. Stopping it closes the
    listeners, tells the open connections, and gives them a time to end: requests under way are
    answered, WebSockets closed with 1001 (Going Away); what is left is cut, and counted in the
    log. A second SIGTERM or SIGINT cuts at once. SIGHUP has a fresh process serve, with the code
    and the files of now, on the same sockets::

        ListeningService("tcp:8080", HTTPFactory(handler)).setServiceParent(application)

    C{strports.service} closes the listeners, and ends the process over what is under way.

    @ivar service: the service's name, for the log.
    @ivar addresses: where it listens, as far as it does.
    @ivar grace: for how many seconds open connections may go on when the service stops.
    @ivar supervisor: what may have other processes serve.
    """

    def __init__(
        self,
        descriptions: str | Sequence[str],
        factory: AnyFactory,
        *,
        service: str | None = None,
        grace: float = 5.0,
        reactor: IReactorCore | None = None,
    ) -> None:
        """
        @param descriptions: server endpoint strings, or one.
        @param factory: what makes the protocols. One with C{closeConnections}, as every
            L{ServerFactory <netkit.server.ServerFactory>} has, is told of the stop, also where
            it is the C{wrappedFactory} of another.
        @param service: a name for the log; that of the factory's class by default.
        @param grace: for how many seconds open connections may go on when the service stops.
        @param reactor: what listens; the global reactor by default.
        @raise ValueError: a description is no endpoint string, or C{grace} out of range.
        @raise TypeError: the factory makes no protocols.
        """
        super().__init__()
        checkSeconds("grace", grace)
        if not callable(getattr(factory, "buildProtocol", None)):
            raise TypeError(
                f"the factory makes protocols, as HTTPFactory(handler) does, not {factory!r}"
            )
        if reactor is None:
            from twisted.internet import reactor as globalReactor

            reactor = IReactorCore(globalReactor)
        self.service = type(factory).__name__ if service is None else service
        self.addresses: list[IAddress] = []
        self.grace = grace
        self.supervisor = supervisor(reactor)
        self._factory = factory = cast(IProtocolFactory, factory)
        self._reactor = reactor
        self.clock = IReactorTime(reactor)
        self._listening = self.wrapped(factory)
        if isinstance(descriptions, str) or not isinstance(descriptions, Iterable):
            descriptions = [descriptions]
        self._endpoints: list[AnnouncedEndpoint] = []
        for each in descriptions:
            endpoint = serverEndpoint(SteadyReactor(self.supervisor.sockets), each)
            self.prepare(endpoint)
            self._endpoints.append(AnnouncedEndpoint(self, each, endpoint))
        self._addPorts()

    def wrapped(self, factory: IProtocolFactory) -> IProtocolFactory:
        """
        For subclasses: put something between the endpoints and the factory.
        """
        return factory

    def prepare(self, endpoint: IStreamServerEndpoint) -> None:
        """
        For subclasses: look at an endpoint before it is used.
        """

    def finish(self, seconds: float) -> Deferred[Any]:
        """
        For subclasses: do what is to be done when all connections have ended.

        @param seconds: what is left of the grace.
        """
        return succeed(None)

    def privilegedStartService(self) -> None:
        self.supervisor.add(self)
        super().privilegedStartService()

    def startService(self) -> None:
        # twist calls this one alone.
        self.supervisor.add(self)
        super().startService()

    def startListening(self) -> None:
        """
        Listen again, at the same places.

        @raise CannotStart: that cannot be.
        """
        if not self.services:
            self._addPorts()

    def _addPorts(self) -> None:
        for endpoint in self._endpoints:
            endpointService(endpoint, self._listening).setServiceParent(self)

    @inlineCallbacks
    def stopListening(self, grace: float = 0.0) -> Generator[Deferred[Any], Any, None]:
        """
        Listen no more until L{startListening}, and end the connections.

        @param grace: how many seconds they have to end by themselves.
        @return: a Deferred that fires when all that is done.
        """
        self.addresses.clear()
        yield gatherResults(
            [maybeDeferred(port.disownServiceParent) for port in list(self.services)]
        )
        if (factory := _closing(self._factory)) is not None:
            yield factory.closeConnections(grace)

    def drain(self) -> Deferred[Any]:
        """
        Serve those who are connected to the end: HTTP's next response is the last one of its
        connection, and who says nothing for the C{grace} is told to end.

        @return: fires when all have ended.
        """
        factory = _closing(self._factory)
        if factory is None:
            return succeed(0)
        retired: Deferred[Any] = factory.retireConnections(self.grace)
        return retired

    @inlineCallbacks
    def stopService(self) -> Generator[Deferred[Any], Any, None]:
        """
        Stop listening, and end the connections.

        @return: a Deferred that fires when all that is done.
        """
        factory = _closing(self._factory)
        # From here on, since a listener may take its time.
        impatience = [
            addSignalCall(
                IReactorFromThreads(self._reactor), number, lambda: factory.closeConnections(0.0)
            )
            for number in (signal.SIGTERM, signal.SIGINT)
            if factory is not None
        ]
        cut = 0
        began = self.clock.seconds()
        try:
            workers = self.supervisor.remove(self)
            yield maybeDeferred(super().stopService)
            if factory is not None:
                cut = yield factory.closeConnections(self.grace)
            yield workers
            yield self.finish(max(0.0, began + self.grace - self.clock.seconds()))
        finally:
            for end in impatience:
                end()
            self.supervisor.removed(self)
        if cut:
            _log.warn(
                "{service}: {count} connections did not end within {grace:g} seconds: cut",
                service=self.service,
                count=cut,
                # Less, where a second signal cut them.
                grace=min(self.grace, round(self.clock.seconds() - began, 1)),
            )


def _closing(factory: object) -> Any:
    """
    Find what closes connections: a factory, or the one that it wraps.
    """
    while factory is not None and not hasattr(factory, "closeConnections"):
        factory = getattr(factory, "wrappedFactory", None)
    return factory


@implementer(IStreamServerEndpoint)
class AnnouncedEndpoint:
    """
    An endpoint that says where it listens, or in one line why it cannot.
    """

    def __init__(
        self, service: ListeningService | Any, description: str, endpoint: IStreamServerEndpoint
    ) -> None:
        """
        @param service: what listens: it has a name C{service}, and C{addresses}, which this adds
            to.
        @param description: the endpoint string.
        @param endpoint: the endpoint.
        """
        self._service = service
        self._description = description
        self._endpoint = endpoint

    @inlineCallbacks
    def listen(
        self, factory: IProtocolFactory
    ) -> Generator[Deferred[IListeningPort], IListeningPort, IListeningPort]:
        """
        Listen.

        @param factory: makes the protocols.
        @raise CannotStart: that cannot be.
        """
        try:
            port = yield self._endpoint.listen(factory)
        except LISTENING_ERRORS as error:
            raise cannotListen(self._service.service, self._description, error) from error
        address = port.getHost()
        self._service.addresses.append(address)
        _log.info(
            "{service} listens on {address} ({description})",
            service=self._service.service,
            address=addressText(address),
            description=self._description,
        )
        return port
