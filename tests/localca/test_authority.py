"""
Tests for L{netkit.localca.authority}.
"""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509

from netkit.localca.authority import CERTIFICATE, KEY, Authority, AuthorityError, defaultFolder


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "parent" / "ca"


def test_made_for_its_owner_alone(folder: Path) -> None:
    before = os.umask(0)
    try:
        authority = Authority.make(folder)
    finally:
        os.umask(before)
    assert folder.stat().st_mode & 0o777 == 0o700
    assert (folder / KEY).stat().st_mode & 0o777 == 0o600
    assert authority.path == folder / CERTIFICATE
    certificate = x509.load_pem_x509_certificate(authority.path.read_bytes())
    basic = certificate.extensions.get_extension_for_class(x509.BasicConstraints).value
    assert basic.ca
    assert basic.path_length == 0
    assert "throw-away" in authority.name
    assert len(authority.fingerprint) == 32 * 3 - 1


def test_made_once(folder: Path) -> None:
    first = Authority.make(folder)
    assert Authority.make(folder).fingerprint == first.fingerprint
    assert Authority(folder).fingerprint == first.fingerprint


def test_what_it_issues(folder: Path) -> None:
    authority = Authority.make(folder)
    certificate, _ = authority.issue("a.example", "::1")
    root = x509.load_pem_x509_certificate(authority.path.read_bytes())
    certificate.verify_directly_issued_by(root)
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == ["a.example"]
    assert [str(each) for each in names.get_values_for_type(x509.IPAddress)] == ["::1"]
    now = datetime.now(UTC)
    assert certificate.not_valid_before_utc < now
    assert now + timedelta(days=300) < certificate.not_valid_after_utc < now + timedelta(days=800)


def test_there_is_none(folder: Path) -> None:
    with pytest.raises(AuthorityError, match="netkit ca"):
        Authority(folder)


@pytest.mark.parametrize("name", [KEY, CERTIFICATE])
def test_one_half_is_missing(folder: Path, name: str) -> None:
    Authority.make(folder)
    (folder / name).unlink()
    with pytest.raises(AuthorityError):
        Authority.make(folder)


@pytest.mark.parametrize("name", [KEY, CERTIFICATE])
def test_one_that_is_broken(folder: Path, name: str) -> None:
    Authority.make(folder)
    (folder / name).write_text("-----BEGIN")
    with pytest.raises(AuthorityError, match="broken"):
        Authority(folder)


def test_a_key_that_others_can_read(folder: Path) -> None:
    Authority.make(folder)
    (folder / KEY).chmod(0o640)
    with pytest.raises(AuthorityError, match="chmod 600"):
        Authority(folder)


def test_a_folder_that_is_none(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(AuthorityError, match="Not a directory"):
        Authority.make(tmp_path / "file" / "ca")


def test_what_is_there_is_not_written_to(folder: Path, tmp_path: Path) -> None:
    folder.mkdir(parents=True)
    (folder / KEY).symlink_to(tmp_path / "elsewhere")
    with pytest.raises(AuthorityError):
        Authority.make(folder)
    assert not (tmp_path / "elsewhere").exists()


def test_where_it_is_by_default(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", "/data")
    assert defaultFolder() == Path("/data/netkit/ca")
    monkeypatch.delenv("XDG_DATA_HOME")
    monkeypatch.setenv("HOME", "/home/me")
    assert defaultFolder() == Path("/home/me/.local/share/netkit/ca")
