"""
HTTP/1.1 (RFC 9110, RFC 9112), sans-I/O.

From the octets up:

    - L{netkit.wire.http.limits}: how much a peer may send, and what it is told beyond that.
    - L{netkit.wire.http.fields}: field lines: the header section and the trailer section.
    - L{netkit.wire.http.head}: request and response heads.
    - L{netkit.wire.http.framing}: what the fields of a head say about the content after it.
    - L{netkit.wire.http.content}: content by length, in chunks, or up to the connection's end.
    - L{netkit.wire.http.connection}: a connection's octets to events, for both roles.
    - L{netkit.wire.http.response}: responses to octets.
    - L{netkit.wire.http.server}: a server's side of a connection: whose turn it is, and what
      becomes of it.
"""

from .connection import RequestReceiver, ResponseReceiver
from .content import Content, EndOfMessage
from .fields import Fields
from .head import RequestHead, ResponseHead
from .limits import Limits

__all__ = [
    "Content",
    "EndOfMessage",
    "Fields",
    "Limits",
    "RequestHead",
    "RequestReceiver",
    "ResponseHead",
    "ResponseReceiver",
]
