# Names only: this file is imported at every scan, so it imports nothing of netkit and no reactor.
from twisted.application.service import ServiceMaker

echo = ServiceMaker(
    "netkit echo",
    "netkit.services.echo",
    "Send back everything that a client sends.",
    "netkit-echo",
)
printRespond = ServiceMaker(
    "netkit print-respond",
    "netkit.services.printrespond",
    "Print what a client sent until it half-closed, then answer.",
    "netkit-print-respond",
)
http = ServiceMaker(
    "netkit http",
    "netkit.services.http",
    "Print every HTTP request exactly as it was sent, then answer.",
    "netkit-http",
)
websocket = ServiceMaker(
    "netkit websocket",
    "netkit.services.websocket",
    "Send back every WebSocket message, and print it.",
    "netkit-websocket",
)
forward = ServiceMaker(
    "netkit forward",
    "netkit.services.forward",
    "Pass connections on to another server, octet by octet.",
    "netkit-forward",
)
everything = ServiceMaker(
    "netkit",
    "netkit.services.umbrella",
    "All netkit services at once, each on an endpoint of its own.",
    "netkit",
)
