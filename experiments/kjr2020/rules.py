"""What the printed numbers leave each other: four rules, by interval arithmetic over their rounding.

Each rule says which values one number may have if the others of the rule are what they print. It knows no paper.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations, product
from math import sqrt

from liverspleen.evaluation.intervals import MULTIPLIER, sd_interval

Interval = tuple[float, float]
Printed = Mapping[str, Interval]
"""Number to the values that round to what is printed."""


@dataclass(frozen=True)
class Rule:
    """`name` for the reader; `derived` is the number that `admissible` gives from the `given` ones."""

    name: str
    derived: str
    given: tuple[str, ...]
    admissible: Callable[[Sequence[Interval]], Interval]

    @property
    def cells(self) -> frozenset[str]:
        """All numbers that the rule relates."""
        return frozenset({self.derived, *self.given})

    def interval(self, printed: Printed) -> Interval:
        """What the printed values of `given` leave for `derived`."""
        return self.admissible([printed[name] for name in self.given])

    def is_broken(self, printed: Printed) -> bool:
        """No value that rounds to what is printed is admissible."""
        low, high = self.interval(printed)
        return printed[self.derived][1] < low or printed[self.derived][0] > high


def sd_within_range(n: int) -> Callable[[Sequence[Interval]], Interval]:
    """SD (n - 1) of n values with this mean, minimum and maximum.

    At most as if all lay at the ends: variance (mean - min)(max - mean) n / (n - 1) (Bhatia and Davis, Am Math Mon
    2000;107:353).

    >>> round(sd_within_range(4)([(0.5, 0.5), (0.0, 0.0), (1.0, 1.0)])[1], 4)
    0.5774
    """

    def admissible(given: Sequence[Interval]) -> Interval:
        mean, minimum, maximum = given
        low, high = minimum[0], maximum[1]
        # The bound is largest for a mean in the middle; of the possible means the one nearest to it.
        nearest = min(max((low + high) / 2, mean[0]), mean[1])
        return 0.0, sqrt(max((nearest - low) * (high - nearest), 0.0) * n / (n - 1))

    return admissible


def pooled_sd(sizes: Sequence[int]) -> Callable[[Sequence[Interval]], Interval]:
    """SD of all values from the means and SDs of groups of these sizes, given as mean, SD, mean, SD …

    >>> pooled_sd([2, 2])([(1.0, 1.0), (0.0, 0.0), (3.0, 3.0), (0.0, 0.0)])
    (1.1547005383792515, 1.1547005383792515)
    """

    def admissible(given: Sequence[Interval]) -> Interval:
        means, sds = given[::2], given[1::2]
        total = sum(sizes)
        within = [sum((n - 1) * sd[end] ** 2 for n, sd in zip(sizes, sds, strict=True)) for end in (0, 1)]
        between = _between(sizes, means)
        low, high = (sqrt((inner + outer) / (total - 1)) for inner, outer in zip(within, between, strict=True))
        return low, high

    return admissible


def _between(sizes: Sequence[int], means: Sequence[Interval]) -> Interval:
    """Least and largest sum of squares of means that lie in intervals; it is convex in them."""

    def squares(values: Sequence[float]) -> float:
        centre = sum(n * value for n, value in zip(sizes, values, strict=True)) / sum(sizes)
        return sum(n * (value - centre) ** 2 for n, value in zip(sizes, values, strict=True))

    # Least: every mean as near as its interval lets it be to their common centre, found by going to and fro.
    centre = sum(n * sum(mean) / 2 for n, mean in zip(sizes, means, strict=True)) / sum(sizes)
    for _ in range(200):
        nearest = [min(max(centre, low), high) for low, high in means]
        centre = sum(n * value for n, value in zip(sizes, nearest, strict=True)) / sum(sizes)
    return squares(nearest), max(squares(ends) for ends in product(*means))


def ratio_bias(n: int) -> Callable[[Sequence[Interval]], Interval]:
    """Mean percent difference of a ratio from bias, 1.96 SD, bias, 1.96 SD of those of numerator and denominator.

    Of one case it is (a - b) / (1 - a b / 200²). What that adds to a - b is at most max|a - b| √(mean a² mean b²) / 200²
    on average, with no a further from its mean than SD (n - 1) / √n (Samuelson, J Am Stat Assoc 1968;63:1522).

    >>> [round(bound, 3) for bound in ratio_bias(50)([(1.0, 1.0), (2.0, 2.0), (0.5, 0.5), (2.0, 2.0)])]
    [0.499, 0.501]
    """

    def admissible(given: Sequence[Interval]) -> Interval:
        (over, under), halves = given[::2], given[1::2]
        sds = [half[1] / MULTIPLIER for half in halves]
        biases = [max(map(abs, bias)) for bias in (over, under)]
        largest = [bias + sd * (n - 1) / sqrt(n) for bias, sd in zip(biases, sds, strict=True)]
        squares = [bias**2 + sd**2 for bias, sd in zip(biases, sds, strict=True)]
        off = sum(largest) * sqrt(squares[0] * squares[1]) / (200**2 - largest[0] * largest[1])
        return over[0] - under[1] - off, over[1] - under[0] + off

    return admissible


def rc_bound(df: int, end: int) -> Callable[[Sequence[Interval]], Interval]:
    """Lower (`end` 0) or upper (1) bound of the 95 % CI of a percentage RC, by χ² with `df`."""
    factor = sd_interval(1.0, df)[end]
    return lambda given: (factor * given[0][0], factor * given[0][1])


def same_rc(df: int) -> Callable[[Sequence[Interval]], Interval]:
    """Upper bound from the lower one: both rest on one RC."""
    lower, upper = sd_interval(1.0, df)
    return lambda given: (upper / lower * given[0][0], upper / lower * given[0][1])


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
