"""
Checks of the arguments that servers and clients are made with.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from urllib.parse import urlsplit

from ..wire.errors import LocalProtocolError
from ..wire.http.fields import encode_fields
from ..wire.http.head import is_path
from ..wire.websocket.handshake import check_response_fields, is_subprotocol
from .url import asciiHost, defaultPort

_HOW_ORIGINS = "a web origin such as 'https://example.com': a scheme, a host, and a port, if any"


def checkPath(path: bytes | None) -> bytes | None:
    """
    Check the path of a WebSocket.

    @param path: the path, encoded as it is in a URL; or L{None} for any.
    @raise TypeError: it is not of bytes.
    @raise ValueError: no request is for such a path.
    """
    if path is None:
        return None
    if not isinstance(path, bytes):
        raise TypeError(f"path is bytes such as b'/chat', not {path!r}")
    if not is_path(path):
        raise ValueError(
            f"path is a path as it is in a URL, such as b'/chat', without a query, not {path!r}"
        )
    return path


def checkSubprotocols(subprotocols: Iterable[str]) -> tuple[str, ...]:
    """
    Check the names of subprotocols.

    @param subprotocols: the names.
    @raise TypeError: they are no strings.
    @raise ValueError: one cannot be a name, or is there twice.
    """
    names = _strings("subprotocols", subprotocols, "['chat']")
    for name in names:
        if not is_subprotocol(name):
            raise ValueError(f"{name!r} is no name of a subprotocol: a token such as 'chat.v1' is")
        if names.count(name) > 1:
            raise ValueError(f"the subprotocol {name!r} is given twice")
    return names


def checkOrigins(origins: Iterable[str] | None) -> frozenset[str] | None:
    """
    Check web origins (RFC 6454), and write each as browsers do.

    @param origins: the origins, or L{None} for any.
    @raise TypeError: they are no strings.
    @raise ValueError: one is no origin.
    """
    if origins is None:
        return None
    return frozenset(map(_origin, _strings("origins", origins, "['https://example.com']")))


def checkFields(name: str, fields: Sequence[tuple[bytes, bytes]]) -> None:
    """
    Check that header fields are well-formed.

    @param name: what they are called.
    @param fields: the name and the value of each.
    @raise TypeError: they are no pairs of bytes.
    @raise ValueError: one cannot be sent.
    """
    if not isinstance(fields, Sequence):
        raise TypeError(f"{name} is a list of pairs of bytes, not {fields!r}")
    try:
        encode_fields(fields)
    except (TypeError, LocalProtocolError) as error:
        kind = TypeError if isinstance(error, TypeError) else ValueError
        raise kind(f"{name}: {error}") from error


def checkResponseFields(status: int, fields: Sequence[tuple[bytes, bytes]]) -> None:
    """
    Check the header fields of an answer to a handshake.

    @param status: the status of the answer.
    @param fields: the name and the value of each.
    @raise TypeError: they are no pairs of bytes.
    @raise ValueError: one cannot be sent, or is not for an application to set.
    """
    checkFields("headers", fields)
    try:
        check_response_fields(status, fields)
    except LocalProtocolError as error:
        raise ValueError(f"headers: {error}") from error


def _strings(name: str, values: Iterable[str], example: str) -> tuple[str, ...]:
    if isinstance(values, (str, bytes)) or not isinstance(values, Iterable):
        raise TypeError(f"{name} is a list of strings such as {example}, not {values!r}")
    strings = tuple(values)
    for value in strings:
        if not isinstance(value, str):
            raise TypeError(f"{name} is a list of strings such as {example}: {value!r} is none")
    return strings


def _origin(origin: str) -> str:
    """
    An origin as browsers write it.
    """
    if origin == "null":
        # A page out of a file, or in a sandbox.
        return origin
    try:
        parts = urlsplit(origin)
        host, port = asciiHost(parts.hostname or ""), parts.port
        # All that a URL may have beyond an origin; urlsplit() passes over some white space.
        plain = f"{parts.scheme}://{parts.netloc}".lower() == origin.lower()
        if not (plain and parts.scheme) or "@" in parts.netloc or "*" in host:
            raise ValueError(origin)
        host = f"[{host}]" if ":" in host else host
    except ValueError as error:
        raise ValueError(f"{origin!r} is not {_HOW_ORIGINS}") from error
    default = defaultPort(parts.scheme in ("https", "wss"))
    web = parts.scheme in ("http", "https", "ws", "wss")
    suffix = "" if port is None or (web and port == default) else f":{port}"
    return f"{parts.scheme}://{host}{suffix}"
