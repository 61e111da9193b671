"""A case as it lies in a source: how its CT and label map are read, and what the source says about it."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import numpy as np

from liverspleen.cohort.label_names import label_files
from liverspleen.cohort.label_values import covered_structures
from liverspleen.errors import InputError, Issue
from liverspleen.imaging.nifti import read_ct, read_label_map, strip_suffix
from liverspleen.imaging.volume import CTVolume, LabelMap
from liverspleen.organs import Structure, listed, organs

TEST = "test"
"""Stands in `facts["dataset"]` for a case of a layout's test folder; the cohort's vocabulary says what word it gets."""


class Scan(Protocol):
    """A CT in a source."""

    @property
    def files(self) -> tuple[Path, ...]:
        """Every file it is read from."""

    def read(self, case_id: str) -> CTVolume:
        """The CT; Rejected if it cannot be read."""


class Drawing(Protocol):
    """A label map in a source."""

    @property
    def files(self) -> tuple[Path, ...]:
        """Every file it is read from."""

    @property
    def covered(self) -> tuple[Structure, ...]:
        """The structures that it can show."""

    def read(self, case_id: str, ct: CTVolume) -> LabelMap:
        """The label map, on whatever grid it has; Rejected if it cannot be read."""


@dataclass(frozen=True)
class Meaning:
    """What the voxel values of a source's label maps mean.

    Our own values if `values` is None; with `by_name` what the source itself calls them.
    """

    values: Mapping[int, Structure] | None = None
    by_name: bool = False


@dataclass(frozen=True)
class Request:
    """What is to be looked for, and where; `meaning` is None if nothing was said about label values.

    `named` are the rows of the covariates, for layouts in which they choose among several series.
    """

    input: Path
    labels: Path | None = None
    meaning: Meaning | None = None
    minimum_slices: int = 5
    named: tuple[Mapping[str, str], ...] = ()


@dataclass(frozen=True)
class SourceCase:
    """One CT examination of a source.

    `name` and `patient` are the source's own words. `key` is what the case's id is derived from: the name, or something
    that stays when files move. `facts` are cells of `cohort.csv`.
    """

    name: str
    patient: str
    scan: Scan
    drawing: Drawing | None = None
    facts: Mapping[str, str] = field(default_factory=dict)
    key: str = ""
    patient_from_header: bool = False
    series: str = ""


@dataclass(frozen=True)
class Left:
    """Something in a source that is not taken, and why; `name` as in `SourceCase`."""

    name: str
    issue: Issue


@dataclass(frozen=True)
class SeriesRow:
    """A DICOM series as `series.csv` tells it; `key` links it to the case that was made of it."""

    key: str
    code: str
    reason: str
    slices: int
    matrix: str
    spacing_mm: str
    slice_thickness_mm: str
    phase: str


@dataclass(frozen=True)
class Found:
    """What a source holds. `notes` concern it as a whole."""

    cases: tuple[SourceCase, ...]
    left: tuple[Left, ...] = ()
    notes: tuple[Issue, ...] = ()
    series: tuple[SeriesRow, ...] = ()


@dataclass(frozen=True)
class NiftiScan:
    """A CT in one NIfTI file."""

    file: Path

    @property
    def files(self) -> tuple[Path, ...]:
        """That file."""
        return (self.file,)

    def read(self, case_id: str) -> CTVolume:
        """The CT in it."""
        return read_ct(self.file, case_id=case_id)


@dataclass(frozen=True)
class NiftiDrawing:
    """A label map in one NIfTI file; `values` as for `read_label_map`."""

    file: Path
    values: Mapping[int, Structure] | None

    @property
    def files(self) -> tuple[Path, ...]:
        """That file."""
        return (self.file,)

    @property
    def covered(self) -> tuple[Structure, ...]:
        """The structures that its values mean."""
        return covered_structures(self.values)

    def read(self, case_id: str, ct: CTVolume) -> LabelMap:
        """The label map in it."""
        return read_label_map(self.file, case_id=case_id, values=self.values)


def nifti_files(folder: Path) -> tuple[dict[str, Path], tuple[Left, ...]]:
    """The NIfTI files that lie in a folder itself by name without suffix; those that share a name are left."""
    found: dict[str, list[Path]] = {}
    for file in sorted(folder.iterdir()):
        name = strip_suffix(file.name)
        if name and not file.name.startswith(".") and file.is_file():  # archives made on a Mac hold ._ files
            found.setdefault(name, []).append(file)
    return _single(found)


def label_map_files(folder: Path, known: Collection[str]) -> tuple[dict[str, Path], tuple[Left, ...]]:
    """The label maps that lie in a folder itself by case, named as `label_files` tells; of two for one case none."""
    found = label_files(folder, known)
    return _single({name: [file for file in files if file.is_file()] for name, files in found.items()})


def _single(found: Mapping[str, Sequence[Path]]) -> tuple[dict[str, Path], tuple[Left, ...]]:
    left = [
        Left(name, Issue("LS-IMP-007", f"{len(files)} files are one case's", "keep one of them", file=files[0]))
        for name, files in found.items()
        if len(files) > 1
    ]
    return {name: files[0] for name, files in found.items() if len(files) == 1}, tuple(left)


def needed_meaning(request: Request, names: Mapping[int, Structure] | None) -> Mapping[int, Structure] | None:
    """What label values mean, as for `read_label_map`; `names` is what the source calls them (None: it has no names).

    Raises:
        InputError: LS-IMP-003 nothing was said about them, LS-IMP-004 they are to be named by the source, which does
            not name an organ.
    """
    if request.meaning is None:
        message = "there are label maps, and nothing says what their values mean"
        given = "names, " if names else ""
        hint = f"give label_values= ({given}a preset such as totalsegmentator, or {{1: liver, 2: spleen}})"
        raise InputError(Issue("LS-IMP-003", message, hint))
    if not request.meaning.by_name:
        return request.meaning.values
    if not names:
        message = f"label_values=names, but this source does not name {listed('or')}"
        raise InputError(Issue("LS-IMP-004", message, "give label_values= as a preset or a map"))
    return names


def merged(parts: list[LabelMap], case_id: str) -> LabelMap:
    """One label map of several on one grid.

    Raises:
        InputError: LS-IMP-023 a voxel belongs to two structures.
    """
    labels = np.zeros_like(parts[0].labels)
    for part in parts:
        drawn = part.labels > 0
        if both := int(np.count_nonzero(drawn & (labels > 0) & (labels != part.labels))):
            message = f"{both} voxels are drawn as two structures"
            raise InputError(Issue("LS-IMP-023", message, "correct the masks", case_id))
        labels[drawn] = part.labels[drawn]
    covered = {structure.key for part in parts for structure in part.covered}
    return LabelMap(labels, parts[0].geometry, organs(covered))
