"""
What every connection stands on, whatever it speaks: one of each thing.
"""
