from collections.abc import Callable
from typing import Any

from ....wire.recording import Direction

class Lane:
    open: bool
    waiting: int
    octets: int
    answer: tuple[bytes, int] | None

    def __new__(
        cls,
        received: Direction,
        isLoneGet: Callable[[bytes], bool],
        taken: list[bytes],
        most: int,
        /,
    ) -> Lane: ...

def passes(lanes: dict[int, Lane], event: Any, /) -> bool: ...
