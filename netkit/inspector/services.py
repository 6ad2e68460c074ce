"""
The services of the inspected program, as far as they can be changed while they run.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from twisted.internet.interfaces import IAddress

from ..base.addresses import addressText


class Answering(Protocol):
    """
    A service whose answer can be changed.
    """

    def answerJSON(self) -> dict[str, Any]:
        """
        What it answers, as the API has it.
        """

    def changeAnswer(self, change: AnswerChange) -> None:
        """
        Answer something else from now on.

        @param change: what.
        @raise ValueError: that cannot be answered; nothing changes.
        """

    def resetAnswer(self) -> None:
        """
        Answer as at the start.
        """


class Faulty(Protocol):
    """
    A service that can be given faults.
    """

    def faultsJSON(self) -> list[dict[str, Any]]:
        """
        Its faults, as the API has them.
        """

    def addFault(self, fault: dict[str, Any]) -> dict[str, Any]:
        """
        Add a fault.

        @return: the fault, as it is.
        @raise ValueError: it is none.
        @raise FileExistsError: there is one of that name.
        """

    def changeFault(self, name: str, change: dict[str, Any]) -> dict[str, Any]:
        """
        Change a fault.

        @raise ValueError: it would be none.
        @raise LookupError: there is none of that name.
        """

    def removeFault(self, name: str) -> None:
        """
        Remove a fault.

        @raise LookupError: there is none of that name.
        """

    def removeFaults(self) -> None:
        """
        Remove all faults.
        """


@dataclass(frozen=True, slots=True)
class AnswerChange:
    """
    What a service is to answer from now on; L{None} for what stays.

    @ivar echo: whether what came is to go back, for a service that can.
    @ivar delay: in seconds.
    """

    status: int | None = None
    fields: Sequence[tuple[bytes, bytes]] | None = None
    content: bytes | None = None
    echo: bool = False
    delay: float | None = None


@dataclass(slots=True)
class InspectedService:
    """
    A service.

    @ivar addresses: tells where it listens.
    @ivar connections: tells how many connections are open.
    @ivar answerChanged: whether it answers something else than at the start.
    @ivar faultsChanged: whether its faults are not those that it had at the start.
    """

    name: str
    addresses: Callable[[], Sequence[IAddress]]
    connections: Callable[[], int]
    answer: Answering | None = None
    faults: Faulty | None = None
    answerChanged: bool = False
    faultsChanged: bool = False

    def json(self) -> dict[str, Any]:
        """
        The service, as the API has it.
        """
        return {
            "name": self.name,
            "addresses": [addressText(address) for address in self.addresses()],
            "connections": self.connections(),
            "answer": None if self.answer is None else self.answer.answerJSON(),
            "faults": None if self.faults is None else self.faults.faultsJSON(),
        }


def fieldsJSON(fields: Iterable[tuple[bytes, bytes]]) -> list[dict[str, str]]:
    """
    Fields, as the API has them.
    """
    return [
        {"name": name.decode("latin-1"), "value": value.decode("latin-1")}
        for name, value in fields
    ]


def octetsJSON(octets: bytes) -> dict[str, str]:
    """
    Octets, as the API has them.
    """
    try:
        return {"text": octets.decode()}
    except UnicodeDecodeError:
        return {"base64": b64encode(octets).decode()}
