"""
The opening handshake (RFC 6455 sections 4.1 and 4.2), from either side.
"""

from __future__ import annotations

import re
from base64 import b64encode
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from hashlib import sha1
from os import urandom

from ..errors import HTTPProtocolError, LocalProtocolError, WebSocketProtocolError
from ..http.fields import Fields, encode_fields, is_token, show, split_list
from ..http.head import RequestHead
from ..http.response import status_line
from . import deflate
from .codes import CloseCode
from .deflate import DeflateSettings, PerMessageDeflate
from .extensions import Extension, format_extensions, parse_extensions

_GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"

# The base64 of 16 octets.
_KEY = re.compile(rb"[A-Za-z0-9+/]{21}[AQgw]==")

Pairs = Iterable[tuple[bytes, bytes]]

# What opens the connection.
_SWITCHING = (
    status_line(101) + b"Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: %b\r\n"
)

# What frames a message, or the connection.
_FRAMING_FIELDS = frozenset((b"connection", b"content-length", b"transfer-encoding"))

# What makes the handshake, on either side: nobody else's to set.
HANDSHAKE_FIELDS = _FRAMING_FIELDS | {
    b"sec-websocket-accept",
    b"sec-websocket-extensions",
    b"sec-websocket-key",
    b"sec-websocket-protocol",
    b"sec-websocket-version",
    b"upgrade",
}


@dataclass(frozen=True, slots=True)
class Offer:
    """
    What a client's request offers.

    @ivar key: the value of C{Sec-WebSocket-Key}.
    @ivar subprotocols: in the client's order of preference.
    @ivar extensions: in the client's order of preference.
    """

    key: bytes
    subprotocols: tuple[str, ...]
    extensions: tuple[Extension, ...]


@dataclass(frozen=True, slots=True)
class Agreement:
    """
    What both sides agreed on.

    @ivar subprotocol: the subprotocol, if any.
    @ivar deflate: what compresses, if anything.
    """

    subprotocol: str | None
    deflate: PerMessageDeflate | None


def accept_key(key: bytes) -> bytes:
    """
    The C{Sec-WebSocket-Accept} that answers a C{Sec-WebSocket-Key} (section 4.2.2).
    """
    return b64encode(sha1(key + _GUID, usedforsecurity=False).digest())


def is_subprotocol(name: str) -> bool:
    """
    Whether something can be the name of a subprotocol (section 4.1): a token.
    """
    return is_token(name.encode())


def wants_upgrade(fields: Fields) -> bool:
    """
    Whether a request asks to switch to WebSocket, rightly or not.
    """
    return _has_element(fields, b"upgrade", b"websocket")


def read_request(head: RequestHead) -> Offer:
    """
    Check a client's request (section 4.2.1).

    @param head: its head.
    @raise HTTPProtocolError: it is no WebSocket handshake; with the HTTP status to refuse it.
    """
    # One pass over the fields, since nearly all of them matter.
    fields: dict[bytes, list[bytes]] = {}
    for name, value in head.fields.pairs:
        key = name.lower()
        if key in fields:
            fields[key].append(value)
        else:
            fields[key] = [value]
    if b"websocket" not in _options(fields, b"upgrade"):
        raise HTTPProtocolError("only WebSocket is spoken here: Upgrade: websocket", 426)
    if head.method != b"GET":
        raise HTTPProtocolError(f"a WebSocket handshake is a GET, not {show(head.method)}", 405)
    if head.minor < 1:
        raise HTTPProtocolError("a WebSocket handshake takes HTTP/1.1", 400)
    if head.framing.chunked or head.framing.content_length:
        raise HTTPProtocolError("a WebSocket handshake has no content", 400)
    if b"upgrade" not in _options(fields, b"connection"):
        raise HTTPProtocolError("the Connection field does not say Upgrade", 400)
    versions = fields.get(b"sec-websocket-version", [])
    if versions != [b"13"]:
        said = show(b", ".join(versions))
        raise HTTPProtocolError(f"WebSocket is spoken in version 13 here, not {said}", 426)
    keys = fields.get(b"sec-websocket-key", [])
    if len(keys) != 1 or not _KEY.fullmatch(keys[0]):
        raise HTTPProtocolError("Sec-WebSocket-Key is not one field of 16 octets in base64", 400)
    # Of these most requests have none.
    subprotocols = []
    if b"sec-websocket-protocol" in fields:
        subprotocols = split_list(b",".join(fields[b"sec-websocket-protocol"]))
        if not all(map(is_token, subprotocols)) or len(set(subprotocols)) < len(subprotocols):
            raise HTTPProtocolError("Sec-WebSocket-Protocol is no list of different tokens", 400)
    extensions = []
    if b"sec-websocket-extensions" in fields:
        try:
            extensions = parse_extensions(fields[b"sec-websocket-extensions"])
        except ValueError as error:
            raise HTTPProtocolError(f"Sec-WebSocket-Extensions: {error}", 400) from error
    origins = fields.get(b"origin", [])
    if len(origins) > 1:
        # RFC 6454 section 7.3: whoever sends two wants one of them overlooked.
        both = show(b", ".join(origins))
        raise HTTPProtocolError(f"there is more than one Origin: {both}", 400)
    return Offer(keys[0], tuple(map(bytes.decode, subprotocols)), tuple(extensions))


