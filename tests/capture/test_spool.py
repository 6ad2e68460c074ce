"""
Tests for L{netkit.capture.views.spool}.
"""

from __future__ import annotations

import os
import tracemalloc
from pathlib import Path

import pytest

from netkit.capture.views.spool import Data, Spool


def content(data: Data) -> bytes:
    return b"".join(data.pieces())


def openFiles() -> int:
    return len(os.listdir("/proc/self/fd"))


def test_what_fits_is_in_memory() -> None:
    before = openFiles()
    spool = Spool(1000)
    data = Data(spool)
    for piece in (b"a" * 400, b"", b"b" * 600):
        data.write(piece)
    assert openFiles() == before
    assert len(data) == spool.used == 1000
    assert content(data) == content(data) == b"a" * 400 + b"b" * 600
    data.close()
    assert spool.used == 0


def test_what_does_not_fit_is_in_a_file() -> None:
    before = openFiles()
    spool = Spool(200_000)
    data = [Data(spool) for _ in range(100)]
    for number in range(100_000):
        data[number % 100].write(b"%05d" % number)
    assert spool.used <= 200_000 + 100 * 1024
    # One file for all of them.
    assert openFiles() == before + 1
    for first, each in enumerate(data):
        assert content(each) == b"".join(b"%05d" % n for n in range(first, 100_000, 100))
        each.close()
    assert openFiles() == before
    assert spool.used == 0


def test_files_do_not_grow_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("netkit.capture.views.spool._FILE", 10_000)
    before = openFiles()
    spool = Spool(0)
    stays = Data(spool)
    stays.write(b"stays" * 1000)
    for _ in range(100):
        data = Data(spool)
        data.write(b"x" * 5000)
        data.close()
    assert openFiles() <= before + 2
    assert content(stays) == b"stays" * 1000
    stays.close()


def test_there_is_no_room(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "nowhere"))
    data = Data(Spool(10_000))
    data.write(b"within" * 1000)
    data.write(b"beyond" * 1000)
    assert content(data) == b"within" * 1000
    assert data.lost == 6000


def test_small_pieces_share_their_price() -> None:
    """
    A client that sends octet by octet takes about the memory of the octets.
    """
    data = Data(Spool())
    tracemalloc.start()
    try:
        for _ in range(100_000):
            data.write(b"x")
        taken, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert content(data) == b"x" * 100_000
    assert taken < 300_000
