"""
The toxics of Toxiproxy (github.com/Shopify/toxiproxy), as faults.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ..faults import KINDS, Fault, parseFault
from ..faults.specification import Side

# Those of 64 bits, as in Toxiproxy.
_NUMBERS = range(2**63)


def isText(value: object) -> bool:
    """
    Whether a value is a text that can be sent on: JSON can have halves of characters.
    """
    if not isinstance(value, str):
        return False
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True


class ToxicError(Exception):
    """
    A toxic cannot be made; the message says why.
    """


def _bad(problem: str) -> ToxicError:
    return ToxicError(f"bad request body: {problem}")


class Toxic:
    """
    A toxic: what its maker said of it, and the fault that it is.

    @ivar name: what it is called.
    @ivar type: its type: one of Toxiproxy's, or of ours.
    @ivar stream: C{upstream} or C{downstream}.
    @ivar toxicity: how likely it strikes a connection.
    @ivar attributes: what else there is to say.
    """

    def __init__(self, said: Mapping[str, Any]) -> None:
        """
        @param said: the object of the request.
        @raise ToxicError: something is missing, or of no use.
        """
        self.type = _given(said, "type", "")
        stream = said.get("stream", "downstream")
        self.stream = stream.lower() if isinstance(stream, str) else "downstream"
        self.name = _given(said, "name", f"{self.type}_{self.stream}")
        self.toxicity = said.get("toxicity", 1.0)
        self.attributes: dict[str, Any] = {}
        if not isText(self.name) or not isText(self.type) or not isinstance(stream, str | None):
            raise _bad("name, type and stream are strings")
        if self.stream not in ("upstream", "downstream"):
            raise ToxicError("stream was invalid, can be either upstream or downstream")
        if self.type not in _TOXICS and self.type not in KINDS:
            raise ToxicError("invalid toxic type")
        attributes = _given(said, "attributes", {})
        if self.type in _TOXICS:
            self.attributes = dict(_TOXICS[self.type][1])
        self.change({"attributes": attributes, "toxicity": self.toxicity})

    def change(self, said: Mapping[str, Any]) -> None:
        """
        Take what is said anew of it.

        @raise ToxicError: something of it is of no use; nothing changed.
        """
        toxicity = said.get("toxicity", self.toxicity)
        if isinstance(toxicity, bool) or not isinstance(toxicity, (int, float)):
            raise _bad("toxicity is a number from 0 to 1")
        if not 0 <= toxicity <= 1:
            raise _bad("toxicity is a number from 0 to 1")
        attributes = _given(said, "attributes", {})
        if not isinstance(attributes, dict):
            raise _bad("attributes are an object")
        fault = self._fault({**self.attributes, **attributes}, toxicity)
        self.attributes.update(attributes)
        self.toxicity = toxicity
        self.fault = fault

    def _fault(self, attributes: Mapping[str, Any], toxicity: float) -> Fault:
        if self.type in _TOXICS:
            make, known = _TOXICS[self.type]
            for name in known:
                value = attributes[name]
                if isinstance(value, bool) or not isinstance(value, int) or value not in _NUMBERS:
                    raise _bad(f"{name} is a whole number, 0 or more")
            kind, values = make(attributes)
            parameters = KINDS[kind].parameters
            usual = {name: default for name, (_, default) in parameters.items()}
            return Fault(kind, {**usual, **values}, Side(self.stream), float(toxicity))
        said = [self.stream]
        if toxicity != 1:
            said.append(f"probability={toxicity}")
        for name, value in attributes.items():
            if "," in f"{name}{value}":
                raise _bad(f"{name} has a comma in it")
            said.append(f"{name}={value}")
        try:
            return parseFault(f"{self.type}:{','.join(said)}")
        except ValueError as error:
            raise _bad(str(error)) from error

    def described(self) -> dict[str, Any]:
        """
        What it is, for JSON.
        """
        return {
            "attributes": self.attributes,
            "name": self.name,
            "type": self.type,
            "stream": self.stream,
            "toxicity": self.toxicity,
        }


def _given(said: Mapping[str, Any], name: str, usual: Any) -> Any:
    """
    Tell what is said: null and an empty text are nothing, whatever else is of no use is an error.
    """
    value = said.get(name)
    return usual if value is None or value == "" else value


_Made = tuple[str, dict[str, Any]]


def _latency(said: Mapping[str, Any]) -> _Made:
    return "latency", {"delay": said["latency"] / 1000, "jitter": said["jitter"] / 1000}


def _bandwidth(said: Mapping[str, Any]) -> _Made:
    # Toxiproxy's kilobytes have 1000 bytes.
    return "throttle", {"rate": said["rate"] * 1000}


def _slowClose(said: Mapping[str, Any]) -> _Made:
    return "slow-close", {"delay": said["delay"] / 1000}


def _timeout(said: Mapping[str, Any]) -> _Made:
    return "timeout", {"seconds": said["timeout"] / 1000}


def _resetPeer(said: Mapping[str, Any]) -> _Made:
    return "reset-peer", {"seconds": said["timeout"] / 1000}


def _slicer(said: Mapping[str, Any]) -> _Made:
    return "slice", {
        "size": max(1, said["average_size"]),
        "variation": said["size_variation"],
        "delay": said["delay"] / 1_000_000,
    }


def _limitData(said: Mapping[str, Any]) -> _Made:
    return "limit", {"octets": said["bytes"]}


# Each with what can be said of it, and what it is by default: times in milliseconds, but for the
# slicer's microseconds. The eighth, "down", is a proxy that is not enabled.
_TOXICS: dict[str, tuple[Callable[[Mapping[str, Any]], _Made], dict[str, int]]] = {
    "latency": (_latency, {"latency": 0, "jitter": 0}),
    "bandwidth": (_bandwidth, {"rate": 0}),
    "slow_close": (_slowClose, {"delay": 0}),
    "timeout": (_timeout, {"timeout": 0}),
    "reset_peer": (_resetPeer, {"timeout": 0}),
    "slicer": (_slicer, {"average_size": 0, "size_variation": 0, "delay": 0}),
    "limit_data": (_limitData, {"bytes": 0}),
}
