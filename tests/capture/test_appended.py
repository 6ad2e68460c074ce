"""
Tests for L{netkit.capture.appended}.
"""

from __future__ import annotations

import errno
import fcntl
import os
from collections.abc import Sequence
from pathlib import Path
from random import Random
from typing import Any

import pytest

from netkit.capture import appended
from netkit.capture.appended import AppendedFile

MIB = 2**20


def pieces(random: Random, total: int) -> list[bytes]:
    """
    Pieces of all sizes, so many octets together.
    """
    made: list[bytes] = []
    left = total
    while left:
        made.append(random.randbytes(min(left, random.choice((1, 100, 4096, 20_000, 3 * MIB)))))
        left -= len(made[-1])
    return made


class Directly:
    """
    Sees which writes go past the page cache, and has a device of its own behind them.

    @ivar count: how many octets they were to write.
    """

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.count = 0
        self.refuses = self.isFull = False
        self.takesSeconds = 0.0
        self._now = 0.0
        self._direct = False
        monkeypatch.setattr(appended, "fcntl", self)
        monkeypatch.setattr(appended, "os", self)
        monkeypatch.setattr(appended, "monotonic", lambda: self._now)

    def __getattr__(self, name: str) -> Any:
        return getattr(fcntl if name.startswith("F_") else os, name)

    def fcntl(self, descriptor: int, command: int, flags: int = 0) -> int:
        if command == fcntl.F_SETFL:
            self._direct = bool(flags & os.O_DIRECT)
            if self._direct and self.refuses:
                raise OSError(errno.EINVAL, "Invalid argument")
        # Not every file system that tests run on can do it.
        return fcntl.fcntl(descriptor, command, flags & ~os.O_DIRECT)

    def write(self, descriptor: int, octets: memoryview) -> int:
        assert self._direct
        assert len(octets) % 4096 == os.lseek(descriptor, 0, os.SEEK_END) % 4096 == 0
        self.count += len(octets)
        self._now += self.takesSeconds
        return os.write(descriptor, octets[: len(octets) // 2 - 7] if self.isFull else octets)

    def later(self) -> None:
        self._now += 10


def append(file: AppendedFile, some: Sequence[bytes]) -> bytes:
    file.append(some)
    return b"".join(some)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "file"


@pytest.mark.parametrize("seed", range(5))
def test_every_octet(path: Path, seed: int) -> None:
    """
    Little and much by turns, on the file system that is there.
    """
    random = Random(seed)
    file = AppendedFile(path)
    expected = b""
    for total in random.sample(
        (1, 4096, 5000, 131_072, MIB, MIB + 1, 2 * MIB - 4096, 3_000_001), 6
    ):
        expected += append(file, pieces(random, total))
        assert path.read_bytes() == expected
        assert file.length == len(expected)
    file.close()


def test_much_goes_past_the_page_cache(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    directly = Directly(monkeypatch)
    random = Random(0)
    file = AppendedFile(path)
    expected = append(file, pieces(random, 100_000))
    assert directly.count == 0
    for _ in range(3):
        expected += append(file, pieces(random, 2_500_001))
    assert path.read_bytes() == expected
    # All but what is before the first whole block and behind the last one.
    assert 3 * (2_500_001 - 2 * 4096) < directly.count <= 3 * 2_500_001


def test_a_file_system_that_cannot(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    directly = Directly(monkeypatch)
    directly.refuses = True
    file = AppendedFile(path)
    assert append(file, pieces(Random(0), 3 * MIB)) == path.read_bytes()
    assert directly.count == 0


def test_a_slow_device_has_the_page_cache(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    directly = Directly(monkeypatch)
    file = AppendedFile(path)
    directly.takesSeconds = 1.0
    expected = append(file, pieces(Random(0), 3 * MIB))
    assert directly.count == MIB
    directly.later()
    directly.takesSeconds = 0.001
    expected += append(file, [bytes(3 * MIB)])
    assert path.read_bytes() == expected
    assert directly.count == 4 * MIB


def test_a_full_disk(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """
    It takes a part of what goes past the page cache, and nothing of the rest.
    """

    def full(descriptor: int, octets: memoryview) -> None:
        if octets:
            raise OSError(errno.ENOSPC, "No space left on device")

    directly = Directly(monkeypatch)
    file = AppendedFile(path)
    before = append(file, [b"x" * 4096])
    directly.isFull = True
    with monkeypatch.context() as patched:
        patched.setattr(appended, "writeAll", full)
        with pytest.raises(OSError, match="No space"):
            file.append([bytes(MIB)])
    assert directly.count
    assert path.read_bytes() == before
    directly.isFull = False
    assert append(file, pieces(Random(0), MIB)) == path.read_bytes()[4096:]