def accept(
    offer: Offer,
    *,
    subprotocol: str | None = None,
    settings: DeflateSettings | None = None,
    fields: Pairs = (),
) -> tuple[bytes, Agreement]:
    """
    Make the response that opens the connection (section 4.2.2).

    @param offer: what the client offered.
    @param subprotocol: which of its subprotocols to take.
    @param settings: how to compress; not at all by default.
    @param fields: more fields for the response.
    @return: its octets, and what is agreed with them.
    @raise LocalProtocolError: the client did not offer that subprotocol, or a field is not
        well-formed, or makes the handshake.
    """
    fields = check_response_fields(101, fields)
    octets = _SWITCHING % accept_key(offer.key)
    if subprotocol is not None:
        if subprotocol not in offer.subprotocols:
            raise LocalProtocolError(
                f"the subprotocol {subprotocol!r} is none that the client offers: "
                f"{', '.join(offer.subprotocols) or 'it offers none'}"
            )
        octets += b"Sec-WebSocket-Protocol: %b\r\n" % subprotocol.encode()
    agreed = None
    if offer.extensions and settings is not None:
        agreed = deflate.accept(offer.extensions, settings)
    if agreed is not None:
        octets += b"Sec-WebSocket-Extensions: %b\r\n" % format_extensions([agreed[0]])
    if fields:
        octets += encode_fields(fields)
    return octets + b"\r\n", Agreement(subprotocol, agreed[1] if agreed is not None else None)


def refuse(status: int, fields: Pairs = (), content: bytes = b"") -> bytes:
    """
    Make a response that refuses the handshake, after which the connection is closed.

    @param status: the HTTP status; 426 says what to upgrade to.
    @param fields: more fields for it; they take the place of those that it has for its status.
    @param content: what it says.
    @raise LocalProtocolError: a field is not well-formed, or frames the response.
    """
    fields = check_response_fields(status, fields)
    own = [(b"Connection", b"close"), (b"Content-Length", b"%d" % len(content))]
    if status == 426:
        # RFC 9110 section 15.5.22, RFC 6455 section 4.4.
        own[0] = (b"Connection", b"Upgrade, close")
        own += [(b"Upgrade", b"websocket"), (b"Sec-WebSocket-Version", b"13")]
    elif status == 405:
        own.append((b"Allow", b"GET"))
    return status_line(status) + _merged(own, fields) + b"\r\n" + content


def check_response_fields(status: int, fields: Pairs) -> list[tuple[bytes, bytes]]:
    """
    Check the fields that somebody wants in an answer to a handshake.

    @param status: the status of the answer: 101 opens the connection.
    @param fields: the fields.
    @return: the fields.
    @raise LocalProtocolError: one is not well-formed, or not theirs to set.
    """
    fields = list(fields)
    if fields:
        encode_fields(fields)
        own = HANDSHAKE_FIELDS if status == 101 else _FRAMING_FIELDS
        for name, _ in fields:
            if name.lower() in own:
                raise LocalProtocolError(
                    f"{name.decode()} cannot be set: it is a part of the handshake itself"
                )
    return fields


