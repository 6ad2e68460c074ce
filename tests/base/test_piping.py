"""
Tests for L{netkit.base.piping}.
"""

from __future__ import annotations

from twisted.internet.testing import StringTransport

from netkit.base.piping import Pipe

from ..narrow import present


def test_passes_on_and_counts() -> None:
    source, sink = StringTransport(), StringTransport()
    pipe = Pipe(source, sink)
    pipe.received(b"one")
    pipe.received(b"")
    pipe.received(b"two")
    assert sink.value() == b"onetwo"
    assert pipe.octets == 6


def test_the_sink_holds_up_the_source() -> None:
    source, sink = StringTransport(), StringTransport()
    Pipe(source, sink)
    assert sink.streaming
    present(sink.producer).pauseProducing()
    assert source.producerState == "paused"
    present(sink.producer).resumeProducing()
    assert source.producerState == "producing"


def test_stopped() -> None:
    source, sink = StringTransport(), StringTransport()
    pipe = Pipe(source, sink)
    pipe.stop()
    pipe.stop()
    assert sink.producer is None
    assert source.producerState == "producing"
