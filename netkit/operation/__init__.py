"""
What keeps a service running: that it stops without loss.
"""
