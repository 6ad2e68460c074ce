"""
Whole programs that somebody else wrote, on one reactor or another.

    python PROGRAM.py --reactor=netkit|epoll|asyncio ADDRESS
"""
