"""
What C{--reactor=uvloop} installs, for twistd, twist and trial.
"""

from __future__ import annotations


def install() -> None:
    """
    Install L{netkit.reactor}.

    @raise SystemExit: uvloop is missing. That ends in one line; for any other exception twistd
        prints all its options, and twist a traceback.
    """
    try:
        import netkit.reactor
    except ModuleNotFoundError as missing:
        if missing.name != "uvloop":
            raise
        raise SystemExit(str(missing)) from None
    netkit.reactor.install()
