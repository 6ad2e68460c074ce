"""
Connections whose bytes channels move: what Twisted promises of a transport holds for them.
"""

from __future__ import annotations

import socket
from typing import Any

import pytest
from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionAborted, ConnectionDone, ConnectionLost
from twisted.internet.interfaces import IPullProducer, IPushProducer
from twisted.internet.protocol import Factory, connectionDone
from twisted.logger import LogEvent
from twisted.python import log
from twisted.python.failure import Failure
from zope.interface import implementer

from netkit.reactor import UvloopReactor
from tests.reactor.conftest import Run
from tests.reactor.peers import HalfCloseable, Peer, connected, later

# More than the kernel's buffers take.
LARGE = bytes(range(256)) * 64 * 1024

pytestmark = pytest.mark.parametrize("kind", ["tcp", "unix"])


class Echo(Peer):
    def dataReceived(self, data: bytes) -> None:
        self.transport.write(data)


def test_delivers_what_is_written(run: Run, kind: str) -> None:
    async def scenario(reactor: UvloopReactor) -> None:
        async with connected(reactor, kind, server=Echo()) as (client, _):
            for message in (b"a", b"b" * 1000, LARGE):
                client.pieces.clear()
                client.transport.write(message)
                assert await client.receive(len(message)) == message

    run(scenario)


def test_is_read_by_a_channel(run: Run, kind: str) -> None:
    async def scenario(reactor: UvloopReactor) -> None:
        async with connected(reactor, kind) as (client, server):
            server.transport.pauseProducing()
            client.transport.write(LARGE[:100_000])
            await later(reactor, 0.05)
            server.transport.resumeProducing()
            await server.receive(100_000)
            # Twisted's own reading takes 65,536 octets at a time.
            assert len(server.pieces[0]) > 65_536

    run(scenario)


def test_writes_of_one_turn_leave_together(run: Run, kind: str) -> None:
    async def scenario(reactor: UvloopReactor) -> None:
        async with connected(reactor, kind) as (client, server):
            await later(reactor)
            for _ in range(100):
                client.transport.write(b"small")
            assert await server.receive(500) == b"small" * 100
            # The first one at once, the others when the turn was over.
            assert len(server.pieces) <= 2

    run(scenario)


def test_sends_the_first_write_of_each_turn_at_once(run: Run, kind: str) -> None:
    family = socket.AF_INET if kind == "tcp" else socket.AF_UNIX

    async def scenario(reactor: UvloopReactor) -> None:
        ours, theirs = socket.socketpair() if kind == "unix" else tcpPair()
        with ours, theirs:
            writer = Peer()
            reactor.adoptStreamConnection(
                ours.fileno(), family, Factory.forProtocol(lambda: writer)
            )
            await later(reactor)
            for _ in range(5):
                writer.transport.write(b"first")
                writer.transport.write(b"second")
                assert theirs.recv(100, socket.MSG_DONTWAIT) == b"first"
                await later(reactor)
                assert theirs.recv(100, socket.MSG_DONTWAIT) == b"second"
                writer.transport.write(b"only")
                assert theirs.recv(100, socket.MSG_DONTWAIT) == b"only"
                await later(reactor)
            writer.transport.loseConnection()
            await writer.lost

    run(scenario)


def tcpPair() -> tuple[socket.socket, socket.socket]:
    """
    Two ends of a TCP connection, the first one fit for a reactor.
    """
    with socket.create_server(("127.0.0.1", 0)) as listening:
        ours = socket.create_connection(listening.getsockname())
        theirs, _ = listening.accept()
    ours.setblocking(False)
    return ours, theirs


def test_keeps_the_order_of_writes(run: Run, kind: str) -> None:
    async def scenario(reactor: UvloopReactor) -> None:
        async with connected(reactor, kind) as (client, server):
            expected = b""
            for turn in range(20):
                for number in range(turn % 4):
                    data = b"%d.%d " % (turn, number)
                    client.transport.write(data)
                    client.transport.writeSequence([data, data])
                    server.transport.write(b"something arrives in between")
                    expected += data * 3
                await later(reactor)
            assert await server.receive(len(expected)) == expected

    run(scenario)


