"""Measurements by examination and reader, and the selection of readers and examinations for the tables."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Final, Literal, NamedTuple

from liverspleen.cohort.vocabulary import DEVELOPMENT, Vocabulary
from liverspleen.errors import InputError, Issue, counted
from liverspleen.evaluation.measurements.notes import Note
from liverspleen.evaluation.measurements.table import Measurements
from liverspleen.organs import ORGAN_KEYS, RATIO_KEY, RATIO_OF

INDICES: Final = (*ORGAN_KEYS, RATIO_KEY)
"""The volumetric indices, in the order of the paper's tables."""

METRICS: Final = ("hd95_mm", "assd_mm", "nsd")
"""The surface metrics."""

_CASE_COLUMNS: Final = ("patient_id", "dataset", "condition", "site")
_READ: Final = (
    *("case_id", *_CASE_COLUMNS, "structure", "reader", "volume_cm3", "volume_status", "reference", "dss"),
    *(*METRICS, "nsd_tolerance_mm", "surface", "origin", "hu_mean", "hu_core_mm", "hu_status"),
)
PREFERRED: Final = ("dla", "manual")
_TABLES: Final = ("Tables 2 and 3", "Table 4 and reproducibility")  # in the order of `Vocabulary.tests`


@dataclass(frozen=True)
class Examination:
    """One CT examination of a patient."""

    case_id: str
    patient_id: str
    dataset: str
    condition: str
    site: str
    origin: str = field(default="", compare=False)


@dataclass(frozen=True)
class SurfaceDefinition:
    """Definition of the surface, and tolerance of the NSD; `""` and None if not stated.

    >>> str(SurfaceDefinition("voxel", 3.0)), str(SurfaceDefinition("", None))
    ('surface voxel, NSD tolerance 3 mm', 'surface not stated, NSD tolerance not stated')
    """

    surface: str
    tolerance_mm: float | None

    def __str__(self) -> str:
        tolerance = "not stated" if self.tolerance_mm is None else f"{self.tolerance_mm:g} mm"
        return f"surface {self.surface or 'not stated'}, NSD tolerance {tolerance}"


class CoreHU(NamedTuple):
    """Mean attenuation of an organ in HU (NaN if undefined), distance of the erosion (NaN if not stated), status."""

    mean: float
    core_mm: float
    status: str


@dataclass(frozen=True)
class Readings:
    """Measurements by key: volumes by (case, structure, reader), scores by (case, structure, reader, reference).

    `scores` contains the DSS, `distances` the surface metrics by name, `surfaces` their definitions. `attenuations` has
    the structures that were measured with the CT.
    `vocabulary` gives the order of datasets, conditions and sites.
    """

    examinations: tuple[Examination, ...]
    volumes: dict[tuple[str, str, str], float]
    statuses: dict[tuple[str, str, str], str]
    scores: dict[tuple[str, str, str, str], float]
    distances: dict[str, dict[tuple[str, str, str, str], float]]
    surfaces: dict[tuple[str, str, str, str], SurfaceDefinition]
    vocabulary: Vocabulary
    attenuations: dict[tuple[str, str, str], CoreHU] = field(default_factory=dict)

    @property
    def readers(self) -> tuple[str, ...]:
        """All readers, sorted."""
        return tuple(sorted({reader for _, _, reader in self.volumes}))

    def volume(self, case_id: str, index: str, reader: str) -> float:
        """Return the volume of an organ in cm³, or the ratio; NaN if undefined, without a row, or for a spleen of 0."""
        if index != RATIO_KEY:
            return self.volumes.get((case_id, index, reader), math.nan)
        numerator, denominator = (self.volumes.get((case_id, organ.key, reader), math.nan) for organ in RATIO_OF)
        return numerator / denominator if denominator else math.nan

    def score(self, case_id: str, structure: str, reader: str, reference: str, *, metric: str = "dss") -> float:
        """Return the DSS, or a metric of `METRICS`, of `reader` and `reference`; NaN if undefined or without a row."""
        found = self.scores if metric == "dss" else self.distances[metric]
        return found.get((case_id, structure, reader, reference), math.nan)

    def readers_of(self, cases: Iterable[str]) -> tuple[str, ...]:
        """Return the readers that have a volume of any of these cases, sorted."""
        selected = set(cases)
        return tuple(sorted({reader for case, _, reader in self.volumes if case in selected}))


