"""
A missing peer is never passed over in silence.
"""

from __future__ import annotations

import pytest

from tests.interop.peers import requireNpm, requirePeer


def test_a_missing_peer_is_skipped(monkeypatch: pytest.MonkeyPatch) -> None:
    """
    On a developer's machine the test is skipped, with the reason.
    """
    monkeypatch.delenv("NETKIT_REQUIRE_PEERS", raising=False)
    with pytest.raises(pytest.skip.Exception, match="no-such-program is not installed"):
        requirePeer("no-such-program")
    with pytest.raises(pytest.skip.Exception, match=r"no-such-package is|node is"):
        requireNpm("no-such-package")


def test_a_missing_peer_fails_where_all_are_required(monkeypatch: pytest.MonkeyPatch) -> None:
    """
    Where every peer has to be there, the test fails.
    """
    monkeypatch.setenv("NETKIT_REQUIRE_PEERS", "1")
    with pytest.raises(pytest.fail.Exception, match="no-such-program is not installed"):
        requirePeer("no-such-program")
