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
