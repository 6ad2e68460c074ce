"""
Protocols as bytes in, events out; events in, bytes out.

Nothing in here does I/O, reads a clock or imports Twisted, so it works on a live connection and
on recorded bytes alike, from the client's side and from the server's.
"""
