"""One cohort of the original cases and the corrected ones, with the split of the original cohort."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import numpy as np

from liverspleen.cohort.label_origin import LABEL_COLUMNS
from liverspleen.cohort.manifest import Case, Cohort, cohort_text, parse_cohort, read_cohort
from liverspleen.cohort.row import COLUMNS, file_name_key
from liverspleen.cohort.split import Split, write_split
from liverspleen.cohort.vocabulary import DEVELOPMENT, Vocabulary
from liverspleen.correction.case_folder import case_row
from liverspleen.delimited import MISSING_WORDS, records_of
from liverspleen.errors import InputError, Issue, counted
from liverspleen.imaging.files import read_ct
from liverspleen.reading import read_text
from liverspleen.storage import sha256_of, write_text

MERGED_COHORT, MERGED_SPLIT = "merged_cohort.csv", "merged_split.csv"

_KINDS: Final = {"dataset": "datasets", "condition": "conditions", "site": "sites"}


@dataclass(frozen=True)
class Merged:
    """A cohort of original and corrected cases.

    Attributes:
        root: the folder to which the paths of the table are relative, the innermost one with all files.
        added: number of corrected cases that the original cohort does not have.
        replaced: number of cases of the original cohort whose label map is now the corrected one.
    """

    cohort: Path
    split: Path
    root: Path
    added: int
    replaced: int


def open_original(file: Path, root: Path | None) -> Cohort:
    """Return the original cohort with any value of dataset, condition and site: `train` checks them.

    Raises:
        InputError: as `read_cohort`.
    """
    cohort = read_cohort(file, root=root)
    if not cohort.issues:
        return cohort
    (header, *records), _ = records_of(read_text(file), COLUMNS)
    # not strict: a row may be shorter than the header
    return read_cohort(file, root=root, vocabulary=_vocabulary(dict(zip(header, row, strict=False)) for row in records))


def _vocabulary(rows: Iterable[Mapping[str, Any]]) -> Vocabulary:
    """Return the values of dataset, condition and site in rows; words for a missing value are none."""
    listed = [*rows]
    found = {key: dict.fromkeys(str(row.get(name) or "").strip() for row in listed) for name, key in _KINDS.items()}
    kinds: dict[str, Any] = {
        key: tuple(value for value in values if value and value not in MISSING_WORDS) for key, values in found.items()
    }
    return Vocabulary(**kinds)


def write_merged(
    folder: Path, corrected: Sequence[Mapping[str, Any]], cohort: Cohort, split: Split
) -> tuple[Merged | None, tuple[Issue, ...]]:
    """Write the merged cohort and its split to a correction folder; None if no corrected case can be used.

    Also returns notes (LS-COR-014) on the corrected cases that are excluded, and an error (LS-COR-018) for each case id
    of both that means different CT scans, or differs only in its spelling.

    The validation side, and all test cases, are those of the original. A corrected case is added to the training side
    if its patient is new, is there already, or had no label map before. It is excluded if it is a test case, or if its
    patient has test or validation cases. A corrected case that the original cohort has keeps its row with another label
    map.

    Args:
        folder: correction folder.
        corrected: rows of its `cohort.csv`, with paths relative to the folder.
        cohort: the original cohort.
        split: its split.

    Raises:
        InputError: LS-COR-017 the files of both are on different drives; as `parse_cohort` for a row that cannot be
            used together with the others, such as another spelling of a patient.
    """
    used, issues = _usable(folder, corrected, cohort, split)
    if not used:
        remove_merged(folder)
        return None, issues
    tops = {"cohort": Path(os.path.realpath(cohort.root)), "folder": Path(os.path.realpath(folder))}
    root = _common(tops.values(), folder)
    original = {case.case_id: _row(case, cohort.root, tops["cohort"].relative_to(root)) for case in cohort.cases}
    rows = dict(original)
    for row in used:
        files = {name: (tops["folder"].relative_to(root) / row[name]).as_posix() for name in ("image", "label")}
        if (before := original.get(row["case_id"])) is not None:
            label = {name: row.get(name) for name in ("labelled_structures", *LABEL_COLUMNS)}
            rows[row["case_id"]] = {**before, **label, "label": files["label"]}
        else:
            rows[row["case_id"]] = {**row, **files}
    text = cohort_text(rows.values())
    merged = parse_cohort(text, path=folder / MERGED_COHORT, root=root, vocabulary=_vocabulary(rows.values()))
    if errors := [issue for issue in merged.issues if issue.severity == "error"]:
        raise InputError(errors)
    write_text(folder / MERGED_COHORT, text)
    patients = {rows[row["case_id"]]["patient_id"] for row in used}
    training = tuple(sorted(patients.union(split.training)))
    write_split(folder / MERGED_SPLIT, replace(split, training=training, cohort_hash=merged.hash))
    replaced = sum(row["case_id"] in original for row in used)
    tables = folder / MERGED_COHORT, folder / MERGED_SPLIT
    return Merged(*tables, root, len(used) - replaced, replaced), issues


def remove_merged(folder: Path) -> bool:
    """Remove the merged cohort and its split; return whether there was one."""
    found = (folder / MERGED_COHORT).is_file()
    for name in (MERGED_COHORT, MERGED_SPLIT):
        (folder / name).unlink(missing_ok=True)
    return found


def _usable(
    folder: Path, corrected: Sequence[Mapping[str, Any]], cohort: Cohort, split: Split
) -> tuple[list[Mapping[str, Any]], tuple[Issue, ...]]:
    """Return the corrected cases for training, and a note on those that are not."""
    originals = {file_name_key(case.case_id): case for case in cohort.cases}
    tests = {case.patient_id for case in cohort.cases if not case.is_development}
    tests |= {row["patient_id"] for row in corrected if _is_test(row)}
    used: list[Mapping[str, Any]] = []
    others: dict[str, list[str]] = {}
    issues = []
    for row in corrected:
        original, patient = originals.get(file_name_key(row["case_id"])), row["patient_id"]
        if original is not None and not _is_same_scan(folder, row, original):
            message = f"{cohort.path.name} has another patient, CT or spelling of this case id; not used for training"
            hint = "rename the case in one of both, or give the cohort to which it belongs"
            issues.append(Issue("LS-COR-018", message, hint, row["case_id"], original.image))
        elif patient in tests:
            others.setdefault("test", []).append(row["case_id"])
        elif patient in split.validation:
            others.setdefault("validation", []).append(row["case_id"])
        else:
            used.append(row)
    return used, (*issues, *(_excluded(side, found, cohort.path) for side, found in others.items()))


def _is_same_scan(folder: Path, row: Mapping[str, Any], original: Case) -> bool:
    """Return whether a corrected case is the one of the original cohort: its ids, and the voxels of its CT."""
    copy = folder / row["image"]
    if (original.case_id, original.patient_id) != (row["case_id"], row["patient_id"]):
        return False
    if not original.image.is_file():
        return True  # `train` reports the missing file
    if sha256_of(copy) == sha256_of(original.image):
        return True
    try:
        return np.array_equal(read_ct(copy).hu, read_ct(original.image).hu)
    except InputError:
        return False


def _is_test(row: Mapping[str, Any]) -> bool:
    return row["dataset"] not in ("", DEVELOPMENT)


def _excluded(side: str, found: Sequence[str], file: Path) -> Issue:
    message = f"{counted(len(found), 'corrected case')} of {side} patients, first {found[0]!r}, not used for training"
    return Issue(
        "LS-COR-014", message, "this keeps the test and validation cases unchanged", file=file, severity="note"
    )


def _row(case: Case, root: Path, place: Path) -> dict[str, Any]:
    """Return the row of a case, with paths relative to the common root; `place` is the original root in it."""
    paths = {"image": case.image, "label": case.label}
    return {
        **case_row(case),
        **{name: None if file is None else (place / file.relative_to(root)).as_posix() for name, file in paths.items()},
    }


def _common(tops: Iterable[Path], folder: Path) -> Path:
    try:
        return Path(os.path.commonpath([*tops]))
    except ValueError:
        message = "the cohort and the correction folder are on different drives, so no table has paths to both"
        raise InputError(
            Issue("LS-COR-017", message, "copy one of them to the drive of the other", file=folder)
        ) from None
