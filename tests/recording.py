"""
What is recorded in tests.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.internet.interfaces import IProtocolFactory
from twisted.internet.task import Clock
from zope.interface import implementer

from netkit.capture.recorded import RecordedFactory
from netkit.capture.recorder import ISink, Recorder
from netkit.capture.views import Item, Kind, Views
from netkit.wire.recording import Address, Direction, Event


@implementer(ISink)
class Sink:
    """
    Keeps what it takes.
    """

    def __init__(self) -> None:
        self.full = False
        self.drained: Callable[[], None] = lambda: None
        self.events: list[Event] = []
        self.sizes: list[int] = []

    def onDrain(self, call: Callable[[], None]) -> None:
        self.drained = call

    def take(self, events: list[Event], size: int) -> None:
        self.events += events
        self.sizes.append(size)


class Records:
    """
    What the connections of a factory were seen to say.
    """

    def __init__(self, service: str = "print-respond") -> None:
        self._service = service
        self._sink = Sink()
        self._recorder = Recorder([self._sink], Clock())

    def of(self, factory: IProtocolFactory) -> Any:
        """
        The factory, with its connections recorded.
        """
        return RecordedFactory(factory, self._recorder, self._service)

    @property
    def items(self) -> list[Item]:
        """
        What was seen.
        """
        self._recorder.flush()
        return list(Views().feed(self._sink.events))

    @property
    def received(self) -> list[Item]:
        """
        What clients said.
        """
        kinds = (Kind.NOTE, Kind.OPENED, Kind.CLOSED)
        return [
            item
            for item in self.items
            if item.direction is Direction.RECEIVED and item.kind not in kinds
        ]

    @property
    def all(self) -> list[bytes]:
        """
        What clients said that was whole.
        """
        return [b"".join(item.octets()) for item in self.received if not item.wrong]

    @property
    def notes(self) -> list[str]:
        """
        What the service had to say.
        """
        return [item.about["text"] for item in self.items if item.kind is Kind.NOTE]

    @property
    def peers(self) -> list[Address]:
        """
        Who said it.
        """
        return [item.connection.peer for item in self.received]
