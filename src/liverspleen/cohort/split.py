"""Patient-level split into training and validation, stored with the hash of the cohort."""

from __future__ import annotations

import csv
import hashlib
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from liverspleen.cohort.manifest import Case, Cohort
from liverspleen.errors import InputError, Issue
from liverspleen.reading import read_text
from liverspleen.spreadsheet import csv_rows, csv_text
from liverspleen.storage import StrPath, sha256_of, write_text

Side = Literal["training", "validation"]
SIDES: tuple[Side, Side] = ("training", "validation")
_COLUMNS = ("patient_id", "side", "seed", "train_fraction", "cohort_hash")
_CREATE = "create the split again with liverspleen split"


@dataclass(frozen=True)
class Split:
    """Patients for training and for validation; `validation` may be empty."""

    training: tuple[str, ...]
    validation: tuple[str, ...]
    seed: int
    train_fraction: float
    cohort_hash: str

    def cases(self, cohort: Cohort, side: Side) -> tuple[Case, ...]:
        """Return the trainable cases of the patients on a side, in the order of the cohort."""
        patients = set(getattr(self, side))
        return tuple(case for case in cohort.cases if case.patient_id in patients and is_trainable(case))

    def unassigned(self, cohort: Cohort) -> tuple[Issue, ...]:
        """Return the warning LS-SPL-010 if patients with trainable cases are on neither side."""
        patients = {case.patient_id for case in cohort.cases if is_trainable(case)}
        number = len(patients - {*self.training, *self.validation})
        if not number:
            return ()
        message = f"{number} of {len(patients)} development patients are on neither side of the split and are not used"
        hint = f"{_CREATE} if all should be used"
        return (Issue("LS-SPL-010", message, hint, file=cohort.path, severity="warning"),)


def subset(split: Split, fraction: float, *, seed: int) -> Split:
    """Return the split with a random fraction of its training patients, at least one; validation is unchanged.

    The subsets of one seed are nested. A patient's place in their order depends on `seed` and its id only, so other
    patients have no effect on it.

    >>> split = Split(tuple("abcdefgh"), ("x",), 0, 0.8, "")
    >>> small, large = (set(subset(split, fraction, seed=1).training) for fraction in (0.25, 0.5))
    >>> len(small), len(large), small < large
    (2, 4, True)
    """
    count = max(1, round(fraction * len(split.training)))
    ordered = sorted(split.training, key=lambda patient: hashlib.sha256(f"{seed} {patient}".encode()).hexdigest())
    return replace(split, training=tuple(sorted(ordered[:count])))


def is_trainable(case: Case) -> bool:
    """Whether a case is a development case with a label map of at least one organ."""
    return case.is_development and case.label is not None and bool(case.labelled_structures)


def patients_in_tests(cases: Iterable[Case], patients: Iterable[str], file: Path | None) -> Iterator[Issue]:
    """Yield LS-SPL-002 for each of the `patients` with test cases: the test would include data of the training."""
    tests: dict[str, list[str]] = defaultdict(list)
    for case in cases:
        if not case.is_development:
            tests[case.patient_id].append(case.case_id)
    for patient in sorted(set(patients) & set(tests)):
        message = f"patient '{patient}' has development cases and test cases ({', '.join(tests[patient])})"
        hint = "give all examinations of a patient the same dataset"
        yield Issue("LS-SPL-002", message, hint, file=file)


def write_split(path: StrPath, split: Split) -> None:
    """Write the split as CSV, one row per patient; the file is complete or absent."""
    stated = (split.seed, split.train_fraction, split.cohort_hash)
    rows = ((patient, side, *stated) for side in SIDES for patient in getattr(split, side))
    write_text(Path(path), csv_text([_COLUMNS, *rows]))


def read_split(path: StrPath, cohort: Cohort) -> Split:
    """Read a split from a file and check it against the cohort.

    Raises:
        InputError: all issues: LS-SPL-002 a patient has test cases, LS-SPL-003 the file cannot be read or is not a
            split, LS-SPL-004 unknown side, LS-SPL-005 a patient is on both sides, LS-SPL-006 a patient has no
            trainable case, LS-SPL-007 the cohort has changed, LS-SPL-008 no patient is on the training side.
    """
    path = Path(path)
    rows = _read_rows(path)
    sides: dict[str, set[str]] = defaultdict(set)
    for row in rows:
        sides[row["patient_id"]].add(row["side"])
    first = rows[0]
    issues = [*_side_issues(sides, path), *_cohort_issues(sides, first["cohort_hash"], cohort, path)]
    if issues:
        raise InputError(issues)
    training, validation = (tuple(sorted(p for p, found in sides.items() if side in found)) for side in SIDES)
    return Split(training, validation, int(first["seed"]), float(first["train_fraction"]), first["cohort_hash"])


