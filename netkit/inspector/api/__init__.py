"""
The API: what is asked over HTTP, and answered in JSON. A file for each kind of resource.
"""
