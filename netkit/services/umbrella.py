"""
The twistd plugin C{netkit}: all services at once.
"""

from __future__ import annotations

from typing import cast

from twisted.application.service import MultiService
from twisted.logger import Logger
from twisted.python.usage import UsageError

from ..base.addresses import addressText
from . import echo, http, printrespond, websocket
from .inspection import DEFAULT_ENDPOINT, OTHER_ENDPOINT, InspectorService
from .listening import PluginService, addInspector
from .options import CommonOptions
from .recording import makeCapture

_log = Logger()

_SERVICES = (echo, printrespond, http, websocket)


class Options(CommonOptions):
    """
    The command line of C{netkit}: what the services share, and where each one listens.

    C{self["services"]} holds the options of each service that is to run.
    """

    longdesc = "Each service listens where its own plugin does, unless told otherwise."

    # Of the http service, for who tests a web page or a client of HTTP.
    optFlags = [flag for flag in http.Options.optFlags if flag[0] in ("routes", "cors")]

    def __init__(self) -> None:
        super().__init__()
        self["services"] = [module.Options() for module in _SERVICES]
        for options in self["services"]:
            options.listenOption = options.service
        self["without"] = set()

    def opt_without(self, service: str) -> None:
        """
        Leave a service out: echo, print-respond, http, websocket or inspector. May be given
        several times.
        """
        names = [*(options.service for options in self["services"]), InspectorService.service]
        if service not in names:
            raise UsageError(f"--without takes one of {', '.join(names)}, not {service!r}")
        self["without"].add(service)

    def _listen(self, service: str, description: str) -> None:
        for options in self["services"]:
            if options.service == service:
                options.opt_listen(description)

    def opt_echo(self, description: str) -> None:
        """
        A server endpoint string for the echo service. May be given several times.
        """
        self._listen("echo", description)

    def opt_print_respond(self, description: str) -> None:
        """
        A server endpoint string for the print-respond service. May be given several times.
        """
        self._listen("print-respond", description)

    def opt_http(self, description: str) -> None:
        """
        A server endpoint string for the HTTP service. May be given several times.
        """
        self._listen("http", description)

    def opt_websocket(self, description: str) -> None:
        """
        A server endpoint string for the WebSocket service. May be given several times.
        """
        self._listen("websocket", description)

    def postOptions(self) -> None:
        self["inspect-default"] = self["inspect"] is None
        if InspectorService.service in self["without"]:
            if self["inspect"] is not None:
                raise UsageError("--inspect and --without inspector exclude each other")
        elif self["inspect"] is None:
            self["inspect"] = DEFAULT_ENDPOINT
        super().postOptions()
        for options in self["services"]:
            if options.service in self["without"] and options["listen"]:
                raise UsageError(
                    f"--{options.service} and --without {options.service} exclude each other"
                )
        self["services"] = [
            options for options in self["services"] if options.service not in self["without"]
        ]
        if not self["services"]:
            raise UsageError("--without leaves no service to run")
        shared = {name: self[name] for name in CommonOptions()}
        for options in self["services"]:
            options.update(shared)
            if options.service == http.Options.service:
                options.update(routes=self["routes"], cors=self["cors"])
            options.postOptions()


class Umbrella(MultiService):
    """
    All services; it says in a table where they listen.
    """

    def startService(self) -> None:
        super().startService()
        services = cast("list[PluginService | InspectorService]", list(self))
        rows = [
            f"{service.service:<14}{addressText(address)}"
            for service in services
            for address in service.addresses
        ]
        _log.info("netkit listens:\n{table}", table="\n".join(rows))


def makeService(options: Options) -> Umbrella:
    """
    Make all services.
    """
    umbrella = Umbrella()
    capture = makeCapture(options)
    modules = {module.Options.service: module for module in _SERVICES}
    for its in options["services"]:
        its.sharedCapture = capture
        modules[its.service].makeService(its).setServiceParent(umbrella)
    services = [cast("PluginService", service).inspected for service in umbrella]
    otherwise = OTHER_ENDPOINT if options["inspect-default"] else None
    addInspector(umbrella, options, capture, services, otherwise=otherwise)
    return umbrella
