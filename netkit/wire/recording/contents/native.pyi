from collections.abc import Mapping
from typing import Any

class Sender:
    next: int
    unacknowledged: int

    def __init__(self, interface: int, direction: int, addresses: bytes, /) -> None: ...

def contents(
    events: list[Any],
    at: int,
    connections: Mapping[int, tuple[Sender, Sender]],
    received: object,
    made: list[Any],
    /,
) -> int: ...
