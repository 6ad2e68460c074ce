"""
The twistd plugin C{netkit-forward}.
"""

from __future__ import annotations

import os
from collections.abc import Generator, Iterable, Sequence
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any

from twisted.application.service import MultiService
from twisted.internet.defer import Deferred, inlineCallbacks
from twisted.python.usage import UsageError

from ..base.addresses import addressText
from ..base.trust import Trust, loadCertificates
from ..base.twistedprivate import splitEndpoint
from ..capture.recorded import RecordedFactory
from ..faults import Faults
from ..forward import RelayFactory
from ..forward.control import Control
from ..forward.hostrewriting import checkHost
from ..forward.proxies import Proxies, ProxyError, shortAddress
from ..forward.proxyheader import VERSIONS
from ..forward.toxics import isText
from ..forward.upstream import Upstream
from ..http import HTTPFactory
from ..inspector.services import InspectedService
from ..service import CannotStart
from .listening import PluginService, addInspector, listeningService
from .options import ServiceOptions, checkEndpoint, seconds
from .recording import makeCapture


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
        self["name"] = []

    def opt_to(self, description: str) -> None:
        """
        A client endpoint string to connect to, such as tcp:localhost:80, unix:/run/x.sock,
        tls:example.org:443, ws://localhost/. May be given several times: the first --listen goes
        with the first --to, the second with the second.
        """
        self["to"].append(description)

    def opt_name(self, name: str) -> None:
        """
        What a relay is called by --control and --inspect: the first --name is that of the first
        --to. By default, its server's address is.
        """
        if not name or not isText(name):
            raise UsageError(f"--name takes a text, not {name!r}")
        if name in self["name"]:
            raise UsageError(f"--name {name!r} was given twice: each relay has one of its own")
        self["name"].append(name)

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
        if len(self["name"]) > len(to):
            raise UsageError(
                f"each --name goes with a --to: --name was given {_times(len(self['name']))}, "
                f"--to {_times(len(to))}"
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
    if options["fault-seed"] is None:
        # One for all relays, since there is one option to take it again.
        options["fault-seed"] = Faults().seed
    control = None
    if options["control"] is not None:
        control = _ControlService(options)
        control.setServiceParent(service)
    inspected: list[InspectedService] = []
    chosen = options["name"]
    named = names([description for _, _, description in options["pairs"]], chosen)
    for name, (listen, upstream, description) in zip(named, options["pairs"], strict=True):
        factory = _relay(options, upstream, description)
        relay = listeningService(options, factory, listen, changing=control is not None)
        # Several of them need names of their own.
        relay.inspected.name = f"forward-{len(inspected) + 1}" if inspected else "forward"
        if name in chosen:
            relay.inspected.name = name
        inspected.append(relay.inspected)
        relay.setServiceParent(service)
        if control is not None:
            control.adopt(name, relay, _ServedRelay(relay, listen[0], description))
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


def names(upstreams: Iterable[str], chosen: Sequence[str]) -> list[str]:
    """
    Call each relay by what the endpoint string of its upstream says, such as C{localhost:6379}.

    @param upstreams: those strings.
    @param chosen: what the first ones are to be called instead.
    """
    found: list[str] = []
    for number, description in enumerate(upstreams):
        (_, *parts), _ = splitEndpoint(description)
        usual = ":".join(parts).strip("/").replace("/", "-") or "forward"
        names = chosen[number : number + 1] or (
            f"{usual}-{again}" if again > 1 else usual for again in count(1)
        )
        found.append(next(name for name in names if name not in found))
    return found


class _ServedRelay:
    """
    A relay of the command line, as one of the proxies.
    """

    def __init__(self, service: PluginService, listen: str, upstream: str) -> None:
        """
        @param service: the relay.
        @param listen: the string of the endpoint where it listens, of the first one.
        @param upstream: that of what it connects to.
        """
        self.asked = self._listen = listen
        self.upstream = shortAddress(upstream)
        self._service = service

    @property
    def listen(self) -> str:
        """
        Where it listens, or did before it was stopped.
        """
        if self._service.addresses:
            self._listen = addressText(self._service.addresses[0])
        return self._listen

    async def start(self) -> None:
        """
        Listen.

        @raise ProxyError: that cannot be.
        """
        try:
            self._service.startListening()
        except CannotStart as error:
            await self._service.stopListening()
            raise ProxyError(str(error)) from error

    async def stop(self, grace: float) -> None:
        """
        Listen no more, and end the connections, where the service has not done so itself.
        """
        self._listen = self.listen
        if self._service.running:
            await self._service.stopListening(grace)


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
            grace=options["grace"],
        )

    def adopt(self, name: str, service: PluginService, relay: _ServedRelay) -> None:
        """
        Have a relay of the command line be one of those that can be changed.
        """
        assert service.faults is not None
        self._proxies.adopt(name, relay, service.faults)

    @inlineCallbacks
    def stopService(self) -> Generator[Deferred[Any], object, None]:
        yield super().stopService()
        yield Deferred.fromCoroutine(self._proxies.stop(self.grace))
