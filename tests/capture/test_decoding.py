"""
Tests for L{netkit.capture.decoding}.
"""

from __future__ import annotations

import gzip
import sys
import zlib

import pytest

from netkit.capture.decoding import Undecodable, decoded

TEXT = b"the same and the same and the same " * 1000


def zipped(content: bytes) -> bytes:
    """
    The same each time, as the names of tests are.
    """
    return gzip.compress(content, mtime=0)


def raw(content: bytes) -> bytes:
    return zlib.compress(content)[2:-4]


@pytest.mark.parametrize(
    ("content", "codings"),
    [
        (TEXT, ""),
        (TEXT, "identity"),
        (zipped(TEXT), "gzip"),
        (zipped(TEXT), "X-GZip"),
        (zipped(TEXT[:500]) + zipped(TEXT[500:]), "gzip"),
        (zlib.compress(TEXT), "deflate"),
        (raw(TEXT), "deflate"),
        (zipped(zlib.compress(TEXT)), "deflate, gzip"),
    ],
)
@pytest.mark.parametrize("size", [1, 1000, 10**6])
def test_codings(content: bytes, codings: str, size: int) -> None:
    pieces = [content[start : start + size] for start in range(0, len(content), size)]
    assert decoded(pieces, codings) == TEXT


@pytest.mark.parametrize(
    ("content", "codings", "message"),
    [
        (TEXT, "gzip", "incorrect header"),
        (TEXT, "deflate", "invalid|incorrect"),
        (zipped(TEXT)[:-20], "gzip", "cut short"),
        (TEXT, "snappy", "'snappy' is unknown"),
        (zipped(bytes(10**7)), "gzip", "more than 1000000"),
    ],
)
def test_what_cannot_be_decoded(content: bytes, codings: str, message: str) -> None:
    with pytest.raises(Undecodable, match=message):
        decoded([content], codings, 10**6)


@pytest.mark.parametrize(("coding", "package"), [("br", "brotli"), ("zstd", "zstandard")])
def test_a_package_that_is_not_there(
    coding: str, package: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(Undecodable, match=f"{package}, which is not installed"):
        decoded([TEXT], coding)
