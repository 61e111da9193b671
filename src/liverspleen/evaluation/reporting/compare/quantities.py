"""What readers are compared by, over the cases that all of them have: DSS, and the size of their volume errors."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import combinations
from typing import Any

import numpy as np

from liverspleen.evaluation.measurements.readings import Readings
from liverspleen.evaluation.reporting.results import computed_once
from liverspleen.evaluation.statistics.differences import Scale, paired_differences
from liverspleen.evaluation.statistics.rank_tests import WilcoxonSignedRank, wilcoxon_signed_rank
from liverspleen.evaluation.statistics.samples import Floats


@dataclass(frozen=True)
class Readers:
    """The readers under test, in order, and the reference that they have in common."""

    readings: Readings
    names: tuple[str, ...]
    reference: str

    @property
    def pairs(self) -> tuple[tuple[str, str], ...]:
        """Every pair of readers, the earlier named one first."""
        return tuple(combinations(self.names, 2))


@dataclass(frozen=True)
class Quantity:
    """One number per reader and case, NaN where undefined; `cases` are all that belong here."""

    cases: tuple[str, ...]
    values: Mapping[str, Mapping[str, float]]
    _tests: dict[tuple[str, str, tuple[str, ...]], WilcoxonSignedRank] = field(
        default_factory=dict, init=False, repr=False
    )

    @property
    def common(self) -> tuple[str, ...]:
        """The cases that every reader has."""
        return tuple(case for case in self.cases if not any(math.isnan(of[case]) for of in self.values.values()))

    def of(self, reader: str, cases: Iterable[str]) -> list[float]:
        """What a reader has of these cases, in their order."""
        return [self.values[reader][case] for case in cases]

    def signed_rank(self, a: str, b: str, cases: tuple[str, ...]) -> WilcoxonSignedRank:
        """The paired test of readers `a` and `b` over these cases; it is computed once."""
        return computed_once(
            self._tests, (a, b, cases), lambda: wilcoxon_signed_rank(self.of(a, cases), self.of(b, cases))
        )

    def about(self, compared: Sequence[str], among: Iterable[str] | None = None) -> dict[str, Any]:
        """`n`, `rows` and `excluded` of a cell that rests on these cases `among` others (all, if not said)."""
        inside = set(compared)
        belong = self.cases if among is None else among
        return {
            "n": len(compared),
            "rows": tuple(compared),
            "excluded": tuple(case for case in belong if case not in inside),
        }


def scores(readers: Readers, cases: tuple[str, ...], structure: str) -> Quantity:
    """The DSS of each reader against the reference."""
    read, against = readers.readings.score, readers.reference
    return Quantity(cases, {r: {case: read(case, structure, r, against) for case in cases} for r in readers.names})


def volumes(readers: Readers, cases: tuple[str, ...], index: str) -> Quantity:
    """An index as each reader and the reference have it."""
    read = readers.readings.volume
    everyone = (*readers.names, readers.reference)
    return Quantity(cases, {name: {case: read(case, index, name) for case in cases} for name in everyone})


def errors(found: Quantity, readers: Readers, scale: Scale) -> Quantity:
    """The size of each reader's difference from the reference on a scale."""
    reference = found.of(readers.reference, found.cases)
    return Quantity(
        found.cases, {name: _sizes(found, found.of(name, found.cases), reference, scale) for name in readers.names}
    )


def _sizes(found: Quantity, test: list[float], reference: list[float], scale: Scale) -> dict[str, float]:
    differences = paired_differences(test, reference, scale=scale)
    sizes: Floats = np.full(len(found.cases), np.nan)
    sizes[differences.pairs.positions] = np.abs(differences.values)
    return dict(zip(found.cases, sizes.tolist(), strict=True))
