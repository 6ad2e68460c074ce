"""
WebSocket for Twisted.
"""
