"""
The live inspector: what goes over a program's connections, shown while it happens, over an API and
on a web page.
"""
