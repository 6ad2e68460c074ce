"""
Tests for L{netkit.base.piping}.
"""

from __future__ import annotations

from twisted.internet.testing import StringTransport

from netkit.base.piping import Pipe

from ..narrow import present


def test_passes_on() -> None:
    source, sink = StringTransport(), StringTransport()
    pipe = Pipe(source, sink)
    pipe.take(b"one")
    pipe.take(b"")
    pipe.take(b"two")
    assert sink.value() == b"onetwo"


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
    pipe.take(b"late")
    assert sink.value() == b""
    assert sink.producer is None
    assert source.producerState == "producing"