@pytest.mark.parametrize("wrong", ["text", bytearray(b"bytes"), None])
def test_takes_bytes_only(run: Run, kind: str, wrong: Any) -> None:
    async def scenario(reactor: UvloopReactor) -> None:
        async with connected(reactor, kind) as (client, server):
            # Before uvloop has it, when it may go out at once, and when it may not any more.
            for _ in range(2):
                with pytest.raises(TypeError, match="must be bytes"):
                    client.transport.write(wrong)
                await later(reactor)
                client.transport.write(b"right")
            await server.receive(10)

    run(scenario)


def test_sends_what_is_written_in_connection_made(run: Run, kind: str) -> None:
    class Greeter(Peer):
        def connectionMade(self) -> None:
            self.transport.write(b"hello ")
            self.transport.writeSequence([b"and ", b"goodbye"])
            self.transport.loseConnection()
            self.transport.write(b"!")

    async def scenario(reactor: UvloopReactor) -> None:
        async with connected(reactor, kind, server=Greeter()) as (client, server):
            assert isinstance(await client.lost, ConnectionDone)
            assert client.received == b"hello and goodbye!"
            assert isinstance(await server.lost, ConnectionDone)

    run(scenario)


def test_can_be_paused_in_connection_made(run: Run, kind: str) -> None:
    class Paused(Peer):
        def connectionMade(self) -> None:
            self.transport.pauseProducing()

    async def scenario(reactor: UvloopReactor) -> None:
        async with connected(reactor, kind, server=Paused()) as (client, server):
            client.transport.write(b"data")
            await later(reactor, 0.05)
            assert server.received == b""
            assert server.transport not in reactor.getReaders()
            server.transport.resumeProducing()
            assert server.transport in reactor.getReaders()
            assert await server.receive(4) == b"data"

    run(scenario)


def test_is_watched_in_connection_made_for_what_it_wants(run: Run, kind: str) -> None:
    class Pausing(Peer):
        def connectionMade(self) -> None:
            super().connectionMade()
            watched.append(self.transport in reactor.getReaders())
            self.transport.pauseProducing()
            watched.append(self.transport in reactor.getReaders() + reactor.getWriters())
            self.transport.write(b"something")
            watched.append(self.transport in reactor.getWriters())

    watched: list[bool] = []
    reactor: UvloopReactor

    async def scenario(used: UvloopReactor) -> None:
        nonlocal reactor
        reactor = used
        async with connected(reactor, kind, client=Pausing()) as (_, server):
            assert await server.receive(9) == b"something"
        assert watched == [True, False, True]

    run(scenario)


def test_is_watched_while_it_ends_in_connection_made(run: Run, kind: str) -> None:
    class Ending(Peer):
        def connectionMade(self) -> None:
            super().connectionMade()
            self.transport.loseConnection()
            watched.append(self.transport in reactor.getWriters())

    watched: list[bool] = []
    reactor: UvloopReactor

    async def scenario(used: UvloopReactor) -> None:
        nonlocal reactor
        reactor = used
        async with connected(reactor, kind, server=Ending()) as (_, server):
            assert isinstance(await server.lost, ConnectionDone)
        assert watched == [True]

    run(scenario)


def test_can_be_aborted_in_connection_made(run: Run, kind: str) -> None:
    class Refusing(Peer):
        def connectionMade(self) -> None:
            self.transport.write(b"never")
            self.transport.abortConnection()

    async def scenario(reactor: UvloopReactor) -> None:
        async with connected(reactor, kind, server=Refusing()) as (client, server):
            assert isinstance(await server.lost, ConnectionAborted)
            await client.lost
            assert client.received == b""

    run(scenario)


def test_loses_the_connection_after_what_is_written(run: Run, kind: str) -> None:
    async def scenario(reactor: UvloopReactor) -> None:
        async with connected(reactor, kind) as (client, server):
            server.transport.pauseProducing()
            client.transport.write(LARGE)
            client.transport.loseConnection()
            await later(reactor, 0.05)
            assert "lost" not in client.events
            assert client.transport in reactor.getWriters()
            # As with every reactor, there is no end to it before the connection is lost.
            client.transport.write(b"more")
            server.transport.resumeProducing()
            assert isinstance(await client.lost, ConnectionDone)
            assert await server.receive(len(LARGE) + 4) == LARGE + b"more"
            assert isinstance(await server.lost, ConnectionDone)

    run(scenario)


