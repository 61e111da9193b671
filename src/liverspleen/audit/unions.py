"""Rule for groups and their total: mean, SD, minimum and maximum of a union are exact identities."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from fractions import Fraction
from itertools import pairwise
from typing import Final

from liverspleen.audit.intervals import Interval, total
from liverspleen.audit.rule import Relation, Rule, Sample, Violation, outside
from liverspleen.errors import counted


def _union(relation: Relation) -> Iterator[Violation]:
    whole, groups = relation.sample, relation.samples["groups"]
    sizes = [group.n for group in groups]
    n = sum(sizes)
    yield from _extremes(whole, groups)
    if whole.centre is None:
        return
    if whole.n != n:
        yield Violation(whole.centre.number, None, f"n is {whole.n}, but the n of the groups add up to {n}")
        return
    means = [group.mean for group in groups if group.mean is not None]
    if len(means) < len(groups):
        raise ValueError("the mean of a group is missing")
    pooled = total(mean.times(size) for mean, size in zip(means, sizes, strict=True)).times(Fraction(1, n))
    yield from outside(whole.centre, pooled, f"mean of {counted(len(groups), 'group')}, weighted by n")
    sds = [group.sd for group in groups if group.sd is not None]
    if whole.spread is not None and len(sds) == len(groups) and n > 1:
        inner = total(sd.square.times(size - 1) for sd, size in zip(sds, sizes, strict=True))
        variance = (inner + _between(means, sizes)).times(Fraction(1, n - 1))
        why = f"√(Σ (n - 1) SD² + Σ n (mean - total)²) / √(N - 1) of {counted(len(groups), 'group')}"
        yield from outside(whole.spread, whole.printed_sd(variance.root), why)


def _between(means: Sequence[Interval], sizes: Sequence[int]) -> Interval:
    """Return bounds of Σ n (mean - m)² around the common mean m, over all means inside their intervals.

    The sum is the minimum over c of Σ n (mean - c)². So its lower bound is the minimum over c of the squared distances
    of c from the intervals. Any c gives an upper bound; here it is the mean of the middles.
    """
    n = sum(sizes)
    centre = sum((mean.middle * size for mean, size in zip(means, sizes, strict=True)), Fraction(0)) / n
    most = total((mean - Interval.of(centre)).square.times(size) for mean, size in zip(means, sizes, strict=True))
    ends = [Fraction(end) for mean in means for end in (mean.lower, mean.upper) if not math.isinf(end)]
    least = _least_distances(ends, means, sizes)
    return Interval(least, most.upper)


def _least_distances(ends: Sequence[Fraction], means: Sequence[Interval], sizes: Sequence[int]) -> Fraction:
    """Return the minimum over c of Σ n (distance of c from the interval)²: convex, and quadratic between the ends."""
    points = sorted(set(ends))
    found = [_distances(point, means, sizes) for point in points]
    for low, high in pairwise(points):
        middle = (low + high) / 2
        apart = [
            (mean, size) for mean, size in zip(means, sizes, strict=True) if not mean.lower <= middle <= mean.upper
        ]
        if apart:
            nearest = sum((Fraction(mean.nearest(middle)) * size for mean, size in apart), Fraction(0))
            best = nearest / sum(size for _, size in apart)
            found.append(_distances(min(max(best, low), high), means, sizes))
    return min(found, default=Fraction(0))


def _distances(point: Fraction, means: Sequence[Interval], sizes: Sequence[int]) -> Fraction:
    return sum(
        ((Fraction(mean.nearest(point)) - point) ** 2 * size for mean, size in zip(means, sizes, strict=True)),
        Fraction(0),
    )


def _extremes(whole: Sample, groups: Sequence[Sample]) -> Iterator[Violation]:
    """Check that the minimum of the total is the smallest minimum, and the maximum the largest maximum."""
    for name, pick in (("minimum", min), ("maximum", max)):
        inside = [found for group in groups if (found := group.values(name)) is not None]
        if name in whole.numbers and len(inside) == len(groups):
            end = Interval(pick(found.lower for found in inside), pick(found.upper for found in inside))
            yield from outside(whole.numbers[name], end, f"{name} of {counted(len(groups), 'group')}")


RULES: Final = (
    Rule(
        "union",
        "impossible",
        "mean = Σ n mean / N; (N - 1) SD² = Σ (n - 1) SD² + Σ n (mean - total)²; extremes are those of the groups",
        {
            **{"mean?": "one", "sd?": "one", "bias?": "one", "half_width?": "one"},
            **{"minimum?": "one", "maximum?": "one", "groups": "samples"},
        },
        _union,
    ),
)
