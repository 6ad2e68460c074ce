"""
What becomes of a client whose upstream cannot be had: who speaks HTTP is answered 502 (Bad
Gateway) or 504 (Gateway Timeout), everybody else is reset.
"""

from __future__ import annotations

from ..base.deadlines import Deadline
from ..server import ServerProtocol
from ..wire.errors import HTTPProtocolError
from ..wire.http.connection import RequestReceiver
from ..wire.http.response import error_response

#: In seconds: how long a client may take to show what it speaks.
PATIENCE = 1.0


class Unreachable:
    """
    Answers a client, or resets its connection.
    """

    def __init__(self, client: ServerProtocol, status: int, reason: str) -> None:
        """
        @param client: the client's connection.
        @param status: what to answer in HTTP.
        @param reason: why, for a person.
        """
        self._client = client
        self._error = HTTPProtocolError(f"no connection to the upstream: {reason}", status)
        self._requests = RequestReceiver()
        self._deadline = Deadline(client.factory.clock, self._reset)
        self._deadline.start(PATIENCE)

    def dataReceived(self, data: bytes) -> None:
        """
        Something arrived.
        """
        if not self._deadline.pending:
            # The client was answered, or reset.
            return
        self._requests.receive(data)
        try:
            self._requests.next_event()
        except HTTPProtocolError:
            if self._requests.method is None:
                self._reset()
                return
        if self._requests.method is not None:
            self._answer(self._requests.method)

    def readConnectionLost(self) -> None:
        """
        Nothing more arrives.
        """
        if self._deadline.pending:
            self._reset()
        else:
            self._client.transport.loseConnection()

    def stop(self) -> None:
        """
        The connection is lost.
        """
        self._deadline.end()

    def _answer(self, method: bytes) -> None:
        self._deadline.stop()
        octets = error_response(self._error).encode(method, None, b"", keep_alive=False)
        self._client.transport.write(octets)
        self._client.lingeringClose()

    def _reset(self) -> None:
        self._deadline.stop()
        self._client.transport.abortConnection()
