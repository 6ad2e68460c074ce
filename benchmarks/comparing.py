"""
Two servers, measured in turn.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from statistics import median

from .environment import Unusable
from .measures import Bounds, Contender, Measure, Sample, Samples

# Where the load generator had this much of its core, the server was not the limit.
_BUSY = 0.95

# Where a server waited for its core for more of the time, other programs had it, and neither
# throughput nor latency says anything.
_WAITED = 0.05


@dataclass
class Comparison:
    """
    What came out of measuring two servers, as far as it went.

    @ivar subject: the name of the one.
    @ivar peer: the name of the other.
    @ivar measure: how they were measured.
    @ivar atLeast: the ratio to be reached.
    @ivar atMost: the score that the subject is not to go beyond.
    @ivar pairs: the measurements.
    @ivar problem: why there are none.
    """

    subject: str
    peer: str
    measure: Measure
    atLeast: float | None = None
    atMost: float | None = None
    pairs: list[Samples] = field(default_factory=list)
    problem: str = ""

    @property
    def ratios(self) -> list[float]:
        """
        How often as good the subject is, pair by pair, from the worst to the best.
        """
        return sorted(
            one.score / other.score if self.measure.moreIsBetter else other.score / one.score
            for one, other in self.pairs
        )

    @property
    def ratio(self) -> float:
        """
        The median of that.
        """
        return median(self.ratios)

    @property
    def costRatio(self) -> float | None:
        """
        How often as much work the subject does with the same processor time; C{None} where that
        is not known.
        """
        ratios = [other.cost / one.cost for one, other in self.pairs if one.cost and other.cost]
        return median(ratios) if ratios else None

    @property
    def score(self) -> float:
        """
        The subject's, the median.
        """
        return median(one.score for one, _ in self.pairs)

    @property
    def peerScore(self) -> float:
        """
        The peer's, the median.
        """
        return median(other.score for _, other in self.pairs)

    @property
    def reached(self) -> bool | None:
        """
        Whether what is to be reached is; C{None} where nothing is, or nothing can be said.
        """
        if self.atMost is not None:
            return self.score <= self.atMost
        if self.atLeast is None or (self.disturbed and not self.byProcessor):
            return None
        return self.verdict >= self.atLeast

    @property
    def disturbed(self) -> bool:
        """
        Whether other programs had the servers' core too.
        """
        return median(sample.waited for pair in self.pairs for sample in pair) > _WAITED

    @property
    def verdict(self) -> float:
        """
        The ratio that counts: that of processor time where throughput was limited by something
        else.
        """
        return self.costRatio if self.byProcessor and self.costRatio else self.ratio

    @property
    def byProcessor(self) -> bool:
        """
        Whether that of processor time counts.
        """
        usable = self.measure.moreIsBetter and self.costRatio is not None
        return usable and (self.disturbed or bool(self.limited))

    @property
    def limited(self) -> list[str]:
        """
        The servers that were not the limit.
        """

        def busy(samples: Sequence[Sample]) -> bool:
            return median(sample.driver for sample in samples) > _BUSY

        names = (self.subject, self.peer)
        return [name for name, samples in zip(names, self._columns, strict=True) if busy(samples)]

    @property
    def _columns(self) -> list[tuple[Sample, ...]]:
        return list(zip(*self.pairs, strict=True))


def compare(
    comparison: Comparison, one: Contender, other: Contender, bounds: Bounds
) -> Comparison:
    """
    Measure two servers, and say how it goes.

    @param comparison: what it is about; what is measured is added to it.
    """
    try:
        comparison.pairs.extend(comparison.measure.pairs(one, other, bounds))
    except Unusable as error:
        comparison.pairs.clear()
        comparison.problem = str(error)
        print(f"    {comparison.subject} / {comparison.peer}: {error}", file=sys.stderr)
    else:
        ratios = comparison.ratios
        print(
            f"    {comparison.subject} / {comparison.peer}: "
            f"{comparison.ratio:.2f} ({ratios[0]:.2f} to {ratios[-1]:.2f})"
            + (f", by processor time {comparison.costRatio:.2f}" if comparison.costRatio else ""),
            file=sys.stderr,
        )
    return comparison
