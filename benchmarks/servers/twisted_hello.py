"""
What twisted.web answers requests by, be it a server of its own or netkit's.
"""

from __future__ import annotations

import os

from twisted.web.resource import Resource
from twisted.web.server import Request, Site


class Answer(Resource):
    """
    Answers a request.
    """

    isLeaf = True

    def render_GET(self, request: Request) -> bytes:
        """
        Answer with a greeting.
        """
        request.setHeader(b"content-type", b"text/plain")
        return b"Hello, World!"

    def render_POST(self, request: Request) -> bytes:
        """
        Answer with the content, or how long it is.
        """
        request.setHeader(b"content-type", b"text/plain")
        if request.uri == b"/upload":
            return b"%d" % request.content.seek(0, os.SEEK_END)
        content: bytes = request.content.read()
        return content


# Without a log formatter's work for each request.
class QuietSite(Site):
    """
    Logs nothing.
    """

    noisy = False

    def log(self, request: Request) -> None:
        """
        Log nothing.
        """
