"""What the printed numbers leave each other, by interval arithmetic over their rounding.

Each rule says which values one number may have if the others of the rule are what they print. It knows no paper.
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
"""Number to the values that are printed so."""

_SLACK = 1e-9  # of floating point, so that an interval is never too small


@dataclass(frozen=True)
class Rule:
    """`name` for the reader; `admissible` gives `derived` from `given`, if `is_exact` one value from values."""

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
        """What the printed values of `given` leave for `derived`."""
        low, high = self.admissible([printed[name] for name in self.given])
        return low if isinf(low) else low - _SLACK * abs(low), high if isinf(high) else high + _SLACK * abs(high)

    def is_broken(self, printed: Printed) -> bool:
        """No value that is printed so is admissible."""
        low, high = self.interval(printed)
        return printed[self.derived][1] < low or printed[self.derived][0] > high


def fewest_left_out(rules: Sequence[Rule], printed: Printed) -> frozenset[str]:
    """The fewest numbers without which no rule is broken; of several such sets the one with the most derived ones."""
    broken = [rule for rule in rules if rule.is_broken(printed)]
    derived = Counter(rule.derived for rule in broken)
    names = sorted({name for rule in broken for name in rule.cells})
    for size in range(len(names) + 1):
        sets = [chosen for chosen in combinations(names, size) if all(rule.cells & set(chosen) for rule in broken)]
        if sets:
            return frozenset(max(sets, key=lambda chosen: sum(derived[name] for name in chosen)))
    return frozenset()


def sd_within_range(n: int) -> Admissible:
    """SD (n - 1) of n values with this mean, minimum and maximum.

    At most as if all lay at the ends: variance (mean - min)(max - mean) n / (n - 1) (Bhatia and Davis, Am Math Mon
    2000;107:353).

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
    """SD of all values from means and SDs of groups of these sizes, given as mean, SD, mean, SD, and so on.

    Given and found spreads are `multiplier` SDs.

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
    """Mean percent difference of a ratio from bias, 1.96 SD, bias, 1.96 SD of those of numerator and denominator.

    Of one case it is (a - b) / (1 - a b / 200²). What that adds to a - b is on average at most max|a - b| times
    √(mean a² mean b²) / 200², with no a further from its mean than SD (n - 1) / √n (Samuelson, J Am Stat Assoc
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
    """Lower (`end` 0) or upper (1) bound of the 95 % CI of a percentage RC, by χ² with `df`."""
    factor = sd_interval(1.0, df)[end]
    return lambda given: (factor * given[0][0], factor * given[0][1])


def rc_bound_from_other(df: int) -> Admissible:
    """Upper bound of that interval from the lower one: both rest on one RC."""
    lower, upper = sd_interval(1.0, df)
    return lambda given: (upper / lower * given[0][0], upper / lower * given[0][1])


def limit(sign: int) -> Admissible:
    """Bias plus (`sign` 1) or minus (-1) the half-width.

    >>> limit(-1)([(1.0, 2.0), (5.0, 6.0)])
    (-5.0, -3.0)
    """

    def admissible(given: Sequence[Interval]) -> Interval:
        (low, high), half = given
        ends = sorted((sign * half[0], sign * half[1]))
        return low + ends[0], high + ends[1]

    return admissible


def same(given: Sequence[Interval]) -> Interval:
    """The number itself."""
    return given[0]


def lowest(given: Sequence[Interval]) -> Interval:
    """The lowest of the numbers."""
    return min(low for low, _ in given), min(high for _, high in given)


def highest(given: Sequence[Interval]) -> Interval:
    """The highest of the numbers."""
    return max(low for low, _ in given), max(high for _, high in given)


def total(given: Sequence[Interval]) -> Interval:
    """The sum of the numbers."""
    return sum(low for low, _ in given), sum(high for _, high in given)


def _between(sizes: Sequence[int], means: Sequence[Interval]) -> Interval:
    """Least and largest sum of squares, about their common centre, of means that lie in intervals."""

    def squares(values: Sequence[float]) -> float:
        centre = sum(n * value for n, value in zip(sizes, values, strict=True)) / sum(sizes)
        return sum(n * (value - centre) ** 2 for n, value in zip(sizes, values, strict=True))

    # Least: every mean as near as its interval lets it be to their common centre, found by iteration. Largest:
    # at ends of the intervals, the sum being convex in each mean.
    nearest = [sum(mean) / 2 for mean in means]
    for _ in range(200):
        centre = sum(n * value for n, value in zip(sizes, nearest, strict=True)) / sum(sizes)
        nearest = [min(max(centre, low), high) for low, high in means]
    return squares(nearest), max(squares(ends) for ends in product(*means))
