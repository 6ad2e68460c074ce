"""
The way of every byte of a connection, in Python.
"""

from __future__ import annotations

from asyncio import Transport
from collections.abc import Callable
from typing import Any

from .states import FIRST, QUEUED, STRAIGHT


class Traffic:
    """
    What is done about everything that arrives, and about each write.

    A subclass has C{protocol}, C{reactor}, C{_raised} and C{_writeOther}.

    @ivar _uv: uvloop's transport, as soon as there is one.
    @ivar _fileno: gives the socket's descriptor; -1 once uvloop closed it.
    @ivar _floor: its one item is the connection whose application has the word, or L{None}.
    @ivar _open: what writes may do as long as all is in order: see
        L{netkit.reactor.traffic.states}.
    @ivar _next: what the next one may do.
    """

    __slots__ = ("_fileno", "_floor", "_next", "_open", "_uv")

    _fileno: Callable[[], int]
    _floor: list[Any]
    _next: int
    _open: int
    _uv: Transport | None

    def _received(self, data: bytes) -> None:
        """
        Hand to the application what arrived.
        """
        this: Any = self
        self._next = self._open
        self._floor[0] = self
        try:
            # The protocol may be another one by now, or its method may have been assigned to.
            this.protocol.dataReceived(data)
        except BaseException as error:
            this._raised(error)
        self._floor[0] = None

    def _write(self, data: bytes) -> None:
        """
        Write to the kernel, where that is all there is to do.
        """
        this: Any = self
        may = self._next
        if may & STRAIGHT and type(data) is bytes:
            self._next = QUEUED
            this._uv.write(data)
            if may & FIRST:
                this.reactor._flushSoon(self)
        else:
            this._writeOther(data)
