"""
An HTTP/1.1 server (RFC 9110, RFC 9112) for Twisted.

    - L{netkit.http.request}: what a handler is given.
    - L{netkit.http.response}: what a handler answers.
    - L{netkit.http.receiving}: a connection's requests, as they arrive.
    - L{netkit.http.protocol}: a connection, its requests answered.
    - L{netkit.http.factory}: what makes connections, and their settings.
    - L{netkit.http.flow}: holds back what a client does not read.
    - L{netkit.http.sending}: content that is written piece by piece.
"""

from ..wire.http import Fields
from .factory import Handler, HTTPFactory
from .protocol import HTTPProtocol
from .request import Request
from .response import Response, Upgrade

__all__ = ["Fields", "HTTPFactory", "HTTPProtocol", "Handler", "Request", "Response", "Upgrade"]
