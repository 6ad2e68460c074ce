"""
Tests for L{netkit.websocket.flow}.
"""

from __future__ import annotations

from netkit.websocket.flow import PAUSED_BY_APPLICATION, PAUSED_BY_PEER, ReadFlow
from tests.websocket.helpers import Link


def test_nothing_is_delivered_before_nobody_pauses() -> None:
    link = Link()
    delivered: list[str] = []
    flow = ReadFlow(link, lambda: delivered.append(link.producerState))
    flow.pause(PAUSED_BY_APPLICATION)
    flow.pause(PAUSED_BY_PEER)
    flow.resume(PAUSED_BY_PEER)
    flow.resume(PAUSED_BY_PEER)
    assert (delivered, link.producerState) == ([], "paused")
    flow.resume(PAUSED_BY_APPLICATION)
    assert (delivered, link.producerState) == (["paused"], "producing")
