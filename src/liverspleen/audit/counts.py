"""Counts: percentages from n of N, sums along flows and categories, parts within wholes."""

from __future__ import annotations

import math
from collections.abc import Iterator
from fractions import Fraction
from typing import Final

from liverspleen.audit.intervals import Interval, total
from liverspleen.audit.rule import Relation, Rule, Violation, names, outside


def _percent(relation: Relation) -> Iterator[Violation]:
    """The share that the count makes; without a count, the shares that some count makes."""
    percent = relation.one["percent"]
    whole = relation.one["of"].values if "of" in relation.one else _n(relation)
    if whole.lower <= 0:
        raise ValueError("a percentage of nothing")
    if "count" in relation.one:
        count = relation.one["count"]
        fraction = (count.values * whole.reciprocal).times(100)
        of = names([relation.one["of"]]) if "of" in relation.one else f"n = {float(whole.lower):g}"
        yield from outside(percent, fraction, f"100 × {names([count])} / {of}")
        return
    nearest = _nearest_fraction(percent.values, Fraction(whole.lower))
    if whole.lower == whole.upper:
        yield from outside(percent, nearest, f"no count of {float(whole.lower):g} makes this percentage")


def _n(relation: Relation) -> Interval:
    n = relation.one["percent"].number.n
    if n is None:
        raise ValueError("neither `of` nor an n of the percentage is given")
    return Interval.of(n)


def _nearest_fraction(percent: Interval, whole: Fraction) -> Interval:
    """The share of a whole number of `whole` that is nearest to the middle of the printed one."""
    count = min(max(round(percent.middle * whole / 100), 0), math.floor(whole))
    return Interval.of(100 * Fraction(count) / whole)


def _sum(relation: Relation) -> Iterator[Violation]:
    parts = relation.some["parts"]
    made = total(part.values for part in parts)
    yield from outside(relation.one["total"], made, f"sum of {names(parts)}")


def _part(relation: Relation) -> Iterator[Violation]:
    """A part, or what several parts make together, is not larger than its whole."""
    parts, wholes = relation.some["part"], relation.some["whole"]
    room = total(whole.values for whole in wholes) - total(part.values for part in parts[1:])
    yield from outside(parts[0], Interval(-math.inf, room.upper), f"part of {names(wholes)}{_beside(parts[1:])}")


def _beside(others: tuple[object, ...]) -> str:
    return f" beside {len(others)} other" if others else ""


RULES: Final = (
    Rule(
        "percent",
        "impossible",
        "percent = 100 count / of; without a count: some whole count makes it",
        {"percent": "one", "count?": "one", "of?": "one"},
        _percent,
    ),
    Rule("sum", "contradiction", "total = Σ parts", {"total": "one", "parts": "some"}, _sum),
    Rule("part", "contradiction", "Σ part ≤ Σ whole", {"part": "some", "whole": "some"}, _part),
)