def read_splits(path: StrPath, cohort: Cohort) -> dict[str, Split]:
    """Return the split in a file, or the folds in a folder in the order of their numbers; keys are the names of files.

    Raises:
        InputError: LS-SPL-014 the folder has neither; as `read_split`.
    """
    return {file.stem: read_split(file, cohort) for file in _split_files(Path(path))}


def split_hashes(path: StrPath) -> dict[str, str]:
    """Return the SHA-256 of each file that `read_splits` reads, by name."""
    return {file.stem: sha256_of(file) for file in _split_files(Path(path))}


def _split_files(path: Path) -> list[Path]:
    """Return the file of a split itself, or the files fold0.csv, fold1.csv, … of a folder by their numbers."""
    if not path.is_dir():
        return [path]
    files = {int(match[1]): file for file in path.iterdir() if (match := re.fullmatch(r"fold(\d+)\.csv", file.name))}
    if not files and (path / "split.csv").is_file():
        return [path / "split.csv"]
    if not files:
        hint = "create the split with liverspleen split, or correct the path"
        raise InputError(Issue("LS-SPL-014", "folder has neither fold0.csv nor split.csv", hint, file=path))
    return [files[number] for number in sorted(files)]


def _read_rows(path: Path) -> list[dict[str, str]]:
    def rejected(message: str) -> InputError:
        return InputError(Issue("LS-SPL-003", message, _CREATE, file=path))

    try:
        rows = csv_rows(read_text(path))
    except OSError as error:
        raise rejected(f"split cannot be read ({error.strerror or type(error).__name__})") from error
    except (UnicodeDecodeError, csv.Error) as error:
        raise rejected(f"split is not CSV in UTF-8 ({error})") from error
    if not rows or any(not row.get(column) for row in rows for column in _COLUMNS):
        raise rejected(f"split has no rows or empty cells, expected rows of {', '.join(_COLUMNS)}")
    if len({tuple(row[column] for column in _COLUMNS[2:]) for row in rows}) > 1:
        raise rejected("rows of the split have different seeds, fractions or cohorts, expected the same in all rows")
    try:
        int(rows[0]["seed"]), float(rows[0]["train_fraction"])
    except ValueError as error:
        raise rejected(f"seed or train_fraction is not a number ({error})") from error
    return rows


def _side_issues(sides: dict[str, set[str]], path: Path) -> Iterator[Issue]:
    for patient, found in sides.items():
        for side in sorted(found - set(SIDES)):
            message = f"patient '{patient}' is on the side '{side}', expected {' or '.join(SIDES)}"
            yield Issue("LS-SPL-004", message, "correct the side", file=path)
        if found >= set(SIDES):
            yield Issue("LS-SPL-005", f"patient '{patient}' is on both sides", "keep one of the rows", file=path)
    if not any("training" in found for found in sides.values()):
        yield Issue("LS-SPL-008", "no patient is on the side 'training'", _CREATE, file=path)


def _cohort_issues(sides: dict[str, set[str]], stated: str, cohort: Cohort, path: Path) -> Iterator[Issue]:
    if stated != cohort.hash:
        message = f"split is of a cohort with hash {stated[:12]}, '{cohort.path}' has {cohort.hash[:12]}"
        yield Issue("LS-SPL-007", message, f"{_CREATE}, or restore the cohort", file=path)
        return  # the patients of another cohort cannot be compared with this one
    trainable = {case.patient_id for case in cohort.cases if is_trainable(case)}
    elsewhere = {case.patient_id for case in cohort.cases if not case.is_development}
    for patient in sorted(set(sides) - trainable - elsewhere):
        message = f"patient '{patient}' has no usable row with a label map in '{cohort.path}'"
        yield Issue("LS-SPL-006", message, f"correct the cohort, or {_CREATE}", file=path)
    yield from patients_in_tests(cohort.cases, sides, path)
