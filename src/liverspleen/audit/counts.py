"""Rules for counts: percentages, sums of parts, and parts of a whole."""

from __future__ import annotations

import math
from collections.abc import Iterator
from fractions import Fraction
from typing import Final

from liverspleen.audit.intervals import Interval, total
from liverspleen.audit.rule import Relation, Rule, Violation, names, outside
from liverspleen.errors import counted


def _percent(relation: Relation) -> Iterator[Violation]:
    """Compare a percentage with its count; without a count, with the nearest percentage that a count gives."""
    percent = relation.one["percent"]
    whole = relation.one["of"].values if "of" in relation.one else _n(relation)
    if whole.lower <= 0:
        raise ValueError("the whole of the percentage is 0")
    if "count" in relation.one:
        count = relation.one["count"]
        fraction = (count.values * whole.reciprocal).times(100)
        of = names([relation.one["of"]]) if "of" in relation.one else f"n = {float(whole.lower):g}"
        yield from outside(percent, fraction, f"100 × {names([count])} / {of}")
        return
    nearest = _nearest_fraction(percent.values, Fraction(whole.lower))
    if whole.lower == whole.upper:
        yield from outside(percent, nearest, f"no count out of {float(whole.lower):g} gives this percentage")


def _n(relation: Relation) -> Interval:
    n = relation.one["percent"].number.n
    if n is None:
        raise ValueError("neither `of` nor the n of the percentage is given")
    return Interval.of(n)


def _nearest_fraction(percent: Interval, whole: Fraction) -> Interval:
    """Return the percentage of a whole number out of `whole` that is nearest to the middle of the printed one."""
    count = min(max(round(percent.middle * whole / 100), 0), math.floor(whole))
    return Interval.of(100 * Fraction(count) / whole)


def _sum(relation: Relation) -> Iterator[Violation]:
    parts = relation.some["parts"]
    computed = total(part.values for part in parts)
    yield from outside(relation.one["total"], computed, f"sum of {names(parts)}")


def _part(relation: Relation) -> Iterator[Violation]:
    """Check that a part, or the sum of several parts, is not larger than its whole."""
    parts, wholes = relation.some["part"], relation.some["whole"]
    remaining = total(whole.values for whole in wholes) - total(part.values for part in parts[1:])
    yield from outside(
        parts[0], Interval(-math.inf, remaining.upper), f"part of {names(wholes)}{_other_parts(len(parts) - 1)}"
    )


def _other_parts(number: int) -> str:
    return f", together with {counted(number, 'other part')}" if number else ""


RULES: Final = (
    Rule(
        "percent",
        "impossible",
        "percent = 100 count / of; without a count: some whole count gives it",
        {"percent": "one", "count?": "one", "of?": "one"},
        _percent,
    ),
    Rule("sum", "contradiction", "total = Σ parts", {"total": "one", "parts": "some"}, _sum),
    Rule("part", "contradiction", "Σ part ≤ Σ whole", {"part": "some", "whole": "some"}, _part),
)
