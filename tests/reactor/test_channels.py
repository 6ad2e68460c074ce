"""
Channels, in both languages.
"""

from __future__ import annotations

import gc
import os
import socket
import struct
import sys
import weakref
from collections.abc import Callable, Iterator
from contextvars import Context, ContextVar, copy_context
from select import select
from typing import Any

import pytest

from tests.compiled import languages

channels = languages("netkit.reactor.channels")

# More than the kernel takes, and more than is read at once.
LARGE = os.urandom(2**20) * 8

variable = ContextVar[str]("variable")


class Owner:
    """
    Notes what it is told, as its own protocol, and what it is to write otherwise.

    @ivar then: what to do when it is told of something.
    """

    # As those of a writer are, which it is made one of.
    protocol: Owner
    channel: Any
    write: Callable[[bytes], None]

    def __init__(self) -> None:
        self.told: list[Any] = []
        self.then: Callable[[str], object] = lambda _: None
        self.protocol = self

    def writeOtherwise(self, data: bytes) -> None:
        self.told.append(("otherwise", data))

    def raised(self, error: BaseException) -> None:
        self.told.append(error)
        self.then("raised")

    def dataReceived(self, data: bytes) -> None:
        self.told.append(data)
        self.then("received")

    def ended(self) -> None:
        self.told.append("ended")
        self.then("ended")

    def stalled(self) -> None:
        self.told.append("stalled")
        self.then("stalled")

    def drained(self) -> None:
        self.told.append("drained")
        self.then("drained")

    def failed(self) -> None:
        self.told.append("failed")
        self.then("failed")


class Fixture:
    """
    A poller, and channels whose peers are plain sockets.
    """

    def __init__(self, language: Any) -> None:
        self.language = language
        self.poller = language.Poller()
        self.owner: type[Owner] = type("Owner", (Owner, language.Writer), {})
        self.sockets: list[socket.socket] = []

    def pair(self, family: int = socket.AF_UNIX) -> tuple[Any, Owner, socket.socket]:
        """
        Make a channel that reads, its owner, and the peer's socket.
        """
        if family == socket.AF_UNIX:
            ours, theirs = socket.socketpair()
        else:
            with socket.create_server(("127.0.0.1", 0)) as listening:
                theirs = socket.create_connection(listening.getsockname())
                ours, _ = listening.accept()
        theirs.settimeout(10)
        self.sockets += ours, theirs
        owner = self.owner()
        channel = self.channel(ours, owner)
        channel.resume()
        return channel, owner, theirs

    def channel(self, ours: socket.socket, owner: Owner, context: Context | None = None) -> Any:
        return self.language.Channel(self.poller, ours, context or copy_context(), owner)

    def isReady(self) -> bool:
        """
        Whether there is something to do.
        """
        return bool(select([self.poller.fileno()], [], [], 0)[0])

    def pollUntil(self, done: Callable[[], object]) -> None:
        """
        Poll, whenever there is something to do.
        """
        while not done():
            assert select([self.poller.fileno()], [], [], 10)[0], "there is nothing to do"
            self.poller.poll()


@pytest.fixture
def made(channels: Any) -> Iterator[Fixture]:
    fixture = Fixture(channels)
    yield fixture
    for each in fixture.sockets:
        each.close()


@pytest.fixture(params=[socket.AF_UNIX, socket.AF_INET], ids=["unix", "tcp"])
def family(request: pytest.FixtureRequest) -> int:
    kind: int = request.param
    return kind


def test_delivers_what_arrives(made: Fixture, family: int) -> None:
    _, owner, theirs = made.pair(family)
    theirs.send(b"one")
    made.pollUntil(lambda: owner.told)
    theirs.send(b"two")
    made.pollUntil(lambda: len(owner.told) == 2)
    assert owner.told == [b"one", b"two"]
    assert not made.isReady()


