"""Sentences against the numbers that they sum up."""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Iterator
from typing import Any, Final

from liverspleen.audit.intervals import Interval
from liverspleen.audit.rule import Relation, Rule, Stated, Violation, names, outside


def _same(relation: Relation) -> Iterator[Violation]:
    """One number printed in several places, with any digits: some value is printed so in all of them."""
    first, *others = relation.some["cells"]
    if not others:
        raise ValueError("it takes two numbers to be the same")
    shared = first.values
    for other in others:
        if not shared.meets(other.values):
            rest = _common(others)
            admissible = rest if not rest.is_empty else other.values
            yield Violation(first.number, admissible, f"the same as {names(others)}")
            return
        shared = shared.common(other.values)


def _common(stated: list[Stated]) -> Interval:
    shared = Interval(-math.inf, math.inf)
    for one in stated:
        shared = shared.common(one.values)
    return shared


def _span(relation: Relation) -> Iterator[Violation]:
    """`from lowest to highest`: they are the least and the largest of the numbers."""
    cells = relation.some["cells"]
    if not {"lowest", "highest"} & set(relation.one):
        raise ValueError("neither lowest nor highest is given")
    if "lowest" in relation.one:
        least = Interval(min(c.values.lower for c in cells), min(c.values.upper for c in cells))
        smallest = min(cells, key=lambda cell: cell.values.middle)
        yield from outside(relation.one["lowest"], least, f"the least of {len(cells)} is {names([smallest])}")
    if "highest" in relation.one:
        most = Interval(max(c.values.lower for c in cells), max(c.values.upper for c in cells))
        largest = max(cells, key=lambda cell: cell.values.middle)
        yield from outside(relation.one["highest"], most, f"the largest of {len(cells)} is {names([largest])}")


def _bound(relation: Relation) -> Iterator[Violation]:
    """`less than 3 %` is said of every number, and means 3 and not what rounds to it."""
    bound, cells = relation.one["bound"], relation.some["cells"]
    printed = bound.number.printed
    if printed.relation not in _HOLDS:
        raise ValueError(f"{bound.number.id} prints {printed.text!r} without one of {', '.join(_HOLDS)}")
    upwards = printed.relation in "<≤"
    holds = _HOLDS[printed.relation]
    broken = [c for c in cells if not holds(c.values.lower if upwards else c.values.upper, printed.value)]
    if broken:
        admissible = (
            Interval(max(cell.values.lower for cell in cells), math.inf)
            if upwards
            else Interval(-math.inf, min(cell.values.upper for cell in cells))
        )
        yield Violation(bound.number, admissible, f"does not hold of {names(broken)}")


_HOLDS: Final[dict[str, Callable[[Any, Any], bool]]] = {
    "<": operator.lt,
    "≤": operator.le,
    ">": operator.gt,
    "≥": operator.ge,
}

RULES: Final = (
    Rule("same", "contradiction", "one value is printed so in every place", {"cells": "some"}, _same),
    Rule(
        "span",
        "contradiction",
        "lowest = min of cells; highest = max of cells",
        {"lowest?": "one", "highest?": "one", "cells": "some"},
        _span,
    ),
    Rule("bound", "contradiction", "every cell holds the bound", {"bound": "one", "cells": "some"}, _bound),
)