def test_ignores_what_is_written_to_a_lost_connection(run: Run, kind: str) -> None:
    async def scenario(reactor: UvloopReactor) -> None:
        async with connected(reactor, kind) as (client, server):
            await later(reactor)
            # As a program does that looks it up once.
            write, transport = client.transport.write, client.transport
            server.transport.loseConnection()
            assert isinstance(await client.lost, ConnectionDone)
            for _ in range(2):
                write(b"data")
                transport.writeSequence([b"data"])
                transport.loseConnection()
                transport.abortConnection()
                transport.resumeProducing()
                transport.pauseProducing()
                await later(reactor)
            assert client.events == ["made", "lost"]

    run(scenario)


def test_aborts_at_once(run: Run, kind: str) -> None:
    async def scenario(reactor: UvloopReactor) -> None:
        async with connected(reactor, kind) as (client, server):
            server.transport.pauseProducing()
            client.transport.write(LARGE)
            await later(reactor, 0.05)
            client.transport.abortConnection()
            assert client.events == ["made"]
            assert isinstance(await client.lost, ConnectionAborted)
            server.transport.resumeProducing()
            assert isinstance(await server.lost, (ConnectionLost, ConnectionDone))
            assert len(server.received) < len(LARGE)

    run(scenario)


@pytest.mark.parametrize("arriving", [False, True])
@pytest.mark.parametrize("producing", [False, True])
def test_sends_nothing_once_it_is_aborted(
    run: Run, kind: str, arriving: bool, producing: bool
) -> None:
    class Aborting(Peer):
        def dataReceived(self, data: bytes) -> None:
            abort(self.transport)

    def abort(transport: Any) -> None:
        transport.abortConnection()
        transport.write(b"never")
        transport.writeSequence([LARGE[:200_000]])

    async def scenario(reactor: UvloopReactor) -> None:
        async with connected(reactor, kind, Aborting()) as (client, server):
            await later(reactor)
            if producing:
                client.transport.registerProducer(Producer(client.transport), True)
            if arriving:
                server.transport.write(b"now")
            else:
                abort(client.transport)
            assert isinstance(await client.lost, ConnectionAborted)
            await server.lost
            assert server.received == b""

    run(scenario)


def test_aborts_where_nothing_can_be_sent_any_more(run: Run, kind: str) -> None:
    async def scenario(reactor: UvloopReactor) -> None:
        async with connected(reactor, kind) as (client, server):
            client.transport.pauseProducing()
            server.transport.abortConnection()
            await server.lost
            client.transport.write(b"to nobody")
            client.transport.abortConnection()
            assert isinstance(await client.lost, ConnectionAborted)

    run(scenario)


def test_tells_of_a_lost_connection_while_it_sends(run: Run, kind: str) -> None:
    async def scenario(reactor: UvloopReactor) -> None:
        async with connected(reactor, kind) as (client, server):
            server.transport.pauseProducing()
            client.transport.write(LARGE)
            await later(reactor, 0.05)
            server.transport.abortConnection()
            assert isinstance(await client.lost, ConnectionLost)

    run(scenario)


def test_closes_each_half(run: Run, kind: str) -> None:
    async def scenario(reactor: UvloopReactor) -> None:
        client, server = HalfCloseable(), HalfCloseable()
        async with connected(reactor, kind, client, server):
            server.transport.pauseProducing()
            client.transport.write(LARGE)
            client.transport.loseWriteConnection()
            await later(reactor, 0.05)
            assert client.events == ["made"]
            server.transport.resumeProducing()
            assert await server.receive(len(LARGE)) == LARGE
            await later(reactor, 0.05)
            assert client.events == ["made", "write lost"]
            assert server.events == ["made", "read lost"]
            client.transport.write(b"too late")
            server.transport.write(b"the other way")
            assert await client.receive(13) == b"the other way"
            server.transport.loseWriteConnection()
            await later(reactor, 0.05)
            assert client.events == ["made", "write lost", "read lost"]
            for peer in (client, server):
                peer.transport.loseConnection()
                assert isinstance(await peer.lost, ConnectionDone)
            assert server.received == LARGE

    run(scenario)


