"""
The verbs of the C{netkit} command, one module each, and what they share:

    - L{netkit.commands.running}: the reactor, the signals, the exit status.
    - L{netkit.commands.standardio}: standard input and output, whatever they are.
"""
