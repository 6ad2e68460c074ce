"""
Endpoint strings: Twisted's, with what netkit adds to them, and with errors that say in one line
how to write what was meant.

    - C{haproxy:} expects the PROXY protocol in front of everything else, of TLS as well.
    - C{unix:@name} is the abstract UNIX socket C{name}; a file of that name is C{unix:./@name}.
    - A UNIX socket is a L{UNIXPort <netkit.base.unixport.UNIXPort>}.
    - L{BACKLOG <netkit.base.listening.BACKLOG>} connections may wait to be accepted, unless the
      string has another C{backlog=}.
    - C{tls:} and C{ssl:} speak L{netkit.tls}; C{netkit-tls:} is C{tls:} in any Twisted program.
    - C{tcp:} and C{ssl:} clients try all addresses of a name, of both families, as RFC 8305 says,
      where Twisted's try the first one of IPv4.
"""

from __future__ import annotations

import os
import re
import socket
import sys
from functools import partial
from ipaddress import IPv6Address
from typing import Any

from twisted.internet.abstract import isIPAddress, isIPv6Address
from twisted.internet.endpoints import (
    AdoptedStreamServerEndpoint,
    HostnameEndpoint,
    SSL4ClientEndpoint,
    StandardIOEndpoint,
    TCP4ClientEndpoint,
    TCP4ServerEndpoint,
    TCP6ServerEndpoint,
    UNIXClientEndpoint,
    UNIXServerEndpoint,
    clientFromString,
    quoteStringArgument,
    serverFromString,
)
from twisted.internet.interfaces import IStreamClientEndpoint, IStreamServerEndpoint
from twisted.python.filepath import UnlistableError

from .listening import BacklogReactor, ProxiedReactor, UNIXReactor
from .systemd import unnamedSocket
from .twistedprivate import connectionPath, connectionTarget, contextFactory, splitEndpoint

# What speaks TLS is imported by the functions that are for it: it would be a tenth of the start of
# a service that does not.

# In front of the name of an abstract UNIX socket, also in a string within a string.
_ABSTRACT = re.compile(r"(\bunix\\*:(?:\w+\\*=[^:\\]*\\*:)*(?:(?:address|path)\\*=)?)@")

# How many bytes the path of a UNIX socket may have, without the zero byte behind it.
_LONGEST_PATH = 107 if sys.platform == "linux" else 103

# Those that have no TLS.
_PLAIN = (
    AdoptedStreamServerEndpoint,
    TCP4ServerEndpoint,
    TCP6ServerEndpoint,
    UNIXServerEndpoint,
)

# Which part of a string is the port.
_SERVER_PORTS = {"tcp": 1, "tcp6": 1, "ssl": 1, "tls": 2}
_CLIENT_PORTS = {"tcp": 2, "ssl": 2, "tls": 2}

# What Python says of a call that does not fit the function: what is wrong, in the string's terms.
_CALLS = (
    (r"missing \d+ required positional arguments?: (.*)", r"it lacks \1"),
    (r"got an unexpected keyword argument ('[^']*')", r"\1 is none of its arguments"),
    (r"got multiple values for argument (.*)", r"\1 is there twice"),
    (r"takes .* positional arguments? but .*", "it has too many parts"),
    (r"invalid literal for int\(\) with base \d+: (.*)", r"\1 is no number"),
)


def serverEndpoint(reactor: Any, description: str) -> IStreamServerEndpoint:
    """
    Make the endpoint that a server's endpoint string describes.

    @param reactor: what listens.
    @param description: the string, such as C{tcp:8080:interface=127.0.0.1}.
    @raise ValueError: it is none; the message, of one line, has it and says how to write it.
    """
    if not isinstance(description, str):
        raise _Refused(
            f"{description!r} is not a server endpoint string: write tcp:3200 or the like"
        )
    try:
        reactor = UNIXReactor(reactor)
        if "backlog" not in splitEndpoint(description)[1]:
            reactor = BacklogReactor(reactor)
        return _server(reactor, _withAbstract(description))
    # A parser, which may be anybody's plugin, says what is wrong in an exception of any kind.
    except Exception as error:
        reason = _serverHint(description, error) or _reason(error, "tcp:3200:interface=localhost")
        raise _Refused(f"{description!r} is not a server endpoint string: {reason}") from error


