"""
Twisted's own tests of C{twisted.web.websocket}, run on C{netkit.websocket} in its place:
C{python -m compliance.twistedsuite}.
"""

from __future__ import annotations

import sys
import unittest

import netkit.websocket

# The tests look whether the library is there that Twisted's own implementation stands on.
sys.modules.setdefault("wsproto", netkit.websocket)
sys.modules["twisted.web.websocket"] = netkit.websocket

if __name__ == "__main__":
    unittest.main("twisted.web.test.test_websocket", argv=["compliance.twistedsuite", "-v"])
