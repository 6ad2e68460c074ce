from collections.abc import Callable
from typing import Any

from .python import Lines

class Tally:
    def __new__(cls, methods: tuple[bytes, ...], bounds: tuple[float, ...], /) -> Tally: ...
    def count(self, line: bytes | None, status: int, seconds: float, /) -> None: ...
    def counts(self) -> dict[tuple[bytes | None, int], int]: ...
    def buckets(self) -> list[int]: ...
    def seconds(self) -> float: ...

class CombinedLines:
    def __new__(
        cls,
        peer: Callable[[Any], bytes],
        second: Callable[[int], bytes],
        begun: Callable[[], float],
        full: Callable[[], object],
        /,
    ) -> CombinedLines: ...
    def add(
        self,
        head: Any,
        status: int,
        octets: int,
        seconds: float,
        ended: float,
        transport: Any,
        more: bytes = b"",
        /,
    ) -> None: ...
    def take(self) -> tuple[bytes, int]: ...

class JSONLines:
    def __new__(
        cls,
        peer: Callable[[Any], bytes],
        second: Callable[[int], bytes],
        begun: Callable[[], float],
        full: Callable[[], object],
        /,
    ) -> JSONLines: ...
    def add(
        self,
        head: Any,
        status: int,
        octets: int,
        seconds: float,
        ended: float,
        transport: Any,
        more: bytes = b"",
        /,
    ) -> None: ...
    def take(self) -> tuple[bytes, int]: ...

class Observer:
    def __new__(
        cls, tally: Tally, lines: Lines | None, seconds: Callable[[], float], /
    ) -> Observer: ...
    def octets(self) -> tuple[int, int]: ...

class ObservedConnection:
    def __new__(cls, observer: Observer, transport: Any, /) -> ObservedConnection: ...
    def received(self, data: bytes, /) -> None: ...
    def sent(self, data: bytes, /) -> None: ...
    def sentFile(self, octets: int, /) -> None: ...
    def begun(self) -> None: ...
    def done(self, head: Any, status: int, octets: int, /) -> None: ...
    def answered(
        self,
        head: Any,
        line: bytes,
        section: bytes,
        status: int,
        octets: int,
        data: bytes,
        /,
    ) -> None: ...