@implementer(IPushProducer, IPullProducer)
class Producer:
    """
    Writes down what it is asked for, and what it makes when it is asked for more.
    """

    def __init__(self, transport: Any, *makes: bytes) -> None:
        self.transport = transport
        self.makes = list(makes)
        self.asked: list[str] = []
        self.resumed = Deferred[None]()

    def pauseProducing(self) -> None:
        self.asked.append("pause")

    def resumeProducing(self) -> None:
        self.asked.append("resume")
        if self.makes:
            self.transport.write(self.makes.pop(0))
        else:
            self.transport.unregisterProducer()
            self.resumed.callback(None)

    def stopProducing(self) -> None:
        self.asked.append("stop")


def test_pauses_and_resumes_a_push_producer(run: Run, kind: str) -> None:
    async def scenario(reactor: UvloopReactor) -> None:
        async with connected(reactor, kind) as (client, server):
            await later(reactor)
            server.transport.pauseProducing()
            producer = Producer(client.transport)
            client.transport.registerProducer(producer, True)
            client.transport.write(b"little")
            await later(reactor)
            assert producer.asked == []
            client.transport.write(LARGE)
            client.transport.write(LARGE)
            assert "pause" in producer.asked
            assert "resume" not in producer.asked
            # The connection is not lost before the producer has come to its end.
            client.transport.loseConnection()
            server.transport.resumeProducing()
            await producer.resumed
            assert isinstance(await client.lost, ConnectionDone)
            assert await server.receive(6 + 2 * len(LARGE)) == b"little" + LARGE * 2

    run(scenario)


def test_does_not_pause_a_producer_for_what_is_sent_at_once(run: Run, kind: str) -> None:
    async def scenario(reactor: UvloopReactor) -> None:
        async with connected(reactor, kind) as (client, server):
            await later(reactor)
            producer = Producer(client.transport)
            client.transport.registerProducer(producer, True)
            piece = bytes(70_000)
            client.transport.write(b"header")
            client.transport.write(piece)
            assert producer.asked == []
            # In one turn the kernel is not given all that it may take.
            for _ in range(19):
                client.transport.write(piece)
            assert "pause" in producer.asked
            assert await server.receive(1_400_006) == b"header" + bytes(1_400_000)
            await producer.resumed

    run(scenario)


def test_joins_what_a_producer_writes_until_it_is_much(run: Run, kind: str) -> None:
    async def scenario(reactor: UvloopReactor) -> None:
        async with connected(reactor, kind) as (client, server):
            await later(reactor)
            client.transport.bufferSize = 10_000
            producer = Producer(client.transport)
            client.transport.registerProducer(producer, True)
            client.transport.write(b"header")
            waiting = []
            for _ in range(6):
                client.transport.write(bytes(10_000))
                waiting.append(client.transport.getWriteBufferSize())
            assert waiting == [10_000, 20_000, 0, 10_000, 20_000, 0]
            assert producer.asked == []
            assert await server.receive(60_006) == b"header" + bytes(60_000)

    run(scenario)


def test_pauses_a_producer_once(run: Run, kind: str) -> None:
    async def scenario(reactor: UvloopReactor) -> None:
        async with connected(reactor, kind) as (client, server):
            await later(reactor)
            server.transport.pauseProducing()
            first, second = Producer(client.transport), Producer(client.transport)
            client.transport.registerProducer(first, True)
            client.transport.write(b"little")
            # Too much for its share of the turn, and then for the kernel.
            client.transport.write(LARGE)
            await later(reactor)
            assert first.asked == ["pause"]
            client.transport.unregisterProducer()
            client.transport.registerProducer(second, True)
            client.transport.write(b"more")
            assert second.asked == ["pause"]
            server.transport.resumeProducing()
            await second.resumed
            assert second.asked == ["pause", "resume"]
            assert await server.receive(10 + len(LARGE)) == b"little" + LARGE + b"more"

    run(scenario)


