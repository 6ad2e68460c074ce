"""
A protocol of your own on netkit's Factory, which brings the limits: on connections, and on the
time that one may be silent::

    twistd -ny examples/upper.tac
    echo hello | netkit send tcp:127.0.0.1:3210
"""

from twisted.application.service import Application

from netkit.server import ServerFactory, ServerProtocol
from netkit.service import ListeningService


class Upper(ServerProtocol):
    """
    Sends back what it receives in capital letters. Closes when the client has half-closed.
    """

    def connectionMade(self) -> None:
        # A client that does not read is not read from.
        self.transport.registerProducer(self.transport, True)

    def dataReceived(self, data: bytes) -> None:
        # Not silent: for the factory, which ends those who are.
        self.idleTicks = 0
        self.transport.write(data.upper())

    def readConnectionLost(self) -> None:
        self.transport.unregisterProducer()
        self.transport.loseConnection()


class UpperFactory(ServerFactory):
    protocol = Upper


application = Application("upper")
ListeningService(
    "tcp:3210:interface=127.0.0.1", UpperFactory(maxConnections=100, idleTimeout=60)
).setServiceParent(application)
