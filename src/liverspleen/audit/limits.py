"""Rules for limits of agreement, and for the interval of a reproducibility coefficient."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from typing import Final

from liverspleen.audit.intervals import Interval, outward
from liverspleen.audit.rule import MULTIPLIER, Relation, Rule, Violation, names, outside
from liverspleen.evaluation.statistics.intervals import CONFIDENCE


def _limits(relation: Relation) -> Iterator[Violation]:
    one, sample = relation.one, relation.sample
    mean, sd = sample.mean, sample.sd
    half = one["half_width"].values if "half_width" in one else sd * MULTIPLIER if sd is not None else None
    has_both_spreads = "half_width" in one and "sd" in one
    ends = [name for name in ("lower", "upper") if name in one]
    # Each of mean, half-width, lower and upper follows from two others; SD and half-width follow from each other.
    if not has_both_spreads and (not ends or len(ends) + (mean is not None) + (half is not None) < 3):
        raise ValueError("the rule needs three of mean, half-width (or SD), lower and upper, or half-width and SD")
    if has_both_spreads:
        yield from outside(one["half_width"], one["sd"].values * MULTIPLIER, f"1.96 SD: {names([one['sd']])}")
    if mean is not None and half is not None:
        given = names(one[name] for name in ("mean", "bias", "half_width", "sd") if name in one)
        if "lower" in one:
            yield from outside(one["lower"], mean - half, f"mean - 1.96 SD: {given}")
        if "upper" in one:
            yield from outside(one["upper"], mean + half, f"mean + 1.96 SD: {given}")
        return
    if len(ends) < 2:
        return
    lower, upper = one["lower"].values, one["upper"].values
    limits = names([one["lower"], one["upper"]])
    if mean is not None and sample.centre is not None:
        yield from outside(sample.centre, (lower + upper).times(Fraction(1, 2)), f"middle of {limits}")
    if half is not None and sample.spread is not None:
        width = (upper - lower).times(Fraction(1, 2))
        yield from outside(
            sample.spread,
            width if "half_width" in one else width * MULTIPLIER.reciprocal,
            f"half the width of {limits}",
        )


def _rc_interval(relation: Relation) -> Iterator[Violation]:
    """Compare the bounds with RC √(df/χ²) at both tails; an RC is a multiple of an SD."""
    from scipy.special import chdtri

    rc, df = relation.one["rc"], float(relation.settings["df"][0])
    tail = (1 - float(relation.settings.get("confidence", (Fraction(CONFIDENCE),))[0])) / 2
    if df <= 0 or not 0 < tail < 0.5:
        raise ValueError("df is not above 0, or the confidence is not between 0 and 1")
    for name, upper_tail in (("rc_lower", tail), ("rc_upper", 1 - tail)):
        factor = (df / float(chdtri(df, upper_tail))) ** 0.5
        bound: Interval = rc.values * outward(factor, factor)
        yield from outside(relation.one[name], bound, f"RC √(df/χ²) = {factor:.5f} RC, df = {df:g}: {names([rc])}")


RULES: Final = (
    Rule(
        "limits",
        "impossible",
        "lower = mean - 1.96 SD; upper = mean + 1.96 SD; half-width = 1.96 SD",
        {
            **{"mean?": "one", "sd?": "one", "bias?": "one", "half_width?": "one"},
            **{"lower?": "one", "upper?": "one"},
        },
        _limits,
    ),
    Rule(
        "rc_interval",
        "impossible",
        "RC √(df/χ²) with χ² at 1 - α/2 (lower) and α/2 (upper)",
        {"rc": "one", "rc_lower": "one", "rc_upper": "one"},
        _rc_interval,
        {"df": 1, "confidence?": 1},
    ),
)