class ClientHandshake:
    """
    The client's side: one request, and what its response agrees to.

    @ivar request: the octets of the request.
    """

    __slots__ = ("_key", "_settings", "_subprotocols", "request")

    def __init__(
        self,
        host: bytes,
        target: bytes,
        *,
        subprotocols: Sequence[str] = (),
        settings: DeflateSettings | None = None,
        fields: Pairs = (),
    ) -> None:
        """
        @param host: the value of the C{Host} field.
        @param target: the request target: the URL's path and query.
        @param subprotocols: what to offer, the preferred one first.
        @param settings: what compression to offer; none by default.
        @param fields: more fields for the request; they take the place of our own of the same
            name, and those of L{HANDSHAKE_FIELDS} are left out.
        @raise LocalProtocolError: a field is not well-formed.
        """
        self._key = b64encode(urandom(16))
        self._subprotocols = subprotocols
        self._settings = settings
        own = [
            (b"Host", host),
            (b"Upgrade", b"websocket"),
            (b"Connection", b"Upgrade"),
            (b"Sec-WebSocket-Key", self._key),
            (b"Sec-WebSocket-Version", b"13"),
        ]
        if subprotocols:
            for name in subprotocols:
                if not is_subprotocol(name):
                    raise LocalProtocolError(f"{name!r} is no name of a subprotocol: no token")
            own.append((b"Sec-WebSocket-Protocol", ", ".join(subprotocols).encode()))
        if settings is not None:
            offers = format_extensions(deflate.offer(settings))
            own.append((b"Sec-WebSocket-Extensions", offers))
        given = [field for field in fields if field[0].lower() not in HANDSHAKE_FIELDS]
        self.request = b"GET %b HTTP/1.1\r\n%b\r\n" % (target, _merged(own, given))

    def read_response(self, fields: Fields) -> Agreement:
        """
        Check a response of status 101 (section 4.1, the client's requirements).

        @param fields: its header section.
        @raise WebSocketProtocolError: it does not open the connection that was asked for.
        """
        if not wants_upgrade(fields):
            raise _bad_response("its Upgrade field does not say websocket")
        if not _has_element(fields, b"connection", b"upgrade"):
            raise _bad_response("its Connection field does not say Upgrade")
        accepts = fields.all(b"sec-websocket-accept")
        if accepts != [accept_key(self._key)]:
            said = show(b", ".join(accepts))
            raise _bad_response(f"its Sec-WebSocket-Accept does not answer our key: {said}")
        subprotocols = [name.decode("latin-1") for name in fields.all(b"sec-websocket-protocol")]
        if len(subprotocols) > 1 or not set(subprotocols) <= set(self._subprotocols):
            raise _bad_response(f"it chooses a subprotocol that we did not offer: {subprotocols}")
        try:
            extensions = parse_extensions(fields.all(b"sec-websocket-extensions"))
        except ValueError as error:
            raise _bad_response(f"Sec-WebSocket-Extensions: {error}") from error
        agreed = None
        for extension in extensions:
            if extension.name != deflate.NAME or self._settings is None or agreed is not None:
                raise _bad_response(f"it uses an extension that we did not offer: {extension}")
            agreed = deflate.agree(extension, self._settings)
        return Agreement(subprotocols[0] if subprotocols else None, agreed)


def _merged(own: Pairs, given: Pairs) -> bytes:
    """
    Serialise fields: what is given takes the place of our own of the same name. So Host, which is
    to be the first (RFC 9110 section 7.2), stays the first.
    """
    more = list(given)
    fields: list[tuple[bytes, bytes]] = []
    for name, value in own:
        taken = [field for field in more if field[0].lower() == name.lower()]
        more = [field for field in more if field not in taken]
        fields += taken or [(name, value)]
    return encode_fields([*fields, *more])


def _options(fields: dict[bytes, list[bytes]], name: bytes) -> list[bytes]:
    """
    The elements of a list whose case does not matter.
    """
    values = fields.get(name, [])
    return split_list((values[0] if len(values) == 1 else b",".join(values)).lower())


def _has_element(fields: Fields, name: bytes, wanted: bytes) -> bool:
    return wanted in (element.lower() for element in fields.elements(name))


def _bad_response(problem: str) -> WebSocketProtocolError:
    return WebSocketProtocolError(
        f"the response opens no WebSocket: {problem}", CloseCode.PROTOCOL_ERROR
    )
