"""
A factory that listens on endpoint strings, as a service.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence

from twisted.application.service import MultiService
from twisted.internet.defer import Deferred, inlineCallbacks
from twisted.internet.error import CannotListenError
from twisted.internet.interfaces import (
    IAddress,
    IListeningPort,
    IProtocolFactory,
    IReactorCore,
    IReactorTime,
    IStreamServerEndpoint,
)
from twisted.logger import Logger
from zope.interface import implementer

from ..base.addresses import addressText
from ..base.endpoints import serverEndpoint
from ..base.twistedprivate import endpointService
from ..server import ServerFactory
from .errors import CannotStart
from .options import ServiceOptions
from .output import PrintedStream, Printer

_log = Logger()

# How many seconds writing what was printed may take when the time for the connections is over.
_MOMENT = 0.5


class ListeningService(MultiService):
    """
    One factory on any number of endpoints, and the stream that it prints to.

    Starting it raises L{CannotStart} where an endpoint or the stream cannot be had. Stopping it
    gives the open connections a time to end in.

    @ivar addresses: where it listens, as far as it does.
    """

    def __init__(
        self,
        service: str,
        factory: ServerFactory,
        descriptions: Sequence[str],
        output: PrintedStream | None = None,
        *,
        grace: float = 5.0,
        reactor: IReactorCore | None = None,
    ) -> None:
        """
        @param service: the service's name, for the log.
        @param factory: what makes the protocols.
        @param descriptions: server endpoint strings.
        @param output: what the factory's printer prints to, if it has one.
        @param grace: for how many seconds open connections may go on when the service stops.
        @param reactor: what listens; the global reactor by default.
        """
        super().__init__()
        if reactor is None:
            from twisted.internet import reactor as globalReactor

            reactor = IReactorCore(globalReactor)
        self.service = service
        self.addresses: list[IAddress] = []
        self._factory = factory
        self._output = output
        self._opened = False
        self._grace = grace
        self._clock = IReactorTime(reactor)
        for description in descriptions:
            endpoint = _Announced(self, description, serverEndpoint(reactor, description))
            endpointService(endpoint, factory).setServiceParent(self)

    def privilegedStartService(self) -> None:
        self._open()
        super().privilegedStartService()

    def startService(self) -> None:
        # twist calls this one alone.
        self._open()
        super().startService()

    @inlineCallbacks
    def stopService(self) -> Generator[Deferred[object], object, None]:
        """
        Stop listening, end the connections, close the stream: all within the time that there is.

        @return: a Deferred that fires when all that is done.
        """
        end = self._clock.seconds() + self._grace
        yield super().stopService()
        yield Deferred.fromCoroutine(self._factory.closeConnections(self._grace))
        if self._output is not None and self._opened:
            self._opened = False
            # Where nothing is wrong, a moment is enough.
            patience = max(end - self._clock.seconds(), _MOMENT)
            yield Deferred.fromCoroutine(self._output.close(patience))

    def _open(self) -> None:
        if self._output is not None and not self._opened:
            self._output.open()
            self._opened = True


def listeningService(
    options: ServiceOptions, makeFactory: Callable[[Printer | None], ServerFactory]
) -> ListeningService:
    """
    Make the service that a plugin's options ask for.

    @param options: the parsed options.
    @param makeFactory: makes the factory, given what shows the data that arrives.
    """
    stream = options.printedStream()
    printer = None if stream is None else stream.printer(options.service, options["format"])
    return ListeningService(
        options.service,
        makeFactory(printer),
        options["listen"],
        stream,
        grace=options["grace"],
    )


@implementer(IStreamServerEndpoint)
class _Announced:
    """
    An endpoint that says where it listens, or in one line why it cannot.
    """

    def __init__(
        self, service: ListeningService, description: str, endpoint: IStreamServerEndpoint
    ) -> None:
        self._service = service
        self._description = description
        self._endpoint = endpoint

    @inlineCallbacks
    def listen(
        self, factory: IProtocolFactory
    ) -> Generator[Deferred[IListeningPort], IListeningPort, IListeningPort]:
        try:
            port = yield self._endpoint.listen(factory)
        # A backlog out of range is an OverflowError, a path too long a plain OSError.
        except (CannotListenError, OSError, OverflowError) as error:
            raise CannotStart(
                # The reason first: the shell that starts a daemon gets to see 100 bytes.
                f"{self._service.service}: cannot listen: {_reason(error)}: "
                f"{self._description!r}; choose another endpoint, or end what listens there"
            ) from error
        address = port.getHost()
        self._service.addresses.append(address)
        _log.info(
            "{service} listens on {address} ({description})",
            service=self._service.service,
            address=addressText(address),
            description=self._description,
        )
        return port


def _reason(error: Exception) -> str:
    if isinstance(error, CannotListenError):
        error = error.socketError
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return str(error)
