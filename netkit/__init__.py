"""
netkit: the Twisted counterpart of Node's C{net}.

From the outside in (imports point downwards only):

    - L{netkit.cli}: the C{netkit} command: clients, one of L{netkit.commands} for each verb.
    - L{netkit.services}: options and services, one file for each twistd plugin.
    - L{netkit.net}: C{createServer} and C{createConnection}, awaitable.
    - L{netkit.echo}, L{netkit.printrespond}, L{netkit.http}, L{netkit.websocket}:
      Protocol and Factory classes.
    - L{netkit.reactor}: the uvloop reactor, which runs any of these and any other program.
    - L{netkit.server}: what every server connection shares: limits, idleness, closing.
    - L{netkit.wire}: bytes to events and back; pure, knows neither Twisted nor sockets.
"""

__version__ = "0.1.0"
