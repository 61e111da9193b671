"""Rules that compare sentences with the numbers that they summarise."""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Iterator
from typing import Any, Final

from liverspleen.audit.intervals import Interval
from liverspleen.audit.rule import Relation, Rule, Stated, Violation, names, outside
from liverspleen.errors import counted


def _same(relation: Relation) -> Iterator[Violation]:
    """Check that one value can have all the printed forms of a number in several places, with any number of digits."""
    first, *others = relation.some["cells"]
    if not others:
        raise ValueError("the rule needs at least two numbers")
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
    """Check that the two numbers of a phrase `from 1 to 3` are the smallest and the largest of the numbers."""
    cells = relation.some["cells"]
    if not {"lowest", "highest"} & set(relation.one):
        raise ValueError("neither lowest nor highest is given")
    count = counted(len(cells), "number")
    if "lowest" in relation.one:
        least = Interval(min(c.values.lower for c in cells), min(c.values.upper for c in cells))
        smallest = min(cells, key=lambda cell: cell.values.middle)
        yield from outside(relation.one["lowest"], least, f"the smallest of {count} is {names([smallest])}")
    if "highest" in relation.one:
        most = Interval(max(c.values.lower for c in cells), max(c.values.upper for c in cells))
        largest = max(cells, key=lambda cell: cell.values.middle)
        yield from outside(relation.one["highest"], most, f"the largest of {count} is {names([largest])}")


def _bound(relation: Relation) -> Iterator[Violation]:
    """Check a bound such as `less than 3 %` for each number; it means exactly 3 and not values that round to 3."""
    bound, cells = relation.one["bound"], relation.some["cells"]
    printed = bound.number.printed
    if printed.relation not in _COMPARISONS:
        raise ValueError(f"{bound.number.id} is printed as {printed.text!r}, without one of {', '.join(_COMPARISONS)}")
    upwards = printed.relation in "<≤"
    satisfies = _COMPARISONS[printed.relation]
    broken = [c for c in cells if not satisfies(c.values.lower if upwards else c.values.upper, printed.value)]
    if broken:
        admissible = (
            Interval(max(cell.values.lower for cell in cells), math.inf)
            if upwards
            else Interval(-math.inf, min(cell.values.upper for cell in cells))
        )
        yield Violation(bound.number, admissible, f"not true for {names(broken)}")


_COMPARISONS: Final[dict[str, Callable[[Any, Any], bool]]] = {
    "<": operator.lt,
    "≤": operator.le,
    ">": operator.gt,
    "≥": operator.ge,
}

RULES: Final = (
    Rule("same", "contradiction", "one value has all the printed forms", {"cells": "some"}, _same),
    Rule(
        "span",
        "contradiction",
        "lowest = min of cells; highest = max of cells",
        {"lowest?": "one", "highest?": "one", "cells": "some"},
        _span,
    ),
    Rule("bound", "contradiction", "every cell satisfies the bound", {"bound": "one", "cells": "some"}, _bound),
)
