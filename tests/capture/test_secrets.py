"""
What of a recording is nobody's business.
"""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from netkit.capture.secrets import masked
from netkit.wire.recording import Direction, Event, Octets


def hidden(stream: bytes, *contents: tuple[int, int | None]) -> bytes:
    event = Octets(1, 0, Direction.RECEIVED, stream, len(stream))
    spans = [(Direction.RECEIVED, *span) for span in contents]
    (found,) = masked([event], spans, {})
    assert isinstance(found, Octets)
    return found.data


def test_values_are_masked_and_as_long_as_they_were() -> None:
    head = b"GET / HTTP/1.1\r\ncookie: a=b\r\n c=d\r\nX: y\r\nAuthorization:Basic x\r\n\r\n"
    assert hidden(head) == head.replace(b"a=b\r\n c=d", b"***\r\n****").replace(
        b"Basic x", b"*******"
    )


def test_content_is_no_secret() -> None:
    said = b"Cookie: 1\n\nCookie: 2\n\nCookie: 3\n"
    assert hidden(said, (22, None), (0, 11)) == said.replace(b"2", b"*")


def test_pieces_are_masked_where_they_stand() -> None:
    pieces: list[Event] = [Octets(1, 0, Direction.SENT, b, 3) for b in (b"coo", b"kie", b":ab")]
    found = masked([*pieces, pieces[0]], [], {})
    assert [each.data for each in found if isinstance(each, Octets)] == [
        b"coo",
        b"kie",
        b":**",
        b"***",
    ]


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(
        st.sampled_from(
            [b"cookie", b":", b"a", b"\n", b"\r\n", b" ", b"\t", b"\nAuthorization: x", b"\n b"]
        ),
        max_size=30,
    )
)
def test_what_is_looked_at_in_parts_is_masked_as_in_one(
    monkeypatch: pytest.MonkeyPatch, words: Any
) -> None:
    stream = b"".join(words)
    whole = hidden(stream)
    with monkeypatch.context() as patch:
        patch.setattr("netkit.capture.secrets._PART", 5)
        assert hidden(stream) == whole
