"""
The secrets of TLS connections, for those who look at them from outside, such as Wireshark.
"""

from __future__ import annotations

import os
import stat
from errno import EINVAL

from OpenSSL import SSL
from twisted.internet.interfaces import IReactorFromThreads, IStreamServerEndpoint
from twisted.logger import Logger
from twisted.python.failure import Failure

from ..tls.endpoint import TLSServerEndpoint
from ..tls.openssl import tlsContext
from .descriptors import DescriptorWriter

_log = Logger()


class KeyLog:
    """
    A file of secrets in the format of NSS, C{SSLKEYLOGFILE}, to which they are appended.
    """

    def __init__(self, path: str, reactor: IReactorFromThreads) -> None:
        """
        @param path: the file.
        @param reactor: in whose thread this is used.
        """
        self.path = path
        self._reactor = reactor
        self._writer: DescriptorWriter | None = None
        self._failed = False

    def follow(self, endpoint: IStreamServerEndpoint) -> None:
        """
        Log the secrets of an endpoint's connections, if it has TLS.
        """
        context = tlsContext(endpoint)
        if context is not None:
            context.set_keylog_callback(self._write)
        elif isinstance(endpoint, TLSServerEndpoint):
            # OpenSSL writes them itself.
            endpoint.logSecrets(self.path)

    def start(self) -> None:
        """
        Open the file.

        @raise OSError: it cannot be written to.
        """
        if self._writer is None:
            # Without O_NONBLOCK a FIFO that nobody reads would hold up the start for ever.
            flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NONBLOCK | os.O_CLOEXEC
            # Whoever reads it reads the connections. It stays open for as long as the process,
            # since its writer may be in the middle of a line.
            descriptor = os.open(self.path, flags, 0o600)
            if stat.S_ISFIFO(os.fstat(descriptor).st_mode):
                os.close(descriptor)
                # OpenSSL writes within the reactor's thread.
                raise OSError(EINVAL, "a FIFO would hold up all connections", self.path)
            self._writer = DescriptorWriter(self._reactor, descriptor)

    def _write(self, connection: SSL.Connection, line: bytes) -> None:
        if self._writer is not None:
            self._writer.write(line + b"\n").addErrback(self._notWritten)

    def _notWritten(self, reason: Failure) -> None:
        reason.trap(OSError)
        if not self._failed:
            self._failed = True
            _log.error(
                "{path!r}: the secrets of TLS cannot be written: {reason}",
                path=self.path,
                reason=reason.value,
            )
