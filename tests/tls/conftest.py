"""
Fixtures of the tests for TLS.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.certificates import Authority


@pytest.fixture(scope="session")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="session")
def pem(authority: Authority) -> Path:
    """
    The key and the certificate of localhost.
    """
    return authority.issue("localhost")
