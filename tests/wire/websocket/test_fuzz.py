"""
A moment of L{tests.wire.websocket.fuzz}: the same sequences each time.
"""

from __future__ import annotations

import random

import pytest

from tests.wire.websocket.fuzz import HANDSHAKES, SEEDS, receive, shake, step


@pytest.mark.parametrize("client", [False, True])
@pytest.mark.parametrize("deflate", [False, True])
def test_the_seeds(client: bool, deflate: bool) -> None:
    for octets in SEEDS:
        single = [octets[at : at + 1] for at in range(min(len(octets), 2000))]
        whole = receive([octets[:2000]], client, deflate)
        assert receive(single, client, deflate) == whole
    for octets in HANDSHAKES:
        shake(octets)


@pytest.mark.parametrize("seed", range(10))
def test_some_sequences(seed: int) -> None:
    chance = random.Random(seed)
    for _ in range(100):
        step(chance)
