"""
The twistd plugin C{netkit-forward}.
"""

from __future__ import annotations

import os
from collections.abc import Generator
from functools import partial
from pathlib import Path
from typing import Any

from twisted.application.service import MultiService
from twisted.internet.defer import Deferred, inlineCallbacks
from twisted.python.usage import UsageError

from ..base.trust import Trust, loadCertificates
from ..capture.capture import Capture
from ..capture.recorded import RecordedFactory
from ..forward import RelayFactory
from ..forward.control import Control
from ..forward.hostrewriting import checkHost
from ..forward.proxies import Proxies
from ..forward.proxyheader import VERSIONS
from ..forward.upstream import Upstream
from ..http import HTTPFactory
from ..inspector.services import InspectedService
from .listening import PluginService, addInspector, listeningService, makeCapture
from .options import ServiceOptions, checkEndpoint, seconds


class Options(ServiceOptions):
    """
    The command line of C{netkit-forward}.

    C{self["pairs"]} holds, for each upstream, what to listen on for it, what makes the endpoint to
    connect to, and the string for that.
    """

    service = "forward"
    defaultEndpoint = "tcp:3204:interface=127.0.0.1"
    # What arrives goes on anyway; --format text or hex shows it.
    defaultFormat = "none"

    optParameters = [
        [
            "connect-timeout",
            None,
            10.0,
            "How many seconds connecting to the server may take; 0 for as long as it tries.",
            seconds("connect-timeout"),
        ],
        [
            "control",
            None,
            None,
            "An endpoint for the API of Toxiproxy, such as tcp:8474:interface=127.0.0.1.",
        ],
        ["host", None, None, "What to set the Host field of HTTP/1 requests to."],
        ["send-proxy", None, None, "Begin with a PROXY header: v1 or v2."],
        ["ca", None, None, "With tls: and wss:, trust the authorities in this file (PEM) alone."],
        ["sni", None, None, "With tls:, the name to ask for, and to expect in the certificate."],
        ["alpn", None, None, "What to agree on in TLS, both ways: h2,http/1.1 or the like."],
    ]
    optFlags = [
        ["insecure", None, "With tls: and wss:, accept any certificate, and so any server."],
        ["pass-sni", None, "With tls:, ask for the name that the client asked for."],
    ]

    def __init__(self) -> None:
        super().__init__()
        self["to"] = []

    def opt_to(self, description: str) -> None:
        """
        A client endpoint string to connect to, such as tcp:localhost:80, unix:/run/x.sock,
        tls:example.org:443, ws://localhost/. May be given several times: the first --listen goes
        with the first --to, the second with the second.
        """
        self["to"].append(description)

    def postOptions(self) -> None:
        super().postOptions()
        listen, to = self["listen"], self["to"]
        if self["control"] is not None:
            if self["workers"]:
                raise UsageError(
                    "--control makes the relays of one process, and --workers has several: "
                    "give one of them"
                )
            checkEndpoint(self["control"], "control")
            if not to:
                listen.clear()
        elif not to:
            raise UsageError("--to says where to connect to, such as tcp:localhost:80: give one")
        if to and len(to) > 1 and len(listen) != len(to):
            raise UsageError(
                f"each --to has a --listen of its own where there are several: "
                f"--listen was given {_times(len(listen))}, --to {_times(len(to))}"
            )
        if self["send-proxy"] not in (None, *VERSIONS):
            raise UsageError(
                f"--send-proxy is one of {', '.join(VERSIONS)}, not {self['send-proxy']!r}"
            )
        if self["host"] is not None:
            self["host"] = _host(self["host"])
        self["alpn"] = [] if self["alpn"] is None else _protocols(self["alpn"])
        groups = [listen] if len(to) == 1 else [[one] for one in listen]
        self["pairs"] = [
            (group, self.upstream(description), description)
            for group, description in zip(groups, to, strict=True)
        ]

    def upstream(self, description: str) -> Upstream:
        """
        Make what connects to an upstream, as the other options say.
        """
        from twisted.internet import reactor

        if self["sni"] is not None and self["pass-sni"]:
            raise UsageError("--sni and --pass-sni exclude each other: give one")
        try:
            return Upstream(
                reactor,
                description,
                trust=self._trust(),
                serverName=self["sni"],
                passServerName=bool(self["pass-sni"]),
                protocols=self["alpn"],
                sendProxy=self["send-proxy"],
            )
        except ValueError as error:
            raise UsageError(f"--to: {error}") from error

    def _trust(self) -> Trust | None:
        if self["ca"] is None:
            return Trust(verify=False) if self["insecure"] else None
        if self["insecure"]:
            raise UsageError("--ca and --insecure exclude each other: give one")
        try:
            return Trust(authorities=loadCertificates(Path(self["ca"])))
        except OSError as error:
            raise UsageError(f"--ca {self['ca']!r}: {error.strerror}") from error
        except ValueError as error:
            raise UsageError(f"--ca {self['ca']!r}: no certificate is in it, in PEM") from error


def _times(count: int) -> str:
    return "once" if count == 1 else f"{count} times"


def _host(value: str) -> bytes:
    try:
        return checkHost(os.fsencode(value))
    except ValueError as error:
        raise UsageError(f"--host takes a name, and a port where it has one: {error}") from error


def _protocols(value: str) -> list[bytes]:
    names = [os.fsencode(name) for name in value.split(",")]
    if not all(0 < len(name) < 256 for name in names):
        raise UsageError(f"--alpn takes names, with commas between them, not {value!r}")
    return names


def makeService(options: Options) -> MultiService:
    """
    Make the relays.
    """
    service = MultiService()
    options.sharedCapture = capture = makeCapture(options)
    if options["control"] is not None:
        _ControlService(options).setServiceParent(service)
    inspected: list[InspectedService] = []
    for listen, upstream, description in options["pairs"]:
        factory = _relay(options, upstream, description)
        relay = listeningService(options, factory, listen)
        # Several of them need names of their own.
        relay.inspected.name = f"forward-{len(inspected) + 1}" if inspected else "forward"
        inspected.append(relay.inspected)
        relay.setServiceParent(service)
    addInspector(service, options, capture, inspected)
    return service


def _relay(options: Options, upstream: Upstream, name: str) -> RelayFactory:
    return RelayFactory(
        upstream,
        name=name,
        host=options["host"],
        connectTimeout=options["connect-timeout"],
        acceptableProtocols=options["alpn"],
        **options.limits(),
    )


class _ControlService(PluginService):
    """
    The API by which relays are made and ended, and those relays.
    """

    def __init__(self, options: Options) -> None:
        from twisted.internet import reactor

        capture = options.sharedCapture
        assert capture is not None
        recorder = capture.recorder(printing=options["format"] != "none")

        def make(description: str, name: str) -> RelayFactory:
            try:
                return _relay(options, options.upstream(description), name)
            except UsageError as error:
                raise ValueError(str(error).removeprefix("--to: ")) from error

        self._proxies = Proxies(
            reactor,
            make,
            (lambda factory: factory)
            if recorder is None
            else partial(RecordedFactory, recorder=recorder, service=options.service),
            options["fault-seed"],
        )
        factory = HTTPFactory(Control(self._proxies))
        # What the API itself is asked is not recorded.
        super().__init__(
            "forward control",
            factory,
            [options["control"]],
            Capture(reactor),
            grace=options["grace"],
        )

    @inlineCallbacks
    def stopService(self) -> Generator[Deferred[Any], object, None]:
        yield super().stopService()
        yield Deferred.fromCoroutine(self._proxies.stop(self.grace))
