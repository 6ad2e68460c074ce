"""
A TLS connection between two buffers, in OpenSSL: by Python's own C{ssl} module, which costs the
least; and by pyOpenSSL, for whoever has a context of its kind.

Either has an C{incoming} buffer that takes what the peer sent, an C{outgoing} one that gives what
it is to be sent, and between them C{read} and C{write} of what is said. Each raises
C{ssl.SSLWantReadError} where the peer has to send something first; other errors are L{TLS_ERRORS}.
"""

from __future__ import annotations

import ssl
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any, Protocol

from OpenSSL import SSL
from OpenSSL.crypto import FILETYPE_ASN1, X509, load_certificate

from ..wire.clienthello import alpn_offer

#: What a TLS connection fails with.
TLS_ERRORS: tuple[type[Exception], ...] = (ssl.SSLError, SSL.Error)

#: How many octets a record has at most (RFC 8446 section 5.1).
RECORD = 2**14

# Of RFC 7301 section 3.2.
_NO_APPLICATION_PROTOCOL = 120


class IncomingBuffer(Protocol):
    """
    What the peer sent and was not read.
    """

    @property
    def pending(self) -> int:
        """
        How many octets it has; where that is not known, as many as a record has.
        """

    def write(self, octets: bytes, /) -> int:
        """
        Add what the peer sent.
        """


class OutgoingBuffer(Protocol):
    """
    What the peer is to be sent.
    """

    def read(self) -> bytes:
        """
        Take all that there is.
        """


class TLSConnection(Protocol):
    """
    A TLS connection, and the names that pyOpenSSL has for what may be asked of one: it is what
    C{getHandle} of the transport gives.

    @ivar refusal: why our side ended the handshake, where OpenSSL has no words for it.
    """

    @property
    def incoming(self) -> IncomingBuffer: ...

    @property
    def outgoing(self) -> OutgoingBuffer: ...

    @property
    def refusal(self) -> str: ...

    @property
    def server_side(self) -> bool:
        """
        Whether it is the server's, which has nothing to say before the client has.
        """

    def greet(self, octets: bytes) -> None:
        """
        Take what the peer sent, before the handshake is done.
        """

    def do_handshake(self) -> None: ...

    def readRecord(self, size: int, /) -> bytes:
        """
        Read what is in one record.

        @param size: how much to read, at least as much as a record may have.
        @return: nothing where the peer's close_notify came.
        """

    def writeRecord(self, octets: bytes | memoryview, /) -> int:
        """
        Write one record.

        @return: how many of the octets are in it.
        """

    def close_notify(self) -> None:
        """
        Say that nothing more is written. Reading goes on.
        """

    def get_peer_certificate(self) -> X509 | None: ...

    def get_servername(self) -> bytes | None: ...

    def get_alpn_proto_negotiated(self) -> bytes: ...

    def get_protocol_version_name(self) -> str: ...

    def get_cipher_name(self) -> str | None: ...


