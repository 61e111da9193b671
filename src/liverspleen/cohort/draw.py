"""Who trains and who validates: draws of patients, alike in condition and site, by seed."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import replace
from fractions import Fraction
from itertools import count
from pathlib import Path
from typing import NamedTuple

from liverspleen.cohort.manifest import Cohort
from liverspleen.cohort.rounding import controlled_rounding
from liverspleen.cohort.split import Split, is_trainable, patients_in_tests, read_split, write_split
from liverspleen.errors import InputError, Issue
from liverspleen.organs import listed


class Stratum(NamedTuple):
    """What a patient's trainable cases show, sorted: usually one condition, and one site or a pair of them."""

    conditions: tuple[str, ...]
    sites: tuple[str, ...]


def strata(cohort: Cohort) -> dict[str, Stratum]:
    """The stratum of each patient that can be trained on."""
    conditions, sites = defaultdict[str, set[str]](set), defaultdict[str, set[str]](set)
    for case in filter(is_trainable, cohort.cases):
        conditions[case.patient_id].add(case.condition)
        sites[case.patient_id].add(case.site)
    return {patient: Stratum(tuple(sorted(conditions[patient])), tuple(sorted(sites[patient]))) for patient in sites}


def split_by_patient(cohort: Cohort, *, train_fraction: float = 0.8, seed: int = 0) -> Split:
    """Draw a split of the patients with trainable cases, alike in conditions and sites as far as numbers allow.

    round(n × (1 − `train_fraction`)) of n patients validate, at least one of two or more unless `train_fraction` is 1.
    Of every condition, every site and every condition at a site the same share validates, rounded down or up. Patients
    with several conditions, or at several sites, are a condition or a site of their own here. The draw depends on the
    patients, their conditions and sites, and `seed`, not on the order of rows.

    Raises:
        InputError: LS-SPL-001 no patient can be trained on, LS-SPL-002 a patient has development and test cases,
            LS-SPL-009 `train_fraction` is not in (0, 1].
    """
    if not 0 < train_fraction <= 1:
        message = f"train_fraction is {train_fraction}, expected a number above 0, at most 1"
        raise InputError(Issue("LS-SPL-009", message, "correct it"))
    draw = _Draw(cohort, seed)
    total = draw.left
    return draw.split(draw.take(Fraction(_validation_size(total, train_fraction), total)), train_fraction)


def read_or_draw_split(file: Path, cohort: Cohort, *, train_fraction: float, seed: int) -> Split:
    """The split in `file`; it is drawn and written first if the file does not exist.

    Raises:
        InputError: as `split_by_patient` and `read_split`; LS-SPL-012 the file was drawn with another `train_fraction`.
    """
    if not file.exists():
        write_split(file, split_by_patient(cohort, train_fraction=train_fraction, seed=seed))
    try:
        split = read_split(file, cohort)
    except InputError as error:  # a file that was drawn here is not drawn again: a training may have begun with it
        hint = "restore that cohort, or choose another output="
        raise InputError(
            replace(one, hint=hint) if one.code == "LS-SPL-007" else one for one in error.issues
        ) from error
    if split.train_fraction != train_fraction:
        message = f"split was drawn with train_fraction={split.train_fraction}, not {train_fraction}"
        raise InputError(Issue("LS-SPL-012", message, "give it as split=, or choose another output=", file=file))
    return split


def folds_by_patient(cohort: Cohort, *, folds: int, seed: int = 0) -> tuple[Split, ...]:
    """Draw splits of which each patient validates in exactly one, alike in conditions and sites as numbers allow.

    The validation sides differ by at most one patient, and so do their numbers of each condition, of each site, and of
    each condition at a site. For the rest see `split_by_patient`; `train_fraction` is (k − 1)/k.

    Raises:
        InputError: as `split_by_patient`; LS-SPL-011 fewer than two folds, or more than patients.
    """
    draw = _Draw(cohort, seed)
    if not 2 <= folds <= draw.left:
        message = f"folds={folds} of {draw.left} patients that can be trained on"
        raise InputError(Issue("LS-SPL-011", message, "use 2 folds or more, and at most one for each patient"))
    # A share of what is left: rounded to n/k or the like each time, what remains keeps to the same two numbers.
    validation = [draw.take(Fraction(1, left)) for left in range(folds, 0, -1)]
    return tuple(draw.split(patients, (folds - 1) / folds) for patients in validation)


class _Draw:
    """The patients not yet taken, by stratum and lot."""

    def __init__(self, cohort: Cohort, seed: int) -> None:
        self.cohort, self.seed = cohort, seed
        self.patients = strata(cohort)
        issues = [*patients_in_tests(cohort, self.patients)]
        if not self.patients:
            message = f"no development case has a label map of {listed('or')}"
            issues.append(Issue("LS-SPL-001", message, "add such cases to the cohort", file=cohort.path))
        if issues:
            raise InputError(issues)
        conditions, sites = (sorted(set(words)) for words in zip(*self.patients.values(), strict=True))
        by_lot: dict[tuple[object, object], list[str]] = defaultdict(list)
        for patient in sorted(self.patients, key=lambda patient: _hash(f"{seed}:{patient}")):
            by_lot[self.patients[patient]].append(patient)
        self.blocks = [[by_lot[condition, site] for site in sites] for condition in conditions]
        self.lots = _lots(seed)

    @property
    def left(self) -> int:
        return sum(len(block) for row in self.blocks for block in row)

    def take(self, fraction: Fraction) -> set[str]:
        """Take that share out of every block, as far as whole patients allow."""
        numbers = controlled_rounding([[len(block) * fraction for block in row] for row in self.blocks], self.lots)
        taken: set[str] = set()
        for row, wanted in zip(self.blocks, numbers, strict=True):
            for block, number in zip(row, wanted, strict=True):
                taken.update(block[:number])
                del block[:number]
        return taken

    def split(self, validation: set[str], train_fraction: float) -> Split:
        training = sorted(self.patients.keys() - validation)
        return Split(tuple(training), tuple(sorted(validation)), self.seed, train_fraction, self.cohort.hash)


def _hash(text: str) -> str:
    """A place in the draw: no generator whose stream a library may change."""
    return hashlib.sha256(text.encode()).hexdigest()


def _lots(seed: int) -> Iterator[Fraction]:
    """Numbers in [0, 1) for the roundings."""
    return (Fraction(int(_hash(f"{seed}:rounding {number}"), 16), 1 << 256) for number in count())


def _validation_size(patients: int, train_fraction: float) -> int:
    if train_fraction == 1 or patients == 1:
        return 0
    return min(max(round(patients * (1 - train_fraction)), 1), patients - 1)
