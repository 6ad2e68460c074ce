"""
An authority in a folder.
"""

from __future__ import annotations

import getpass
import os
import socket
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, load_pem_private_key

try:
    import trustme
except ImportError as error:
    raise ImportError(
        "a CA of one's own needs trustme: pip install 'txnetkit[tls]', or trustme itself"
    ) from error

#: The files in an authority's folder: what clients are to trust, and what nobody is to have.
CERTIFICATE = "ca.pem"
KEY = "ca-key.pem"

# Clients of Apple's refuse a server's certificate that is valid for more than 825 days.
_VALID = timedelta(days=397)

# The clock of another machine may be a little behind.
_BEFORE = timedelta(days=1)


class AuthorityError(Exception):
    """
    There is no authority, or none that can be used; the message says what to do.
    """


class Authority:
    """
    An authority, which issues certificates.

    @ivar folder: where its files are.
    """

    def __init__(self, folder: Path) -> None:
        """
        Read its files.

        @param folder: where they are.
        @raise AuthorityError: there are none that can be used.
        """
        self.folder = folder
        try:
            mode = (folder / KEY).stat().st_mode
            certificate, key = (folder / CERTIFICATE).read_bytes(), (folder / KEY).read_bytes()
        except FileNotFoundError as error:
            raise AuthorityError(
                f"{str(folder)!r}: there is no CA here: make one with netkit ca"
            ) from error
        except OSError as error:
            raise AuthorityError(f"{error.filename!r}: {error.strerror}") from error
        if mode & 0o077:
            raise AuthorityError(
                f"{str(folder / KEY)!r} can be read by others, who can pose as any server then: "
                "throw the CA away and make another, or chmod 600 it"
            )
        try:
            self._authority = trustme.CA.from_pem(certificate, key)
        except ValueError as error:
            raise AuthorityError(f"{str(folder)!r}: the CA here is broken: {error}") from error

    @classmethod
    def make(cls, folder: Path) -> Authority:
        """
        Make one, unless there is one.

        @param folder: where its files are to be; made as well, for its owner alone.
        @raise AuthorityError: they cannot be there.
        """
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            if not (folder / KEY).exists() and not (folder / CERTIFICATE).exists():
                made = trustme.CA(
                    organization_name="netkit throw-away CA",
                    organization_unit_name=f"{_user()}@{socket.gethostname()}",
                    # It signs servers' certificates, and no other authority's.
                    path_length=0,
                )
                _write(folder / KEY, made.private_key_pem.bytes(), 0o600)
                _write(folder / CERTIFICATE, made.cert_pem.bytes(), 0o644)
        except OSError as error:
            raise AuthorityError(f"{error.filename!r}: {error.strerror}") from error
        return cls(folder)

    @property
    def path(self) -> Path:
        """
        The file of the certificate that clients are to trust.
        """
        return self.folder / CERTIFICATE

    @property
    def name(self) -> str:
        """
        What the certificate is called where trusted ones are listed.
        """
        certificate = x509.load_pem_x509_certificate(self._authority.cert_pem.bytes())
        return ", ".join(str(attribute.value) for attribute in certificate.subject)

    @property
    def fingerprint(self) -> str:
        """
        The SHA-256 of the certificate, as browsers show it.
        """
        certificate = x509.load_pem_x509_certificate(self._authority.cert_pem.bytes())
        return sha256(certificate.public_bytes(Encoding.DER)).digest().hex(":").upper()

    def issue(self, *names: str) -> tuple[x509.Certificate, object]:
        """
        Issue a certificate.

        @param names: the names and addresses of the hosts that it is for.
        @return: the certificate, and its key.
        @raise ValueError: a name can be no host's.
        """
        now = datetime.now(UTC)
        issued = self._authority.issue_cert(
            *names,
            organization_name="netkit",
            organization_unit_name="of a throw-away CA",
            not_before=now - _BEFORE,
            not_after=now + _VALID,
        )
        return (
            x509.load_pem_x509_certificate(issued.cert_chain_pems[0].bytes()),
            load_pem_private_key(issued.private_key_pem.bytes(), None),
        )


def defaultFolder() -> Path:
    """
    Tell where a user's authority is when nothing else is said.
    """
    data = os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share"
    return Path(data) / "netkit" / "ca"


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        # The user has no name.
        return str(os.getuid())


def _write(path: Path, octets: bytes, mode: int) -> None:
    # What is there, or is a link, is not written to.
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
    with open(descriptor, "wb") as file:
        file.write(octets)
