"""
What a protocol of L{netkit.wire} raises.
"""


class ProtocolError(Exception):
    """
    The bytes or events given break the protocol.
    """


class LocalProtocolError(ProtocolError):
    """
    Our own side asked for something that the protocol forbids at this point: a bug in the
    caller, never caused by what the peer sent.
    """


class RemoteProtocolError(ProtocolError):
    """
    The peer broke the protocol, or went over a limit. The message says what was wrong, with the
    value, for the person who reads it.
    """


class HTTPProtocolError(RemoteProtocolError):
    """
    What arrived is not sound HTTP, or too much.

    @ivar status: the status that a server answers (RFC 9110 section 15).
    """

    def __init__(self, message: str, status: int) -> None:
        """
        @param message: what was wrong.
        @param status: what to answer.
        """
        super().__init__(message)
        self.status = status


class WebSocketProtocolError(RemoteProtocolError):
    """
    What arrived breaks the WebSocket protocol, or is too much.

    @ivar code: the close code to fail the connection with (RFC 6455 section 7.4).
    """

    def __init__(self, message: str, code: int) -> None:
        """
        @param message: what was wrong.
        @param code: what to close with.
        """
        super().__init__(message)
        self.code = code
