"""
netkit against suites that others wrote: C{python -m compliance.autobahn}, C{python -m
compliance.twistedsuite}. See README.md.
"""
