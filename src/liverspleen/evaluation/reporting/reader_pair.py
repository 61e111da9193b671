"""What is compared in a report: a reader and its reference, over groups of examinations."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from liverspleen.cohort.vocabulary import Vocabulary, in_order
from liverspleen.evaluation.measurements.readings import Examination, PatientPair, Readings
from liverspleen.evaluation.statistics.bland_altman import BlandAltman, bland_altman
from liverspleen.evaluation.statistics.differences import Scale


@dataclass(frozen=True)
class Comparands:
    """A reader under test and its reference."""

    readings: Readings
    reader: str
    reference: str

    def scores(self, cases: Iterable[str], structure: str, metric: str = "dss") -> dict[str, float]:
        """A metric of the reader against its reference by case, NaN where undefined."""
        return {
            case: self.readings.score(case, structure, self.reader, self.reference, metric=metric) for case in cases
        }

    def surfaces(self, cases: Iterable[str]) -> tuple[str, ...]:
        """How the surfaces of these cases were compared: one definition, or several that must not be pooled."""
        wanted = set(cases)
        return tuple(
            sorted(
                {
                    how
                    for (case, _, reader, reference), how in self.readings.surfaces.items()
                    if case in wanted and (reader, reference) == (self.reader, self.reference)
                }
            )
        )

    def volumes(self, cases: Sequence[str], index: str) -> tuple[list[float], list[float]]:
        """An index as the reader and as the reference have it, NaN where undefined."""
        test, reference = (
            [self.readings.volume(case, index, name) for case in cases] for name in (self.reader, self.reference)
        )
        return test, reference

    def agreement(self, cases: Sequence[str], index: str, scale: Scale = "percent") -> BlandAltman:
        """Bias and limits of an index."""
        return bland_altman(*self.volumes(cases, index), scale=scale)


@dataclass(frozen=True)
class Groups:
    """The examinations of the tables: test dataset-1, test dataset-2, and its patients with a CT of each site."""

    first: tuple[Examination, ...]
    second: tuple[Examination, ...]
    pairs: tuple[PatientPair, ...]
    vocabulary: Vocabulary

    @property
    def total_and_conditions(self) -> dict[str, tuple[str, ...]]:
        """The cases of test dataset-1 as `total`, then by condition."""
        return total_and_conditions(self.first, self.vocabulary)


def by_condition(examinations: Sequence[Examination], vocabulary: Vocabulary) -> dict[str, tuple[str, ...]]:
    """Cases by condition, in the order of the vocabulary, others after them by name; those without one are left out."""
    present = in_order((e.condition for e in examinations if e.condition), vocabulary.conditions)
    return {c: tuple(e.case_id for e in examinations if e.condition == c) for c in present}


def total_and_conditions(examinations: Sequence[Examination], vocabulary: Vocabulary) -> dict[str, tuple[str, ...]]:
    """All cases as `total`, then those of each condition."""
    return {"total": tuple(e.case_id for e in examinations), **by_condition(examinations, vocabulary)}
