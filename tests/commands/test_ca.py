"""
Tests for C{netkit ca}.
"""

from __future__ import annotations

import os
import re
import subprocess
import sysconfig
from pathlib import Path

import pytest

from netkit.base.endpoints import serverEndpoint
from netkit.localca.authority import KEY, Authority

COMMAND = str(Path(sysconfig.get_path("scripts")) / "netkit")


def ca(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [COMMAND, "ca", *arguments],
        capture_output=True,
        text=True,
        env={**os.environ, **environment},
        check=False,
    )


def test_makes_one_and_says_how_to_trust_it(tmp_path: Path) -> None:
    first = ca(XDG_DATA_HOME=str(tmp_path))
    assert (first.returncode, first.stderr) == (0, "")
    authority = Authority(tmp_path / "netkit" / "ca")
    for said in ("curl --cacert", "NODE_EXTRA_CA_CERTS=", "SSL_CERT_FILE=", "certutil", "rm -r"):
        assert said in first.stdout
    assert authority.fingerprint in first.stdout
    assert str(authority.path) in first.stdout
    assert ca(XDG_DATA_HOME=str(tmp_path)).stdout == first.stdout


@pytest.mark.parametrize("name", ["mine", "a b", "it's:a=b\\c"])
def test_the_string_that_it_prints_is_one(tmp_path: Path, name: str) -> None:
    from twisted.internet import reactor

    folder = tmp_path / name
    said = ca(str(folder)).stdout
    found = re.search(r"-l (.*)", said)
    assert found is not None
    string = subprocess.run(
        ["sh", "-c", f"printf %s {found[1]}"], capture_output=True, text=True, check=True
    ).stdout
    assert serverEndpoint(reactor, string) is not None


def test_mistakes(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    done = ca(str(tmp_path / "file"))
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1
    Authority.make(tmp_path / "ca")
    (tmp_path / "ca" / KEY).chmod(0o644)
    done = ca(str(tmp_path / "ca"))
    assert done.returncode == 1
    assert "chmod 600" in done.stderr
    assert done.stderr.count("\n") == 1
