"""
twisted.web: an HTTP server.
"""

from __future__ import annotations

from twisted_hello import Answer, QuietSite
from twisted_listen import serve

serve(lambda flags: QuietSite(Answer()))
