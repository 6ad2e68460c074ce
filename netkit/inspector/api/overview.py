"""
What the inspector says of itself, and of the last minutes.
"""

from __future__ import annotations

from collections.abc import Iterable
from importlib.util import find_spec
from time import time

from ... import __version__
from ...http import Response
from ..indexing import Indexing
from ..services import InspectedService
from ..statistics import MOST_SECONDS
from .responses import jsonResponse
from .router import Asked, Route


class Overview:
    """
    C{/api} itself, and C{/api/stats}.
    """

    def __init__(
        self,
        indexing: Indexing,
        services: Iterable[InspectedService],
        *,
        session: str,
        recording: str | None,
        readOnly: bool,
    ) -> None:
        """
        @param indexing: what goes through the events.
        @param services: the services.
        @param session: what tells this run of the program from others.
        @param recording: the path of the recording, where it is one.
        @param readOnly: whether nothing can be changed.
        """
        self._indexing = indexing
        self._index = indexing.index
        self._services = services
        self._session = session
        self._recording = recording
        self._readOnly = readOnly
        self.routes = [
            Route(r"", {"GET": self._about}),
            Route(r"/stats", {"GET": self._stats}),
        ]

    async def _about(self, asked: Asked) -> Response:
        asked.query.end()
        await self._indexing.current()
        ring = self._index.ring
        return jsonResponse(
            {
                "name": "netkit",
                "version": __version__,
                "session": self._session,
                "now": time(),
                "readOnly": self._readOnly,
                "recording": self._recording,
                "sequence": self._index.rows.sequence,
                "ring": {
                    "limit": ring.limit,
                    "used": ring.used,
                    "events": ring.taken,
                    "octets": ring.octets,
                    "evicted": {
                        "events": ring.evicted,
                        "octets": ring.evictedOctets,
                        "connections": ring.evictedConnections,
                    },
                    "connections": len(ring.connections),
                    "open": ring.open,
                },
                "exchanges": len(self._index.rows),
                "behind": self._index.behind,
                "skipped": self._index.skipped,
                "decoders": _decoders(),
                "services": [service.json() for service in self._services],
            }
        )

    async def _stats(self, asked: Asked) -> Response:
        count = asked.query.number("seconds", 60, 1, MOST_SECONDS)
        asked.query.end()
        await self._indexing.current()
        now = int(time())
        return jsonResponse({"seconds": self._index.statistics.json(now - count + 1, now + 1)})


def _decoders() -> list[str]:
    found = ["gzip", "deflate"]
    if find_spec("brotli") is not None:
        found.append("br")
    if find_spec("zstandard") is not None:
        found.append("zstd")
    return found