def test_asks_a_pull_producer_more_than_once_in_a_turn(run: Run, kind: str) -> None:
    class Endless:
        def __init__(self, transport: Any) -> None:
            self.transport = transport
            self.asked = 0

        def resumeProducing(self) -> None:
            self.asked += 1
            self.transport.write(b"x")

        def stopProducing(self) -> None:
            """
            Nothing is to be done.
            """

    async def scenario(reactor: UvloopReactor) -> None:
        async with connected(reactor, kind) as (client, server):
            await later(reactor)
            producer = Endless(client.transport)
            client.transport.registerProducer(producer, False)
            await later(reactor)
            for _ in range(3):
                before = producer.asked
                turn = Deferred[None]()
                reactor.eventloop.call_soon(turn.callback, None)
                await turn
                # And the others have theirs.
                assert 1 < producer.asked - before < 10
            client.transport.unregisterProducer()
            expected = producer.asked
            assert await server.receive(expected) == b"x" * expected

    run(scenario)


def test_asks_a_pull_producer_for_more(run: Run, kind: str) -> None:
    async def scenario(reactor: UvloopReactor) -> None:
        async with connected(reactor, kind) as (client, server):
            await later(reactor)
            producer = Producer(client.transport, b"one ", b"two ", LARGE, b" three")
            client.transport.write(b"zero ")
            client.transport.registerProducer(producer, False)
            expected = b"zero one two " + LARGE + b" three"
            assert await server.receive(len(expected)) == expected
            await producer.resumed
            assert producer.asked == ["resume"] * 5

    run(scenario)


def test_asks_a_pull_producer_again_when_what_was_written_before_it_is_sent(
    run: Run, kind: str
) -> None:
    class Waiting:
        """
        Has nothing yet when it is asked first.
        """

        def __init__(self, transport: Any) -> None:
            self.transport = transport
            self.asked = 0

        def resumeProducing(self) -> None:
            self.asked += 1
            if self.asked == 2:
                self.transport.write(b"and then")
                self.transport.unregisterProducer()

    async def scenario(reactor: UvloopReactor) -> None:
        async with connected(reactor, kind) as (client, server):
            await later(reactor)
            client.transport.write(b"before ")
            client.transport.registerProducer(Waiting(client.transport), False)
            assert await server.receive(15) == b"before and then"

    run(scenario)


def test_stops_a_producer_with_the_connection(run: Run, kind: str) -> None:
    async def scenario(reactor: UvloopReactor) -> None:
        async with connected(reactor, kind) as (client, server):
            producer = Producer(client.transport)
            client.transport.registerProducer(producer, True)
            server.transport.loseConnection()
            await client.lost
            assert producer.asked == ["stop"]

    run(scenario)


@pytest.mark.parametrize("arriving", [False, True])
def test_a_producer_may_write_when_it_is_paused(run: Run, kind: str, arriving: bool) -> None:
    class Telling(Producer):
        def pauseProducing(self) -> None:
            super().pauseProducing()
            if len(self.asked) == 1:
                self.transport.write(b"last")

    class Sender(Peer):
        def dataReceived(self, data: bytes) -> None:
            self.transport.writeSequence([LARGE])

    async def scenario(reactor: UvloopReactor) -> None:
        async with connected(reactor, kind, Sender()) as (client, server):
            await later(reactor)
            producer = Telling(client.transport)
            client.transport.registerProducer(producer, True)
            if arriving:
                server.transport.write(b"now")
            else:
                client.transport.writeSequence([LARGE])
            assert await server.receive(len(LARGE) + 4) == LARGE + b"last"

    run(scenario)


def test_ends_a_connection_whose_producer_raises(
    run: Run, kind: str, logged: list[LogEvent]
) -> None:
    class Broken(Producer):
        def resumeProducing(self) -> None:
            super().resumeProducing()
            if not self.makes:
                raise ZeroDivisionError

    async def scenario(reactor: UvloopReactor) -> None:
        async with connected(reactor, kind) as (client, _):
            client.transport.registerProducer(Broken(client.transport, b"data", b"more"), False)
            assert isinstance(await client.lost, ZeroDivisionError)

    run(scenario)
    assert failures(logged) == [ZeroDivisionError]


