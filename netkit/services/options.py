"""
The command-line options that all services share, and how an option's value is checked.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

from twisted.python.usage import Options, UsageError

from ..base.endpoints import serverEndpoint
from ..base.quantities import QuantityError, parseCount, parseSeconds
from ..operation.accesslog import parseFormat
from ..service import CannotStart
from .standardlog import LOG_FORMATS, LogFormatError, untroubleLog

if TYPE_CHECKING:
    from ..capture.capture import Capture
    from ..faults import Fault

T = TypeVar("T")

#: The values of C{--format} and C{--print}; what they mean is loaded by who records and prints.
FORMATS = ("text", "hex", "json", "none")
SELECTIONS = ("received", "sent", "both", "all")


def wholeNumber(option: str) -> Callable[[str], int]:
    """
    Make the check for an option that takes a whole number, 0 or more.

    @param option: the option's name, for the error message.
    """
    return _checked(option, parseCount)


def seconds(option: str) -> Callable[[str], float]:
    """
    Make the check for an option that takes a number of seconds, 0 or more.

    @param option: the option's name, for the error message.
    """
    return _checked(option, parseSeconds)


def _checked(option: str, parse: Callable[[str], T]) -> Callable[[str], T]:
    def check(value: str) -> T:
        try:
            return parse(value)
        except QuantityError as error:
            raise UsageError(f"--{option} takes {error.wanted}, not {value!r}") from error

    return check


def _workers(value: str) -> int:
    if value == "auto":
        return len(os.sched_getaffinity(0))
    try:
        return parseCount(value)
    except QuantityError as error:
        raise UsageError(f"--workers takes {error.wanted}, or auto, not {value!r}") from error


class CommonOptions(Options):
    """
    What every netkit plugin takes.

    A mistake is a L{UsageError} of one line; on a command line of twistd or twist it ends the
    process with that line, in place of the whole help text that would hide it.
    """

    optParameters = [
        ["output", "o", "-", "Where to print what arrives: a file to append to, or - for stdout."],
        [
            "format",
            "f",
            None,
            "How to print it: text (the exact bytes), hex, json (an object a line) or none.",
        ],
        [
            "print",
            None,
            "received",
            "What to print: what was received, sent, both, or all that happened.",
        ],
        ["capture", None, None, "A folder to record all connections in, as pcapng files."],
        [
            "capture-file-size",
            None,
            64 * 2**20,
            "Bytes of a recorded file, after which the next one is begun.",
            wholeNumber("capture-file-size"),
        ],
        [
            "capture-files",
            None,
            16,
            "How many recorded files to keep; the oldest make room.",
            wholeNumber("capture-files"),
        ],
        [
            "capture-snaplen",
            None,
            0,
            "How many bytes of each piece to record; 0 for all.",
            wholeNumber("capture-snaplen"),
        ],
        [
            "capture-when-full",
            None,
            "slow",
            "When the disk is too slow: slow (connections wait), or drop (bytes are left out).",
        ],
        [
            "inspect",
            None,
            None,
            "A server endpoint string for the inspector, a web page that shows all connections.",
        ],
        [
            "inspect-buffer",
            None,
            64 * 2**20,
            "Bytes of memory for the connections that the inspector shows.",
            wholeNumber("inspect-buffer"),
        ],
        [
            "keylog",
            None,
            None,
            "A file to append the secrets of TLS to, for who captures outside (SSLKEYLOGFILE).",
        ],
        [
            "fault-seed",
            None,
            None,
            "What decides when faults strike: the same seed gives the same run.",
            wholeNumber("fault-seed"),
        ],
        [
            "max-connections",
            None,
            10_000,
            "How many connections may be open at once; 0 for no limit.",
            wholeNumber("max-connections"),
        ],
        [
            "max-buffered",
            None,
            256 * 2**20,
            "Bytes that may be kept in memory for all connections together; 0 for no limit.",
            wholeNumber("max-buffered"),
        ],
        [
            "idle-timeout",
            None,
            600.0,
            "After how many seconds without traffic to end a connection; 0 for never.",
            seconds("idle-timeout"),
        ],
        ["access-log", None, None, "A file to log requests and connections to, or - for stdout."],
        [
            "access-log-format",
            None,
            "combined",
            "combined, json, or a format such as '{peer} {method} {target} {status} {seconds}'.",
        ],
        ["log-format", None, None, "How twistd's own log is written: text, or json."],
        [
            "metrics",
            None,
            None,
            "A server endpoint string for /metrics (Prometheus), /healthz and /readyz.",
        ],
        [
            "workers",
            None,
            0,
            "How many processes serve: a number, or auto, one for each processor; 0 for this one.",
            _workers,
        ],
        [
            "grace",
            None,
            5.0,
            "How many seconds connections have to end when the service stops.",
            seconds("grace"),
        ],
    ]

    optFlags = [
        ["inspect-read-only", None, "Have the inspector show, and change or send nothing."],
    ]

    def __init__(self) -> None:
        super().__init__()
        self["fault"] = []
        self["inspect-host"] = []

    def opt_inspect_host(self, name: str) -> None:
        """
        A host name by which the inspector is reached, besides localhost and addresses. May be
        given several times.
        """
        self["inspect-host"].append(name)

    def opt_fault(self, specification: str) -> None:
        """
        Something that goes wrong on purpose, such as latency:delay=100ms,jitter=20ms or
        status:status=503,first=3,path=/api/*; docs/faults.md has all. May be given several times.
        """
        try:
            self["fault"].append(_fault(specification))
        except ValueError as error:
            raise UsageError(f"--fault {error}") from error

    def opt_faults(self, path: str) -> None:
        """
        A file of faults, a specification a line; # begins a comment.
        """
        try:
            with open(path, encoding="utf-8") as file:
                lines = [line.partition("#")[0].strip() for line in file]
        except (OSError, UnicodeDecodeError) as error:
            reason = error.strerror if isinstance(error, OSError) else "it is no text in UTF-8"
            raise UsageError(f"--faults {path!r}: {reason}") from error
        for number, line in enumerate(lines, 1):
            try:
                if line:
                    self["fault"].append(_fault(line))
            except ValueError as error:
                raise UsageError(f"--faults {path!r}, line {number}: {error}") from error

    def parseOptions(self, options: Sequence[str] | None = None) -> None:
        try:
            super().parseOptions(options)
        except UsageError as error:
            if self.parent is None:
                raise
            raise CannotStart(f"{self.parent.subCommand}: {error}") from error
        if self.parent is not None:
            try:
                untroubleLog(self.parent, self["log-format"])
            except LogFormatError as error:
                raise CannotStart(f"{self.parent.subCommand}: --log-format: {error}") from error

    def parseArgs(self, *arguments: str) -> None:
        if arguments:
            raise UsageError(f"{arguments[0]!r} is one argument too many: all are options")

    def postOptions(self) -> None:
        if self["format"] is not None:
            _checkChoice("format", self["format"], FORMATS)
        if self["log-format"] is not None:
            _checkChoice("log-format", self["log-format"], list(LOG_FORMATS))
        _checkChoice("print", self["print"], SELECTIONS)
        _checkChoice("capture-when-full", self["capture-when-full"], ["slow", "drop"])
        if self["capture-file-size"] < 1 or self["capture-files"] < 1:
            raise UsageError("--capture-file-size and --capture-files are 1 at least")
        try:
            parseFormat(self["access-log-format"])
        except ValueError as error:
            raise UsageError(f"--access-log-format: {error}") from error
        if self["metrics"] is not None:
            checkEndpoint(self["metrics"], "metrics")
        if self["inspect"] is not None:
            checkEndpoint(self["inspect"], "inspect")


def _fault(specification: str) -> Fault:
    # Imported where there is one: faults know the protocols that they strike.
    from ..faults import parseFault

    return parseFault(specification)


def _checkChoice(option: str, value: str, choices: Sequence[str]) -> None:
    if value not in choices:
        raise UsageError(f"--{option} is one of {', '.join(choices)}, not {value!r}")


class ServiceOptions(CommonOptions):
    """
    What the plugin of a single service takes.

    @cvar service: the service's name, as it is printed and logged.
    @cvar defaultEndpoint: where it listens when nothing else is said.
    @cvar defaultFormat: how it prints when nothing else is said.
    @ivar sharedCapture: what records the connections of this service and of others; L{None} where
        it is by itself.
    @ivar listenOption: the name of the option that says where it listens, for messages.
    """

    service: ClassVar[str]
    defaultEndpoint: ClassVar[str]
    defaultFormat: ClassVar[str] = "text"

    def __init__(self) -> None:
        super().__init__()
        self.listenOption = "listen"
        self.sharedCapture: Capture | None = None
        self["listen"] = []

    def opt_listen(self, description: str) -> None:
        """
        A server endpoint string to listen on, such as tcp:8080, unix:/run/x.sock, tls:... May be
        given several times.
        """
        self["listen"].append(description)

    opt_l = opt_listen

    @property
    def longdesc(self) -> str:
        return (
            f"Listens on {self.defaultEndpoint} and prints in the format {self.defaultFormat} "
            "unless told otherwise."
        )

    def postOptions(self) -> None:
        super().postOptions()
        if self["format"] is None:
            self["format"] = self.defaultFormat
        if not self["listen"]:
            self["listen"].append(self.defaultEndpoint)
        for description in self["listen"]:
            checkEndpoint(description, self.listenOption)

    def limits(self) -> dict[str, Any]:
        """
        The arguments that every L{ServerFactory <netkit.server.ServerFactory>} takes.
        """
        return {
            "maxConnections": self["max-connections"],
            "maxBuffered": self["max-buffered"],
            "idleTimeout": self["idle-timeout"],
        }


def checkEndpoint(description: str, option: str) -> None:
    """
    See that a server endpoint string can be understood.

    @param option: the name of the option that has it.
    @raise UsageError: when it cannot.
    """
    from twisted.internet import reactor

    try:
        serverEndpoint(reactor, description)
    except ValueError as error:
        raise UsageError(f"--{option}: {error}") from error


class ResponseOptions(ServiceOptions):
    """
    What a service that answers with a configured response takes: C{self["response"]} is what to
    answer, in bytes.
    """

    optParameters = [
        ["response", "r", None, "What to answer. [default: response data]"],
        ["response-file", None, None, "A file to read the answer from, once, at the start."],
    ]

    def postOptions(self) -> None:
        super().postOptions()
        text, path = self["response"], self["response-file"]
        if path is None:
            self["response"] = os.fsencode("response data" if text is None else text)
            return
        if text is not None:
            raise UsageError("--response and --response-file exclude each other: give one")
        try:
            with open(path, "rb") as file:
                self["response"] = file.read()
        except OSError as error:
            raise UsageError(f"--response-file {path!r}: {error.strerror}") from error
