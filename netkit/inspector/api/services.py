"""
The services of the inspected program: what they answer, and their faults.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from ...http import Response
from ..changes import readAnswer
from ..faulting import kindsJSON
from ..parameters import APIError
from ..services import Answering, Faulty, InspectedService
from .responses import emptyResponse, jsonResponse
from .router import Asked, Route

_ONE = r"/services/([^/]{1,200})"


class Services:
    """
    C{/api/services}, and C{/api/faults}, which faults there can be.
    """

    def __init__(
        self,
        services: Iterable[InspectedService],
        changed: Callable[[], None],
    ) -> None:
        """
        @param services: the services.
        @param changed: called when one was changed.
        """
        self._services = services
        self._changed = changed
        answer = {"GET": self._answer, "PUT": self._changeAnswer, "DELETE": self._resetAnswer}
        faults = {"GET": self._faults, "POST": self._addFault, "DELETE": self._removeFaults}
        fault = {"PATCH": self._changeFault, "DELETE": self._removeFault}
        self.routes = [
            Route(r"/faults", {"GET": self._kinds}),
            Route(r"/services", {"GET": self._list}),
            Route(_ONE, {"GET": self._one}),
            Route(f"{_ONE}/answer", answer),
            Route(f"{_ONE}/faults", faults),
            Route(f"{_ONE}/faults/([^/]{{1,200}})", fault),
        ]

    async def _list(self, asked: Asked) -> Response:
        asked.query.end()
        return jsonResponse({"services": [service.json() for service in self._services]})

    async def _one(self, asked: Asked) -> Response:
        asked.query.end()
        return jsonResponse(self._named(asked).json())

    async def _answer(self, asked: Asked) -> Response:
        asked.query.end()
        answering = self._named(asked).answer
        return jsonResponse(None if answering is None else answering.answerJSON())

    async def _changeAnswer(self, asked: Asked) -> Response:
        asked.query.end()
        service = self._named(asked)
        answering = self._answering(service)
        change = readAnswer(await asked.json())
        try:
            answering.changeAnswer(change)
        except ValueError as error:
            raise APIError(400, str(error)) from error
        service.answerChanged = True
        self._changed()
        return jsonResponse(answering.answerJSON())

    async def _resetAnswer(self, asked: Asked) -> Response:
        asked.query.end()
        service = self._named(asked)
        answering = self._answering(service)
        answering.resetAnswer()
        service.answerChanged = False
        self._changed()
        return jsonResponse(answering.answerJSON())

    async def _kinds(self, asked: Asked) -> Response:
        asked.query.end()
        return jsonResponse({"types": kindsJSON()})

    async def _faults(self, asked: Asked) -> Response:
        asked.query.end()
        faults = self._named(asked).faults
        return jsonResponse({"faults": [] if faults is None else faults.faultsJSON()})

    async def _addFault(self, asked: Asked) -> Response:
        asked.query.end()
        faulty = self._faulty(asked)
        fault = await asked.json()
        if not isinstance(fault, dict):
            raise APIError(400, "a fault is a JSON object")
        try:
            added = faulty.addFault(fault)
        except FileExistsError as error:
            raise APIError(409, str(error)) from error
        except ValueError as error:
            raise APIError(400, str(error)) from error
        self._faultsChanged(asked)
        return jsonResponse(added, status=201)

    async def _changeFault(self, asked: Asked) -> Response:
        asked.query.end()
        faulty = self._faulty(asked)
        change = await asked.json()
        if not isinstance(change, dict):
            raise APIError(400, "a change is a JSON object")
        try:
            changed = faulty.changeFault(asked.arguments[1], change)
        except LookupError as error:
            raise APIError(404, f"there is no fault {asked.arguments[1]!r}") from error
        except ValueError as error:
            raise APIError(400, str(error)) from error
        self._faultsChanged(asked)
        return jsonResponse(changed)

    async def _removeFault(self, asked: Asked) -> Response:
        asked.query.end()
        try:
            self._faulty(asked).removeFault(asked.arguments[1])
        except LookupError as error:
            raise APIError(404, f"there is no fault {asked.arguments[1]!r}") from error
        self._faultsChanged(asked)
        return emptyResponse()

    async def _removeFaults(self, asked: Asked) -> Response:
        asked.query.end()
        self._faulty(asked).removeFaults()
        self._faultsChanged(asked)
        return emptyResponse()

    def _faultsChanged(self, asked: Asked) -> None:
        self._named(asked).faultsChanged = True
        self._changed()

    @staticmethod
    def _answering(service: InspectedService) -> Answering:
        if service.answer is None:
            raise APIError(409, f"the answer of {service.name} cannot be changed")
        return service.answer

    def _faulty(self, asked: Asked) -> Faulty:
        service = self._named(asked)
        if service.faults is None:
            raise APIError(409, f"{service.name} can have no faults")
        return service.faults

    def _named(self, asked: Asked) -> InspectedService:
        for service in self._services:
            if service.name == asked.arguments[0]:
                return service
        raise APIError(404, f"there is no service {asked.arguments[0]!r}")
