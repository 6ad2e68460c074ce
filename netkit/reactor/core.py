"""
The reactor.
"""

from __future__ import annotations

import gc
from asyncio import AbstractEventLoop, set_event_loop
from collections.abc import Callable, Sequence
from functools import partial
from operator import methodcaller
from socket import AF_UNIX
from typing import Any

import uvloop
from twisted.internet.asyncioreactor import AsyncioSelectorReactor
from twisted.internet.base import ReactorBase
from twisted.internet.error import UnsupportedAddressFamily
from twisted.internet.interfaces import (
    IConnector,
    IDelayedCall,
    IListeningPort,
    IProtocolFactory,
)
from twisted.internet.main import installReactor
from twisted.internet.protocol import ClientFactory, P
from twisted.internet.tcp import Port
from twisted.logger import Logger
from twisted.python import context
from twisted.python.failure import Failure
from twisted.python.log import ILogContext

from netkit.base.twistedprivate import (
    SignalHandling,
    SignalHandlingHook,
    adoptedConnection,
    adoptedPort,
    isStarted,
    isSupported,
    plainSignalHandling,
)
from netkit.reactor import children, tcp, unix
from netkit.reactor.descriptors import DescriptorSet
from netkit.reactor.timers import Call, TimedCalls
from netkit.reactor.turn import LogContext, Turn

_log = Logger()


