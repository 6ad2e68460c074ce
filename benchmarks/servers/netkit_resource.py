"""
netkit's HTTP, through HTTPFactory with a resource of twisted.web's.
"""

from __future__ import annotations

from twisted_hello import Answer, QuietSite
from twisted_listen import serve

from netkit.http import HTTPFactory, resourceHandler
from netkit.wire.http import Limits

serve(lambda flags: HTTPFactory(resourceHandler(QuietSite(Answer())), limits=Limits(content=0)))
