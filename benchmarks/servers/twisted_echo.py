"""
Twisted's own echo.
"""

from twisted.internet.protocol import Factory
from twisted.protocols.wire import Echo
from twisted_listen import serve

serve(lambda flags: Factory.forProtocol(Echo))