def test_delivers_in_its_context(made: Fixture) -> None:
    ours, theirs = socket.socketpair()
    made.sockets += ours, theirs
    context = copy_context()
    context.run(variable.set, "there")
    owner = made.owner()
    owner.then = lambda _: owner.told.append(variable.get("elsewhere"))
    channel = made.channel(ours, owner, context)
    channel.resume()
    theirs.send(b"data")
    theirs.close()
    made.pollUntil(lambda: "ended" in owner.told)
    assert owner.told == [b"data", "there", "ended", "elsewhere"]


def test_does_not_block(made: Fixture) -> None:
    channel, owner, _ = made.pair()
    assert not made.sockets[0].gettimeout()
    channel.write(LARGE)
    assert owner.told == ["stalled"]


def test_reads_more_than_it_can_at_once(made: Fixture, family: int) -> None:
    _, owner, theirs = made.pair(family)
    theirs.setblocking(False)
    sent = 0
    while sent < len(LARGE):
        try:
            sent += theirs.send(LARGE[sent : sent + 2**20])
        except BlockingIOError:
            made.poller.poll()
    made.pollUntil(lambda: sum(map(len, owner.told)) == sent)
    assert b"".join(owner.told) == LARGE[:sent]


def test_reads_nothing_before_it_is_resumed(made: Fixture) -> None:
    ours, theirs = socket.socketpair()
    made.sockets += ours, theirs
    owner = made.owner()
    channel = made.channel(ours, owner)
    theirs.send(b"early")
    made.poller.poll()
    assert owner.told == []
    # Nor does it keep the poller busy.
    assert not made.isReady()
    channel.resume()
    made.pollUntil(lambda: owner.told)
    assert owner.told == [b"early"]


def test_pauses(made: Fixture, family: int) -> None:
    channel, owner, theirs = made.pair(family)
    for number in range(3):
        channel.pause()
        theirs.send(b"%d" % number)
        made.poller.poll()
        assert len(owner.told) == number
        channel.resume()
        made.pollUntil(lambda: len(owner.told) > number)  # noqa: B023
    assert owner.told == [b"0", b"1", b"2"]


def test_pauses_when_it_is_told(made: Fixture) -> None:
    channel, owner, theirs = made.pair()
    owner.then = lambda _: channel.pause()
    theirs.setblocking(False)
    sent = 0
    try:
        while True:
            sent += theirs.send(LARGE[sent : sent + 100_000])
    except BlockingIOError:
        pass
    theirs.shutdown(socket.SHUT_WR)
    pieces = 0
    while "ended" not in owner.told:
        made.pollUntil(lambda: len(owner.told) > pieces)  # noqa: B023
        pieces += 1
        assert len(owner.told) == pieces
        made.poller.poll()
        assert len(owner.told) == pieces
        channel.resume()
    assert b"".join(owner.told[:-1]) == LARGE[:sent]


def test_is_told_of_the_end_once(made: Fixture, family: int) -> None:
    channel, owner, theirs = made.pair(family)
    theirs.send(b"last")
    theirs.shutdown(socket.SHUT_WR)
    made.pollUntil(lambda: "ended" in owner.told)
    channel.resume()
    made.poller.poll()
    assert owner.told == [b"last", "ended"]
    channel.write(b"answer")
    assert theirs.recv(100) == b"answer"


def test_is_told_of_the_end_behind_what_was_paused(made: Fixture) -> None:
    channel, owner, theirs = made.pair()
    channel.pause()
    theirs.send(b"last")
    theirs.close()
    made.poller.poll()
    made.poller.poll()
    assert owner.told == []
    channel.resume()
    made.pollUntil(lambda: "ended" in owner.told)
    assert owner.told == [b"last", "ended"]


def test_reads_on_behind_urgent_data(made: Fixture) -> None:
    _, owner, theirs = made.pair(socket.AF_INET)
    theirs.send(b"before")
    theirs.send(b"!", socket.MSG_OOB)
    theirs.send(b"after")
    made.pollUntil(lambda: b"".join(owner.told) == b"beforeafter")
    theirs.send(b"!", socket.MSG_OOB)
    theirs.send(b" more")
    made.pollUntil(lambda: b"".join(owner.told) == b"beforeafter more")


