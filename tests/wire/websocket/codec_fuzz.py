"""
The codec in C and its twin in Python, called with the same at random: both give the same, or raise
the same kind of error.

    python -m tests.wire.websocket.codec_fuzz SECONDS [SEED]

C{make sanitize} runs it on a codec that sanitizers look into.
"""

from __future__ import annotations

import sys
import time
from array import array
from collections.abc import Callable
from random import Random
from types import ModuleType
from typing import Any

from netkit.wire.websocket.codec import python
from netkit.wire.websocket.codes import FIN, MASK, RSV1, Opcode
from tests.compiled import compiled

# Around each change of a length's form and of how it is masked.
SIZES = [0, 1, 3, 4, 7, 8, 9, 125, 126, 127, 1199, 1200, 4096, 4097, 65535, 65536, 2**17 + 5]


class Indexed:
    """
    As good as a number.
    """

    def __index__(self) -> int:
        return 130


NUMBERS = (
    *(-(2**100), -(2**63), -129, -128, -1, 0, 1, 2, 4, 125, 126, 127, 128, 129, 255, 256, 257),
    *(2**31, 2**32, 2**63 - 1, 2**63, 2**64, 2**100, True, Indexed(), 1.0, "1", b"1", None),
)
KEYS = (None, b"", b"123", b"12345", "1234", bytearray(b"1234"), memoryview(b"1234"), 1234)
NO_OCTETS: tuple[object, ...] = ("text", None, 5, [1, 2], {}, object)
FIRST = [FIN | Opcode.TEXT, FIN | Opcode.BINARY, FIN | Opcode.PING, FIN | RSV1 | Opcode.TEXT, 1]


class Values:
    """
    Draws arguments: mostly such as are meant to be given.
    """

    def __init__(self, draw: Random) -> None:
        """
        @param draw: where chance comes from.
        """
        self._draw = draw

    def seldom(self) -> bool:
        return self._draw.random() < 0.1

    def size(self) -> int:
        if self._draw.random() < 0.7:
            return self._draw.randrange(300)
        return max(0, self._draw.choice(SIZES) + self._draw.randint(-2, 2))

    def octets(self, size: int) -> bytes:
        if self._draw.random() < 0.3:
            return ("aä€😀" * (size // 4 + 1)).encode()[:size]
        return self._draw.randbytes(size)

    def buffer(self) -> Any:
        octets = self.octets(self.size())
        if not self.seldom():
            return octets
        words = octets[: len(octets) // 4 * 4]
        return self._draw.choice(
            [
                bytearray(octets),
                memoryview(octets),
                memoryview(octets)[::2],
                memoryview(octets)[::-1],
                array("I", words),
                memoryview(array("I", words)),
                self._draw.choice(NO_OCTETS),
            ]
        )

    def key(self) -> Any:
        if self.seldom():
            return self._draw.choice(KEYS)
        return self._draw.choice([None, self._draw.randbytes(4)])

    def number(self, usual: int) -> Any:
        return self._draw.choice(NUMBERS) if self.seldom() else usual

    def first(self) -> Any:
        return self.number(self._draw.choice(FIRST))

    def maskBit(self) -> Any:
        return self.number(self._draw.choice([0, MASK]))

    def frame(self) -> Any:
        """
        What may be a whole message, or is close to one.
        """
        if self.seldom():
            return self.buffer()
        key = self._draw.choice([None, self._draw.randbytes(4)])
        first = self._draw.choice(FIRST)
        octets = bytearray(python.serialize_frame(first, self.octets(self.size()), key))
        if self.seldom():
            octets[self._draw.randrange(min(len(octets), 14))] = self._draw.randrange(256)
        if self.seldom():
            del octets[self._draw.randrange(len(octets)) :]
        if self.seldom():
            octets += self.octets(self.size())
        return bytes(octets)

    def message(self) -> Any:
        """
        What may be sent, text with lone surrogates among it.
        """
        if self._draw.random() < 0.5:
            return self.buffer()
        text = self.octets(self.size()).decode("utf-8", self._draw.choice(["ignore", "replace"]))
        return text + "\ud800" if self.seldom() else text


def outcome(call: Callable[..., Any], *arguments: Any) -> tuple[Any, ...]:
    """
    What a call gives, or the kind of error that it raises.
    """
    try:
        given = call(*arguments)
    except (TypeError, ValueError, OverflowError) as error:
        return ("raises", type(error))
    return ("gives", type(given), given)


def _calling(make: Callable[..., Any], then: tuple[Any, ...]) -> Callable[..., Any]:
    return (lambda *arguments: make(*arguments)(*then)) if then else make


def _agree(name: str, twins: list[Any], arguments: tuple[Any, ...], *then: Any) -> None:
    """
    @param then: what that is called with which they make, if they make a function.
    """
    inPython, inC = (outcome(_calling(getattr(twin, name), then), *arguments) for twin in twins)
    assert inPython == inC, (
        f"{name}{arguments!r:.2000}{then!r:.2000}: in Python {inPython!r:.500}, in C {inC!r:.500}"
    )


def compareOnce(native: ModuleType, draw: Random) -> None:
    """
    Put the same to both.

    @param native: the codec in C.
    @raise AssertionError: they do not agree.
    """
    values = Values(draw)
    twins = [python, native]
    match draw.randrange(5):
        case 0:
            _agree("apply_mask", twins, (values.buffer(), values.key()))
        case 1:
            _agree("serialize_frame", twins, (values.first(), values.buffer(), values.key()))
        case 2:
            limit = values.number(values.size())
            arguments = (values.maskBit(), limit)
            _agree("message_reader", twins, arguments, values.frame())
        case 3:
            _agree("serialize_message", twins, (values.message(),))
        case 4:
            _comparePayloads(twins, draw, values)


def _comparePayloads(twins: list[Any], draw: Random, values: Values) -> None:
    size = values.size()
    arguments = (values.number(size), values.key())
    made = [outcome(twin.Payload, *arguments) for twin in twins]
    if made[0][0] == "raises" or made[1][0] == "raises":
        assert made[0] == made[1], f"Payload{arguments!r}: {made}"
        return
    payloads = [each[2] for each in made]
    left = size
    for _ in range(draw.randrange(12)):
        match draw.randrange(10):
            case 0:
                _agree("end", payloads, ())
            case 1:
                _agree("__init__", payloads, (values.number(size), values.key()))
            case _:
                part = values.octets(draw.randint(0, left))
                left -= len(part)
                start = draw.randrange(3)
                data: Any = bytes(start) + part + b"behind it"
                if values.seldom():
                    data = values.buffer()
                end = start + len(part)
                _agree("take", payloads, (data, values.number(start), values.number(end)))
    if left and values.seldom():
        return
    for payload in payloads:
        outcome(payload.take, bytes(left), 0, left)
    _agree("end", payloads, ())


def main() -> None:
    """
    Compare for a time, and say how often.
    """
    native = compiled("netkit.wire.websocket.codec")
    if native is None:
        sys.exit("the codec in C was not built")
    seed = int(sys.argv[2]) if len(sys.argv) > 2 else time.time_ns()
    print(f"{native.__file__}, seed {seed}", flush=True)
    draw = Random(seed)
    ends = time.monotonic() + float(sys.argv[1])
    rounds = 0
    while time.monotonic() < ends:
        for _ in range(100):
            compareOnce(native, draw)
        rounds += 100
    print(f"{rounds:,} calls and conversations, all answered alike")


if __name__ == "__main__":
    main()
