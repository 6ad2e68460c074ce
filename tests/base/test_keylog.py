"""
Tests for L{netkit.base.keylog}, beside those of real clients in C{tests/interop/test_capture.py}.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from twisted.internet import reactor
from twisted.internet.interfaces import IReactorFromThreads

from netkit.base.keylog import KeyLog


@pytest.mark.parametrize("read", [False, True])
def test_a_fifo_is_refused(tmp_path: Path, read: bool) -> None:
    """
    Whether anybody reads it: whoever does may stall, and OpenSSL waits for it.
    """
    path = str(tmp_path / "fifo")
    os.mkfifo(path)
    reader = os.open(path, os.O_RDONLY | os.O_NONBLOCK) if read else None
    with pytest.raises(OSError, match=r"hold up all connections|No such device") as caught:
        KeyLog(path, IReactorFromThreads(reactor)).start()
    assert caught.value.filename == path
    if reader is not None:
        os.close(reader)