def test_reads_on_behind_descriptors(made: Fixture) -> None:
    _, owner, theirs = made.pair()
    with open(__file__) as file:
        for message in (b"one", b"two", b"three"):
            socket.send_fds(theirs, [message], [file.fileno()])
    theirs.send(b"four")
    made.pollUntil(lambda: b"".join(owner.told) == b"onetwothreefour")


def test_sends_at_once(made: Fixture, family: int) -> None:
    channel, owner, theirs = made.pair(family)
    channel.write(b"one")
    channel.writelines([b" ", b"", b"two"])
    channel.write(b"")
    channel.writelines([])
    assert theirs.recv(7, socket.MSG_WAITALL) == b"one two"
    assert (channel.unsent, owner.told) == (0, [])


@pytest.mark.parametrize("in_pieces", [False, True])
def test_sends_what_the_kernel_did_not_take(made: Fixture, family: int, in_pieces: bool) -> None:
    channel, owner, theirs = made.pair(family)
    if in_pieces:
        channel.writelines([LARGE[at : at + 40_001] for at in range(0, len(LARGE), 40_001)])
    else:
        channel.write(LARGE)
    assert owner.told == ["stalled"]
    assert 0 < channel.unsent < len(LARGE)
    before = channel.unsent
    channel.write(b"more")
    channel.writelines([b" and", b" more"])
    assert channel.unsent == before + 13
    received = bytearray()
    while len(received) < len(LARGE) + 13:
        received += theirs.recv(2**20)
        made.poller.poll()
    assert received == LARGE + b"more and more"
    assert (channel.unsent, owner.told) == (0, ["stalled", "drained"])
    assert not made.isReady()
    channel.write(b"again")
    assert theirs.recv(100) == b"again"


def test_may_write_when_it_is_drained(made: Fixture) -> None:
    channel, owner, theirs = made.pair()
    rounds = 3

    def then(what: str) -> None:
        if what == "drained" and owner.told.count("drained") < rounds:
            channel.write(LARGE)

    owner.then = then
    channel.write(LARGE)
    received = 0
    while received < rounds * len(LARGE):
        received += len(theirs.recv(2**20))
        made.poller.poll()
    assert owner.told == ["stalled", "drained"] * rounds


def test_receives_while_it_is_stalled(made: Fixture, family: int) -> None:
    channel, owner, theirs = made.pair(family)
    channel.write(LARGE)
    theirs.send(b"data")
    made.pollUntil(lambda: b"data" in owner.told)
    assert channel.unsent


def reset(theirs: socket.socket) -> None:
    """
    Close a TCP connection the hard way.
    """
    theirs.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    theirs.close()


@pytest.mark.parametrize("waits", [False, True])
def test_fails_where_the_peer_resets(made: Fixture, waits: bool) -> None:
    channel, owner, theirs = made.pair(socket.AF_INET)
    if waits:
        channel.write(LARGE)
        owner.told.clear()
    reset(theirs)
    made.pollUntil(lambda: owner.told)
    assert owner.told == ["failed"]
    assert channel.unsent == 0
    made.poller.poll()
    assert owner.told == ["failed"]


def test_reads_what_came_before_a_reset(made: Fixture) -> None:
    channel, owner, theirs = made.pair(socket.AF_INET)
    channel.write(LARGE)
    theirs.send(b"too large")
    reset(theirs)
    made.pollUntil(lambda: "failed" in owner.told)
    assert owner.told == ["stalled", b"too large", "failed"]


def test_fails_where_it_writes_to_nobody(made: Fixture) -> None:
    channel, owner, theirs = made.pair()
    channel.pause()
    theirs.close()
    channel.write(b"data")
    assert owner.told == ["failed"]
    channel.resume()
    made.poller.poll()
    assert owner.told == ["failed"]
    channel.write(b"more")
    channel.writelines([b"more"])
    assert (channel.unsent, owner.told) == (0, ["failed"])


