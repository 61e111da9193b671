"""Cases of a source: how CT and label map are read, and what the source states about them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import numpy as np

from liverspleen.cohort.label_meaning import NamedValues, contradiction, meaning_in
from liverspleen.cohort.label_values import covered_structures
from liverspleen.cohort.skipped_files import skipped_files
from liverspleen.errors import InputError, Issue, counted
from liverspleen.imaging.files import parts, read_ct, read_label_map, stated_organs, strip_suffix
from liverspleen.imaging.segment_names import own_values
from liverspleen.imaging.volume import CTVolume, LabelMap
from liverspleen.organs import LABEL_VALUES, OWN_VALUES, Structure, listed, organs

NO_LABEL_USED = "LS-IMP-040"

TEST = "test"
"""Value of `facts["dataset"]` for a case of a layout's test folder; the import replaces it by the cohort's test set."""


class Scan(Protocol):
    """A CT in a source."""

    @property
    def files(self) -> tuple[Path, ...]:
        """All files that the CT is read from."""

    def read(self, case_id: str) -> CTVolume:
        """Read the CT; raises InputError if it cannot be read."""


class LabelSource(Protocol):
    """A label map in a source."""

    @property
    def files(self) -> tuple[Path, ...]:
        """All files that the label map is read from."""

    @property
    def covered(self) -> tuple[Structure, ...]:
        """Structures that the label map can show."""

    def read(self, case_id: str, ct: CTVolume) -> LabelMap:
        """Read the label map on its own grid; raises InputError if it cannot be read."""


@dataclass(frozen=True)
class Meaning:
    """Meaning of the voxel values in the label maps of a source.

    `values` maps voxel values to structures; None means the values of liverspleen. With `by_name` the source gives the
    structures.
    """

    values: Mapping[int, Structure] | None = None
    by_name: bool = False


@dataclass(frozen=True)
class Request:
    """Paths and settings of an import.

    `meaning` is None if no label values are given. `series_by` is what the files of a DICOM series share, `uid` or
    `folder`. `covariate_rows` are the rows of the covariates; the DICOM layout uses them to select among several
    series. `pairs` is a table of images and their label maps.
    """

    input: Path
    labels: Path | None = None
    meaning: Meaning | None = None
    minimum_slices: int = 5
    series_by: str = "uid"
    covariate_rows: tuple[Mapping[str, str], ...] = ()
    pairs: Path | None = None


@dataclass(frozen=True)
class SourceCase:
    """One CT examination of a source.

    `name` and `patient` are as in the source. The id of the case is derived from `key`, or from `name` if `key` is
    empty; a key does not change when files move. `facts` are cells of `cohort.csv`.
    """

    name: str
    patient: str
    scan: Scan
    labels: LabelSource | None = None
    facts: Mapping[str, str] = field(default_factory=dict)
    key: str = ""
    patient_from_header: bool = False
    series: str = ""


@dataclass(frozen=True)
class Exclusion:
    """A case of a source that is not imported, with the reason; `name` as in `SourceCase`."""

    name: str
    issue: Issue


@dataclass(frozen=True)
class SeriesRow:
    """A DICOM series as listed in `series.csv`; `key` is that of the case made from it."""

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
    """Content of a source; `notes` are issues of the source as a whole."""

    cases: tuple[SourceCase, ...]
    excluded: tuple[Exclusion, ...] = ()
    notes: tuple[Issue, ...] = ()
    series: tuple[SeriesRow, ...] = ()


@dataclass(frozen=True)
class NiftiScan:
    """A CT in an image file."""

    file: Path

    @property
    def files(self) -> tuple[Path, ...]:
        """The image file, and that of its voxels if it is another one."""
        return parts(self.file)

    def read(self, case_id: str) -> CTVolume:
        """Read the CT."""
        return read_ct(self.file, case_id=case_id)


@dataclass(frozen=True)
class NiftiLabels:
    """A label map in an image file; `values` as for `read_label_map`."""

    file: Path
    values: Mapping[int, Structure] | None

    @property
    def files(self) -> tuple[Path, ...]:
        """The image file, and that of its voxels if it is another one."""
        return parts(self.file)

    @property
    def covered(self) -> tuple[Structure, ...]:
        """Structures that the named segments or the voxel values stand for."""
        return stated_organs(self.file) or covered_structures(self.values)

    def read(self, case_id: str, ct: CTVolume) -> LabelMap:
        """Read the label map."""
        return read_label_map(self.file, case_id=case_id, values=self.values)


def nifti_files(folder: Path) -> tuple[dict[str, Path], tuple[Exclusion, ...]]:
    """Return the image files of a folder by name without suffix; files with the same name are excluded.

    Subfolders are not read.
    """
    found: dict[str, list[Path]] = {}
    for file in sorted(folder.iterdir()):
        name = strip_suffix(file.name)
        if name and not file.name.startswith(".") and file.is_file():  # archives of macOS contain ._ files
            found.setdefault(name, []).append(file)
    excluded = [
        Exclusion(name, Issue("LS-IMP-007", f"case has {len(files)} files, expected one", "keep one", file=files[0]))
        for name, files in found.items()
        if len(files) > 1
    ]
    return {name: files[0] for name, files in found.items() if len(files) == 1}, tuple(excluded)


def skipped_files_of(
    request: Request, cases: Iterable[SourceCase], excluded: Iterable[Exclusion], notes: Iterable[Issue]
) -> Iterator[Issue]:
    """Yield the issues of files in the input that neither a case nor an issue has."""
    read = {file for case in cases for file in (*case.scan.files, *(case.labels.files if case.labels else ()))}
    issues = [*(item.issue for item in excluded), *notes]
    read |= {Path(file) for issue in issues if issue.file for file in (issue.file, *issue.further_files)}
    yield from skipped_files(request.input, read)


def no_label_used(request: Request, labels: Sequence[Path], by: str, hint: str) -> InputError:
    """Return the error LS-IMP-040: label maps were asked for, and no CT has one; `by` says how they are found."""
    if not labels:
        given = "labels= has" if request.labels is not None else "label_values= is given, but the input has"
        message, hint = f"{given} no label map", "correct the path, or remove the option"
    else:
        message = f"{counted(len(labels), 'label map')} given, but no CT has one {by}"
    return InputError(
        Issue(NO_LABEL_USED, message, hint, file=next(iter(labels), None), further_files=tuple(labels[1:3]))
    )


def required_label_values(request: Request, stated: NamedValues | None) -> Mapping[int, Structure] | None:
    """Return the meaning of label values, as for `read_label_map`: that of the request, or else of the source.

    `stated` are the names of values in a file of the source; None if it has none.

    Raises:
        InputError: LS-IMP-003 neither the request nor the source gives the meaning, LS-IMP-004 the request requires
            that of the source, and the source has no label of an organ.
    """
    named = stated is not None and bool(stated.organs)
    if request.meaning is None and not named:
        message = "the source has label maps, but the meaning of their values is not given"
        hint = "give label_values= (a preset such as totalsegmentator, or {1: liver, 2: spleen})"
        raise InputError(Issue("LS-IMP-003", message, hint))
    if request.meaning is not None and not request.meaning.by_name:
        return request.meaning.values
    if stated is None or not named:
        message = f"label_values=names, but the source has no label named {listed('or')}"
        raise InputError(Issue("LS-IMP-004", message, "give label_values= as a preset or a map"))
    return stated.organs


def meaning_notes(request: Request, stated: NamedValues | None) -> tuple[Issue, ...]:
    """Return the warning LS-LAB-050 if the request gives other label values than the source."""
    if stated is None or request.meaning is None or request.meaning.by_name:
        return ()
    return tuple(contradiction(request.meaning.values or LABEL_VALUES[OWN_VALUES], stated))


def nifti_label_values(request: Request, labels: Path) -> tuple[Mapping[int, Structure] | None, tuple[Issue, ...]]:
    """Return the meaning of label values in a folder or file of the request, as for `read_label_map`, and warnings.

    Raises:
        InputError: LS-LAB-051 a file beside the label maps that should give it cannot be used; as
            `required_label_values`.
    """
    meaning = request.meaning
    asked = None if meaning is None or meaning.by_name else meaning.values or LABEL_VALUES[OWN_VALUES]
    found = meaning_in(labels if labels.is_dir() else labels.parent, asked)
    if asked is None and not found.named:
        return required_label_values(request, None), ()
    return found.values, found.issues


def nifti_labels(request: Request, files: Iterable[Path]) -> tuple[dict[Path, NiftiLabels], tuple[Issue, ...]]:
    """Return the label maps of the request by file, and warnings about the meaning of their values.

    The names of segments in a file give its meaning; the others have that of their folder.

    Raises:
        InputError: as `nifti_label_values`.
    """
    named = {file: stated_organs(file) is not None for file in files}
    folders = {file.parent for file, has_names in named.items() if not has_names}
    meanings = {folder: nifti_label_values(request, folder) for folder in sorted(folders)}
    asked = request.meaning is not None and not request.meaning.by_name
    own = own_values(asked, None if request.meaning is None else request.meaning.values)
    found = {f: NiftiLabels(f, own if has_names else meanings[f.parent][0]) for f, has_names in named.items()}
    return found, tuple(dict.fromkeys(issue for _, issues in meanings.values() for issue in issues))


def merged(maps: list[LabelMap], case_id: str) -> LabelMap:
    """Merge label maps on the same grid into one.

    Raises:
        InputError: LS-IMP-023 a voxel belongs to two structures.
    """
    labels = np.zeros_like(maps[0].labels)
    for part in maps:
        labelled = part.labels > 0
        if both := int(np.count_nonzero(labelled & (labels > 0) & (labels != part.labels))):
            message = f"{both} voxels are labelled as two structures"
            raise InputError(Issue("LS-IMP-023", message, "correct the masks", case_id))
        labels[labelled] = part.labels[labelled]
    covered = {structure.key for part in maps for structure in part.covered}
    return LabelMap(labels, maps[0].geometry, organs(covered))