def clientEndpoint(reactor: Any, description: str) -> IStreamClientEndpoint:
    """
    Make the endpoint that a client's endpoint string describes.

    @param reactor: what connects.
    @param description: the string, such as C{tcp:localhost:8080}.
    @raise ValueError: it is none; the message, of one line, has it and says how to write it.
    """
    if not isinstance(description, str):
        raise _Refused(
            f"{description!r} is not a client endpoint string: write tcp:localhost:80 or the like"
        )
    try:
        _checkPath(description)
        _checkPort(description, _CLIENT_PORTS)
        endpoint = _parsedClient(reactor, _withAbstract(description))
        if isinstance(endpoint, UNIXClientEndpoint):
            _checkLength(connectionPath(endpoint))
        return _withNames(reactor, endpoint)
    except Exception as error:
        reason = _clientHint(description) or _reason(error, "tcp:localhost:3200")
        raise _Refused(f"{description!r} is not a client endpoint string: {reason}") from error


def _withNames(reactor: Any, endpoint: IStreamClientEndpoint) -> IStreamClientEndpoint:
    """
    Make the endpoint that tries all addresses of the name that another one connects to, if that is
    what it does.
    """
    if isinstance(endpoint, TCP4ClientEndpoint | SSL4ClientEndpoint):
        target = connectionTarget(endpoint)
        literal = isIPAddress(target.host) or isIPv6Address(target.host)
        kind = TCP4ClientEndpoint if literal else HostnameEndpoint
        lower = IStreamClientEndpoint(kind(reactor, *target))
        if isinstance(endpoint, TCP4ClientEndpoint):
            return lower
        from ..tls.openssl import wrapClientTLS

        return wrapClientTLS(contextFactory(endpoint), lower, reactor)
    return IStreamClientEndpoint(endpoint)


def _parsedClient(reactor: Any, description: str) -> IStreamClientEndpoint:
    (kind, *positional), named = splitEndpoint(description)
    if kind.lower() == "tls":
        return tlsClient(reactor, *positional, **named)
    return IStreamClientEndpoint(clientFromString(reactor, description))


def tlsClient(reactor: Any, *positional: str, **named: str) -> IStreamClientEndpoint:
    """
    Make the endpoint of a client's string C{tls:}, from its arguments.
    """
    from ..tls.endpoint import parseClient

    return parseClient(reactor, partial(clientEndpoint, reactor), *positional, **named)


def tlsServer(reactor: Any, *positional: str, **named: str) -> IStreamServerEndpoint:
    """
    Make the endpoint of a server's string C{tls:}, from its arguments.
    """
    from ..tls.endpoint import parseServer

    return parseServer(reactor, partial(serverEndpoint, reactor), *positional, **named)


class _Refused(ValueError):
    """
    The message says all that there is to say.
    """


def _server(reactor: Any, description: str) -> IStreamServerEndpoint:
    kind, _, rest = description.partition(":")
    if kind.lower() == "haproxy":
        return _server(ProxiedReactor(reactor), rest)
    _checkPath(description)
    _checkPort(description, _SERVER_PORTS)
    endpoint = _parsed(reactor, description)
    if not isinstance(endpoint, _PLAIN):
        from ..tls.openssl import negotiateStrictly

        negotiateStrictly(endpoint)
    if isinstance(endpoint, StandardIOEndpoint):
        raise _Refused(
            "standard input and output are one connection, and where a service logs and prints; "
            "listen on a UNIX socket, and connect the two with netkit send"
        )
    if isinstance(endpoint, AdoptedStreamServerEndpoint):
        _checkAdopted(endpoint)
    return endpoint


def _parsed(reactor: Any, description: str) -> IStreamServerEndpoint:
    (kind, *positional), named = splitEndpoint(description)
    if kind.lower() == "tls":
        return tlsServer(reactor, *positional, **named)
    # Who names a method of pyOpenSSL's is served by it.
    if kind.lower() == "ssl" and "sslmethod" not in named:
        from ..tls.endpoint import parseSSLServer

        return parseSSLServer(reactor, *positional, **named)
    try:
        return IStreamServerEndpoint(serverFromString(reactor, description))
    except IndexError:
        if kind.lower() != "systemd":
            raise
        return unnamedSocket(reactor, *positional, **named)


def _checkAdopted(endpoint: AdoptedStreamServerEndpoint) -> None:
    with socket.socket(fileno=os.dup(endpoint.fileno)) as adopted:
        if adopted.family != endpoint.addressFamily:
            raise _Refused(f"the socket is of domain {adopted.family.name.removeprefix('AF_')}")
        listens = adopted.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN)
        if adopted.type != socket.SOCK_STREAM or not listens:
            raise _Refused("the socket does not listen for connections")


