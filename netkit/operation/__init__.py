"""
What keeps a service running: that it stops without loss, and that other processes serve in its
place.
"""
