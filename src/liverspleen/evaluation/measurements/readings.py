"""What each reader read of each examination, looked up by name; and which examinations belong to which table."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Final, Literal

from liverspleen.cohort.vocabulary import DEVELOPMENT, Vocabulary
from liverspleen.errors import InputError, Issue
from liverspleen.evaluation.measurements.notes import Note
from liverspleen.evaluation.measurements.table import Measurements
from liverspleen.organs import ORGAN_KEYS, RATIO_KEY, RATIO_OF

INDICES: Final = (*ORGAN_KEYS, RATIO_KEY)
"""The volumetric indices, in the order of the paper's tables."""

METRICS: Final = ("hd95_mm", "assd_mm", "nsd")
"""The surface metrics, beside the DSS."""

_OF_THE_CASE: Final = ("patient_id", "dataset", "condition", "site")
PREFERRED: Final = ("dla", "manual")
_TABLES: Final = ("Tables 2 and 3", "Table 4 and reproducibility")  # in the order of `Vocabulary.tests`


@dataclass(frozen=True)
class Examination:
    """One CT of one patient."""

    case_id: str
    patient_id: str
    dataset: str
    condition: str
    site: str


@dataclass(frozen=True)
class Readings:
    """Measurements by key: volumes by (case, structure, reader), scores by (case, structure, reader, reference).

    `scores` holds the DSS, `distances` the surface metrics by name, `surfaces` how the surfaces were compared.
    `vocabulary` gives the order of datasets, conditions and sites.
    """

    examinations: tuple[Examination, ...]
    volumes: dict[tuple[str, str, str], float]
    statuses: dict[tuple[str, str, str], str]
    scores: dict[tuple[str, str, str, str], float]
    distances: dict[str, dict[tuple[str, str, str, str], float]]
    surfaces: dict[tuple[str, str, str, str], str]
    vocabulary: Vocabulary

    @property
    def readers(self) -> tuple[str, ...]:
        """All readers, by name."""
        return tuple(sorted({reader for _, _, reader in self.volumes}))

    def volume(self, case_id: str, index: str, reader: str) -> float:
        """Volume of an organ in cm³, or the ratio; NaN without a row, where undefined, and over a spleen of 0."""
        if index != RATIO_KEY:
            return self.volumes.get((case_id, index, reader), math.nan)
        above, below = (self.volumes.get((case_id, organ.key, reader), math.nan) for organ in RATIO_OF)
        return above / below if below else math.nan

    def score(self, case_id: str, structure: str, reader: str, reference: str, *, metric: str = "dss") -> float:
        """DSS, or a metric of `METRICS`, of `reader` against `reference`; NaN without a row and where undefined."""
        found = self.scores if metric == "dss" else self.distances[metric]
        return found.get((case_id, structure, reader, reference), math.nan)

    def readers_of(self, cases: Iterable[str]) -> tuple[str, ...]:
        """The readers that have a volume of any of these cases, by name."""
        wanted = set(cases)
        return tuple(sorted({reader for case, _, reader in self.volumes if case in wanted}))


def readings_of(measurements: Measurements) -> Readings:
    """The measurements by key, examinations sorted by case, so that the order of the file changes no number."""
    examinations: dict[str, Examination] = {}
    readings = Readings((), {}, {}, {}, {metric: {} for metric in METRICS}, {}, measurements.vocabulary)
    for row in measurements.table.to_dict("records"):
        case_id = row["case_id"]
        examinations[case_id] = Examination(case_id, *(row[name] for name in _OF_THE_CASE))
        key = (case_id, row["structure"], row["reader"])
        readings.volumes[key] = row["volume_cm3"]
        readings.statuses[key] = row["volume_status"]
        if row["reference"]:
            compared = (*key, row["reference"])
            readings.scores[compared] = row["dss"]
            for metric in METRICS:
                readings.distances[metric][compared] = row[metric]
            if any(not math.isnan(row[metric]) for metric in METRICS):
                tolerance = row["nsd_tolerance_mm"]
                within = "not stated" if math.isnan(tolerance) else f"{tolerance:g} mm"
                readings.surfaces[compared] = f"surface {row['surface'] or 'not stated'}, NSD tolerance {within}"
    ordered = tuple(examinations[case_id] for case_id in sorted(examinations))
    return replace(readings, examinations=ordered)