def _checkPath(description: str) -> None:
    # Linux would make up an abstract name.
    if re.match(r"unix:(?:(?:address|path)=)?[@\0]?(?::|$)", description):
        raise _Refused("it lacks a path")


def _checkLength(path: str | bytes) -> None:
    # The reactor would raise where nobody waits for it, and the attempt never end.
    length = len(os.fsencode(path))
    if length > _LONGEST_PATH:
        raise _Refused(f"the path has {length} bytes, and a UNIX socket {_LONGEST_PATH} at most")


def _checkPort(description: str, places: dict[str, int]) -> None:
    positional, named = splitEndpoint(description)
    place = places.get(positional[0].lower(), len(positional)) - ("host" in named)
    port = named.get("port", "".join(positional[place : place + 1]))
    # Of a name's port, a resolver would take the rest of a division by 65536.
    if re.fullmatch(r"-?\d+", port) and not 0 <= int(port) <= 65535:
        raise _Refused(f"{port} is no port, which is a number up to 65535")


def _withAbstract(description: str) -> str:
    return _ABSTRACT.sub(r"\1" + "\0", description)


def _reason(error: Exception, example: str) -> str:
    if isinstance(error, _Refused):
        return str(error)
    if isinstance(error, UnlistableError):
        # Twisted's, of a folder of certificates; it has no words of its own.
        error = error.originalException
    if isinstance(error, OSError) and error.strerror:
        return f"{error.filename!r}: {error.strerror}" if error.filename else error.strerror
    return f"{_fault(error)}: write {example}, unix:/run/echo.sock or the like"


def _fault(error: Exception) -> str:
    if isinstance(error, KeyError):
        return f"it lacks {error}"
    if isinstance(error.__cause__, StopIteration):
        return "it ends with a backslash, which escapes nothing"
    text = str(error)
    for pattern, reason in _CALLS:
        if found := re.search(pattern, text):
            return found.expand(reason)
    return text


def _serverHint(description: str, error: Exception) -> str | None:
    kind, _, rest = description.partition(":")
    if kind == "haproxy":
        return _serverHint(rest, error)
    if kind == "systemd":
        return _systemdHint(error)
    if description.isdigit():
        return f"that is a TCP port: write tcp:{description}"
    if "/" in kind:
        return f"that is a path: write unix:{description}"
    if found := re.search(r"\binterface=(.*)", description):
        if address := _unescapedIPv6(found[1]):
            return _escaping(f"interface={quoteStringArgument(address)}")
    elif found := re.fullmatch(r"(tcp6?|ssl):(.+):(\d+)", description):
        host = _unescapedIPv6(found[2]) or found[2].replace(":", "")
        if not host.isdigit():
            example = f"{found[1]}:{found[3]}:interface={quoteStringArgument(host)}"
            return f"a server's string begins with the port: write {example}"
    return None


def _systemdHint(error: Exception) -> str | None:
    if isinstance(error, LookupError):
        return (
            "systemd passed no such socket to this process; have a .socket unit start it, or "
            "systemd-socket-activate, whose --fdname=NAME gives it a name"
        )
    if isinstance(error, AttributeError):
        return "domain is INET, INET6 or UNIX"
    return None


def _clientHint(description: str) -> str | None:
    if description.isdigit():
        return f"that is a TCP port: write tcp:localhost:{description}"
    if "/" in description.partition(":")[0]:
        return f"that is a path: write unix:{description}"
    found = re.match(r"(tcp|ssl|tls):(?:host=)?(.*):(\d+)", description)
    if found and (address := _unescapedIPv6(found[2])):
        return _escaping(f"{found[1]}:{quoteStringArgument(address)}:{found[3]}")
    return None


def _escaping(example: str) -> str:
    return f"the colons of an IPv6 address are escaped: write {example}"


def _unescapedIPv6(text: str) -> str | None:
    """
    The IPv6 address that a text begins with, up to a colon or the end; L{None} if there is none.
    """
    parts = text.split(":")
    for count in range(len(parts), 2, -1):
        address = ":".join(parts[:count]).removeprefix("[").removesuffix("]")
        try:
            IPv6Address(address)
        except ValueError:
            continue
        return address
    return None
