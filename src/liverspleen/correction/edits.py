"""Edited label maps: reading from any format, checks, and what changed."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np

from liverspleen.cohort.checks import on_grid
from liverspleen.correction.case_folder import CaseFolder, saved_time
from liverspleen.correction.history import Entry, History
from liverspleen.errors import InputError, Issue
from liverspleen.evaluation.metrics.overlap import overlaps
from liverspleen.evaluation.metrics.volume import organ_volume_cm3
from liverspleen.imaging.dicom import find_segmentations, read_segmentation
from liverspleen.imaging.files import read_label_map, stated_organs
from liverspleen.imaging.volume import LabelMap
from liverspleen.organs import ORGANS, Structure, listed, organ, organs
from liverspleen.storage import sha256_of, sha256_of_array

_DICOM = ".dcm"


@dataclass(frozen=True)
class Edit:
    """An edited label map on the grid of its CT, the label map before it, and what is to be reported."""

    file: Path
    label_map: LabelMap
    before: Entry
    changes: dict[str, Any]
    issues: tuple[Issue, ...] = ()

    @property
    def voxels_sha256(self) -> str:
        """Hash of the labels."""
        return sha256_of_array(self.label_map.labels)

    @property
    def content(self) -> dict[str, Any]:
        """What the history records about the edit; times of files are only information."""
        saved = saved_time(self.file)
        return {
            "file": self.file.name,
            "files": [sha256_of(self.file)],
            "saved": saved,
            "seconds_between_files": _seconds(str(self.before.content["saved"]), saved),
            "before": self.before.number,
            "changes": self.changes,
        }


def find_edit(history: History, files: CaseFolder) -> Edit | None:
    """Return the edit of a case that is not in its history yet; None without one.

    A file with the voxels of any label map in the history is no edit. The grid must be that of the CT, or a box of the
    same voxels, as viewers write it; it is padded or cut without resampling.

    Raises:
        InputError: LS-COR-005 the label map is missing or has another name, LS-COR-006 several edited files, LS-COR-007
            no labelled voxel, LS-COR-008 not a DICOM segmentation; as `read_label_map`, `read_segmentation` and
            `on_grid` for other values, segments and grids.
    """
    named, others = files.saved()
    if others or not named:
        raise InputError(_misnamed(files, others))
    if not (changed := [file for file in named if not history.knows(sha256_of(file))]):
        return None
    before = read_map(history, history.newest)
    read = {file: _on_grid(file, before, files.case_id) for file in changed}
    edited = [file for file in changed if not history.has_voxels(sha256_of_array(read[file][0].labels))]
    if len(edited) > 1:
        message = f"{' and '.join(file.name for file in edited)} were both edited, expected one edited label map"
        raise InputError(Issue("LS-COR-006", message, "keep one of them", files.case_id, files.folder))
    if not edited:
        return None
    (file,) = edited
    found, issues = read[file]
    if not found.labels.any():
        message = "the edited label map has no labelled voxel"
        hint = "save the label map again; if the CT shows no organ, use state=rejected"
        raise InputError(Issue("LS-COR-007", message, hint, files.case_id, file))
    if missing := [o.key for o in before.covered if o not in found.covered]:
        message = f"the edited file has no segment {' and no segment '.join(missing)}, which now counts as not labelled"
        hint = "add an empty segment of that name if the organ is absent"
        issues = (*issues, Issue("LS-COR-009", message, hint, files.case_id, file, "warning"))
    return Edit(file, found, history.newest, changes(found, before), issues)


def is_known(history: History, file: Path) -> bool:
    """Return whether a file has a label map of the history, in any encoding; not if it cannot be read."""
    if history.knows(sha256_of(file)):
        return True
    try:
        return history.has_voxels(sha256_of_array(read_label_map(file).labels))
    except InputError:
        return False


def _on_grid(file: Path, before: LabelMap, case_id: str) -> tuple[LabelMap, tuple[Issue, ...]]:
    """Return the label map in a file on the grid of the one before it, with warnings and notes."""
    try:
        read = _read(file, before, case_id)
    except InputError as error:
        raise InputError(_named(replace(issue, file=file)) for issue in error.issues) from None
    found, issues = on_grid(case_id, read, before.geometry, file=file, against="its CT")
    if errors := [issue for issue in issues if issue.severity == "error"]:
        raise InputError(errors)
    return replace(found, geometry=before.geometry), issues


def _named(issue: Issue) -> Issue:
    """Return an issue about segments with a hint that does not name an option of other verbs."""
    return replace(issue, hint=f"name the segments {listed()}") if "label_values" in issue.hint else issue


def read_map(history: History, entry: Entry) -> LabelMap:
    """Return a label map of the history.

    Raises:
        InputError: LS-COR-010 it is missing or was changed.
    """
    found = read_label_map(history.check_map(entry), case_id=history.case_id)
    return replace(found, covered=tuple(organ(key) for key in entry.covered))


def changes(after: LabelMap, before: LabelMap) -> dict[str, Any]:
    """Return what changed: DSS, volumes in cm³ and number of slices per organ, and slices in all.

    The DSS of an organ without a voxel in both label maps is None. A slice counts for an organ if a voxel of it was
    added or removed there.

    >>> from liverspleen.imaging.geometry import Geometry
    >>> one, two = np.zeros((2, 10, 10), np.uint8), np.zeros((2, 10, 10), np.uint8)
    >>> one[0, :5], two[:, :5] = 1, 1
    >>> grid = Geometry((10, 10, 2), np.diag([2.0, 2.0, 5.0, 1.0]))
    >>> found = changes(LabelMap(two, grid), LabelMap(one, grid))
    >>> found["slices"], found["organs"]["liver"]["before_cm3"], found["organs"]["liver"]["after_cm3"]
    (1, 1.0, 2.0)
    """
    scores = overlaps(after.labels, before.labels)
    return {
        "slices": _slices(after.labels != before.labels),
        "organs": {
            one.key: {
                "dss": scores[one].dss,
                "before_cm3": organ_volume_cm3(before, one),
                "after_cm3": organ_volume_cm3(after, one),
                "slices": _slices((after.labels == int(one)) != (before.labels == int(one))),
            }
            for one in ORGANS
        },
    }


def _slices(changed: Any) -> int:
    return int(np.count_nonzero(changed.any(axis=(1, 2))))


def _read(file: Path, before: LabelMap, case_id: str) -> LabelMap:
    """Return the label map in a file; without named segments it covers its organs and those of the one before."""
    if file.suffix.lower() == _DICOM:
        found = next((one for one in find_segmentations(file.parent) if one.file == file), None)
        if found is None:
            message = "the file is not a DICOM segmentation"
            raise InputError(Issue("LS-COR-008", message, "export the segmentation again", case_id, file))
        return read_segmentation(found, before.geometry, case_id=case_id)
    label_map = read_label_map(file, case_id=case_id)
    if stated_organs(file) is not None:
        return label_map
    return replace(label_map, covered=_with_voxels(label_map, before))


def _with_voxels(label_map: LabelMap, before: LabelMap) -> tuple[Structure, ...]:
    return organs(one.key for one in ORGANS if one in before.covered or label_map.count(one))


def _misnamed(files: CaseFolder, others: list[Path]) -> Issue:
    expected = files.label_map.name
    if not others:
        message = f"the label map {expected} is missing"
        return Issue("LS-COR-005", message, "save the label map with this name", files.case_id, files.folder)
    name = others[0].name
    message = f"{name} has another name than the label map, {expected.removesuffix('.nii.gz')} with any image suffix"
    hint = "rename it if it is the edited label map, otherwise move it out of the folder"
    return Issue("LS-COR-005", message, hint, files.case_id, others[0])


def _seconds(before: str, after: str) -> float:
    return (datetime.fromisoformat(after) - datetime.fromisoformat(before)).total_seconds()
