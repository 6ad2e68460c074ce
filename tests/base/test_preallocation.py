"""
Tests for L{netkit.base.preallocation}.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from netkit.base.preallocation import preallocate


def test_a_file_has_room_and_stays_as_long(tmp_path: Path) -> None:
    with (tmp_path / "file").open("wb") as file:
        if not preallocate(file.fileno(), 0, 2**20):
            pytest.skip("the file system has no fallocate(2)")
        taken = os.fstat(file.fileno())
        assert taken.st_size == 0
        assert taken.st_blocks * 512 >= 2**20
        os.ftruncate(file.fileno(), 0)
        assert os.fstat(file.fileno()).st_blocks == 0


def test_what_is_no_file_has_none() -> None:
    reading, writing = os.pipe()
    try:
        assert not preallocate(writing, 0, 2**20)
    finally:
        os.close(reading)
        os.close(writing)