def test_lets_go_of_what_it_has(made: Fixture) -> None:
    channel, owner, theirs = made.pair()
    theirs.send(b"unread")
    assert channel.close() == []
    assert channel.close() == []
    for call in (channel.pause, channel.resume, made.poller.poll):
        call()
    channel.write(b"nothing")
    channel.writelines([b"nothing"])
    assert owner.told == []
    # The socket is as it was.
    ours = made.sockets[0]
    assert ours.recv(100) == b"unread"
    ours.send(b"still there")
    assert theirs.recv(100) == b"still there"
    # And may have a channel again.
    again = made.channel(ours, owner)
    again.resume()
    theirs.send(b"new")
    made.pollUntil(lambda: owner.told)
    assert owner.told == [b"new"]


def test_leaves_alone_who_has_its_descriptor_now(made: Fixture) -> None:
    channel, owner, _ = made.pair()
    ours = made.sockets[0]
    number = ours.fileno()
    # Behind its back.
    ours.close()
    first, theirs = socket.socketpair()
    theirs.settimeout(10)
    made.sockets += first, theirs
    assert first.fileno() == number
    others = made.owner()
    other = made.channel(first, others)
    other.resume()
    channel.write(b"to nobody")
    channel.close()
    theirs.send(b"data")
    made.pollUntil(lambda: others.told)
    other.write(b"answer")
    assert theirs.recv(100) == b"answer"
    assert (owner.told, others.told) == ([], [b"data"])


def test_may_be_resumed_where_its_socket_was_closed(made: Fixture) -> None:
    channel, owner, theirs = made.pair()
    channel.pause()
    theirs.send(b"data")
    made.poller.poll()
    # Behind its back.
    made.sockets[0].close()
    channel.resume()
    made.poller.poll()
    assert owner.told == []


def test_ends_where_another_one_has_its_descriptor_when_it_is_told(made: Fixture) -> None:
    channel, owner, theirs = made.pair()
    channel.write(LARGE)
    ours = made.sockets[0]
    number = ours.fileno()

    def replace(_: str) -> None:
        ours.close()
        first, second = socket.socketpair()
        made.sockets += first, second
        assert first.fileno() == number
        others.channel = made.channel(first, others)
        others.channel.write(LARGE)

    others = made.owner()
    owner.told.clear()
    owner.then = replace
    theirs.send(b"data")
    theirs.close()
    made.poller.poll()
    made.poller.poll()
    assert (channel.unsent, owner.told, others.told) == (0, [b"data"], ["stalled"])
    # Whoever has it now is still told when there is room.
    made.sockets[-1].settimeout(10)
    while "drained" not in others.told:
        made.sockets[-1].recv(2**20)
        made.poller.poll()


def test_gives_back_what_it_did_not_send(made: Fixture) -> None:
    channel, _, theirs = made.pair()
    theirs.setblocking(False)
    channel.write(LARGE)
    channel.writelines([b"a", b"b"])
    unsent = channel.unsent
    pieces = channel.close()
    assert channel.unsent == 0
    assert sum(map(len, pieces)) == unsent
    received = bytearray()
    try:
        while True:
            received += theirs.recv(2**20)
    except BlockingIOError:
        pass
    assert bytes(received) + b"".join(pieces) == LARGE + b"ab"


def test_closes_another_one_that_was_ready(made: Fixture) -> None:
    pairs = [made.pair() for _ in range(2)]

    def closeBoth(_: str) -> None:
        for channel, *_rest in pairs:
            channel.close()

    for _, owner, theirs in pairs:
        owner.then = closeBoth
        theirs.send(b"data")
    made.poller.poll()
    assert sorted(owner.told for _, owner, _ in pairs) == [[], [b"data"]]


