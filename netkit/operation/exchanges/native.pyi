from collections.abc import Callable
from typing import Any

class Tally:
    def __new__(cls, methods: tuple[bytes, ...], bounds: tuple[float, ...], /) -> Tally: ...
    def count(
        self,
        head: Any,
        status: int,
        octets: int,
        seconds: float,
        ended: float,
        transport: Any,
        /,
    ) -> None: ...
    def counts(self) -> dict[tuple[bytes | None, int], int]: ...
    def buckets(self) -> list[int]: ...
    def seconds(self) -> float: ...

class CombinedLines:
    def __new__(
        cls,
        peer: Callable[[Any], bytes],
        second: Callable[[int], bytes],
        begun: Callable[[], float],
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
