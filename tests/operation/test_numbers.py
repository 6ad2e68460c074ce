"""
Several processes count together.
"""

from __future__ import annotations

import os
import subprocess
import sys
from itertools import islice

from netkit.operation.numbers import Numbers

OTHERS = """
import sys
from itertools import islice
from netkit.operation.numbers import Numbers
sys.stdin.read()
print(*islice(Numbers(int(sys.argv[1])), 100_000))
"""


def test_one_process_counts_from_1() -> None:
    assert list(islice(Numbers(), 3)) == [1, 2, 3]


def test_processes_give_no_number_twice() -> None:
    numbers = Numbers()
    own = [next(numbers)]
    descriptor = numbers.descriptor()
    assert numbers.descriptor() == descriptor
    others = [
        subprocess.Popen(
            [sys.executable, "-c", OTHERS, str(descriptor)],
            pass_fds=[descriptor],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        for _ in range(2)
    ]
    for other in others:
        # All begin together.
        assert other.stdin is not None
        other.stdin.close()
    own += islice(numbers, 100_000)
    for other in others:
        assert other.stdout is not None
        with other.stdout:
            given = list(map(int, other.stdout.read().split()))
        assert other.wait() == 0
        assert given == sorted(given)
        own += given
    os.close(descriptor)
    assert sorted(own) == list(range(1, 300_002))