@pytest.mark.parametrize("when", ["received", "ended", "stalled", "drained", "failed"])
def test_may_be_closed_when_it_is_told(made: Fixture, when: str) -> None:
    channel, owner, theirs = made.pair(socket.AF_INET)
    owner.then = lambda what: channel.close() if what == when else None
    expected = b"data" if when == "received" else when
    theirs.send(b"data")
    if when in ("stalled", "drained"):
        channel.write(LARGE)
    if when == "drained":
        theirs.setblocking(False)
        while channel.unsent:
            try:
                theirs.recv(2**20)
            except BlockingIOError:
                made.poller.poll()
    elif when == "failed":
        reset(theirs)
    else:
        theirs.shutdown(socket.SHUT_WR)
    if when != "stalled":
        made.pollUntil(lambda: expected in owner.told)
    made.poller.poll()
    assert owner.told[-1] == expected


def test_serves_many_at_once(made: Fixture) -> None:
    pairs = [made.pair() for _ in range(300)]
    for number, (_, _, theirs) in enumerate(pairs):
        theirs.send(b"%d" % number)
    made.pollUntil(lambda: all(owner.told for _, owner, _ in pairs))
    assert [owner.told for _, owner, _ in pairs] == [[b"%d" % number] for number in range(300)]


def test_an_error_of_a_protocol_is_told(made: Fixture) -> None:
    _, owner, theirs = made.pair()
    error = ValueError("raised")

    def fail(what: str) -> None:
        if what == "received":
            raise error

    owner.then = fail
    theirs.send(b"data")
    made.pollUntil(lambda: error in owner.told)
    assert owner.told == [b"data", error]
    assert error.__traceback__ is not None
    # Nor is one that has no protocol any more any trouble.
    del owner.protocol
    theirs.send(b"more")
    made.pollUntil(lambda: len(owner.told) > 2)
    assert isinstance(owner.told[2], AttributeError)
    assert not made.isReady()


def test_an_error_of_an_owner_is_its_own(made: Fixture, monkeypatch: pytest.MonkeyPatch) -> None:
    raised: list[Any] = []
    monkeypatch.setattr(sys, "unraisablehook", lambda error: raised.append(error.exc_value))
    pairs = [made.pair() for _ in range(2)]

    def fail(what: str) -> None:
        raise ValueError(what)

    for _, owner, theirs in pairs:
        owner.then = fail
        theirs.send(b"data")
    made.pollUntil(lambda: all(owner.told for _, owner, _ in pairs))
    assert [str(error) for error in raised] == ["raised"] * 2


@pytest.mark.parametrize("in_pieces", [False, True])
def test_an_error_of_an_owner_that_is_stalled_is_the_writers(
    made: Fixture, in_pieces: bool
) -> None:
    channel, owner, theirs = made.pair()

    def fail(what: str) -> None:
        if what == "stalled":
            raise ValueError(what)

    owner.then = fail
    with pytest.raises(ValueError, match="stalled"):
        channel.writelines([LARGE]) if in_pieces else channel.write(LARGE)
    # It was written, though.
    received = bytearray()
    while len(received) < len(LARGE):
        received += theirs.recv(2**20)
        made.poller.poll()
    assert (bytes(received), owner.told) == (LARGE, ["stalled", "drained"])


def test_says_whose_callback_is_running(made: Fixture) -> None:
    _, owner, theirs = made.pair()
    current: list[Any] = [made.poller.current]
    owner.then = lambda _: current.append(made.poller.current)
    theirs.send(b"data")
    made.pollUntil(lambda: owner.told)
    assert [*current, made.poller.current] == [None, owner, None]


@pytest.mark.parametrize("data", [b"data", "text", (b"data",), None])
def test_a_writer_without_a_channel_writes_otherwise(made: Fixture, data: Any) -> None:
    owner = made.owner()
    owner.channel = None
    owner.write(data)
    assert owner.told == [("otherwise", data)]


