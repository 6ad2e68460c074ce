"""
Endpoints that say where they listen.
"""

from __future__ import annotations

from collections.abc import Generator
from typing import Protocol

from twisted.internet.defer import Deferred, inlineCallbacks
from twisted.internet.error import CannotListenError
from twisted.internet.interfaces import (
    IAddress,
    IListeningPort,
    IProtocolFactory,
    IStreamServerEndpoint,
)
from twisted.logger import Logger
from zope.interface import implementer

from ..base.addresses import addressText
from .errors import CannotStart

_log = Logger()


class Listening(Protocol):
    """
    What listens.

    @ivar service: its name, for the log.
    @ivar addresses: where it listens, as far as it does.
    """

    service: str
    addresses: list[IAddress]


@implementer(IStreamServerEndpoint)
class AnnouncedEndpoint:
    """
    An endpoint that says where it listens, or in one line why it cannot.
    """

    def __init__(
        self, service: Listening, description: str, endpoint: IStreamServerEndpoint
    ) -> None:
        self._service = service
        self._description = description
        self._endpoint = endpoint

    @inlineCallbacks
    def listen(
        self, factory: IProtocolFactory
    ) -> Generator[Deferred[IListeningPort], IListeningPort, IListeningPort]:
        try:
            port = yield self._endpoint.listen(factory)
        # A backlog out of range is an OverflowError, a path too long a plain OSError.
        except (CannotListenError, OSError, OverflowError) as error:
            raise CannotStart(
                # The reason first: the shell that starts a daemon gets to see 100 bytes.
                f"{self._service.service}: cannot listen: {_reason(error)}: "
                f"{self._description!r}; choose another endpoint, or end what listens there"
            ) from error
        address = port.getHost()
        self._service.addresses.append(address)
        _log.info(
            "{service} listens on {address} ({description})",
            service=self._service.service,
            address=addressText(address),
            description=self._description,
        )
        return port


def _reason(error: Exception) -> str:
    if isinstance(error, CannotListenError):
        error = error.socketError
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return str(error)
