"""
An HTTP/1.1 server (RFC 9110, RFC 9112) for Twisted.

    - L{netkit.http.request}: what a handler is given.
    - L{netkit.http.response}: what a handler answers.
    - L{netkit.http.headers}: its fields, which can be changed.
    - L{netkit.http.refusals}: answers that refuse, the handler's and netkit's.
    - L{netkit.http.resources}: handlers that are trees of twisted.web's resources.
    - L{netkit.http.files}, L{netkit.http.events}: files and server-sent events as responses.
    - L{netkit.http.filecontent}: content that is in a file.
    - L{netkit.http.middleware}: functions around handlers.
    - L{netkit.http.content}: the content of a request, as it is read.
    - L{netkit.http.forms}, L{netkit.http.storing}: forms with their uploads, contents as files.
    - L{netkit.http.protocol}: a connection, its requests answered.
    - L{netkit.http.settings}: how connections are to behave.
    - L{netkit.http.factory}: what makes connections.
    - L{netkit.http.flow}: holds back what a client does not read.
    - L{netkit.http.sending}: content that is written piece by piece.
    - L{netkit.http.date}: the date that responses tell.
"""

from ..wire.http import Fields, Limits
from .events import Event, eventResponse
from .exchange import Exchange
from .factory import HTTPFactory
from .files import fileResponse
from .forms import Form, Upload
from .headers import ResponseHeaders
from .protocol import HTTPProtocol
from .refusals import HTTPError, Refusal, plainRefusal
from .request import Request
from .resources import ResourceHandler, resourceHandler
from .response import Response, Upgrade
from .settings import Handler

__all__ = [
    "Event",
    "Exchange",
    "Fields",
    "Form",
    "HTTPError",
    "HTTPFactory",
    "HTTPProtocol",
    "Handler",
    "Limits",
    "Refusal",
    "Request",
    "ResourceHandler",
    "Response",
    "ResponseHeaders",
    "Upgrade",
    "Upload",
    "eventResponse",
    "fileResponse",
    "plainRefusal",
    "resourceHandler",
]
