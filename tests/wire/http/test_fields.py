"""
Tests for L{netkit.wire.http.fields}: RFC 9110 section 5.
"""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netkit.wire.errors import LocalProtocolError
from netkit.wire.http import Fields
from netkit.wire.http.fields import encode_fields, show, split_list

FIELDS = Fields(b"A: 1\r\nb:2\r\nA: \t3, ,4\t\r\n\r\n")


def test_fields_are_found_in_any_case_and_in_their_order() -> None:
    assert FIELDS.pairs == ((b"A", b"1"), (b"b", b"2"), (b"A", b"3, ,4"))
    assert list(FIELDS) == list(FIELDS.pairs)
    assert len(FIELDS) == 3
    assert FIELDS.get(b"a") == b"1"
    assert FIELDS.all(b"a") == [b"1", b"3, ,4"]
    assert FIELDS.elements(b"a") == [b"1", b"3", b"4"]
    assert b"B" in FIELDS
    assert b"c" not in FIELDS
    assert FIELDS.get(b"c") is None
    assert FIELDS.get(b"c", b"") == b""
    assert FIELDS.all(b"c") == []
    assert "b'A'" in repr(FIELDS)


def test_no_fields() -> None:
    assert list(Fields()) == []
    assert Fields().raw == b"\r\n"


def test_rfc9110_5_6_1_empty_elements_of_a_list_are_ignored() -> None:
    assert split_list(b",a,\t, b c ,") == [b"a", b"b c"]
    assert split_list(b"") == []


@pytest.mark.parametrize(
    "pair",
    [
        (b"", b"v"),
        (b"a b", b"v"),
        (b"a:", b"v"),
        (b"a\r\nb", b"v"),
        (b"\xe4", b"v"),
        (b"a", b"v\r\nInjected: yes"),
        (b"a", b"v\nInjected: yes"),
        (b"a", b"v\rInjected: yes"),
        (b"a", b"v\x00"),
        (b"a", b"\x7f"),
    ],
)
def test_nothing_can_be_injected(pair: tuple[bytes, bytes]) -> None:
    with pytest.raises(LocalProtocolError) as caught:
        encode_fields([(b"x", b"y"), pair])
    assert repr(pair[0]) in str(caught.value)


_TOKENS = st.text("!#$%&'*+-.^_`|~azAZ09", min_size=1).map(str.encode)
_VALUES = st.binary().map(lambda value: bytes(b for b in value if b > 31 and b != 127))


@given(st.lists(st.tuples(_TOKENS, _VALUES)))
def test_what_is_encoded_is_read_back(pairs: list[tuple[bytes, bytes]]) -> None:
    fields = Fields(encode_fields(pairs) + b"\r\n")
    assert fields.pairs == tuple((name, value.strip(b" ")) for name, value in pairs)


def test_what_is_shown_is_cut() -> None:
    assert show(b"\x00a\r\n\xff") == r'"\x00a\r\n\xff"'
    assert show(b'a"b\\') == r'"a\"b\\"'
    assert show(b"a" * 1000).endswith('a"...')
    assert len(show(b"a" * 1000)) < 100