def test_ends_a_connection_whose_producer_raises_when_it_is_paused(
    run: Run, kind: str, logged: list[LogEvent]
) -> None:
    class Broken(Producer):
        def pauseProducing(self) -> None:
            raise ZeroDivisionError

    class Writing(Peer):
        def dataReceived(self, data: bytes) -> None:
            self.transport.registerProducer(Broken(self.transport), True)
            self.transport.write(LARGE)

    async def scenario(reactor: UvloopReactor) -> None:
        async with connected(reactor, kind, Writing()) as (client, server):
            await later(reactor)
            server.transport.write(b"now")
            assert isinstance(await client.lost, ZeroDivisionError)

    run(scenario)
    assert failures(logged) == [ZeroDivisionError]


def failures(logged: list[LogEvent]) -> list[type[BaseException]]:
    """
    The types of the failures that were logged, which are thereby taken note of.
    """
    events = [event for event in logged if event.get("log_failure")]
    for event in events:
        logged.remove(event)
    return [event["log_failure"].type for event in events]


@pytest.mark.parametrize("error", [ZeroDivisionError, FileNotFoundError])
def test_ends_a_connection_whose_protocol_raises(
    run: Run, kind: str, error: type[Exception], logged: list[LogEvent]
) -> None:
    class Broken(Peer):
        def dataReceived(self, data: bytes) -> None:
            raise error

    async def scenario(reactor: UvloopReactor) -> None:
        async with connected(reactor, kind, server=Broken()) as (client, server):
            client.transport.write(b"data")
            assert isinstance(await server.lost, error)
            await client.lost

    run(scenario)
    assert failures(logged) == [error]


def test_logs_what_a_protocol_raises_when_it_is_told_of_that(
    run: Run, kind: str, logged: list[LogEvent]
) -> None:
    class Broken(Peer):
        def dataReceived(self, data: bytes) -> None:
            raise ZeroDivisionError

        def connectionLost(self, reason: Failure = connectionDone) -> None:
            super().connectionLost(reason)
            raise FileNotFoundError

    async def scenario(reactor: UvloopReactor) -> None:
        async with connected(reactor, kind, server=Broken()) as (client, server):
            client.transport.write(b"data")
            assert isinstance(await server.lost, ZeroDivisionError)
            await client.lost
            assert server.transport not in reactor.getReaders()

    run(scenario)
    assert failures(logged) == [ZeroDivisionError, FileNotFoundError]


def test_logs_in_the_name_of_the_connection(run: Run, kind: str, logged: list[LogEvent]) -> None:
    class Talking(Peer):
        def logPrefix(self) -> str:
            return "somebody"

        def dataReceived(self, data: bytes) -> None:
            log.msg("within")
            super().dataReceived(data)

    async def scenario(reactor: UvloopReactor) -> None:
        async with connected(reactor, kind, server=Talking()) as (client, server):
            client.transport.write(b"data")
            await server.receive(4)
            await later(reactor)
            log.msg("without")

    run(scenario)
    said = {event["message"][0]: event["system"] for event in logged if event.get("message")}
    assert said["within"].startswith("somebody,")
    assert said["without"] == "-"


def test_delivers_to_what_the_protocol_is_now(run: Run, kind: str) -> None:
    async def scenario(reactor: UvloopReactor) -> None:
        async with connected(reactor, kind) as (client, server):
            client.transport.write(b"to the first")
            await server.receive(12)
            assigned = Deferred[bytes]()
            server.dataReceived = assigned.callback
            client.transport.write(b"to its new method")
            assert await assigned == b"to its new method"
            second = Peer()
            second.makeConnection(server.transport)
            server.transport.protocol = second
            client.transport.write(b"to the second")
            assert await second.receive(13) == b"to the second"
            client.transport.loseConnection()
            await second.lost
            assert server.received == b"to the first"
            assert server.events == ["made"]
            server.lost.callback(None)

    run(scenario)


