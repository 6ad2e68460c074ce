"""
A factory that listens on endpoint strings, as a service.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from pathlib import Path

from twisted.application.service import MultiService
from twisted.internet.defer import Deferred, inlineCallbacks
from twisted.internet.error import CannotListenError
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

from ..base.addresses import addressText
from ..base.endpoints import serverEndpoint
from ..base.keylog import KeyLog
from ..base.twistedprivate import endpointService
from ..capture.capture import Capture, CaptureSettings
from ..capture.printed import PrintedStream, Selection
from ..capture.recorded import RecordedFactory
from ..faults import Faults, FaultyFactory
from ..server import ServerFactory
from .errors import CannotStart
from .options import CommonOptions, ServiceOptions

_log = Logger()

# What is recorded has so many seconds to be written in, at least, when a service stops.
_LAST = 0.5


class ListeningService(MultiService):
    """
    One factory on any number of endpoints, and what its connections are recorded for.

    Starting it raises L{CannotStart} where an endpoint cannot be had, or what is recorded has
    nowhere to go. Stopping it gives the open connections a time to end in.

    @ivar addresses: where it listens, as far as it does.
    """

    def __init__(
        self,
        service: str,
        factory: ServerFactory,
        descriptions: Sequence[str],
        capture: Capture,
        *,
        printing: bool = False,
        keyLog: KeyLog | None = None,
        faults: Faults | None = None,
        grace: float = 5.0,
        reactor: IReactorCore | None = None,
    ) -> None:
        """
        @param service: the service's name, for the log.
        @param factory: what makes the protocols.
        @param descriptions: server endpoint strings.
        @param capture: what records the connections.
        @param printing: whether what is recorded is printed as well.
        @param keyLog: where the secrets of TLS go; nowhere by default.
        @param faults: what goes wrong on purpose; nothing by default.
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
        self._capture = capture
        self._keyLog = keyLog
        self._clock = IReactorTime(reactor)
        self._grace = grace
        self._started = False
        recorder = capture.recorder(printing=printing)
        listening: IProtocolFactory = factory
        if recorder is not None:
            listening = RecordedFactory(factory, recorder, service)
        if faults is not None:
            listening = FaultyFactory(listening, faults, self._clock)
        for description in descriptions:
            endpoint = serverEndpoint(reactor, description)
            if keyLog is not None:
                keyLog.follow(endpoint)
            announced = _Announced(self, description, endpoint)
            endpointService(announced, listening).setServiceParent(self)

    def privilegedStartService(self) -> None:
        self._record()
        super().privilegedStartService()

    def startService(self) -> None:
        # twist calls this one alone.
        self._record()
        super().startService()

    def _record(self) -> None:
        if self._started:
            return
        try:
            if self._keyLog is not None:
                self._keyLog.start()
            self._capture.start()
        except OSError as error:
            raise CannotStart(
                f"{self.service}: {error.filename or 'standard output'}: {error.strerror}; "
                "choose another --output, --capture or --keylog"
            ) from error
        self._started = True

    @inlineCallbacks
    def stopService(self) -> Generator[Deferred[object], object, None]:
        """
        Stop listening, end the connections, and write what was recorded.

        @return: a Deferred that fires when all that is done.
        """
        deadline = self._clock.seconds() + self._grace
        yield super().stopService()
        yield Deferred.fromCoroutine(self._factory.closeConnections(self._grace))
        if self._started:
            self._started = False
            left = max(_LAST, deadline - self._clock.seconds())
            # Whoever stalls has had the time that connections have; what is lost is told.
            yield self._capture.stop().addTimeout(left, self._clock).addErrback(lambda _: None)


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
    return Capture(reactor, settings, printed)


def listeningService(
    options: ServiceOptions, factory: ServerFactory, descriptions: Sequence[str] | None = None
) -> ListeningService:
    """
    Make the service that a plugin's options ask for.

    @param options: the parsed options.
    @param factory: what makes the protocols.
    @param descriptions: server endpoint strings; those of the options by default.
    """
    capture = options.sharedCapture or makeCapture(options)
    printing = options["format"] != "none"
    if printing:
        capture.show(options.service, options["format"])
    keyLog = None
    if options["keylog"] is not None:
        from twisted.internet import reactor

        keyLog = KeyLog(options["keylog"], IReactorFromThreads(reactor))
    return ListeningService(
        options.service,
        factory,
        options["listen"] if descriptions is None else descriptions,
        capture,
        printing=printing,
        keyLog=keyLog,
        faults=_faults(options),
        grace=options["grace"],
    )


def _faults(options: ServiceOptions) -> Faults | None:
    if not options["fault"]:
        return None
    return Faults(*options["fault"], seed=options["fault-seed"])


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
