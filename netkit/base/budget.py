"""
How much a factory's connections may keep in memory, all of them together.
"""

from __future__ import annotations

from math import inf


class BudgetExceededError(Exception):
    """
    One connection more would have kept more than all of them together may: it is to be refused,
    and what it kept to be dropped. The message is what to tell its peer and the log.
    """


class Budget:
    """
    How many octets all connections of a factory may keep together. Who keeps some has a L{Share}.

    @ivar used: how many octets they keep.
    """

    __slots__ = ("_most", "limit", "used")

    def __init__(self, limit: int) -> None:
        """
        @param limit: how many octets they may keep; 0 for no limit.
        """
        self.limit = limit
        self.used = 0
        self._most = limit or inf

    def share(self) -> Share:
        """
        Make a share for a connection, or for a part of it.
        """
        return Share(self)


class Share:
    """
    What one connection, or a part of it, keeps of a L{Budget}. Whoever has it gives all back
    (C{keep(0)}) when the connection ends.

    @ivar kept: how many octets are kept.
    """

    __slots__ = ("_budget", "kept")

    def __init__(self, budget: Budget) -> None:
        """
        @param budget: what it is a share of.
        """
        self._budget = budget
        self.kept = 0

    def keep(self, size: int) -> None:
        """
        Say how much is kept from now on. There is no need to while it stays as it was::

            if buffered != share.kept:
                share.keep(buffered)

        @param size: how many octets, of all that this is the share for.
        @raise BudgetExceededError: it is more than before, and more than the budget has; nothing
            changed.
        """
        budget = self._budget
        used = budget.used + size - self.kept
        if used > budget._most and size > self.kept:
            raise BudgetExceededError(
                f"the server keeps as much as it may for all its connections together: "
                f"{budget.limit} bytes"
            )
        budget.used = used
        self.kept = size
