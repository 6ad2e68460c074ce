"""
Faults that are added and removed by the API.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from reprlib import repr as shortened
from typing import Any

from ..faults import KINDS, Fault, Faults, parseFault
from ..faults.faults import ArmedFault

# How many a service may have.
_MOST = 100

_LONGEST_NAME = 100


class FaultControl:
    """
    Adds and removes faults of a service.
    """

    def __init__(self, faults: Faults, elsewhere: Callable[[str], float] = lambda name: 0) -> None:
        """
        @param faults: those of the service.
        @param elsewhere: tells how often one of them, by name, struck in other processes.
        """
        self._faults = faults
        self._elsewhere = elsewhere

    def faultsJSON(self) -> list[dict[str, Any]]:
        """
        The faults, as the API has them.
        """
        return [self._json(armed) for armed in self._faults]

    def addFault(self, fault: Mapping[str, Any]) -> dict[str, Any]:
        """
        Add a fault.

        @raise ValueError: it is none.
        @raise FileExistsError: there is one of that name.
        """
        name = fault.get("name")
        if name is not None and (
            not isinstance(name, str) or not 0 < len(name) <= _LONGEST_NAME or "/" in name
        ):
            raise ValueError(
                f"the name of a fault is a text without / of {_LONGEST_NAME} characters at most, "
                f"not {shortened(name)}"
            )
        if len(self._faults) >= _MOST:
            raise ValueError(f"there are {_MOST} faults, the limit")
        made = _read(fault)
        try:
            return self._json(self._faults.add(made, name))
        except KeyError as error:
            raise FileExistsError(f"there is a fault called {name!r} already") from error

    def changeFault(self, name: str, change: Mapping[str, Any]) -> dict[str, Any]:
        """
        Change a fault.

        @raise ValueError: it would be none.
        @raise LookupError: there is none of that name.
        """
        armed = self._faults.get(name)
        if armed is None:
            raise LookupError(name)
        before = self._json(armed)
        del before["specification"], before["struck"]
        if "specification" not in change:
            attributes = change.get("attributes", {})
            if not isinstance(attributes, Mapping):
                raise ValueError(f"attributes is an object, not {shortened(attributes)}")
            change = {**before, **change, "attributes": {**before["attributes"], **attributes}}
        made = _read({**change, "name": name})
        return self._json(self._faults.change(name, made))

    def removeFault(self, name: str) -> None:
        """
        Remove a fault.

        @raise LookupError: there is none of that name.
        """
        self._faults.remove(name)

    def removeFaults(self) -> None:
        """
        Remove all faults.
        """
        self._faults.clear()

    def _json(self, armed: ArmedFault) -> dict[str, Any]:
        return {**_json(armed), "struck": armed.struck + int(self._elsewhere(armed.name))}


def _json(armed: ArmedFault) -> dict[str, Any]:
    fault = armed.fault
    attributes: dict[str, Any] = {
        name: value for name, value in fault.values.items() if value is not None
    }
    for name in ("first", "every", "after", "client", "path", "method"):
        value = getattr(fault, name)
        if value != getattr(_USUAL, name):
            attributes[name] = value if isinstance(value, int | float) else str(value)
    return {
        "name": armed.name,
        "type": fault.kind,
        "stream": fault.side.value,
        "toxicity": fault.probability,
        "attributes": attributes,
        "specification": str(fault),
    }


_USUAL = Fault("refuse")


def _read(fault: Mapping[str, Any]) -> Fault:
    unknown = set(fault) - {"name", "type", "stream", "toxicity", "attributes", "specification"}
    if unknown:
        raise ValueError(f"a fault has no {shortened(sorted(unknown)[0])}")
    specification = fault.get("specification")
    if specification is not None:
        if not isinstance(specification, str):
            raise ValueError(f"specification is a text, not {shortened(specification)}")
        return parseFault(specification)
    kind, stream = fault.get("type"), fault.get("stream", "downstream")
    attributes, toxicity = fault.get("attributes", {}), fault.get("toxicity", 1.0)
    if not isinstance(kind, str):
        raise ValueError(f"type is one of {', '.join(KINDS)}, not {shortened(kind)}")
    if stream not in ("upstream", "downstream"):
        raise ValueError(f"stream is upstream or downstream, not {shortened(stream)}")
    if not isinstance(attributes, Mapping):
        raise ValueError(f"attributes is an object, not {shortened(attributes)}")
    if isinstance(toxicity, bool) or not isinstance(toxicity, int | float):
        raise ValueError(f"toxicity is a number from 0 to 1, not {shortened(toxicity)}")
    parts = [stream, f"probability={toxicity}"]
    for name, value in attributes.items():
        text = str(value)
        if isinstance(value, bool) or not isinstance(value, str | int | float) or "," in text:
            raise ValueError(f"{name} is a text or a number, not {shortened(value)}")
        parts.append(f"{name}={text}")
    return parseFault(f"{kind}:{','.join(parts)}")


def kindsJSON() -> list[dict[str, Any]]:
    """
    What faults there are, as the API has it.
    """
    return [
        {
            "type": name,
            "description": kind.does,
            "attributes": {
                parameter: _wanted(parameter, default)
                for parameter, (_, default) in kind.parameters.items()
            },
        }
        for name, kind in KINDS.items()
    ]


def _wanted(parameter: str, default: object) -> str:
    unit = "seconds" if parameter in ("delay", "jitter", "seconds") else "number"
    if default is None or isinstance(default, int | float):
        return unit if default is None else f"{unit}, {default} by default"
    return f"{unit}, has to be said"
