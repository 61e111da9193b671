"""Quantities in which readers are compared: DSS, volumes and absolute volume errors."""

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
    """The readers under test in their order, and their common reference."""

    readings: Readings
    names: tuple[str, ...]
    reference: str

    @property
    def pairs(self) -> tuple[tuple[str, str], ...]:
        """All pairs of readers; the first reader of a pair precedes the second in `names`."""
        return tuple(combinations(self.names, 2))


@dataclass(frozen=True)
class Quantity:
    """One number per reader and case, NaN where undefined; `cases` are all cases of the comparison."""

    cases: tuple[str, ...]
    values: Mapping[str, Mapping[str, float]]
    _tests: dict[tuple[str, str, tuple[str, ...]], WilcoxonSignedRank] = field(
        default_factory=dict, init=False, repr=False
    )

    @property
    def common(self) -> tuple[str, ...]:
        """The cases with values of all readers."""
        return tuple(
            case for case in self.cases if not any(math.isnan(by_case[case]) for by_case in self.values.values())
        )

    def of(self, reader: str, cases: Iterable[str]) -> list[float]:
        """Return the values of a reader in the order of `cases`."""
        return [self.values[reader][case] for case in cases]

    def signed_rank(self, a: str, b: str, cases: tuple[str, ...]) -> WilcoxonSignedRank:
        """Return the paired test of readers `a` and `b` over these cases; it is computed once."""
        return computed_once(
            self._tests, (a, b, cases), lambda: wilcoxon_signed_rank(self.of(a, cases), self.of(b, cases))
        )

    def sample(self, compared: Sequence[str], among: Iterable[str] | None = None) -> dict[str, Any]:
        """Return `n`, `rows` and `excluded` of a cell over the `compared` cases `among` others (default: all cases)."""
        inside = set(compared)
        candidates = self.cases if among is None else among
        return {
            "n": len(compared),
            "rows": tuple(compared),
            "excluded": tuple(case for case in candidates if case not in inside),
        }


def scores(readers: Readers, cases: tuple[str, ...], structure: str) -> Quantity:
    """Return the DSS of each reader against the reference."""
    read, against = readers.readings.score, readers.reference
    return Quantity(cases, {r: {case: read(case, structure, r, against) for case in cases} for r in readers.names})


def volumes(readers: Readers, cases: tuple[str, ...], index: str) -> Quantity:
    """Return the values of an index by each reader and by the reference."""
    read = readers.readings.volume
    all_readers = (*readers.names, readers.reference)
    return Quantity(cases, {name: {case: read(case, index, name) for case in cases} for name in all_readers})


def errors(volume: Quantity, readers: Readers, scale: Scale) -> Quantity:
    """Return the absolute difference of each reader from the reference on a scale."""
    reference = volume.of(readers.reference, volume.cases)
    return Quantity(
        volume.cases,
        {name: _absolute(volume, volume.of(name, volume.cases), reference, scale) for name in readers.names},
    )


def _absolute(volume: Quantity, test: list[float], reference: list[float], scale: Scale) -> dict[str, float]:
    differences = paired_differences(test, reference, scale=scale)
    sizes: Floats = np.full(len(volume.cases), np.nan)
    sizes[differences.pairs.positions] = np.abs(differences.values)
    return dict(zip(volume.cases, sizes.tolist(), strict=True))
