"""The statistics of a report on one reader and its reference; each is computed once for all tables and figures."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TypeVar

from liverspleen.cohort.vocabulary import Vocabulary, in_order
from liverspleen.evaluation.measurements.calibration_table import CaseCalibration
from liverspleen.evaluation.measurements.calibration_table import Key as CalibrationKey
from liverspleen.evaluation.measurements.readings import INDICES, Examination, PatientPair, Readings, SurfaceDefinition
from liverspleen.evaluation.metrics.body_size import BodySize
from liverspleen.evaluation.statistics.bland_altman import BlandAltman, bland_altman
from liverspleen.evaluation.statistics.differences import Scale
from liverspleen.evaluation.statistics.rank_tests import (
    KruskalWallis,
    WilcoxonSignedRank,
    kruskal_wallis,
    wilcoxon_signed_rank,
)
from liverspleen.evaluation.statistics.reproducibility import PercentageRC, percentage_rc

Key = TypeVar("Key")
Value = TypeVar("Value")
Cases = tuple[str, ...]


@dataclass(frozen=True)
class Groups:
    """The examinations of the tables: test dataset-1, test dataset-2, and the pairs of CT scans in the latter."""

    first: tuple[Examination, ...]
    second: tuple[Examination, ...]
    pairs: tuple[PatientPair, ...]
    vocabulary: Vocabulary

    @property
    def all_first(self) -> Cases:
        """The cases of test dataset-1."""
        return tuple(e.case_id for e in self.first)

    @property
    def conditions(self) -> dict[str, Cases]:
        """The cases of test dataset-1 by condition."""
        return by_condition(self.first, self.vocabulary)

    @property
    def total_and_conditions(self) -> dict[str, Cases]:
        """The cases of test dataset-1 as `total`, then by condition."""
        return total_and_conditions(self.first, self.vocabulary)


@dataclass(frozen=True)
class ReportResults:
    """The statistics of `reader` against `reference`; each is computed at its first use and then reused.

    `coefficients` is the result of `reproducibility_coefficients`. `spleen_absent`, `thickness_mm` and
    `body_sizes` (by case) come from the cohort; they are empty without one. `calibrations` are the sums of probability
    maps; empty without maps.
    """

    readings: Readings
    reader: str
    reference: str
    groups: Groups
    coefficients: Mapping[tuple[str, str], PercentageRC]
    spleen_absent: frozenset[str] = frozenset()
    thickness_mm: Mapping[str, float] = field(default_factory=dict)
    body_sizes: Mapping[str, BodySize] = field(default_factory=dict)
    calibrations: Mapping[CalibrationKey, CaseCalibration] = field(default_factory=dict)
    _agreements: dict[tuple[Cases, str, Scale], BlandAltman] = field(default_factory=dict, init=False, repr=False)
    _conditions: dict[str, KruskalWallis] = field(default_factory=dict, init=False, repr=False)
    failed: dict[str, dict[str, dict[str, bool]]] = field(default_factory=dict, init=False, repr=False)
    """By kind of failure and organ, whether a case failed, see `supplement.failures`."""
    _sites: dict[str, WilcoxonSignedRank] = field(default_factory=dict, init=False, repr=False)

    def scores(self, cases: Iterable[str], structure: str, metric: str = "dss") -> dict[str, float]:
        """Return a metric of the reader against its reference by case; NaN where undefined."""
        return {
            case: self.readings.score(case, structure, self.reader, self.reference, metric=metric) for case in cases
        }

    @cached_property
    def patient_of(self) -> dict[str, str]:
        """Patient of each case."""
        return {e.case_id: e.patient_id for e in self.readings.examinations}

    def patients(self, cases: Iterable[str]) -> list[str]:
        """Return the patient of each case."""
        return [self.patient_of[case] for case in cases]

    def surfaces(self, cases: Iterable[str]) -> tuple[SurfaceDefinition, ...]:
        """Return the definitions of the surface metrics of these cases; several must not be pooled."""
        selected = set(cases)
        return tuple(
            sorted(
                {
                    definition
                    for (case, _, reader, reference), definition in self.readings.surfaces.items()
                    if case in selected and (reader, reference) == (self.reader, self.reference)
                },
                key=str,
            )
        )

    def volumes(self, cases: Sequence[str], index: str) -> tuple[list[float], list[float]]:
        """Return the values of an index by the reader and by the reference; NaN where undefined."""
        test, reference = (
            [self.readings.volume(case, index, name) for case in cases] for name in (self.reader, self.reference)
        )
        return test, reference

    def agreement(self, cases: Cases, index: str, scale: Scale = "percent") -> BlandAltman:
        """Return bias and limits of agreement of an index over a group of cases."""
        return computed_once(
            self._agreements,
            (cases, index, scale),
            lambda: bland_altman(*self.volumes(cases, index), scale=scale, clusters=self.patients(cases)),
        )

    def scores_by_condition(self, structure: str) -> dict[str, dict[str, float]]:
        """Return the DSS by condition and case."""
        return {name: self.scores(cases, structure) for name, cases in self.groups.conditions.items()}

    def conditions_test(self, structure: str) -> KruskalWallis:
        """Return the comparison of the DSS between the conditions."""
        scores = self.scores_by_condition(structure)
        samples = {name: list(by_case.values()) for name, by_case in scores.items()}
        return computed_once(self._conditions, structure, lambda: kruskal_wallis(samples))

    def sites_test(self, structure: str) -> WilcoxonSignedRank:
        """Return the comparison of the DSS between the two CT scans of the patients."""
        pairs = self.groups.pairs
        first = self.scores((pair.first for pair in pairs), structure)
        second = self.scores((pair.second for pair in pairs), structure)
        return computed_once(
            self._sites, structure, lambda: wilcoxon_signed_rank(list(first.values()), list(second.values()))
        )


def reproducibility_coefficients(
    readings: Readings, pairs: Sequence[PatientPair], readers: Iterable[str]
) -> dict[tuple[str, str], PercentageRC]:
    """Return the percentage RC by (index, reader) over the patients with two CT scans."""
    return {
        (index, reader): percentage_rc(*both_sites(readings, pairs, index, reader))
        for index in INDICES
        for reader in readers
    }


def both_sites(
    readings: Readings, pairs: Sequence[PatientPair], index: str, reader: str
) -> tuple[list[float], list[float]]:
    """Return an index of one reader in the first and in the second CT scan of each patient."""
    first = [readings.volume(pair.first, index, reader) for pair in pairs]
    return first, [readings.volume(pair.second, index, reader) for pair in pairs]


def computed_once(kept: dict[Key, Value], key: Key, compute: Callable[[], Value]) -> Value:
    """Return the value of `key` in `kept`; compute and add it if it is missing."""
    if key not in kept:
        kept[key] = compute()
    return kept[key]


def by_condition(examinations: Sequence[Examination], vocabulary: Vocabulary) -> dict[str, Cases]:
    """Return the cases by condition, in the order of the vocabulary, then by name; cases without one are skipped."""
    present = in_order((e.condition for e in examinations if e.condition), vocabulary.conditions)
    return {c: tuple(e.case_id for e in examinations if e.condition == c) for c in present}


def total_and_conditions(examinations: Sequence[Examination], vocabulary: Vocabulary) -> dict[str, Cases]:
    """Return all cases as `total`, then the cases of each condition."""
    return {"total": tuple(e.case_id for e in examinations), **by_condition(examinations, vocabulary)}
