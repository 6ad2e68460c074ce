"""
carbon: takes lines of metrics. They come from whom it connects to, so that their number is known.
"""

from __future__ import annotations

from amounts import LINES
from reactors import install

address = install()

from carbon import events  # noqa: E402 # it takes the reactor that is there
from carbon.protocols import MetricLineReceiver  # noqa: E402
from twisted.internet import reactor  # noqa: E402
from twisted.internet.endpoints import TCP4ClientEndpoint, connectProtocol  # noqa: E402
from twisted.python.failure import Failure  # noqa: E402


class Counting(MetricLineReceiver):  # type: ignore[misc] # it has no types
    """
    Counts what it took, and ends with the connection.
    """

    def connectionLost(self, reason: Failure) -> None:
        """
        All has been sent.
        """
        reactor.stop()


count = 0


def received(metric: str, datapoint: tuple[float, float]) -> None:
    """
    Count a metric.
    """
    global count
    count += 1


events.metricReceived.handlers[:] = [received]
connectProtocol(TCP4ClientEndpoint(reactor, "127.0.0.1", int(address)), Counting())
reactor.run()
assert count == LINES, count
