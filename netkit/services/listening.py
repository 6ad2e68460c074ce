"""
A factory that listens on endpoint strings, as a service.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, ParamSpec

from twisted.application.service import MultiService
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import (
    IProtocolFactory,
    IReactorCore,
    IReactorFromThreads,
    IReactorTime,
    IStreamServerEndpoint,
)
from twisted.internet.task import deferLater
from twisted.logger import globalLogPublisher
from twisted.python.failure import Failure

from ..inspector.services import Answering, InspectedService
from ..operation.accesslog import AccessLog, parseFormat
from ..operation.counted import CountedConnection, CountedFactory
from ..operation.figures import Lag, Refusals, captureFigures, faultFigures, serviceFigures
from ..operation.logfile import LogFile
from ..operation.supervisor import supervisor
from ..server import ServerFactory
from ..service import CannotStart, ListeningService
from .options import CommonOptions, ServiceOptions

if TYPE_CHECKING:
    from ..base.keylog import KeyLog
    from ..capture.capture import Capture
    from ..faults import Faults
    from ..operation.metrics import MetricsEndpoint
    from .faulting import Faulting

P = ParamSpec("P")

# What is recorded has so many seconds to be written in, at least, when a service stops.
_LAST = 0.5


class PluginService(ListeningService):
    """
    The service of a plugin: a factory on any number of endpoints, and what its connections are
    recorded for.

    Starting it raises L{CannotStart <netkit.service.CannotStart>} also where what is recorded has
    nowhere to go.

    @ivar inspected: what an inspector is told of it.
    @ivar metrics: what listens for who looks at figures.
    """

    def __init__(
        self,
        service: str,
        factory: ServerFactory,
        descriptions: Sequence[str],
        capture: Capture | None = None,
        *,
        printing: bool = False,
        keyLog: KeyLog | None = None,
        faulting: Faulting | None = None,
        accessLog: AccessLog | None = None,
        counted: Callable[[IProtocolFactory], IProtocolFactory] | None = None,
        grace: float = 5.0,
        reactor: IReactorCore | None = None,
    ) -> None:
        """
        @param service: the service's name, for the log.
        @param factory: what makes the protocols.
        @param descriptions: server endpoint strings.
        @param capture: what records the connections; nothing by default.
        @param printing: whether what is recorded is printed as well.
        @param keyLog: where the secrets of TLS go; nowhere by default.
        @param faulting: what goes wrong on purpose; nothing by default.
        @param accessLog: where what is over is logged; nowhere by default.
        @param counted: has the octets of a factory's connections counted; they are not by default.
        @param grace: for how many seconds open connections may go on when the service stops.
        @param reactor: what listens; the global reactor by default.
        """
        self.inspected = InspectedService(service, lambda: self.addresses, self._connections)
        self._capture = capture
        self._printing = printing
        self._keyLog = keyLog
        self._faulting = faulting
        self._recording = False
        self._accessLog = accessLog
        self._counted = counted
        self.metrics: MetricsEndpoint | None = None
        self.factory = factory
        super().__init__(descriptions, factory, service=service, grace=grace, reactor=reactor)

    @property
    def faults(self) -> Faults | None:
        """
        What goes wrong on purpose; L{None} where nothing ever does.
        """
        return None if self._faulting is None else self._faulting.faults

    def wrapped(self, factory: IProtocolFactory) -> IProtocolFactory:
        """
        Have the connections recorded, and faults strike them.
        """
        capture, faulting = self._capture, self._faulting
        if capture is not None:
            factory = capture.recorded(factory, self.service, printing=self._printing)
        if faulting is not None:
            if capture is not None and capture.watched:
                self.inspected.faults = faulting.control(
                    lambda name: self.supervisor.told("faults", self.service, name)
                )
            factory = faulting.struck(factory, self.clock)
        return factory if self._counted is None else self._counted(factory)

    def prepare(self, endpoint: IStreamServerEndpoint) -> None:
        """
        Have the secrets of TLS go where they are to.
        """
        if self._keyLog is not None:
            self._keyLog.follow(endpoint)

    def privilegedStartService(self) -> None:
        self._record()
        super().privilegedStartService()

    def startService(self) -> None:
        # twist calls this one alone.
        self._record()
        super().startService()

    def _record(self) -> None:
        metrics, self.metrics = self.metrics, None
        if metrics is not None:
            failures: list[Failure] = []
            metrics.start().addErrback(failures.append)
            for failure in failures:
                raise CannotStart(
                    f"metrics: {failure.getErrorMessage()}; choose another --metrics"
                )
        if self._recording:
            return
        holding = self.supervisor.holding
        if holding:
            # Workers serve.
            self._accessLog = None
        try:
            if self._keyLog is not None:
                self._keyLog.start()
            if holding and (self._capture is None or self._capture.ring is None):
                return
            # Where workers serve, what the inspector sends is recorded here.
            if self._capture is not None:
                self._capture.start()
            if self._accessLog is not None:
                self._accessLog.start()
        except OSError as error:
            where = "standard output" if error.filename is None else repr(error.filename)
            raise CannotStart(
                f"{self.service}: {where}: {error.strerror}; "
                "choose another --output, --access-log, --capture or --keylog"
            ) from error
        self._recording = True
        if self._accessLog is not None:
            self.supervisor.onReopen(self._accessLog.reopen)

    def _connections(self) -> int:
        return len(self.factory.connections) + int(self.supervisor.told("open", self.service))

    def finish(self, seconds: float) -> Deferred[Any]:
        """
        Write what was recorded.
        """
        return Deferred.fromCoroutine(self._finish(max(_LAST, seconds)))

    async def _finish(self, seconds: float) -> None:
        if not self._recording:
            return
        self._recording = False
        # The connection that ended last is told of in this turn, after who waited for its end.
        await deferLater(self.clock, 0)
        if self._accessLog is not None:
            written = self._accessLog.stop()
            await written.addTimeout(_LAST, self.clock).addErrback(lambda _: None)
        if self._capture is not None:
            # Whoever stalls has had the time that connections have; what is lost is told.
            stopped = self._capture.stop()
            await stopped.addTimeout(seconds, self.clock).addErrback(lambda _: None)


def listeningService(
    options: ServiceOptions,
    factory: ServerFactory,
    descriptions: Sequence[str] | None = None,
    *,
    answer: Answering | None = None,
    changing: bool = False,
    accessLog: AccessLog | None = None,
    counted: bool | None = None,
) -> PluginService:
    """
    Make the service that a plugin's options ask for.

    @param options: the parsed options.
    @param factory: what makes the protocols.
    @param descriptions: server endpoint strings; those of the options by default.
    @param answer: what can be told to answer something else.
    @param changing: whether faults can come and go by something else than the inspector.
    @param accessLog: where the service itself logs what is over. Where it does not, its
        connections are logged as the options say.
    @param counted: whether the octets of its connections are counted beneath it; as metrics and
        the log want it, by default.
    """
    if options["workers"]:
        from twisted.internet import reactor

        supervisor(reactor).supervise(options["workers"])
    printing = options["format"] != "none"
    # What few ask for is imported for who does, here and nowhere else: with the protocols that
    # records and faults know it would be a third of a start.
    capture = options.sharedCapture
    if capture is None and (printing or _isObserved(options)):
        from .recording import makeCapture

        capture = makeCapture(options)
    if capture is not None and printing:
        capture.show(options.service, options["format"])
    keyLog = None
    if options["keylog"] is not None:
        from twisted.internet import reactor

        from ..base.keylog import KeyLog

        keyLog = KeyLog(options["keylog"], IReactorFromThreads(reactor))
    watched = capture is not None and capture.watched
    changing = changing or (watched and not options["inspect-read-only"])
    faulting = None
    if options["fault"] or changing:
        from .faulting import Faulting

        faulting = Faulting(options, changing=changing)
    connectionDone = None
    if accessLog is None and (accessLog := makeAccessLog(options)) is not None:
        connectionDone = accessLog.log
    if counted is None:
        counted = options["metrics"] is not None or connectionDone is not None
    service = PluginService(
        options.service,
        factory,
        options["listen"] if descriptions is None else descriptions,
        capture,
        printing=printing,
        keyLog=keyLog,
        faulting=faulting,
        accessLog=accessLog,
        counted=_counting(options, connectionDone) if counted else None,
        grace=options["grace"],
    )
    service.inspected.answer = answer
    _addMetrics(service, options, capture)
    if options.sharedCapture is None and capture is not None:
        addInspector(service, options, capture, [service.inspected])
    return service


def _isObserved(options: ServiceOptions) -> bool:
    """
    Whether connections are recorded, or somebody is told how much of them is.
    """
    from twisted.internet import reactor

    given = any(options[name] is not None for name in ("capture", "inspect", "metrics"))
    return given or supervisor(reactor).events is not None


def makeAccessLog(options: ServiceOptions) -> AccessLog | None:
    """
    Make the log of what is over that a plugin's options ask for, if they do.
    """
    if options["access-log"] is None:
        return None
    from twisted.internet import reactor

    file = LogFile(options["access-log"], reactor)
    return AccessLog(file, parseFormat(options["access-log-format"]), reactor)


def each(calls: Sequence[Callable[P, object]]) -> Callable[P, object] | None:
    """
    Make one call of several; none of none.
    """
    if len(calls) < 2:
        return calls[0] if calls else None

    def call(*arguments: P.args, **named: P.kwargs) -> None:
        for one in calls:
            one(*arguments, **named)

    return call


def _counting(
    options: ServiceOptions, done: Callable[[CountedConnection], object] | None
) -> Callable[[IProtocolFactory], IProtocolFactory]:
    from twisted.internet import reactor

    def counted(factory: IProtocolFactory) -> IProtocolFactory:
        made = CountedFactory(factory, options.service, IReactorTime(reactor), done)
        if options["metrics"] is not None:
            supervisor(reactor).addFigures(made.figures)
        return made

    return counted


def _addMetrics(service: PluginService, options: ServiceOptions, capture: Capture | None) -> None:
    its = service.supervisor
    name, factory = service.service, service.factory
    if options["metrics"] is not None or (capture is not None and capture.watched):
        its.addFigures(lambda: serviceFigures(name, factory))
        if (faults := service.faults) is not None:
            its.addFigures(lambda: faultFigures(name, faults))
    if options["metrics"] is None or its.metered:
        return
    its.metered = True
    from twisted.internet import reactor

    if capture is not None:
        its.addFigures(lambda: captureFigures(capture))
    refusals = Refusals()
    globalLogPublisher.addObserver(refusals)
    its.addFigures(refusals.figures)
    lag = Lag(IReactorTime(reactor))
    its.addFigures(lag.figures)
    lag.start()
    if not its.isWorker:
        try:
            from ..operation.metrics import MetricsEndpoint
        except ModuleNotFoundError as missing:
            raise CannotStart(
                "--metrics wants prometheus-client: pip install 'txnetkit[metrics]'"
            ) from missing
        service.metrics = MetricsEndpoint(its, reactor, options["metrics"])


def addInspector(
    parent: MultiService,
    options: CommonOptions,
    capture: Capture,
    services: Sequence[InspectedService],
    *,
    otherwise: str | None = None,
) -> None:
    """
    Add the inspector that options ask for, if they do. A worker has none: it takes what is changed
    by that of its parent.

    @param parent: what it is to start and stop with.
    @param options: the parsed options.
    @param capture: what records the connections.
    @param services: whose connections these are.
    @param otherwise: where to listen if it cannot where the options say.
    """
    if capture.ring is not None:
        # With all that serves its page.
        from .inspection import makeInspector

        made = makeInspector(options, capture, services, otherwise=otherwise)
        made.setServiceParent(parent)
    elif capture.watched:
        from twisted.internet import reactor

        from ..inspector.changes import takeChanges

        supervisor(reactor).onShared(lambda changes: takeChanges(services, changes))
