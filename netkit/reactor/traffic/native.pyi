from asyncio import Transport
from collections.abc import Callable
from typing import Any

class Traffic:
    _fileno: Callable[[], int]
    _floor: list[Any]
    _next: int
    _open: int
    _uv: Transport | None

    def _received(self, data: bytes) -> None: ...
    def _write(self, data: bytes) -> None: ...