def test_obeys_the_reactors_descriptor_set(run: Run, kind: str) -> None:
    async def scenario(reactor: UvloopReactor) -> None:
        async with connected(reactor, kind) as (client, server):
            reactor.removeReader(server.transport)
            client.transport.write(b"data")
            await later(reactor, 0.05)
            assert server.received == b""
            reactor.addReader(server.transport)
            reactor.addWriter(server.transport)
            assert server.transport in reactor.getWriters()
            assert await server.receive(4) == b"data"
            assert reactor.getWriters() == []

    run(scenario)


def test_is_removed_with_all_others(run: Run, kind: str) -> None:
    async def scenario(reactor: UvloopReactor) -> None:
        async with connected(reactor, kind) as (client, server):
            server.transport.pauseProducing()
            await later(reactor)
            assert reactor.removeAll() == [client.transport]
            assert reactor.removeAll() == []

    run(scenario)


def test_is_told_when_the_reactor_stops(run: Run, kind: str) -> None:
    client, server = Peer(), Peer()

    async def scenario(reactor: UvloopReactor) -> None:
        both = connected(reactor, kind, client, server)
        await both.__aenter__()

    run(scenario)
    assert client.events == server.events == ["made", "lost"]
    assert isinstance(client.lost.result, ConnectionLost)


def test_shows_its_socket(run: Run, kind: str) -> None:
    async def scenario(reactor: UvloopReactor) -> None:
        async with connected(reactor, kind) as (_, server):
            handle = server.transport.getHandle()
            assert handle.family == (socket.AF_INET if kind == "tcp" else socket.AF_UNIX)
            assert handle.type == socket.SOCK_STREAM
            with handle.dup() as other:
                assert (other.family, other.type) == (handle.family, handle.type)
                assert other.getsockname() == handle.getsockname()

    run(scenario)


def test_has_no_socket_when_it_is_lost(run: Run, kind: str) -> None:
    class Handling(Peer):
        def connectionMade(self) -> None:
            self.handle = self.transport.getHandle()
            super().connectionMade()

        def connectionLost(self, reason: Failure = connectionDone) -> None:
            # As under every reactor, the socket is closed by then.
            with pytest.raises(OSError, match="Bad file descriptor"):
                self.handle.send(b"octets")
            super().connectionLost(reason)

    async def scenario(reactor: UvloopReactor) -> None:
        async with connected(reactor, kind, Handling(), Handling()) as (client, server):
            await later(reactor)
            client.transport.loseConnection()
            await client.lost
            await server.lost
            assert client.events == server.events == ["made", "lost"]

    run(scenario)


def test_accepts_where_sockets_have_a_timeout(run: Run, kind: str) -> None:
    async def scenario(reactor: UvloopReactor) -> None:
        async with connected(reactor, kind, server=Echo()) as (client, _):
            client.transport.write(b"data")
            assert await client.receive(4) == b"data"

    socket.setdefaulttimeout(60)
    try:
        run(scenario)
    finally:
        socket.setdefaulttimeout(None)


def test_adopts_sockets(run: Run, kind: str) -> None:
    family = socket.AF_INET if kind == "tcp" else socket.AF_UNIX

    async def scenario(reactor: UvloopReactor) -> None:
        with socket.socket(family) as listening:
            if kind == "tcp":
                listening.bind(("127.0.0.1", 0))
            else:
                listening.bind(b"\0netkit-test-%d" % id(reactor))
            listening.listen()
            listening.setblocking(False)
            server = Echo()
            port = reactor.adoptStreamPort(
                listening.fileno(), family, Factory.forProtocol(lambda: server)
            )
            with socket.socket(family) as connecting:
                connecting.connect(listening.getsockname())
                connecting.setblocking(False)
                client = Peer()
                reactor.adoptStreamConnection(
                    connecting.fileno(), family, Factory.forProtocol(lambda: client)
                )
            client.transport.write(b"adopted")
            assert await client.receive(7) == b"adopted"
            client.transport.loseConnection()
            await server.lost
            await port.stopListening()

    run(scenario)
