"""Stratified patient-level split by condition and site, with a seed."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import replace
from fractions import Fraction
from itertools import count
from pathlib import Path
from typing import Final, NamedTuple

from liverspleen.cohort.manifest import Cohort
from liverspleen.cohort.rounding import controlled_rounding
from liverspleen.cohort.split import Split, is_trainable, patients_in_tests, read_split, write_split
from liverspleen.errors import InputError, Issue
from liverspleen.organs import listed

MOST_ROWS: Final = 10_000_000
"""Rows of all folds at most; each fold is a file with a row per patient."""


class Stratum(NamedTuple):
    """Conditions and sites of a patient's trainable cases, sorted; usually one condition, and one or two sites."""

    conditions: tuple[str, ...]
    sites: tuple[str, ...]


def strata(cohort: Cohort) -> dict[str, Stratum]:
    """Return the stratum of each patient with trainable cases."""
    conditions, sites = defaultdict[str, set[str]](set), defaultdict[str, set[str]](set)
    for case in filter(is_trainable, cohort.cases):
        conditions[case.patient_id].add(case.condition)
        sites[case.patient_id].add(case.site)
    return {patient: Stratum(tuple(sorted(conditions[patient])), tuple(sorted(sites[patient]))) for patient in sites}


def split_by_patient(cohort: Cohort, *, train_fraction: float = 0.8, seed: int = 0) -> Split:
    """Split the patients with trainable cases, stratified by condition and site.

    The number of validation patients is round(n × (1 − `train_fraction`)) of n, but at least one if n is two or more
    and `train_fraction` is not 1. The validation fraction is the same in each condition, in each site, and in each
    condition at a site, with the number of patients rounded down or up. Several conditions or sites of a patient count
    as a separate condition or site. The result depends on the patients, their conditions and sites, and `seed`, not on
    the order of rows.

    Raises:
        InputError: LS-SPL-001 no patient has trainable cases, LS-SPL-002 a patient has development and test cases,
            LS-SPL-009 `train_fraction` is not in (0, 1].
    """
    if not 0 < train_fraction <= 1:
        message = f"train_fraction is {train_fraction}, expected a number above 0 and at most 1"
        raise InputError(Issue("LS-SPL-009", message, "use a fraction such as 0.8"))
    strata = _ShuffledStrata(cohort, seed)
    total = strata.remaining
    return strata.split(strata.sample(Fraction(_validation_size(total, train_fraction), total)), train_fraction)


def read_or_create_split(file: Path, cohort: Cohort, *, train_fraction: float, seed: int) -> Split:
    """Read the split in `file`; create and write it first if the file does not exist.

    Raises:
        InputError: as `split_by_patient` and `read_split`; LS-SPL-012 the split has another `train_fraction`.
    """
    if not file.exists():
        write_split(file, split_by_patient(cohort, train_fraction=train_fraction, seed=seed))
    try:
        split = read_split(file, cohort)
    except InputError as error:  # an existing file is not replaced: a training may have used it
        hint = "restore the cohort, or choose another output="
        raise InputError(
            replace(issue, hint=hint) if issue.code == "LS-SPL-007" else issue for issue in error.issues
        ) from error
    if split.train_fraction != train_fraction:
        message = f"split was created with train_fraction={split.train_fraction}, expected {train_fraction}"
        raise InputError(Issue("LS-SPL-012", message, "give it as split=, or choose another output=", file=file))
    return split


def folds_by_patient(cohort: Cohort, *, folds: int, seed: int = 0) -> tuple[Split, ...]:
    """Return stratified splits for cross-validation; each patient is on the validation side of exactly one.

    The sizes of the validation sides differ by at most one patient, also within each condition, each site, and each
    condition at a site. Otherwise as `split_by_patient`; `train_fraction` is (k − 1)/k for k folds.

    Raises:
        InputError: as `split_by_patient`; LS-SPL-011 fewer than two folds, or more folds than patients; LS-SPL-013 the
            folds have more than ten million rows together.
    """
    strata = _ShuffledStrata(cohort, seed)
    if not 2 <= folds <= strata.remaining:
        message = (
            f"folds={folds}, expected 2 to {strata.remaining} for {strata.remaining} patients with trainable cases"
        )
        raise InputError(Issue("LS-SPL-011", message, "use at least 2 folds, and not more folds than patients"))
    if (rows := folds * strata.remaining) > MOST_ROWS:
        message = (
            f"{folds} folds of {strata.remaining} patients are files with {rows} rows, expected at most {MOST_ROWS}"
        )
        raise InputError(Issue("LS-SPL-013", message, f"use folds={max(2, MOST_ROWS // strata.remaining)} or fewer"))
    # Each fold is a fraction of the remaining patients: n/k is rounded down or up, and so is each later fold.
    validation = [strata.sample(Fraction(1, remaining)) for remaining in range(folds, 0, -1)]
    return tuple(strata.split(patients, (folds - 1) / folds) for patients in validation)


class _ShuffledStrata:
    """Patients that are not yet sampled, by stratum and in random order."""

    def __init__(self, cohort: Cohort, seed: int) -> None:
        self.cohort, self.seed = cohort, seed
        self.patients = strata(cohort)
        issues = [*patients_in_tests(cohort.cases, self.patients, cohort.path)]
        if not self.patients:
            message = f"no development case has a label map of {listed('or')}"
            issues.append(Issue("LS-SPL-001", message, "add such cases to the cohort", file=cohort.path))
        if issues:
            raise InputError(issues)
        conditions, sites = (sorted(set(values)) for values in zip(*self.patients.values(), strict=True))
        shuffled: dict[tuple[object, object], list[str]] = defaultdict(list)
        for patient in sorted(self.patients, key=lambda patient: _hash(f"{seed}:{patient}")):
            shuffled[self.patients[patient]].append(patient)
        self.blocks = [[shuffled[condition, site] for site in sites] for condition in conditions]
        self.random_numbers = _random_numbers(seed)

    @property
    def remaining(self) -> int:
        return sum(len(block) for row in self.blocks for block in row)

    def sample(self, fraction: Fraction) -> set[str]:
        """Remove a fraction of the patients from each block, rounded down or up, and return them."""
        expected = [[len(block) * fraction for block in row] for row in self.blocks]
        sampled: set[str] = set()
        for row, numbers in zip(self.blocks, controlled_rounding(expected, self.random_numbers), strict=True):
            for block, number in zip(row, numbers, strict=True):
                sampled.update(block[:number])
                del block[:number]
        return sampled

    def split(self, validation: set[str], train_fraction: float) -> Split:
        training = sorted(self.patients.keys() - validation)
        return Split(tuple(training), tuple(sorted(validation)), self.seed, train_fraction, self.cohort.hash)


def _hash(text: str) -> str:
    """Return a reproducible random order key; unlike a generator, it does not depend on the version of a library."""
    return hashlib.sha256(text.encode()).hexdigest()


def _random_numbers(seed: int) -> Iterator[Fraction]:
    """Yield random numbers in [0, 1) for the rounding."""
    return (Fraction(int(_hash(f"{seed}:rounding {number}"), 16), 1 << 256) for number in count())


def _validation_size(patients: int, train_fraction: float) -> int:
    if train_fraction == 1 or patients == 1:
        return 0
    return min(max(round(patients * (1 - train_fraction)), 1), patients - 1)
