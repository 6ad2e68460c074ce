"""
Why a process cannot do what it was asked to, in one line.
"""

from __future__ import annotations

from twisted.internet.error import CannotListenError

#: What listening fails with: a backlog out of range is an C{OverflowError}, a path that is too
#: long a plain C{OSError}.
LISTENING_ERRORS = (CannotListenError, OSError, OverflowError)


class CannotStart(SystemExit, Exception):
    """
    The process cannot do what it was asked to, for the reason given in one line.

    As a L{SystemExit} it ends the process with status 1 and that line on standard error, where
    another exception would show a traceback. As an L{Exception} it lets twistd clean up its PID
    file, and tell the shell that waits for a daemon to come up.
    """


def cannotListen(service: str, endpoint: object, error: Exception) -> CannotStart:
    """
    Say why an endpoint cannot be listened on.

    @param service: the name of what was to listen there.
    @param endpoint: the endpoint, or its string.
    @param error: one of L{LISTENING_ERRORS}.
    """
    # The reason first: the shell that starts a daemon gets to see 100 bytes.
    return CannotStart(
        f"{service}: cannot listen: {listeningError(error)}: {endpoint!r}; "
        "choose another endpoint, or end what listens there"
    )


def listeningError(error: Exception) -> str:
    """
    Say what is wrong, as one of L{LISTENING_ERRORS} has it.
    """
    if isinstance(error, CannotListenError):
        error = error.socketError
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return str(error)
