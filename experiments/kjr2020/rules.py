"""Rules between printed numbers, by interval arithmetic over their rounding.

A rule gives the values that one number can have if the other numbers are as printed. No rule is specific to a paper.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations, product
from math import inf, isinf, sqrt

from liverspleen.evaluation.statistics.intervals import LOA_MULTIPLIER, sd_interval

Interval = tuple[float, float]
UNBOUNDED: Interval = (-inf, inf)
Admissible = Callable[[Sequence[Interval]], Interval]
Printed = Mapping[str, Interval]
"""Interval of the values that round to a printed number, by id."""

_SLACK = 1e-9  # for floating-point errors, so that an interval is never too small


@dataclass(frozen=True)
class Rule:
    """A named rule; `admissible` gives the interval of `derived` from those of `given` (a value if `is_exact`)."""

    name: str
    derived: str
    given: tuple[str, ...]
    admissible: Admissible
    is_exact: bool = False

    @property
    def cells(self) -> frozenset[str]:
        """All numbers that the rule relates."""
        return frozenset({self.derived, *self.given})

    def interval(self, printed: Printed) -> Interval:
        """Return the admissible interval of `derived` for the printed values of `given`."""
        low, high = self.admissible([printed[name] for name in self.given])
        return low if isinf(low) else low - _SLACK * abs(low), high if isinf(high) else high + _SLACK * abs(high)

    def is_broken(self, printed: Printed) -> bool:
        """Return whether no value that rounds to the printed `derived` is admissible."""
        low, high = self.interval(printed)
        return printed[self.derived][1] < low or printed[self.derived][0] > high


def fewest_excluded(rules: Sequence[Rule], printed: Printed) -> frozenset[str]:
    """Return the smallest set of numbers without which no rule is broken.

    Of several such sets it is the one with the most derived numbers of broken rules.
    """
    broken = [rule for rule in rules if rule.is_broken(printed)]
    derived = Counter(rule.derived for rule in broken)
    names = sorted({name for rule in broken for name in rule.cells})
    for size in range(len(names) + 1):
        sets = [chosen for chosen in combinations(names, size) if all(rule.cells & set(chosen) for rule in broken)]
        if sets:
            return frozenset(max(sets, key=lambda chosen: sum(derived[name] for name in chosen)))
    return frozenset()


def sd_within_range(n: int) -> Admissible:
    """Return the rule for the SD (n - 1) of n values from mean, minimum and maximum.

    It is largest if all values are at the ends: variance (mean - min)(max - mean) n / (n - 1) (Bhatia and Davis, Am
    Math Mon 2000;107:353).

    >>> round(sd_within_range(4)([(0.5, 0.5), (0.0, 0.0), (1.0, 1.0)])[1], 4)
    0.5774
    """

    def admissible(given: Sequence[Interval]) -> Interval:
        mean, minimum, maximum = given
        low, high = minimum[0], maximum[1]
        # The bound is largest for a mean in the middle; of the possible means, for the one nearest to it.
        nearest = min(max((low + high) / 2, mean[0]), mean[1])
        return 0.0, sqrt(max((nearest - low) * (high - nearest), 0.0) * n / (n - 1))

    return admissible


def pooled_sd(sizes: Sequence[int], multiplier: float = 1.0) -> Admissible:
    """Return the rule for the SD of all values from the groups, given as mean, SD, mean, SD, and so on.

    Given and derived spreads are `multiplier` SDs.

    >>> [round(end, 4) for end in pooled_sd([2, 2])([(1.0, 1.0), (0.0, 0.0), (3.0, 3.0), (0.0, 0.0)])]
    [1.1547, 1.1547]
    """

    def admissible(given: Sequence[Interval]) -> Interval:
        means, spreads = given[::2], given[1::2]
        within = [sum((n - 1) * s[end] ** 2 for n, s in zip(sizes, spreads, strict=True)) for end in (0, 1)]
        between = [multiplier**2 * square for square in _between(sizes, means)]
        low, high = (sqrt((inner + outer) / (sum(sizes) - 1)) for inner, outer in zip(within, between, strict=True))
        return low, high

    return admissible


def bias_of_ratio(n: int) -> Admissible:
    """Return the rule for the mean percent difference of a ratio, from bias and 1.96 SD of numerator and denominator.

    For one case it is (a - b) / (1 - a b / 200²). On average this differs from a - b by at most max|a - b| times
    √(mean a² mean b²) / 200², where no a is further from its mean than SD (n - 1) / √n (Samuelson, J Am Stat Assoc
    1968;63:1522).

    >>> [round(end, 3) for end in bias_of_ratio(50)([(1.0, 1.0), (2.0, 2.0), (0.5, 0.5), (2.0, 2.0)])]
    [0.499, 0.501]
    """

    def admissible(given: Sequence[Interval]) -> Interval:
        (over, under), halves = given[::2], given[1::2]
        sds = [half[1] / LOA_MULTIPLIER for half in halves]
        biases = [max(map(abs, bias)) for bias in (over, under)]
        largest = [bias + sd * (n - 1) / sqrt(n) for bias, sd in zip(biases, sds, strict=True)]
        squares = [bias**2 + sd**2 for bias, sd in zip(biases, sds, strict=True)]
        off = sum(largest) * sqrt(squares[0] * squares[1]) / (200**2 - largest[0] * largest[1])
        return over[0] - under[1] - off, over[1] - under[0] + off

    return admissible


def rc_bound(df: int, end: int) -> Admissible:
    """Return the rule for the lower (`end` 0) or upper (1) limit of the 95 % CI of %RC, by χ² with `df`."""
    factor = sd_interval(1.0, df)[end]
    return lambda given: (factor * given[0][0], factor * given[0][1])


def rc_bound_from_other(df: int) -> Admissible:
    """Return the rule for the upper limit of that interval from the lower one; both are from one RC."""
    lower, upper = sd_interval(1.0, df)
    return lambda given: (upper / lower * given[0][0], upper / lower * given[0][1])


def limit(sign: int) -> Admissible:
    """Return the rule for bias plus (`sign` 1) or minus (-1) half-width.

    >>> limit(-1)([(1.0, 2.0), (5.0, 6.0)])
    (-5.0, -3.0)
    """

    def admissible(given: Sequence[Interval]) -> Interval:
        (low, high), half = given
        ends = sorted((sign * half[0], sign * half[1]))
        return low + ends[0], high + ends[1]

    return admissible


def same(given: Sequence[Interval]) -> Interval:
    """Return the number."""
    return given[0]


def lowest(given: Sequence[Interval]) -> Interval:
    """Return the lowest number."""
    return min(low for low, _ in given), min(high for _, high in given)


def highest(given: Sequence[Interval]) -> Interval:
    """Return the highest number."""
    return max(low for low, _ in given), max(high for _, high in given)


def total(given: Sequence[Interval]) -> Interval:
    """Return the sum of the numbers."""
    return sum(low for low, _ in given), sum(high for _, high in given)


def _between(sizes: Sequence[int], means: Sequence[Interval]) -> Interval:
    """Return the least and largest sum of squares of means in intervals, about their common centre."""

    def squares(values: Sequence[float]) -> float:
        centre = sum(n * value for n, value in zip(sizes, values, strict=True)) / sum(sizes)
        return sum(n * (value - centre) ** 2 for n, value in zip(sizes, values, strict=True))

    # Least: each mean is the point of its interval nearest to the common centre, by iteration. Largest: at ends of
    # the intervals, because the sum is convex in each mean.
    nearest = [sum(mean) / 2 for mean in means]
    for _ in range(200):
        centre = sum(n * value for n, value in zip(sizes, nearest, strict=True)) / sum(sizes)
        nearest = [min(max(centre, low), high) for low, high in means]
    return squares(nearest), max(squares(ends) for ends in product(*means))
