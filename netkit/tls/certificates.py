"""
The certificates that a TLS server shows, from files in PEM that are read again when they change.
"""

from __future__ import annotations

import os
import ssl
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Never

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)
from twisted.logger import Logger

_log = Logger()

_BEGIN = b"-----BEGIN "


class Credentials:
    """
    A certificate, the chain of those that vouch for it, and its private key.

    @ivar names: the names of the hosts that it is for.
    """

    def __init__(
        self,
        key: PrivateKeyTypes,
        certificate: x509.Certificate,
        chain: Iterable[x509.Certificate],
    ) -> None:
        """
        @param key: the private key.
        @param certificate: the certificate for it.
        @param chain: those that vouch for it, the nearest one first.
        """
        self.names = tuple(_names(certificate))
        self._pem = b"".join(
            [
                key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()),
                *(each.public_bytes(Encoding.PEM) for each in (certificate, *chain)),
            ]
        )

    def use(self, context: ssl.SSLContext) -> None:
        """
        Have a context show the certificate.

        @raise ssl.SSLError: OpenSSL does not take it.
        """
        with _file(self._pem) as path:
            context.load_cert_chain(path)


@contextmanager
def _file(content: bytes) -> Iterator[str]:
    """
    Make a file of what Python's C{ssl} takes from files alone: one that nobody else sees.
    """
    if hasattr(os, "memfd_create"):
        descriptor = os.memfd_create("certificate", os.MFD_CLOEXEC)
        try:
            os.write(descriptor, content)
            yield f"/proc/self/fd/{descriptor}"
        finally:
            os.close(descriptor)
        return
    with tempfile.NamedTemporaryFile() as file:
        file.write(content)
        file.flush()
        yield file.name


class CertificateFiles:
    """
    One certificate, its key and its chain in a file each, or in fewer.
    """

    def __init__(self, certificate: Path, key: Path, chain: Path | None = None) -> None:
        """
        @param certificate: has the certificate, and maybe those that vouch for it.
        @param key: has the private key.
        @param chain: has more certificates that vouch for it.
        """
        self._certificate = certificate
        self._key = key
        self._chain = chain

    def paths(self) -> list[Path]:
        """
        Tell which files these are.
        """
        return [path for path in (self._certificate, self._key, self._chain) if path is not None]

    def load(self) -> list[Credentials]:
        """
        Read them.

        @raise OSError: one of them cannot be read.
        @raise ValueError: one of them has not in it what it should have.
        """
        [key, *_] = _keys(self._key) or _nothing(self._key, "private key")
        certificates = _certificates(self._certificate)
        certificate, *chain = certificates or _nothing(self._certificate, "certificate")
        if _public(key) != _public(certificate):
            raise ValueError(
                f"the private key in {str(self._key)!r} is not that of the certificate in "
                f"{str(self._certificate)!r}"
            )
        if self._chain is not None:
            chain += _certificates(self._chain) or _nothing(self._chain, "certificate")
        return [Credentials(key, certificate, chain)]


class CertificateFolder:
    """
    A folder of keys and certificates, in whichever of its files whose names end in C{.pem}, and of
    its folders: each key goes with its certificate, and each certificate with those that vouch for
    it. The first one in the order of the files' names is for whoever names no host, or an unknown
    one.
    """

    def __init__(self, path: Path) -> None:
        """
        @param path: the folder.
        """
        self._path = path

    def paths(self) -> list[Path]:
        """
        Tell which files it has.
        """
        if not self._path.is_dir():
            # This tells why.
            os.listdir(self._path)
        return sorted(path for path in self._path.rglob("*.pem") if path.is_file())

    def load(self) -> list[Credentials]:
        """
        Read them.

        @raise OSError: one of them cannot be read.
        @raise ValueError: there are no key and certificate that go together.
        """
        paths = self.paths()
        certificates = [each for path in paths for each in _certificates(path)]
        keys = {_public(key): key for path in paths for key in _keys(path)}
        issuers = {each.subject: each for each in certificates if _public(each) not in keys}
        found = [
            Credentials(keys[_public(each)], each, _chain(each, issuers))
            for each in certificates
            if _public(each) in keys
        ]
        if not found:
            raise ValueError(
                f"{str(self._path)!r}: no file in it that is called *.pem has a private key, or "
                "none the certificate for it"
            )
        return found