class UvloopReactor(SignalHandlingHook, AsyncioSelectorReactor):
    """
    A reactor on a uvloop event loop.

    Channels serve the stream connections, uvloop watches them and their ports, its timers serve
    the delayed calls. Whatever else has a descriptor (connections that are being made, UDP,
    processes' pipes, serial lines, everything that is given to C{addReader} and C{addWriter}) is
    in a L{DescriptorSet}, Twisted's own epoll set, which is one descriptor more that the loop
    watches: so all of it behaves as it does there.

    It is an C{AsyncioSelectorReactor}, which programs look for before they let asyncio code run
    beside Twisted's; what that does for a loop of asyncio's own, this does in its own ways.

    @ivar eventloop: the loop: asyncio code in this process runs on it, too.
    """

    def __init__(self, eventloop: AbstractEventLoop | None = None) -> None:
        """
        @param eventloop: a uvloop event loop to run on; a new one by default.
        """
        self.eventloop = uvloop.new_event_loop() if eventloop is None else eventloop
        if self.eventloop.get_exception_handler() is None:
            self.eventloop.set_exception_handler(_logLoopError)
        self.turn = Turn(self.eventloop)
        self._timedCalls = TimedCalls(
            self.eventloop, self.turn.context, lambda: self.seconds(), self._makeCalls
        )
        self._woken = False
        super().__init__(self.eventloop)
        self._descriptors = descriptors = DescriptorSet(self)
        # uvloop would run it in a copy of this context.
        inContext = self.turn.context.run
        self.eventloop.add_reader(descriptors, inContext, descriptors.doPoll, 0)
        self.eventloop.add_reader(self.turn, inContext, self.turn.serve)

    # Running

    run = ReactorBase.run
    iterate = ReactorBase.iterate

    def mainLoop(self) -> None:
        self.turn.update()
        logContext = {ILogContext: LogContext(self.turn)}
        # Most of what is there by now, modules above all, stays for as long as this runs. To look
        # for garbage in it took a tenth of a large program's time, and everybody waited meanwhile.
        gc.freeze()
        try:
            # Other code on the loop may stop it; it runs for as long as the reactor does.
            while isStarted(self):
                context.call(logContext, self.eventloop.run_forever)
        finally:
            gc.unfreeze()

    def stop(self) -> None:
        ReactorBase.stop(self)
        self.wakeUp()

    def runUntilCurrent(self) -> None:
        """
        Make the calls that threads asked for, shut down if that is due, make the timed calls that
        are due: in the order of every other reactor.
        """
        self._woken = False
        super().runUntilCurrent()
        self._timedCalls.run()

    def _makeCalls(self) -> None:
        if self.threadCallQueue:
            super().runUntilCurrent()
        self._timedCalls.run()

    def crash(self) -> None:
        ReactorBase.crash(self)
        if self.eventloop.is_running():
            self.eventloop.stop()

    def doIteration(self, delay: float | None) -> None:
        if delay:
            self.eventloop.call_later(delay, self.eventloop.stop)
        else:
            self.eventloop.stop()
        self.eventloop.run_forever()

    def signalHandling(self) -> SignalHandling:
        # Without PosixReactorBase's SIGCHLD, which children.py does without: the loop has the
        # wake-up descriptor then, and asyncio's add_signal_handler works.
        return plainSignalHandling(self)

    # Threads

    callFromThread = ReactorBase.callFromThread  # type: ignore[assignment] # names differ

    def installWaker(self) -> None:
        """
        None is needed: the loop can be woken.
        """

    def wakeUp(self) -> None:
        # One is enough for all that was asked for before it comes.
        if self._woken:
            return
        self._woken = True
        self.eventloop.call_soon_threadsafe(self.runUntilCurrent, context=self.turn.context)

    # Time

    def callLater(
        self, delay: float, callable: Callable[..., Any], *args: object, **kw: object
    ) -> Call:
        assert delay >= 0, f"{delay} is not greater than or equal to 0 seconds"
        calls = self._timedCalls
        seconds = self.seconds
        call = Call(seconds() + delay, callable, args, kw, calls, seconds)
        # In line, because most programs make a call for each thing that they do.
        if not calls.new:
            calls.expectNew()
        calls.new.append(call)
        return call

    def getDelayedCalls(self) -> Sequence[IDelayedCall]:
        return self._timedCalls.pending()

    # Descriptors

    def addReader(self, reader: Any) -> None:
        if reader in self.turn.natives:
            reader.startReading()
        else:
            self._descriptors.addReader(reader)

    def removeReader(self, reader: Any) -> None:
        if reader in self.turn.natives:
            reader.stopReading()
        else:
            self._descriptors.removeReader(reader)

    def addWriter(self, writer: Any) -> None:
        if writer in self.turn.natives:
            writer.startWriting()
        else:
            self._descriptors.addWriter(writer)

    def removeWriter(self, writer: Any) -> None:
        self._descriptors.removeWriter(writer)

    def removeAll(self) -> list[Any]:
        natives = [each for each in self.turn.natives if each.isReading() or each.isWriting()]
        for native in natives:
            native.stopReading()
        # What is left to send is nobody's any more.
        self.turn.natives.difference_update(filter(_isWriting, natives))
        return [*self._descriptors.removeAll(), *natives]

    def getReaders(self) -> list[Any]:
        return [*self._descriptors.getReaders(), *filter(_isReading, self.turn.natives)]

    def getWriters(self) -> list[Any]:
        return [*self._descriptors.getWriters(), *filter(_isWriting, self.turn.natives)]

    # Streams

    def listenTCP(
        self, port: int, factory: IProtocolFactory, backlog: int = 50, interface: str = ""
    ) -> IListeningPort:
        listening = tcp.Port(port, factory, backlog, interface, self)
        listening.startListening()
        return listening

    def connectTCP(
        self,
        host: str,
        port: int,
        factory: ClientFactory[P],
        timeout: float = 30.0,
        bindAddress: Any = None,
    ) -> IConnector:
        connector = tcp.Connector(host, port, factory, timeout, bindAddress, self)
        connector.connect()
        return connector

    def listenUNIX(
        self,
        address: bytes,
        factory: IProtocolFactory,
        backlog: int = 50,
        mode: int = 0o666,
        wantPID: int = 0,
    ) -> IListeningPort:
        listening = unix.Port(address, factory, backlog, mode, self, bool(wantPID))
        listening.startListening()
        return listening

    def connectUNIX(
        self,
        address: str | bytes,
        factory: ClientFactory[P],
        timeout: float = 30,
        checkPID: int = 0,
    ) -> IConnector:
        connector = unix.Connector(address, factory, timeout, self, checkPID)
        connector.connect()
        return connector

    def adoptStreamPort(
        self, fileDescriptor: int, addressFamily: int, factory: IProtocolFactory
    ) -> Any:
        if not isSupported(self, addressFamily):
            raise UnsupportedAddressFamily(addressFamily)
        if addressFamily == AF_UNIX:
            listening: Port = unix.Port.adopt(fileDescriptor, factory, self)
        else:
            listening = adoptedPort(tcp.Port, self, fileDescriptor, addressFamily, factory)
        listening.startListening()
        return listening

    def adoptStreamConnection(
        self, fileDescriptor: int, addressFamily: int, factory: IProtocolFactory
    ) -> Any:
        if not isSupported(self, addressFamily):
            raise UnsupportedAddressFamily(addressFamily)
        if addressFamily == AF_UNIX:
            adopt = partial(adoptedConnection, unix.Server, fileDescriptor)
        else:
            adopt = partial(adoptedConnection, tcp.Server, fileDescriptor, addressFamily)
        return self.turn.connect(adopt, factory, self)

    # Processes

    def spawnProcess(self, *args: Any, **kwargs: Any) -> Any:
        process = super().spawnProcess(*args, **kwargs)
        children.watch(self, process)
        return process


_isReading = methodcaller("isReading")
_isWriting = methodcaller("isWriting")


def _logLoopError(loop: AbstractEventLoop, error: dict[str, Any]) -> None:
    """
    What asyncio code did wrong belongs in Twisted's log.
    """
    exception = error.get("exception")
    if exception is None:
        _log.error("{message}", message=error["message"])
    else:
        _log.failure("{message}", Failure(exception), message=error["message"])


def install(eventloop: AbstractEventLoop | None = None) -> UvloopReactor:
    """
    Make a L{UvloopReactor} the global reactor, and its loop asyncio's current one.

    @param eventloop: the uvloop event loop to run on; a new one by default.
    @return: the reactor.
    @raise twisted.internet.error.ReactorAlreadyInstalledError: if there is a global reactor.
    """
    reactor = UvloopReactor(eventloop)
    installReactor(reactor)
    set_event_loop(reactor.eventloop)
    return reactor