def choose_readers(readings: Readings, reader: str | None, reference: str | None) -> tuple[str, str] | None:
    """The reader under test and its reference: the pair asked for, the only one there is, or `dla` against `manual`.

    A file without DSS compares nobody; then a sole other reader is set against `manual`. None if that leaves no pair
    or, with nothing asked for, several.

    Raises:
        InputError: a name asked for is not in the file, or several pairs of the file fit.
    """
    if unknown := [name for name in (reader, reference) if name is not None and name not in readings.readers]:
        message = f"no reader {', '.join(map(repr, unknown))}; the readers are {', '.join(map(repr, readings.readers))}"
        raise InputError(Issue("LS-REP-001", message, "name readers of the file"))
    if reader is not None and reader == reference:
        raise InputError(Issue("LS-REP-001", f"reader and reference are both {reader!r}", "name two readers"))
    compared = sorted({(test, against) for _, _, test, against in readings.scores})
    fitting = [pair for pair in compared if reader in (None, pair[0]) and reference in (None, pair[1])]
    if not fitting:
        asked = reader is not None or reference is not None
        fitting = _by_volume_alone(readings.readers, reader, reference)
        if not asked and len(fitting) > 1 and PREFERRED not in fitting:
            return None
    if preferred := [pair for pair in fitting if pair == PREFERRED or (pair[0] == reader and pair[1] == PREFERRED[1])]:
        return preferred[0]
    if len(fitting) > 1:
        pairs = ", ".join(f"{test!r} against {against!r}" for test, against in fitting)
        raise InputError(
            Issue("LS-REP-002", f"several pairs of readers fit: {pairs}", "choose by reader= and reference=")
        )
    return fitting[0] if fitting else None


def _by_volume_alone(readers: tuple[str, ...], reader: str | None, reference: str | None) -> list[tuple[str, str]]:
    """Pairs of readers that fit and have volumes but no DSS; against `manual` where it can be."""
    pairs = [
        (test, against)
        for test in readers
        for against in readers
        if test != against and reader in (None, test) and reference in (None, against)
    ]
    if reader is None:
        pairs = [pair for pair in pairs if pair[0] != PREFERRED[1]]
    return [pair for pair in pairs if pair[1] == PREFERRED[1]] or pairs


def examinations_of(readings: Readings, test: Literal[0, 1]) -> tuple[tuple[Examination, ...], list[Note]]:
    """The examinations of Tables 2 and 3 (0), or of Table 4 and reproducibility (1): those of that test dataset.

    Where no row names it, those of neither development nor the other test dataset stand in (for Table 4 only those of a
    known site), and a note says so.
    """
    vocabulary = readings.vocabulary
    dataset, elsewhere = vocabulary.tests[test], {DEVELOPMENT, vocabulary.tests[1 - test]}
    named = tuple(e for e in readings.examinations if e.dataset == dataset)
    if named:
        return named, []
    others = tuple(
        e for e in readings.examinations if e.dataset not in elsewhere and (test == 0 or e.site in vocabulary.sites)
    )
    if not others:
        return (), []
    message = f"no row has dataset {dataset!r}: {_TABLES[test]} use {len(others)} CT of other or no dataset"
    return others, [Note("LS-REP-010", message, f"name the dataset {dataset!r} in the measurements")]


@dataclass(frozen=True)
class PatientPair:
    """The two CTs of one patient, at the first and at the second site of the vocabulary."""

    patient_id: str
    first: str
    second: str


def pairs_of(examinations: Iterable[Examination], vocabulary: Vocabulary) -> tuple[tuple[PatientPair, ...], list[Note]]:
    """Patients with exactly one CT at each of the two sites of a pair; the others are named in a note."""
    by_patient: dict[str, dict[str, list[str]]] = {}
    for e in examinations:
        if e.site in vocabulary.pair:
            by_patient.setdefault(e.patient_id, {site: [] for site in vocabulary.pair})[e.site].append(e.case_id)
    pairs, unpaired = [], []
    for patient_id, cases in sorted(by_patient.items()):
        found = [case for at_site in cases.values() for case in at_site]
        if len(cases) == 2 and all(len(at_site) == 1 for at_site in cases.values()):
            pairs.append(PatientPair(patient_id, *found))
        else:
            unpaired += found
    if not unpaired:
        return tuple(pairs), []
    sites = " and ".join(f"one {site}" for site in vocabulary.pair)
    message = f"{len(unpaired)} CT without a partner: a pair is {sites} CT of a patient"
    hint = "add the other CT, or correct patient_id and site; until then reproducibility and the p of Table 4 lack them"
    return tuple(pairs), [Note("LS-REP-020", message, hint, tuple(unpaired))]
