"""
The verbs of the C{netkit} command, one module each, and what they share:

    - L{netkit.commands.running}: the reactor, the signals, the exit status.
    - L{netkit.commands.arguments}: the types of what they take.
    - L{netkit.commands.connecting} and L{netkit.commands.tls}: endpoints, TLS and trust.
    - L{netkit.commands.standardio}: standard input and output, whatever they are.
"""
