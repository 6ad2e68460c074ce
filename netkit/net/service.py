"""
A server as a part of an Application.
"""

from __future__ import annotations

from twisted.application.service import Service
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IAddress, IStreamServerEndpoint
from twisted.logger import Logger
from twisted.python.failure import Failure

from ..base.addresses import addressText
from ..base.arguments import checkSeconds
from ..base.starting import LISTENING_ERRORS, cannotListen, listeningError
from .server import Server

_log = Logger()


class ServerService(Service):
    """
    Starts a server, and closes it when the service is stopped.
    """

    def __init__(
        self, server: Server, *endpoints: str | IStreamServerEndpoint, grace: float = 5.0
    ) -> None:
        """
        @param server: what L{netkit.net.createServer} made.
        @param endpoints: where it listens.
        @param grace: for how many seconds open connections may go on when the service stops.
        @raise TypeError: C{server} is no server, C{grace} no number.
        @raise ValueError: there is no endpoint, C{grace} is negative or infinite.
        """
        if not isinstance(server, Server):
            raise TypeError(f"server is what createServer made, not {server!r}")
        if not endpoints:
            raise ValueError("without an endpoint there is nothing to listen on: give one")
        checkSeconds("grace", grace)
        self._server = server
        self._endpoints = endpoints
        self._grace = grace
        self._started = False

    def privilegedStartService(self) -> None:
        """
        Listen, while the process may still bind any port.
        """
        super().privilegedStartService()
        self._start()

    def startService(self) -> None:
        """
        Listen, unless that was done.

        @raise CannotStart: an endpoint cannot be listened on, and that is known at once. Where it
            turns out later, the log says so.
        """
        super().startService()
        self._start()

    def stopService(self) -> Deferred[None]:
        """
        Close the server.

        @return: fires when its last connection has ended.
        """
        super().stopService()
        self._started = False
        return self._server.close(self._grace)

    def _start(self) -> None:
        if self._started:
            return
        self._started = True
        for endpoint in self._endpoints:
            listening = self._server.listen(endpoint)
            listening.addCallback(self._listens, endpoint)
            if listening.called:
                failures: list[Failure] = []
                listening.addErrback(failures.append)
                for failure in failures:
                    try:
                        failure.raiseException()
                    except LISTENING_ERRORS as error:
                        raise cannotListen("netkit.net server", endpoint, error) from error
            else:
                listening.addErrback(self._cannotListen, endpoint)

    def _listens(self, address: IAddress, endpoint: object) -> None:
        _log.info(
            "listens on {address} ({endpoint})", address=addressText(address), endpoint=endpoint
        )

    def _cannotListen(self, failure: Failure, endpoint: object) -> None:
        # Where the service was stopped meanwhile, that is why.
        if not self._started:
            return
        try:
            failure.raiseException()
        except LISTENING_ERRORS as error:
            reason = listeningError(error)
            _log.error("cannot listen on {endpoint}: {reason}", endpoint=endpoint, reason=reason)
