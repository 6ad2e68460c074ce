"""
What is said on a TLS connection, between the transport and the protocol above.
"""

from __future__ import annotations

import ssl
from collections.abc import Callable
from typing import Any, Protocol

from twisted.internet.error import ConnectionLost
from twisted.internet.interfaces import IProtocol
from twisted.python.failure import Failure

from ..base.tls import errorText
from .connection import RECORD, TLS_ERRORS, TLSConnection

# So many octets that are written in a turn leave before its end.
_MUCH = 2**16


class Parties(Protocol):
    """
    Who is told what records tell.
    """

    def peerEnded(self) -> None:
        """
        The peer's close_notify has come.
        """

    def failed(self, reason: Failure, alerted: bool = False) -> None:
        """
        TLS failed.

        @param alerted: whether the peer was sent an alert.
        """

    def writesHeld(self) -> None:
        """
        What is written waits until both sides have agreed on TLS.
        """


class Records:
    """
    Decrypts what arrives for the protocol, and encrypts what that writes for the transport.

    What is written while something that arrived is handled leaves together when that is done: as
    few records as hold it, in one write.

    CPython looks up anew whatever is asked of what has C{__getattr__}, as the L{ProtocolWrapper
    <twisted.protocols.policies.ProtocolWrapper>} has whose part this is: this has not.

    @ivar protocol: takes what arrives.
    @ivar transport: takes what is sent, once there is a connection.
    @ivar agreed: whether both sides have agreed on TLS.
    @ivar queueing: whether what is written waits: until both sides have agreed on TLS, and while
        something that arrived is handled.
    @ivar open: whether writes are taken.
    @ivar paused: whether the protocol wants nothing now.
    @ivar dropping: whether what arrives is dropped.
    @ivar ending: what is still to be told behind what is paused: that the peer has closed its
        half, or why TLS failed.
    """

    __slots__ = (
        "_incoming",
        "_outgoing",
        "_partial",
        "_parties",
        "_queue",
        "_queued",
        "_readRecord",
        "_writeRecord",
        "agreed",
        "dropping",
        "ending",
        "open",
        "paused",
        "protocol",
        "queueing",
        "transport",
    )

    transport: Any

    def __init__(self, protocol: IProtocol) -> None:
        """
        @param protocol: takes what arrives.
        """
        self.protocol: Any = protocol
        # What was written and is not encrypted yet, and how much it is.
        self._queue: list[bytes] = []
        self._queued = 0
        self.agreed = False
        self.queueing = True
        self.open = True
        self.paused = False
        self.dropping = False
        self.ending: Callable[[], None] | None = None
        # Whether the incoming buffer has the rest of a record alone.
        self._partial = False
        self._parties: Any = None

    def begin(self, transport: Any, connection: TLSConnection, parties: Parties) -> None:
        """
        Have a connection.

        @param transport: takes what is sent.
        @param connection: encrypts and decrypts.
        @param parties: is told of what comes that is no data.
        """
        self.transport = transport
        self._incoming = connection.incoming
        self._outgoing = connection.outgoing
        self._readRecord = connection.readRecord
        self._writeRecord = connection.writeRecord
        self._parties = parties

    def lost(self) -> None:
        """
        The connection is lost: let go of who is told.
        """
        self.drop()
        self._parties = self.ending = None

    def drop(self) -> None:
        """
        Take no more of what is written, nor of what arrives.
        """
        self.open = False
        self.dropping = True
        self._queue.clear()

    @property
    def unread(self) -> int:
        """
        How many octets arrived and were not read.
        """
        return self._incoming.pending

    @property
    def unsent(self) -> bool:
        """
        Whether something was written and is not encrypted.
        """
        return bool(self._queue)

    def dataReceived(self, data: bytes) -> None:
        """
        Take what arrived, after both sides have agreed on TLS: with nothing, go on behind what was
        paused.
        """
        incoming = self._incoming
        if data:
            incoming.write(data)
        if self.paused and not self.dropping:
            return
        read = self._readRecord
        data = b""
        more: list[bytes] | None = None
        try:
            while pending := incoming.pending:
                # What is there of a record is no measure of what is in it.
                size = RECORD if self._partial or pending > RECORD else pending
                piece = read(size)
                self._partial = False
                if not piece:
                    self.ending = self._parties.peerEnded
                    break
                if not data:
                    data = piece
                elif more is None:
                    more = [data, piece]
                else:
                    more.append(piece)
        except ssl.SSLWantReadError:
            self._partial = True
        except ssl.SSLZeroReturnError:
            self.ending = self._parties.peerEnded
        except TLS_ERRORS as error:
            reason = Failure(ConnectionLost(errorText(error)))
            alerted = self.send()
            failed = self._parties.failed
            self.ending = lambda: failed(reason, alerted)
        if data and not self.dropping:
            self.queueing = True
            try:
                self.protocol.dataReceived(data if more is None else b"".join(more))
            finally:
                self.queueing = False
            if self._queue:
                self._encrypt()
        # There may also be an answer to a key update.
        if octets := self._outgoing.read():
            self.transport.write(octets)
        if self.ending is not None and not (self.paused and not self.dropping):
            self.end()

    def end(self) -> None:
        """
        Tell what is still to be told, if anything is.
        """
        ending, self.ending = self.ending, None
        if ending is not None:
            ending()

    def write(self, data: bytes) -> None:
        """
        Take what the protocol writes.
        """
        if not self.open:
            return
        if type(data) is not bytes:
            data = memoryview(data).tobytes()
        self._queue.append(data)
        if not self.queueing:
            self.flush()
            return
        self._queued += len(data)
        if self._queued > _MUCH and self.agreed:
            # The producer hears in between whether the peer takes it.
            self.flush()
        elif not self.agreed:
            self._parties.writesHeld()

    def flush(self) -> None:
        """
        Encrypt what was written, and send it.
        """
        if self._queue:
            self._encrypt()
            self.send()

    def _encrypt(self) -> None:
        queue = self._queue
        data = queue[0] if len(queue) == 1 else b"".join(queue)
        queue.clear()
        self._queued = 0
        size = len(data)
        write = self._writeRecord
        try:
            sent = write(data) if 0 < size <= RECORD else 0
            if sent != size:
                # It is longer, or the peer has asked for records that are smaller.
                left = memoryview(data)[sent:]
                while left:
                    left = left[write(left[:RECORD]) :]
        except TLS_ERRORS as error:
            self._parties.failed(Failure(ConnectionLost(errorText(error))))

    def send(self) -> bool:
        """
        Send what OpenSSL has for the peer.

        @return: whether there was something.
        """
        data = self._outgoing.read()
        if data:
            self.transport.write(data)
        return bool(data)
