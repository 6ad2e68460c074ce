"""
A certificate authority (CA) of one's own, for servers that clients on the same machine are to
trust: to be made, trusted by hand, and thrown away.

    - L{netkit.localca.authority}: the authority, and its files.
    - L{netkit.localca.context}: TLS with a certificate for the name that each client asks for.
    - L{netkit.localca.endpoint}: the endpoint string C{localca:}.

Needs C{trustme}: C{pip install txnetkit[tls]}.
"""
