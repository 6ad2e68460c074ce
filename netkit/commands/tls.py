"""
TLS for the verbs: whose certificates are trusted.
"""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from pathlib import Path

from ..base.trust import Trust, loadCertificates
from .running import CommandFailed


def addTrustArguments(parser: ArgumentParser) -> None:
    """
    Say how a verb is told whose certificates to trust.
    """
    group = parser.add_mutually_exclusive_group()
    group.add_argument(
        "--ca",
        metavar="FILE",
        help="with TLS, trust the authorities in FILE (PEM), in place of the system's",
    )
    group.add_argument(
        "--insecure",
        action="store_true",
        help="with TLS, accept any certificate, and so any server",
    )


def trustFromArguments(arguments: Namespace) -> Trust:
    """
    Whose certificates to trust.

    @raise CommandFailed: there are no certificates in the file.
    """
    if arguments.ca is None:
        return Trust(verify=not arguments.insecure)
    try:
        return Trust(authorities=loadCertificates(Path(arguments.ca)))
    except OSError as error:
        raise CommandFailed(f"--ca {arguments.ca!r}: {error.strerror}", status=2) from error
    except ValueError as error:
        raise CommandFailed(
            f"--ca {arguments.ca!r}: no certificate is in it, in PEM: -----BEGIN CERTIFICATE-----",
            status=2,
        ) from error