class Certificates:
    """
    What a server shows, as its files have it.

    @ivar current: the certificates, the one first that is for whoever names no host, or an unknown
        one.
    """

    # In seconds: how often it is looked whether files have changed, while clients come.
    PERIOD = 5.0

    def __init__(self, files: CertificateFiles | CertificateFolder) -> None:
        """
        @param files: where they are.
        @raise OSError: one of them cannot be read.
        @raise ValueError: one of them has not in it what it should have.
        """
        self._files = files
        self._looked = float("-inf")
        self._seen: object = self._state()
        self.current: Sequence[Credentials] = self._load()

    def reload(self) -> None:
        """
        Read the files. Where one of them is wrong, those that were read before go on to be shown.

        @raise OSError: one of them cannot be read.
        @raise ValueError: one of them has not in it what it should have.
        """
        self._seen = self._state()
        self.current = self._load()

    def refresh(self, now: float) -> None:
        """
        Read the files if they have changed. What is wrong with them is logged.

        @param now: what the clock says.
        """
        if now - self._looked < self.PERIOD:
            return
        self._looked = now
        try:
            state: object = self._state()
        except OSError as error:
            state = str(error)
        if state == self._seen:
            return
        self._seen = state
        try:
            self.current = self._load()
        except (OSError, ValueError) as error:
            _log.error(
                "the certificates of TLS changed, and are left as they were: {reason}",
                reason=reasonText(error),
            )
        else:
            _log.info("the certificates of TLS were read anew: their files have changed")

    def _load(self) -> list[Credentials]:
        credentials = self._files.load()
        for each in credentials:
            try:
                each.use(ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER))
            except ssl.SSLError as error:
                raise ValueError(f"OpenSSL does not take the certificate: {error}") from error
        return credentials

    def _state(self) -> object:
        state = []
        for path in self._files.paths():
            entry = path.stat()
            state.append((path, entry.st_mtime_ns, entry.st_size, entry.st_ino))
        return state


def reasonText(error: Exception) -> str:
    """
    Say what is wrong with a file.
    """
    if isinstance(error, OSError) and error.strerror:
        return f"{str(error.filename)!r}: {error.strerror}"
    return str(error)


def _blocks(path: Path, what: bytes) -> list[bytes]:
    """
    The parts of a file in PEM that are of a kind.
    """
    _, *blocks = path.read_bytes().split(_BEGIN)
    return [_BEGIN + block for block in blocks if what in block.partition(b"\n")[0]]


def _certificates(path: Path) -> list[x509.Certificate]:
    blocks = _blocks(path, b"CERTIFICATE")
    try:
        return [x509.load_pem_x509_certificate(block) for block in blocks]
    except ValueError as error:
        raise ValueError(f"{str(path)!r}: a certificate in it is none") from error


def _keys(path: Path) -> list[PrivateKeyTypes]:
    blocks = _blocks(path, b"PRIVATE KEY")
    try:
        return [load_pem_private_key(block, None) for block in blocks]
    except TypeError as error:
        raise ValueError(
            f"{str(path)!r}: the private key is encrypted, and nobody is there to ask for the "
            "passphrase; decrypt it: openssl pkey -in FILE -out FILE"
        ) from error
    except ValueError as error:
        raise ValueError(f"{str(path)!r}: a private key in it is none") from error


def _nothing(path: Path, what: str) -> list[Never]:
    raise ValueError(f"{str(path)!r}: no {what} is in it, in PEM: -----BEGIN {what.upper()}-----")


def _public(holder: PrivateKeyTypes | x509.Certificate) -> bytes:
    return holder.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def _chain(
    certificate: x509.Certificate, issuers: dict[x509.Name, x509.Certificate]
) -> Iterator[x509.Certificate]:
    seen = set()
    while (issuer := issuers.get(certificate.issuer)) is not None and issuer not in seen:
        yield issuer
        seen.add(issuer)
        certificate = issuer


def _names(certificate: x509.Certificate) -> Iterator[str]:
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        for attribute in certificate.subject.get_attributes_for_oid(x509.NameOID.COMMON_NAME):
            yield str(attribute.value).lower()
        return
    for name in names.get_values_for_type(x509.DNSName):
        yield name.lower()