def test_a_writer_answers_at_once_and_once(made: Fixture) -> None:
    channel, owner, theirs = made.pair()
    owner.channel = channel

    def answer(what: str) -> None:
        if what == "received":
            owner.write(b"1")
            owner.write(b"2")

    owner.then = answer
    theirs.send(b"queued")
    made.pollUntil(lambda: len(owner.told) == 3)
    channel.openMode = made.language.DIRECT
    theirs.send(b"direct")
    made.pollUntil(lambda: len(owner.told) == 5)
    assert owner.told == [
        b"queued",
        ("otherwise", b"1"),
        ("otherwise", b"2"),
        b"direct",
        ("otherwise", b"2"),
    ]
    assert theirs.recv(100) == b"1"
    assert channel.mode == made.language.QUEUED


def test_a_writer_writes_once_in_each_turn(made: Fixture) -> None:
    channel, owner, theirs = made.pair()
    owner.channel = channel
    poller = made.poller
    channel.mode = made.language.FIRST | made.language.DIRECT
    assert channel.madeIn == poller.number
    poller.ending = True
    # Not in the turn in which it was made,
    owner.write(b"1")
    poller.number += 1
    owner.write(b"2")
    # nor twice,
    owner.write(b"3")
    poller.number += 1
    owner.write(b"4")
    poller.number += 1
    # nor where nobody would see the end of the turn.
    poller.ending = False
    owner.write(b"5")
    assert owner.told == [("otherwise", b"1"), ("otherwise", b"3"), ("otherwise", b"5")]
    assert theirs.recv(100) == b"24"


@pytest.mark.parametrize("data", ["text", bytearray(b"data"), memoryview(b"data"), None])
def test_a_writer_sends_bytes_only(made: Fixture, data: Any) -> None:
    channel, owner, _ = made.pair()
    owner.channel = channel
    channel.mode = made.language.DIRECT
    owner.write(data)
    assert owner.told == [("otherwise", data)]


@pytest.mark.parametrize("failing", ["stalled", "failed", "closed"])
def test_a_channel_that_cannot_send_has_its_writer_write_otherwise(
    made: Fixture, failing: str
) -> None:
    channel, owner, theirs = made.pair()
    owner.channel = channel
    channel.mode = channel.openMode = made.language.DIRECT
    if failing == "stalled":
        channel.write(LARGE)
    elif failing == "failed":
        theirs.close()
        channel.write(b"data")
    else:
        channel.close()
    assert channel.mode == channel.openMode == made.language.QUEUED


@pytest.mark.parametrize("wrong", ["text", None, 1])
def test_takes_bytes_only(made: Fixture, wrong: Any) -> None:
    channel, _, theirs = made.pair()
    with pytest.raises(TypeError):
        channel.write(wrong)
    with pytest.raises(TypeError):
        channel.writelines([b"right", wrong])
    channel.write(b"right")
    assert theirs.recv(100) == b"right"


def test_takes_open_sockets_only(made: Fixture) -> None:
    ours, theirs = socket.socketpair()
    ours.close()
    theirs.close()
    with pytest.raises((ValueError, OSError)):
        made.channel(ours, made.owner())
    with open(__file__) as file, pytest.raises(OSError, match=r"not permitted|non-socket"):
        made.channel(file, made.owner())  # type: ignore[arg-type] # that is wrong


@pytest.mark.parametrize("closed", [False, True])
def test_is_freed(made: Fixture, closed: bool) -> None:
    ours, theirs = socket.socketpair()
    made.sockets += ours, theirs
    owner = made.owner()
    owner.channel = made.channel(ours, owner)
    if closed:
        owner.channel.close()
    else:
        made.poller = None
    gone = weakref.ref(owner)
    del owner
    gc.collect()
    assert gone() is None


def test_is_freed_with_what_it_did_not_send(made: Fixture) -> None:
    class Piece(bytes):
        owner: Owner

    channel, owner, _ = made.pair()
    owner.channel = channel
    piece = Piece(LARGE)
    piece.owner = owner
    channel.write(piece)
    made.poller = None
    gone = weakref.ref(owner)
    del channel, owner, piece
    gc.collect()
    assert gone() is None
