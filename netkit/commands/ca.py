"""
The verb C{ca}: makes a throw-away authority for C{localca:}, and says how to trust it.
"""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from pathlib import Path
from shlex import quote
from typing import Any

from .running import CommandFailed
from .standardio import StandardOutput

_TEXT = """\
{name}: a CA, in {folder}
SHA-256 {fingerprint}

Whoever has the file {key} can pose as any server to those who trust the CA: trust
it where you test, for as long as you test. To throw it away: rm -r {folder}

Serve with it   twistd -n netkit-http -l 'localca:tcp\\:8443\\:interface\\=127.0.0.1{option}'
Trust it in
  netkit        netkit send --ca {path} tls:localhost:8443
  curl          curl --cacert {path} https://localhost:8443/
  Node          NODE_EXTRA_CA_CERTS={path} node ...
  Python        SSL_CERT_FILE={path} python ...
                (requests: REQUESTS_CA_BUNDLE={path})
  Chromium      certutil -d sql:$HOME/.pki/nssdb -A -t C,, -n netkit -i {path}
                (and no more: certutil -d sql:$HOME/.pki/nssdb -D -n netkit)
  Firefox       Settings, Privacy & Security, View Certificates, Authorities, Import
"""


def addArguments(parser: ArgumentParser) -> None:
    """
    Say what the verb takes.
    """
    parser.add_argument(
        "folder",
        nargs="?",
        metavar="FOLDER",
        help="where it is, or is to be; made for its owner alone "
        "[default: $XDG_DATA_HOME/netkit/ca, or ~/.local/share/netkit/ca]",
    )


async def run(reactor: Any, arguments: Namespace) -> None:
    """
    Make the authority, unless there is one, and print how to trust it. Nothing is installed.

    @param reactor: what waits for standard output.
    @param arguments: the parsed arguments.
    @raise CommandFailed: it cannot be made, or what is there cannot be used.
    """
    try:
        from ..localca.authority import CERTIFICATE, KEY, Authority, AuthorityError, defaultFolder
    except ImportError as error:
        raise CommandFailed(str(error)) from error
    given = arguments.folder
    folder = defaultFolder() if given is None else Path(given).absolute()
    try:
        authority = Authority.make(folder)
    except AuthorityError as error:
        raise CommandFailed(str(error)) from error
    await StandardOutput(reactor).write(
        _TEXT.format(
            name=authority.name,
            folder=quote(str(folder)),
            fingerprint=authority.fingerprint,
            key=KEY,
            path=quote(str(folder / CERTIFICATE)),
            option="" if given is None else f":folder={_escaped(str(folder))}",
        ).encode(errors="surrogateescape")
    )


def _escaped(path: str) -> str:
    """
    Write a path as a part of an endpoint string, between single quotes of a shell.
    """
    for character in "\\:=":
        path = path.replace(character, "\\" + character)
    return path.replace("'", "'\\''")
