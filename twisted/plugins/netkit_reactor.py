# Names only: a plugin file is imported at every scan, so it imports nothing of netkit and no
# reactor.
from twisted.application.reactors import Reactor

uvloop = Reactor(
    "uvloop",
    "netkit.services.reactor",
    "uvloop's event loop under any Twisted program.",
)
