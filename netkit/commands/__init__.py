"""
The verbs of the C{netkit} command, one module each, and what they share:

    - L{netkit.commands.running}: the reactor, the signals, the exit status.
    - L{netkit.commands.arguments}: the types of their arguments.
    - L{netkit.commands.connecting} and L{netkit.commands.tls}: endpoints, and whom to believe.
    - L{netkit.commands.standardio}: standard input, whatever it is.
"""
