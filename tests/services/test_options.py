"""
Tests for L{netkit.services.options}.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from twisted.python.usage import Options as UsageOptions
from twisted.python.usage import UsageError

from netkit.capture import printed, ring
from netkit.service import CannotStart
from netkit.services import echo, printrespond
from netkit.services.options import FORMATS, SELECTIONS, ServiceOptions


def parsed(*arguments: str) -> ServiceOptions:
    options = printrespond.Options()
    options.parseOptions(list(arguments))
    return options


def test_defaults() -> None:
    options = parsed()
    assert options["listen"] == ["tcp:3201:interface=127.0.0.1"]
    assert (options["output"], options["format"]) == ("-", "text")
    assert options["response"] == b"response data"
    assert options["max-content"] == 64 * 2**20
    assert options.limits() == {
        "maxConnections": 10_000,
        "maxBuffered": 256 * 2**20,
        "idleTimeout": 600.0,
    }


def test_echo_prints_nothing_unless_asked() -> None:
    options = echo.Options()
    options.parseOptions([])
    assert options["format"] == "none"


def test_several_listeners() -> None:
    options = parsed("-l", "tcp:1", "--listen", "unix:/x", "--listen=tcp:2:interface=\\:\\:1")
    assert options["listen"] == ["tcp:1", "unix:/x", "tcp:2:interface=\\:\\:1"]


def test_values() -> None:
    options = parsed(
        *["--max-content=7", "--idle-timeout=0.5", "--grace=0"],
        *["--max-connections=0", "--max-buffered=9"],
    )
    assert options["max-content"] == 7
    assert options["grace"] == 0.0
    assert options.limits() == {"maxConnections": 0, "maxBuffered": 9, "idleTimeout": 0.5}


@pytest.mark.parametrize(
    ("arguments", "names"),
    [
        (["-l", "9872"], ["'9872'", "tcp:9872"]),
        (["-l", "nosuch:1"], ["'nosuch:1'"]),
        (["-l", "tcp"], ["'tcp'"]),
        (["-l", "tcp:abc"], ["'tcp:abc'", "'abc'"]),
        (["-l", ""], ["''"]),
        (["--format", "xml"], ["'xml'", "text, hex, json, none"]),
        (["--max-content", "minus"], ["--max-content", "'minus'"]),
        (["--max-content", "-1"], ["--max-content", "'-1'"]),
        (["--max-content", "\u0661"], ["--max-content"]),
        (["--max-connections", "1.5"], ["--max-connections", "'1.5'"]),
        (["--idle-timeout", "soon"], ["--idle-timeout", "'soon'"]),
        (["--idle-timeout", "nan"], ["--idle-timeout", "'nan'"]),
        (["--grace", "inf"], ["--grace", "'inf'"]),
        (["--grace", "-1"], ["--grace", "'-1'"]),
        (["tcp:1"], ["'tcp:1'"]),
        (["--until", "never"], ["--until", "'never'", "end", "line", "idle:SECONDS"]),
        (["--until", "idle:soon"], ["--until", "'soon'"]),
        (["--response", "x", "--response-file", "y"], ["--response-file"]),
        (["--response-file", "/no/such/file"], ["'/no/such/file'", "No such file"]),
        (["--nosuch"], ["--nosuch"]),
    ],
)
def test_a_mistake_is_one_clear_line(arguments: list[str], names: list[str]) -> None:
    with pytest.raises(UsageError) as caught:
        parsed(*arguments)
    line = str(caught.value)
    assert "\n" not in line
    for name in names:
        assert name in line


def test_a_mistake_on_a_command_line_ends_the_process_with_the_line_alone() -> None:
    class Runner(UsageOptions):
        subCommands = [["netkit-print-respond", None, printrespond.Options, "..."]]

    with pytest.raises(CannotStart) as caught:
        Runner().parseOptions(["netkit-print-respond", "--grace", "x"])
    assert caught.value.code == (
        "netkit-print-respond: --grace takes a number of seconds, 0 or more, not 'x'"
    )


def test_response_text() -> None:
    assert parsed("--response", "fine \N{WHITE SMILING FACE}")["response"] == "fine ☺".encode()
    assert parsed("--response", "")["response"] == b""


def test_response_octets_of_the_command_line() -> None:
    # An argument that is not UTF-8 reaches Python as lone surrogates.
    assert parsed("--response", "\udcff")["response"] == b"\xff"


def test_response_file(tmp_path: Path) -> None:
    path = tmp_path / "response"
    path.write_bytes(b"\x00\xff")
    assert parsed("--response-file", str(path))["response"] == b"\x00\xff"


def test_help_tells_where_it_listens() -> None:
    assert "tcp:3201:interface=127.0.0.1" in str(printrespond.Options())


def test_what_the_options_take_is_what_there_is() -> None:
    """
    They are known before that is loaded.
    """
    assert list(FORMATS) == list(printed.FORMATS)
    assert list(SELECTIONS) == list(printed.Selection)
    assert echo.Options()["inspect-buffer"] == ring.SIZE