def readings_of(measurements: Measurements) -> Readings:
    """Return the measurements by key, with examinations sorted by case, so that the row order changes no number."""
    examinations: dict[str, Examination] = {}
    readings = Readings((), {}, {}, {}, {metric: {} for metric in METRICS}, {}, measurements.vocabulary)
    columns = {name: measurements.table[name].tolist() for name in _READ}
    for values in zip(*columns.values(), strict=True):  # `to_dict` would hold all rows
        row = dict(zip(_READ, values, strict=True))
        case_id = row["case_id"]
        known = examinations.get(case_id)
        origin = row["origin"] or ("" if known is None else known.origin)
        patient_id, dataset, condition, site = (row[name] for name in _CASE_COLUMNS)
        examinations[case_id] = Examination(case_id, patient_id, dataset, condition, site, origin)
        key = (case_id, row["structure"], row["reader"])
        readings.volumes[key] = row["volume_cm3"]
        readings.statuses[key] = row["volume_status"]
        if row["hu_status"] or not math.isnan(row["hu_mean"]):
            readings.attenuations[key] = CoreHU(row["hu_mean"], row["hu_core_mm"], row["hu_status"])
        if row["reference"]:
            compared = (*key, row["reference"])
            readings.scores[compared] = row["dss"]
            for metric in METRICS:
                readings.distances[metric][compared] = row[metric]
            if any(not math.isnan(row[metric]) for metric in METRICS):
                tolerance = row["nsd_tolerance_mm"]
                readings.surfaces[compared] = SurfaceDefinition(
                    row["surface"], None if math.isnan(tolerance) else tolerance
                )
    ordered = tuple(examinations[case_id] for case_id in sorted(examinations))
    return replace(readings, examinations=ordered)


def choose_readers(readings: Readings, reader: str | None, reference: str | None) -> tuple[str, str] | None:
    """Select the reader under test and its reference: the requested pair, the only one, or `dla` and `manual`.

    In a file without DSS, the only other reader is compared with `manual`. None if there is no pair or, if none is
    requested, several.

    Raises:
        InputError: LS-REP-001 a requested name is not in the file, LS-REP-002 several pairs match.
    """
    if unknown := [name for name in (reader, reference) if name is not None and name not in readings.readers]:
        message = f"no reader {', '.join(map(repr, unknown))}; the readers are {', '.join(map(repr, readings.readers))}"
        raise InputError(Issue("LS-REP-001", message, "give readers of the file"))
    if reader is not None and reader == reference:
        raise InputError(Issue("LS-REP-001", f"reader and reference are both {reader!r}", "give two different readers"))
    compared = sorted({(test, against) for _, _, test, against in readings.scores})
    matching = [pair for pair in compared if reader in (None, pair[0]) and reference in (None, pair[1])]
    if not matching:
        is_requested = reader is not None or reference is not None
        matching = _pairs_without_scores(readings.readers, reader, reference)
        if not is_requested and len(matching) > 1 and PREFERRED not in matching:
            return None
    if preferred := [pair for pair in matching if pair == PREFERRED or (pair[0] == reader and pair[1] == PREFERRED[1])]:
        return preferred[0]
    if len(matching) > 1:
        pairs = ", ".join(f"{test!r} against {against!r}" for test, against in matching)
        raise InputError(Issue("LS-REP-002", f"several pairs of readers match: {pairs}", "set reader= and reference="))
    return matching[0] if matching else None


def _pairs_without_scores(readers: tuple[str, ...], reader: str | None, reference: str | None) -> list[tuple[str, str]]:
    """Return the matching pairs of readers with volumes but no DSS; those with `manual` if there are any."""
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
    """Select the examinations of Tables 2 and 3 (0), or of Table 4 and reproducibility (1), by their test dataset.

    If no row has this dataset, all examinations outside development and the other test dataset are used (for Table 4
    only those of a known site), with a note.
    """
    vocabulary = readings.vocabulary
    dataset, elsewhere = vocabulary.tests[test], {DEVELOPMENT, vocabulary.tests[1 - test]}
    of_dataset = tuple(e for e in readings.examinations if e.dataset == dataset)
    if of_dataset:
        return of_dataset, []
    others = tuple(
        e for e in readings.examinations if e.dataset not in elsewhere and (test == 0 or e.site in vocabulary.sites)
    )
    if not others:
        return (), []
    examinations = counted(len(others), "examination")
    message = f"no row has dataset {dataset!r}: {_TABLES[test]} use {examinations} of other or no dataset"
    return others, [Note("LS-REP-010", message, f"set the dataset {dataset!r} in the measurements")]


@dataclass(frozen=True)
class PatientPair:
    """The two CT scans of a patient, at the first and at the second site of the vocabulary."""

    patient_id: str
    first: str
    second: str


def pairs_of(examinations: Iterable[Examination], vocabulary: Vocabulary) -> tuple[tuple[PatientPair, ...], list[Note]]:
    """Return patients with exactly one CT scan at each of the two sites of a pair; a note lists the others."""
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
    if not unpaired or len(vocabulary.pair) < 2:
        return tuple(pairs), []
    sites = " and ".join(f"one {site}" for site in vocabulary.pair)
    message = f"{counted(len(unpaired), 'unpaired examination')}, expected {sites} examination per patient"
    hint = (
        "add the missing examinations, keep one per site, or correct patient_id and site; reproducibility and Table 4 "
        "use pairs only, the table of repeatability uses all CT scans of a patient"
    )
    return tuple(pairs), [Note("LS-REP-020", message, hint, tuple(unpaired))]
