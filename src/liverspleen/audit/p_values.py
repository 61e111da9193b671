"""Rules for p values: from mean, SD and n, from a printed statistic, and the smallest p value that n allows."""

from __future__ import annotations

import math
from collections.abc import Iterator
from fractions import Fraction
from typing import Final

from liverspleen.audit.intervals import Interval, outward
from liverspleen.audit.rule import Relation, Rule, Violation, names, outside
from liverspleen.errors import counted
from liverspleen.evaluation.statistics.intervals import two_sided_t

_LARGE: Final = 1000  # pairs or cases; from here on an exact p value can be smaller than any printed one


def _t_test(relation: Relation) -> Iterator[Violation]:
    """Compare p with the two-sided one-sample t-test of the mean against 0 (n - 1 df), as for paired differences."""
    sample, n = relation.sample, relation.sample.n
    if sample.mean is None or sample.sd is None or n < 2:
        raise ValueError("the rule needs a mean, an SD and n ≥ 2")
    t = (sample.mean.magnitude * sample.sd.reciprocal) * outward(math.sqrt(n), math.sqrt(n))
    p = outward(two_sided_t(float(t.upper), n - 1), two_sided_t(float(t.lower), n - 1))
    given = names(stated for stated in (sample.centre, sample.spread) if stated is not None)
    why = f"t-test, n = {n}: |t| in [{float(t.lower):.4g}, {float(t.upper):.4g}] by {given}"
    yield from outside(relation.one["p"], p, why)


def _kruskal_wallis(relation: Relation) -> Iterator[Violation]:
    """Compare p with χ² of H (at most n - 1, also with ties); an exact p is at least 1 / ways to form the groups."""
    from scipy.special import chdtrc

    n = _n(relation)
    groups = int(relation.settings["groups"][0])
    df = groups - 1
    if not 2 <= groups <= n or groups != relation.settings["groups"][0]:
        raise ValueError("the number of groups is not a whole number from 2 to n")
    possible = Interval.of(0, n - 1)
    if "statistic" not in relation.one:
        exact = Fraction(1, _ways(n, groups)) if n < _LARGE else Fraction(0)
        least = min(outward(float(chdtrc(df, n - 1)), 1.0).lower, exact)
        yield from outside(relation.one["p"], Interval(least, Fraction(1)), f"smallest p value of {n} cases")
        return
    yield from outside(relation.one["statistic"], possible, f"H of {n} cases")
    h = relation.one["statistic"].values.common(possible)
    if h.is_empty:
        return
    p = outward(float(chdtrc(df, float(h.upper))), float(chdtrc(df, float(h.lower))))
    yield from outside(relation.one["p"], p, f"χ² with {df} degrees of freedom: {names([relation.one['statistic']])}")


def _ways(n: int, groups: int) -> int:
    """Return the largest number of ways to divide `n` cases into groups: with sizes as equal as possible."""
    size, larger = divmod(n, groups)
    same = math.prod([math.factorial(size)] * (groups - larger) + [math.factorial(size + 1)] * larger)
    return math.factorial(n) // same


def _wilcoxon(relation: Relation) -> Iterator[Violation]:
    """Compare p with the normal approximation: |z| = |Σ ± r|/√Σ r² is at most √n; an exact p is at least 2/2ⁿ."""
    from scipy.special import ndtr

    n = _n(relation)
    widest = outward(0.0, math.sqrt(n))
    if "statistic" not in relation.one:
        exact = Fraction(2, 2**n) if n < _LARGE else Fraction(0)
        least = min(outward(float(2 * ndtr(-math.sqrt(n))), 1.0).lower, exact)
        yield from outside(relation.one["p"], Interval(least, Fraction(1)), f"smallest p value of {counted(n, 'pair')}")
        return
    size = relation.one["statistic"].values.magnitude
    if not size.meets(widest):
        reach = Interval(-widest.upper, widest.upper)
        yield Violation(relation.one["statistic"].number, reach, f"z of {counted(n, 'pair')}")
        return
    size = size.common(widest)
    p = outward(float(2 * ndtr(-float(size.upper))), float(2 * ndtr(-float(size.lower))))
    yield from outside(relation.one["p"], p, f"two-sided p value of z: {names([relation.one['statistic']])}")


def _n(relation: Relation) -> int:
    n = relation.one["p"].number.n
    if n is None:
        raise ValueError(f"{relation.one['p'].number.id} has no n")
    return n


RULES: Final = (
    Rule(
        "t_test",
        "impossible",
        "p = 2 T(-|mean| √n / SD) with n - 1 degrees of freedom",
        {"p": "one", "mean?": "one", "sd?": "one", "bias?": "one", "half_width?": "one"},
        _t_test,
    ),
    Rule(
        "kruskal_wallis",
        "impossible",
        "p = P(χ² ≥ H) with groups - 1 degrees of freedom; H ≤ n - 1; exact p ≥ 1 / ways to form the groups",
        {"p": "one", "statistic?": "one"},
        _kruskal_wallis,
        {"groups": 1},
    ),
    Rule(
        "wilcoxon",
        "impossible",
        "p = 2 Φ(-|z|); |z| ≤ √n, exact p ≥ 2/2ⁿ",
        {"p": "one", "statistic?": "one"},
        _wilcoxon,
    ),
)
