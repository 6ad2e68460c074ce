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
    The peer broke the protocol, or went over a limit.

    @ivar code: what to answer: an HTTP status code (RFC 9110 section 15) from L{netkit.wire.http},
        a WebSocket close code (RFC 6455 section 7.4) from L{netkit.wire.websocket}.
    """

    def __init__(self, message: str, code: int) -> None:
        """
        @param message: what was wrong, with the value, for the person who reads it.
        @param code: what to answer.
        """
        super().__init__(message)
        self.code = code
