"""
What produces for a transport, and is paused by others than the transport as well.
"""

from __future__ import annotations

from typing import Any


class HeldProducer:
    """
    A producer that is registered with a transport in the place of another one, which is paused by
    the transport, and by L{hold}.
    """

    __slots__ = ("_held", "_producer", "_streaming", "_wanted")

    def __init__(self, producer: Any, streaming: bool) -> None:
        """
        @param producer: the other one.
        @param streaming: whether it produces until it is paused.
        """
        self._producer = producer
        self._streaming = streaming
        self._held = False
        # Whether the transport takes more.
        self._wanted = streaming

    def pauseProducing(self) -> None:
        """
        The transport takes no more.
        """
        self._wanted = False
        if not self._held:
            self._producer.pauseProducing()

    def resumeProducing(self) -> None:
        """
        The transport takes more.
        """
        self._wanted = True
        if not self._held:
            self._resume()

    def stopProducing(self) -> None:
        """
        The transport is gone.
        """
        self._producer.stopProducing()

    def hold(self) -> None:
        """
        Have it produce no more, whatever the transport says.
        """
        self._held = True
        if self._wanted and self._streaming:
            self._producer.pauseProducing()

    def release(self) -> None:
        """
        Have it produce what the transport takes.
        """
        self._held = False
        if self._wanted:
            self._resume()

    def _resume(self) -> None:
        # One that is pulled from is asked for each piece.
        self._wanted = self._streaming
        self._producer.resumeProducing()
