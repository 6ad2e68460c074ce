"""
A WebSocket peer that sends much at once is not served before all others.
"""

from __future__ import annotations

import pytest
from twisted.internet.task import Clock

from ..turns import turn
from .helpers import Application, Recorder, Server


class Slow(Recorder):
    """
    An application that takes a millisecond for each message.
    """

    clock: Clock

    def textMessageReceived(self, message: str) -> None:
        super().textMessageReceived(message)
        self.clock.rightNow += 0.001


def opened() -> Server:
    server = Server(Application(Slow)).open()
    Slow.clock = server.clock
    return server


def messages(server: Server, *texts: str) -> bytes:
    return b"".join(map(server.client.send_text, texts))


def test_what_takes_long_goes_on_in_later_turns() -> None:
    server = opened()
    texts = [str(number) for number in range(100)]
    server.receive(messages(server, *texts))
    turns = 1
    while len(server.app.events) < 101 and turns < 100:
        # It is not read from meanwhile, and the rest is there in the next turn.
        assert server.transport.producerState == "paused"
        before = len(server.app.events)
        turn(server.clock)
        assert before < len(server.app.events) <= before + 8
        turns += 1
    assert server.app.events == ["open", *texts]
    assert 10 < turns < 100
    turn(server.clock)
    assert server.transport.producerState == "producing"


def test_each_large_message_counts() -> None:
    server = opened()
    large = "l" * 70_000
    server.receive(messages(server, *[large] * 6))
    for delivered in range(1, 7):
        assert len(server.app.events) - 1 == delivered
        turn(server.clock)


def test_what_arrives_meanwhile_comes_after_the_rest() -> None:
    server = opened()
    server.receive(messages(server, *map(str, range(20))))
    # What the transport had read before it was paused.
    server.receive(messages(server, "behind"))
    for _ in range(10):
        turn(server.clock)
    assert server.app.events == ["open", *map(str, range(20)), "behind"]


@pytest.mark.parametrize("end", ["loseConnection", "abortConnection"])
def test_nothing_is_delivered_after_the_end(end: str) -> None:
    server = opened()
    server.receive(messages(server, *map(str, range(20))))
    getattr(server.app.transport, end)()
    delivered = list(server.app.events)
    turn(server.clock)
    turn(server.clock)
    assert server.app.events == delivered


def test_the_application_can_pause_as_well() -> None:
    server = opened()
    server.receive(messages(server, *map(str, range(20))))
    delivered = list(server.app.events)
    server.app.transport.pauseProducing()
    turn(server.clock)
    assert server.app.events == delivered
    server.app.transport.resumeProducing()
    for _ in range(10):
        turn(server.clock)
    assert server.app.events == ["open", *map(str, range(20))]
