"""
How a service says that it cannot start.
"""


class CannotStart(SystemExit, Exception):
    """
    The process cannot do what its command line asks, for the reason given in one line.

    As a L{SystemExit} it ends the process with status 1 and that line on standard error, where
    another exception would show a traceback. As an L{Exception} it lets twistd clean up its PID
    file, and tell the shell that waits for a daemon to come up.
    """
