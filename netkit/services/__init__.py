"""
From options to services: one file for each twistd plugin, and what they share.
"""
