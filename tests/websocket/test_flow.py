"""
Tests for L{netkit.websocket.flow}.
"""

from __future__ import annotations

from netkit.websocket.flow import PAUSED_BY_APPLICATION, PAUSED_BY_PEER, ReadFlow
from tests.websocket.helpers import Link


class Reader:
    """
    What reads a transport: it keeps how that was when it was to deliver.
    """

    def __init__(self, link: Link) -> None:
        self._link = link
        self.delivered: list[str] = []

    def deliverBuffered(self) -> None:
        """
        Deliver.
        """
        self.delivered.append(self._link.producerState)


def test_nothing_is_delivered_before_nobody_pauses() -> None:
    link = Link()
    reader = Reader(link)
    flow = ReadFlow(link, reader)
    flow.pause(PAUSED_BY_APPLICATION)
    flow.pause(PAUSED_BY_PEER)
    flow.resume(PAUSED_BY_PEER)
    flow.resume(PAUSED_BY_PEER)
    assert (reader.delivered, link.producerState) == ([], "paused")
    flow.resume(PAUSED_BY_APPLICATION)
    assert (reader.delivered, link.producerState) == (["paused"], "producing")
