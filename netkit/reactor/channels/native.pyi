from contextvars import Context
from socket import socket
from typing import Any

QUEUED: int
DIRECT: int
DIRECT_TLS: int
FIRST: int

class Poller:
    current: Any
    ending: bool
    number: int

    def __init__(self) -> None: ...
    def fileno(self) -> int: ...
    def poll(self) -> None: ...

class Channel:
    madeIn: int
    mode: int
    openMode: int
    unsent: int
    wroteIn: int

    def __init__(
        self, poller: Poller, connection: socket, context: Context, owner: Writer, /
    ) -> None: ...
    def write(self, data: bytes, /) -> None: ...
    def writelines(self, pieces: list[bytes], /) -> None: ...
    def pause(self) -> None: ...
    def resume(self) -> None: ...
    def close(self) -> list[bytes]: ...

class Writer:
    channel: Channel | None
    protocol: Any

    def write(self, data: bytes, /) -> None: ...
