"""
Connections on which faults strike: a factory and a protocol that wrap those of a service.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from itertools import count, pairwise
from typing import Any

from twisted.internet.interfaces import (
    IHalfCloseableProtocol,
    IProtocol,
    IReactorTime,
    ITransport,
)
from twisted.internet.protocol import connectionDone
from twisted.logger import Logger
from twisted.python.failure import Failure

from ..base.addresses import addressText
from ..base.boundaries import boundariesOf
from ..base.deadlines import Deadline
from ..base.factories import AnyFactory
from ..base.halfclose import endWriting
from ..base.heldproducer import HeldProducer
from ..base.notes import note
from ..base.wrapping import TransparentFactory, TransparentProtocol
from .faults import ArmedFault, Faults
from .following import Following
from .messages import Exchanges
from .specification import Fault, Side, Unit
from .stages import STAGES, End, Outlet, Stage

_log = Logger()

# While a direction holds back more than this many octets, no more of it is taken.
_MOST_HELD = 2**16


class Way:
    """
    One direction of a connection: its stages, and where they lead.

    @ivar outlet: the last one.
    """

    def __init__(self, write: Callable[[bytes], object]) -> None:
        """
        @param write: called with what comes out.
        """
        self.outlet = Outlet(write)
        self._stages: list[Stage] = []

    @property
    def held(self) -> int:
        """
        How many octets are held back.
        """
        return self.outlet.held + sum(stage.held for stage in self._stages)

    @property
    def passes(self) -> bool:
        """
        Whether everything comes out as it is put in, and at once.
        """
        return self.outlet.empty and all(stage.passes for stage in self._stages)

    def put(self, data: bytes) -> None:
        """
        Take octets.
        """
        (self._stages[0] if self._stages else self.outlet).put(data)

    def end(self, end: End) -> None:
        """
        Take an end, which is called when all before it has come out.
        """
        (self._stages[0] if self._stages else self.outlet).end(end)

    def add(self, stage: Stage, first: bool = False) -> None:
        """
        Add a stage, behind the others or in front of them.
        """
        self._stages.insert(0 if first else len(self._stages), stage)
        self._link()

    def find(self, name: str) -> Stage | None:
        """
        Find the stage of a fault.
        """
        return next((stage for stage in self._stages if stage.name == name), None)

    def remove(self, name: str) -> bool:
        """
        Take out the stage of a fault. What it holds back goes on.

        @return: whether there was one.
        """
        removed = [each for each in self._stages if each.name == name]
        for stage in removed:
            stage.release()
            self._stages.remove(stage)
            if not stage.waits:
                stage.forget()
        self._link()
        return bool(removed)

    def stop(self) -> None:
        """
        Hold nothing any more.
        """
        for stage in (*self._stages, self.outlet):
            stage.stop()

    def forget(self) -> None:
        """
        Nothing more comes: let go of the stages.
        """
        for stage in (*self._stages, self.outlet):
            stage.forget()
        self._stages.clear()

    def _link(self) -> None:
        for stage, behind in pairwise([*self._stages, self.outlet]):
            stage.next = behind


class FaultyProtocol(TransparentProtocol):
    """
    A connection on which faults strike.
    """

    factory: FaultyFactory

    def __init__(self, factory: FaultyFactory, wrappedProtocol: IProtocol) -> None:
        """
        @param factory: what made this.
        @param wrappedProtocol: the service's protocol.
        """
        super().__init__(factory, wrappedProtocol)
        self.clock = factory.clock
        self._number = next(factory.numbers)
        self._producer: HeldProducer | None = None
        # What the service wants once nobody produces for it any more.
        self._ending: End | None = None
        self._paused = self._held = self._producerHeld = self._gone = False
        # Why the connection was lost, while the service is still to receive what came before.
        self._reason: Failure | None = None
        self._lost = Deadline(self.clock, self._tellLost)
        self._exchanges: Exchanges | None = None
        self._following: Following | None = None
        # Whether nothing is done to octets, which then go no way of ours.
        self._quiet = False
        self._refusals: list[ArmedFault] = []
        self._in = Way(self._receive)
        self._out = Way(self._write)

    def makeConnection(self, transport: ITransport) -> None:
        self.connect(transport)
        if self.factory.changing:
            service = boundariesOf(self.wrappedProtocol)
            self._following = Following(self, service, server=self.factory.server)
        for armed in self.factory.faults:
            self._arm(armed, opening=True)
        self.factory.faults.watch(self)
        self._settle()
        self.wrappedProtocol.makeConnection(self)
        if self._refusals and not self._gone:
            self.tell(self._refusals[0], "the connection")
            self.reset()

    # What faults do

    def faultAdded(self, armed: ArmedFault) -> None:
        """
        A fault was added, while this was open.
        """
        if not self._gone:
            self._arm(armed, opening=False)
            self._settle()

    def faultChanged(self, armed: ArmedFault, again: bool) -> None:
        """
        A fault was changed.

        @param again: whether it is to be decided again whether it strikes.
        """
        fault = armed.fault
        way = self._way(fault.side)
        stage = way.find(armed.name)
        if again and fault.unit is Unit.CONNECTION and fault.kind in STAGES:
            strikes = armed.draw()
            if stage is not None and not strikes:
                way.remove(armed.name)
                stage = None
            elif stage is None and strikes and self._concerned(fault):
                self._addStage(armed).choose(True)
        if stage is not None:
            stage.change(fault)
        if self._exchanges is not None:
            self._exchanges.changed()
        self._settle()
        self.moved()

    def faultRemoved(self, armed: ArmedFault, close: bool) -> None:
        """
        A fault was removed.

        @param close: whether to close the connection, if it was there for that.
        """
        removed = [way.remove(armed.name) for way in (self._in, self._out)]
        if self._exchanges is not None:
            self._exchanges.remove(armed)
        self._settle()
        self.moved()
        if close and any(removed):
            self.close()

    def _arm(self, armed: ArmedFault, *, opening: bool) -> None:
        fault = armed.fault
        if not self._concerned(fault):
            return
        if self._following is not None:
            self._join(self._following.begin())
        if fault.unit is Unit.CONNECTION:
            if fault.kind == "refuse":
                if opening and armed.strikes():
                    self._refusals.append(armed)
            elif armed.strikes():
                self._addStage(armed).choose(True)
            return
        if self._exchanges is None:
            if not opening:
                # What is spoken here was not followed from its start.
                return
            self._join(Exchanges(self))
            assert self._exchanges is not None
        self._exchanges.add(armed, self._addStage(armed) if fault.kind in STAGES else None)

    def _join(self, exchanges: Exchanges) -> None:
        """
        Have what goes through messages do so on the way of the octets.
        """
        if exchanges is self._exchanges:
            return
        self._exchanges = exchanges
        self._way(Side.UPSTREAM).add(exchanges.requests, first=True)
        self._way(Side.DOWNSTREAM).add(exchanges.pace, first=True)
        self._way(Side.DOWNSTREAM).add(exchanges.responses, first=True)

    def _settle(self) -> None:
        """
        See whether anything is to be done to octets.
        """
        self._quiet = not self._gone and self._in.passes and self._out.passes

    def _addStage(self, armed: ArmedFault) -> Stage:
        fault = armed.fault
        stage = STAGES[fault.kind](armed.name, fault, self, armed.chance(self._number))
        self._way(fault.side).add(stage)
        return stage

    def _way(self, side: Side) -> Way:
        return self._in if (side is Side.UPSTREAM) is self.factory.server else self._out

    def _concerned(self, fault: Fault) -> bool:
        client = self.getPeer() if self.factory.server else self.getHost()
        return fault.concerns(getattr(client, "host", None))

    def struck(self, stage: Stage) -> None:
        """
        The fault of a stage strikes.
        """
        self._note(f"fault {stage.name} ({stage.fault}) strikes")

    def tell(self, armed: ArmedFault, what: str) -> None:
        """
        A fault strikes.

        @param what: what it strikes.
        """
        self._note(f"fault {armed.name} ({armed.fault}) strikes {what}")

    def _note(self, text: str) -> None:
        _log.info("{peer}: {text}", peer=addressText(self.getPeer()), text=text)
        # Whoever records is between us and the service.
        note(self.wrappedProtocol, text)

    def moved(self) -> None:
        """
        What is held back has become more, or less: see that it does not become too much.
        """
        if self._gone:
            if self._reason is not None and not self._in.held:
                self._tellLost()
            return
        held = self._in.held > _MOST_HELD
        if held is not self._held:
            self._held = held
            if held:
                self.transport.pauseProducing()
            elif not self._paused:
                self.transport.resumeProducing()
        held = self._out.held > _MOST_HELD
        if held is not self._producerHeld:
            self._producerHeld = held
            if self._producer is not None:
                (self._producer.hold if held else self._producer.release)()

    def reset(self) -> None:
        """
        Reset the connection.
        """
        self._stop()
        if self._reason is None:
            self.transport.abortConnection()
        else:
            # It is lost already, and the service is still to be told.
            self._lost.start(0)

    def close(self) -> None:
        """
        Close the connection, once all is sent that was passed on.
        """
        if not self._gone:
            self.disconnecting = 1
            self._endProducer()
            self.transport.loseConnection()

    def halfClose(self, stage: Stage) -> None:
        """
        End the direction of a stage, behind what was passed on.
        """
        inwards = stage.fault.side is (Side.UPSTREAM if self.factory.server else Side.DOWNSTREAM)
        stage.next.end(self._readEnded if inwards else self._endWriting)

    def _endWriting(self) -> None:
        if not self._gone:
            self._endProducer()
            endWriting(self.transport)

    def _endProducer(self) -> None:
        # While something produces, a transport does not end; and nothing more is taken.
        producer, self._producer = self._producer, None
        if producer is not None:
            self.transport.unregisterProducer()
            producer.stopProducing()

    def _readEnded(self) -> None:
        if IHalfCloseableProtocol.providedBy(self.wrappedProtocol):
            self.wrappedProtocol.readConnectionLost()
        else:
            self.loseConnection()

    def _stop(self) -> None:
        self._gone = True
        self._quiet = False
        self.factory.faults.unwatch(self)
        self._in.stop()
        self._out.stop()

    # What the transport tells.

    def dataReceived(self, data: bytes) -> None:
        if not self._quiet:
            self._in.put(data)
            return
        if self._following is not None:
            self._following.received(data)
        self.wrappedProtocol.dataReceived(data)

    def _receive(self, data: bytes) -> None:
        try:
            self.wrappedProtocol.dataReceived(data)
        except Exception:
            # A transport does as much, but it is not there where this comes late.
            _log.failure("The connection is reset, for its protocol failed")
            self.abortConnection()

    def readConnectionLost(self) -> None:
        self._in.end(self._readEnded)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self._out.stop()
        self._reason = reason
        if self._gone or self._paused or not self._in.held:
            self._tellLost()
            return
        self._gone = True
        # What was received comes first, also where it is late, and what waits for more of it.
        self._in.end(lambda: None)
        self.moved()

    def _tellLost(self) -> None:
        reason, self._reason = self._reason, None
        if reason is not None:
            self._lost.end()
            self._stop()
            super().connectionLost(reason)
            # A stage may have asked for the end, and goes on with what it does.
            self.clock.callLater(0, self._forget)

    def _forget(self) -> None:
        """
        Let go of what leads back here: it would be freed by nobody but the collector of cycles.
        """
        exchanges, self._exchanges = self._exchanges, None
        following, self._following = self._following, None
        if following is not None:
            following.forget()
        elif exchanges is not None:
            exchanges.forget()
        self._in.forget()
        self._out.forget()
        self._producer = self._ending = None

    # What the service asks of the transport.

    def write(self, data: bytes) -> None:
        if self._quiet and not self.disconnecting:
            self.transport.write(data)
            if self._following is not None:
                self._following.sent(data if type(data) is bytes else bytes(data))
        elif not self._gone and (not self.disconnecting or self._producer is not None):
            self._out.put(data if type(data) is bytes else bytes(data))

    def _write(self, data: bytes) -> None:
        if not self._gone:
            self.transport.write(data)

    def writeSequence(self, data: Iterable[bytes]) -> None:
        self.write(b"".join(data))

    def loseConnection(self) -> None:
        if not (self._gone or self.disconnecting):
            self.disconnecting = 1
            self._end(self._lose)

    def _lose(self) -> None:
        if not self._gone:
            self.transport.loseConnection()

    def loseWriteConnection(self) -> None:
        if not (self._gone or self.disconnecting):
            self._end(self._loseWriting)

    def _loseWriting(self) -> None:
        if not self._gone:
            endWriting(self.transport)

    def _end(self, end: End) -> None:
        # As with any transport, who produces comes before the end.
        if self._producer is None:
            self._out.end(end)
        else:
            self._ending = end

    def abortConnection(self) -> None:
        self._in.stop()
        self._out.stop()
        if self._reason is None:
            self.transport.abortConnection()
        else:
            self._lost.start(0)

    def pauseProducing(self) -> None:
        self._paused = True
        self._in.outlet.block(True)
        if self._reason is None:
            self.transport.pauseProducing()
        else:
            # Who does not want what is left is told of the loss without it.
            self._lost.start(0)

    def resumeProducing(self) -> None:
        self._paused = False
        self._in.outlet.block(False)
        self.moved()
        # It may have been paused again, by what waited.
        if not (self._paused or self._held or self._gone):
            self.transport.resumeProducing()

    def stopProducing(self) -> None:
        self.loseConnection()

    def registerProducer(self, producer: Any, streaming: bool) -> None:
        held = self._producer = HeldProducer(producer, streaming)
        self.transport.registerProducer(held, streaming)
        if self._producerHeld:
            held.hold()

    def unregisterProducer(self) -> None:
        if self._producer is not None:
            self._producer = None
            self.transport.unregisterProducer()
            ending, self._ending = self._ending, None
            if ending is not None:
                self._out.end(ending)


class FaultyFactory(TransparentFactory[FaultyProtocol]):
    """
    Has faults strike the connections of another factory.

    @ivar faults: which ones.
    """

    protocol = FaultyProtocol

    def __init__(
        self,
        wrappedFactory: AnyFactory,
        faults: Faults,
        clock: IReactorTime | None = None,
        *,
        server: bool = True,
        changing: bool = True,
    ) -> None:
        """
        @param wrappedFactory: makes the protocols.
        @param faults: which ones.
        @param clock: what tells the time; the reactor by default.
        @param server: whether the connections are those of a server, which its clients make.
        @param changing: whether faults come and go while connections are open. What is spoken on
            those is then followed from the start, so that the faults of HTTP and of WebSocket
            strike them from the next message on.
        """
        super().__init__(wrappedFactory)
        if clock is None:
            from twisted.internet import reactor

            clock = IReactorTime(reactor)
        self.faults = faults
        self.clock = clock
        self.server = server
        self.changing = changing
        self.numbers = count(1)

    def doStart(self) -> None:
        if not self.numPorts:
            self.faults.start()
        super().doStart()
