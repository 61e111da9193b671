"""Rule for one sample: mean and SD must fit the range, and the step of the values."""

from __future__ import annotations

import math
from collections.abc import Iterator
from fractions import Fraction
from typing import Final

from liverspleen.audit.granularity import granularity_violations
from liverspleen.audit.intervals import Bound, Interval
from liverspleen.audit.rule import Relation, Rule, Sample, Violation, names, outside


def _sample(relation: Relation) -> Iterator[Violation]:
    sample, n = relation.sample, relation.sample.n
    if n < 2:
        raise ValueError("the n is 1, and 1 value has no SD")
    within = Interval(*relation.settings["within"]) if "within" in relation.settings else None
    if within and within.is_empty:
        raise ValueError("`within` has a lower end above its upper end")
    if within:
        for name in ("minimum", "maximum", "mean"):
            if name in sample.numbers:
                yield from outside(sample.numbers[name], within, "the possible values of a case")
    if "step" in relation.settings:
        yield from granularity_violations(sample, n, relation.settings["step"][0])
    yield from _order(sample)
    low, high = _ends(sample, within)
    mean = sample.mean
    if mean is None or sample.centre is None:
        return
    feasible = _means(sample, n, low, high)
    ends = [sample.numbers[name] for name in ("minimum", "maximum") if name in sample.numbers]
    between = f"of {n} cases, one has the minimum, one the maximum, and the others are between: {names(ends)}"
    yield from outside(sample.centre, feasible, between)
    if sample.spread is not None and sample.sd is not None and mean.meets(feasible):
        variance = _variances(sample, n, mean.common(feasible), low, high)
        why = f"smallest and largest SD of {n} cases with {names([sample.centre, *ends])}"
        yield from outside(sample.spread, sample.printed_sd(variance.root), why)


def _order(sample: Sample) -> Iterator[Violation]:
    low, high = sample.values("minimum"), sample.values("maximum")
    if low is not None and high is not None:
        yield from outside(sample.numbers["minimum"], Interval(-math.inf, high.upper), "not above the maximum")


def _ends(sample: Sample, within: Interval | None) -> tuple[Bound, Bound]:
    """Return the lowest and the highest possible value of a case."""
    low, high = sample.values("minimum"), sample.values("maximum")
    possible = within or Interval(-math.inf, math.inf)
    return (low.lower if low else possible.lower), (high.upper if high else possible.upper)


def _means(sample: Sample, n: int, low: Bound, high: Bound) -> Interval:
    """Return the possible means of `n` cases of which one has the printed minimum and one the printed maximum."""
    minimum, maximum = sample.values("minimum"), sample.values("maximum")
    least, most = low, high
    if maximum is not None and not math.isinf(low):
        least = ((n - 1) * low + max(low, maximum.lower)) / n
    if minimum is not None and not math.isinf(high):
        most = (min(high, minimum.upper) + (n - 1) * high) / n
    return Interval(least, most)


def _variances(sample: Sample, n: int, mean: Interval, low: Bound, high: Bound) -> Interval:
    """Return the possible variances (n - 1) of `n` cases with such a mean and range.

    The largest is n/(n - 1) (mean - low)(high - mean): Bhatia and Davis, Am Math Mon 2000;107:353-357.
    """
    largest: Bound = math.inf
    if not math.isinf(low) and not math.isinf(high):
        at = Fraction(mean.nearest((low + high) / 2))
        largest = Fraction(n, n - 1) * max((at - low) * (high - at), Fraction(0))
    minimum, maximum = sample.values("minimum"), sample.values("maximum")
    below = _least_distance(mean, minimum, downwards=True)
    above = _least_distance(mean, maximum, downwards=False)
    return Interval(_least_squares(n, below, above) / (n - 1), largest)


def _least_distance(mean: Interval, end: Interval | None, *, downwards: bool) -> Bound | None:
    """Return the least distance of the mean from the minimum or the maximum; None if that is not printed."""
    if end is None:
        return None
    distance = (mean - end) if downwards else (end - mean)
    return max(distance.lower, Fraction(0))


def _least_squares(n: int, below: Bound | None, above: Bound | None) -> Bound:
    """Return the least sum of squares if one case is at least `below` under the mean and one at least `above` over it.

    With both it is the minimum of u² + v² + (u - v)²/(n - 2) over u ≥ below, v ≥ above, with all other values equal;
    with one of them it is u² n/(n - 1): Samuelson, J Am Stat Assoc 1968;63:1522-1525.
    """
    if below is None or above is None:
        one = next((distance for distance in (below, above) if distance is not None), Fraction(0))
        return one * one * n / (n - 1)
    if n == 2:
        return 2 * max(below, above) ** 2
    # The function is convex and decreases towards u = v/(n - 1) and v = u/(n - 1).
    # At its minimum u or v is at its bound.
    first = (below, max(above, below / (n - 1)))
    second = (max(below, above / (n - 1)), above)
    return min(u * u + v * v + (u - v) ** 2 / (n - 2) for u, v in (first, second))


RULES: Final = (
    Rule(
        "sample",
        "impossible",
        "min ≤ mean ≤ max; least SD ≤ SD ≤ √(n/(n - 1) (mean - min)(max - mean)); n mean is a multiple of `step`",
        {"mean?": "one", "sd?": "one", "bias?": "one", "half_width?": "one", "minimum?": "one", "maximum?": "one"},
        _sample,
        {"within?": 2, "step?": 1},
    ),
)
