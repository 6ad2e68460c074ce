"""
tlsfuzzer against netkit's TLS: C{python -m compliance.tls FOLDER}.

FOLDER is a checkout of U{https://github.com/tlsfuzzer/tlsfuzzer}; its scripts, which need
tlslite-ng 0.9, are run by this Python, or by the one that C{NETKIT_TLSFUZZER_PYTHON} names.
"""

from __future__ import annotations

import argparse
import os
import re
import signal
import socket
import subprocess
import sys
import sysconfig
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

_TWISTD = str(Path(sysconfig.get_path("scripts")) / "twistd")
_PATIENCE = 600.0

_OPENSSL = "OpenSSL 3.0 sends another alert, or none"
_OLD = "TLS 1.0 and 1.1 are not spoken, nor ciphers without authentication or forward secrecy"

# The scripts, which of their conversations may fail, by a pattern for the names, and why.
EXPLAINED: dict[str, dict[str, str]] = {
    "downgrade-protection": {".*": _OLD},
    "sslv2-connection": {},
    "tls13-0rtt-garbage": {".*downgrade to TLS 1.2.*": _OLD},
    "tls13-ccs": {},
    "tls13-connection-abort": {},
    "tls13-conversation": {},
    "tls13-empty-alert": {},
    "tls13-finished": {"padding.*": _OPENSSL},
    "tls13-hrr": {},
    "tls13-keyupdate": {
        "large KeyUpdate message": _OPENSSL,
        "app data split, conversation with KeyUpdate msg": (
            "OpenSSL answers it in front of the next record, as RFC 8446 section 4.6.3 asks"
        ),
    },
    "tls13-legacy-version": {r"version \(3, 0\)": _OPENSSL},
    "tls13-multiple-ccs-messages": {".*": _OPENSSL},
    "tls13-nociphers": {},
    "tls13-record-layer-limits": {
        "(max size|too big).*": "OpenSSL 3.0 counts padding against the limit"
    },
    "tls13-record-padding": {},
    "tls13-serverhello-random": {},
    "tls13-session-resumption": {},
    "tls13-symetric-ciphers": {".*_CCM_.*": "AES-CCM is not spoken"},
    "tls13-unencrypted-alert": {},
    "tls13-unrecognised-groups": {},
    "tls13-version-negotiation": {"fallback .*": _OLD},
    "tls13-zero-content-type": {},
    "tls13-zero-length-data": {},
}


def run(folder: Path, name: str, port: int) -> bool:
    """
    Run a script, and say what came of it.

    @param folder: the checkout.
    @return: whether all that failed is explained.
    """
    done = subprocess.run(
        [
            os.environ.get("NETKIT_TLSFUZZER_PYTHON", sys.executable),
            *(f"scripts/test-{name}.py", "-h", "127.0.0.1", "-p", str(port), "-n", "20"),
        ],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(folder)},
        capture_output=True,
        text=True,
        timeout=_PATIENCE,
        check=False,
    )
    passed = re.search(r"^PASS: (\d+)$", done.stdout, re.MULTILINE)
    if passed is None:
        print(f"{name}: it does not run:\n{done.stdout[-500:]}{done.stderr[-500:]}")
        return False
    failed = re.findall(r"^\t'(.*)'$", done.stdout.partition("\nFAILED:")[2], re.MULTILINE)
    reasons = EXPLAINED.get(name, {})
    unexplained = [
        conversation
        for conversation in failed
        if not any(re.fullmatch(pattern, conversation) for pattern in reasons)
    ]
    print(f"{name}: {passed[1]} passed, {len(failed)} failed, {len(unexplained)} unexplained")
    for conversation in unexplained:
        print(f"    {conversation}")
    return not unexplained


def certificate(path: Path) -> None:
    """
    Write a key of RSA, which the scripts expect, and a certificate for it.
    """
    key = rsa.generate_private_key(65537, 2048)
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), False)
        .sign(key, hashes.SHA256())
    )
    path.write_bytes(
        key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        + made.public_bytes(Encoding.PEM)
    )


@contextmanager
def served() -> Iterator[int]:
    """
    Run netkit-http with TLS, and give its port.
    """
    with tempfile.TemporaryDirectory() as folder:
        pem = Path(folder) / "server.pem"
        certificate(pem)
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = free.getsockname()[1]
        endpoint = f"ssl:{port}:interface=127.0.0.1:privateKey={pem}"
        command = [sys.executable, _TWISTD, "-n", "--pidfile=", "netkit-http", "-l", endpoint]
        with subprocess.Popen([*command, "--format=none"], stdout=subprocess.DEVNULL) as server:
            try:
                for _ in range(100):
                    try:
                        socket.create_connection(("127.0.0.1", port)).close()
                        break
                    except OSError:
                        time.sleep(0.1)
                yield port
            finally:
                server.send_signal(signal.SIGTERM)


def main(arguments: Sequence[str] | None = None) -> int:
    """
    Do it.

    @return: the exit status: 0 if each conversation passed, or its failure is explained.
    """
    parser = argparse.ArgumentParser(prog="python -m compliance.tls", description=__doc__)
    parser.add_argument("folder", type=Path, help="the checkout of tlsfuzzer")
    parser.add_argument("script", nargs="*", help="as tls13-ccs; by default, those that apply")
    given = parser.parse_args(arguments)
    with served() as port:
        good = [run(given.folder, name, port) for name in given.script or EXPLAINED]
    return 0 if all(good) else 1


if __name__ == "__main__":
    sys.exit(main())