class StandardConnection(ssl.SSLObject):
    """
    A connection of Python's C{ssl}.
    """

    incoming: ssl.MemoryBIO
    outgoing: ssl.MemoryBIO
    refusal = ""
    _serverName: str | None = None
    _protocols: Sequence[bytes] = ()
    _hello: bytearray | None = None

    @classmethod
    def make(
        cls,
        context: ssl.SSLContext,
        *,
        serverName: str | None = None,
        session: ssl.SSLSession | None = None,
        server: bool = False,
        protocols: Sequence[bytes] = (),
    ) -> StandardConnection:
        """
        Make a connection.

        @param context: what has been L{prepared <prepareContext>}.
        @param serverName: of a client, the name that the server's certificate is to have.
        @param session: of a client, what to resume.
        @param server: whether it is the server's side.
        @param protocols: of a server, the application protocols of its context.
        """
        incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        made: Any = context.wrap_bio(incoming, outgoing, server, serverName, session)
        connection: StandardConnection = made
        connection.incoming, connection.outgoing = incoming, outgoing
        connection._serverName = serverName
        if protocols:
            connection._protocols = protocols
            connection._hello = bytearray()
        return connection

    @property
    def readRecord(self) -> Callable[[int], bytes]:
        # Without the call of Python's that read and write are.
        read: Callable[[int], bytes] = self._sslobj.read  # type: ignore[attr-defined]
        return read

    @property
    def writeRecord(self) -> Callable[[bytes | memoryview], int]:
        write: Callable[[bytes | memoryview], int] = self._sslobj.write  # type: ignore[attr-defined]
        return write

    def greet(self, octets: bytes) -> None:
        if self._hello is not None:
            self._hello += octets
        self.incoming.write(octets)

    def named(self, serverName: str | None) -> int | None:
        """
        The client has named the server that it wants, or none. Twisted, as OpenSSL, is to refuse
        one that offers application protocols alone that are not spoken, which C{ssl} lets in.

        @return: the alert to refuse the client with, if it is refused.
        """
        self._serverName = serverName
        hello, self._hello = self._hello, None
        offered = alpn_offer(hello) if hello is not None else []
        if offered and not set(offered).intersection(self._protocols):
            self.refusal = "no application protocol that both sides take"
            return _NO_APPLICATION_PROTOCOL
        return None

    def close_notify(self) -> None:
        # OpenSSL looks for the peer's as well, and takes anything else for an error: it is to be
        # read first, by whoever reads.
        unread = self.incoming.read()
        # The peer's did not come yet, as a rule.
        with suppress(ssl.SSLError):
            self.unwrap()
        if unread:
            self.incoming.write(unread)

    def get_peer_certificate(self) -> X509 | None:
        der = self.getpeercert(binary_form=True)
        return None if der is None else load_certificate(FILETYPE_ASN1, der)

    def get_servername(self) -> bytes | None:
        return None if self._serverName is None else self._serverName.encode()

    def get_alpn_proto_negotiated(self) -> bytes:
        return (self.selected_alpn_protocol() or "").encode("latin-1")

    def get_protocol_version_name(self) -> str:
        return self.version() or ""

    def get_cipher_name(self) -> str | None:
        cipher = self.cipher()
        return None if cipher is None else cipher[0]


def prepareContext(context: ssl.SSLContext) -> None:
    """
    Have a context of Python's C{ssl} do what TLS is to do here: TLS 1.2 and later, authenticated
    encryption and forward secrecy alone, no renegotiation.
    """
    context.sslobject_class = StandardConnection
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.options |= ssl.OP_NO_RENEGOTIATION
    context.set_ciphers("ECDHE+AESGCM:ECDHE+CHACHA20:DHE+AESGCM:DHE+CHACHA20")


class _Incoming:
    """
    The buffer of a connection of pyOpenSSL's that takes what the peer sent.
    """

    __slots__ = ("_connection", "pending")

    def __init__(self, connection: SSL.Connection) -> None:
        self._connection = connection
        self.pending = 0

    def write(self, octets: bytes) -> int:
        # How much it is only OpenSSL knows: as much as one read can give.
        self.pending = RECORD
        return self._connection.bio_write(octets)


class _Outgoing:
    """
    The buffer of a connection of pyOpenSSL's that gives what the peer is to be sent.
    """

    __slots__ = ("_connection",)

    def __init__(self, connection: SSL.Connection) -> None:
        self._connection = connection

    def read(self) -> bytes:
        pieces = []
        try:
            while True:
                pieces.append(self._connection.bio_read(2**16))
        except SSL.WantReadError:
            return b"".join(pieces)


class OpenSSLConnection:
    """
    A connection of pyOpenSSL's.
    """

    refusal = ""

    def __init__(self, connection: SSL.Connection, *, server_side: bool) -> None:
        """
        @param connection: one that has no socket, and knows which side it is.
        @param server_side: which it is.
        """
        self._connection = connection
        self.server_side = server_side
        self.incoming = _Incoming(connection)
        self.outgoing = _Outgoing(connection)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._connection, name)

    def greet(self, octets: bytes) -> None:
        self.incoming.write(octets)

    def do_handshake(self) -> None:
        try:
            self._connection.do_handshake()
        except SSL.WantReadError:
            raise ssl.SSLWantReadError from None

    def readRecord(self, size: int) -> bytes:
        try:
            return self._connection.recv(size)
        except SSL.WantReadError:
            self.incoming.pending = 0
            raise ssl.SSLWantReadError from None
        except SSL.ZeroReturnError:
            return b""

    def writeRecord(self, octets: bytes | memoryview) -> int:
        return self._connection.send(octets)

    def close_notify(self) -> None:
        self._connection.shutdown()
