"""
What the next write may do. In F{native.c} are the same numbers.
"""

# It has to be queued.
QUEUED = 0
# It may go to the kernel.
STRAIGHT = 1
# It may go to the kernel, unless TLS has to be asked about it.
THROUGH_TLS = 2
# Beside one of these: nothing arrived before it, and the turn's end is to allow another one.
FIRST = 4
