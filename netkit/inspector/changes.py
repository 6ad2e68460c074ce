"""
What of services was changed, for other processes that serve the same to take.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from .parameters import APIError, Members, readFields
from .services import AnswerChange, Faulty, InspectedService


def readAnswer(given: object) -> AnswerChange:
    """
    Read what a service is to answer from now on, as the API has it.

    @raise APIError: it is no such thing.
    """
    members = Members(given)
    status, delay = members.take("status"), members.take("delay")
    if status is not None and (isinstance(status, bool) or not isinstance(status, int)):
        raise APIError(400, "status is a whole number")
    if delay is not None and (
        isinstance(delay, bool) or not isinstance(delay, int | float) or not 0 <= delay <= 3600
    ):
        raise APIError(400, "delay is a number of seconds from 0 to 3600")
    fields = members.take("fields")
    pairs = None
    if fields is not None:
        pairs = [
            (name.encode("latin-1"), (value or "").encode("latin-1"))
            for name, value in readFields(fields)
        ]
    echo = "content" in members
    content = members.octets("content")
    members.end()
    return AnswerChange(status, pairs, content, echo and content is None, delay)


def changesJSON(services: Iterable[InspectedService]) -> list[dict[str, Any]]:
    """
    Tell what of services is not as at the start.
    """
    return [
        {
            "name": service.name,
            "answer": service.answer.answerJSON()
            if service.answer is not None and service.answerChanged
            else None,
            "faults": {each["name"]: each["specification"] for each in service.faults.faultsJSON()}
            if service.faults is not None and service.faultsChanged
            else None,
        }
        for service in services
    ]


def takeChanges(services: Iterable[InspectedService], changes: Iterable[dict[str, Any]]) -> None:
    """
    Have services as L{changesJSON} has told. What they have already stays.
    """
    by_name = {service.name: service for service in services}
    for change in changes:
        service = by_name.get(change["name"])
        if service is None:
            continue
        if service.answer is not None:
            if change["answer"] is not None:
                service.answer.changeAnswer(readAnswer(change["answer"]))
            else:
                service.answer.resetAnswer()
        if service.faults is not None and change["faults"] is not None:
            _takeFaults(service.faults, change["faults"])


def _takeFaults(faults: Faulty, wanted: dict[str, str]) -> None:
    there = {each["name"]: each["specification"] for each in faults.faultsJSON()}
    for name in there:
        if name not in wanted:
            faults.removeFault(name)
    for name, specification in wanted.items():
        if name not in there:
            faults.addFault({"name": name, "specification": specification})
        elif there[name] != specification:
            faults.changeFault(name, {"specification": specification})
