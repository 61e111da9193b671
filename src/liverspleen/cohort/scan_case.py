"""A CT to be segmented: reading, fingerprint of its files, and its label map as DICOM segmentation and report."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from liverspleen import __version__
from liverspleen.cohort.findings.ct import accept_ct
from liverspleen.cohort.manifest import Case
from liverspleen.errors import InputError, Issue
from liverspleen.imaging.dicom import (
    Algorithm,
    ReportContent,
    Series,
    UnreferableError,
    read_series,
    write_probabilities,
    write_report,
    write_segmentation,
)
from liverspleen.imaging.files import read_ct
from liverspleen.imaging.geometry import Geometry
from liverspleen.imaging.volume import CTVolume, LabelMap
from liverspleen.organs import Structure
from liverspleen.storage import sha256_of, size_and_time

NOT_DICOM, UNREFERABLE, EMPTY, CHANGED = "LS-SCN-011", "LS-SCN-012", "LS-SCN-013", "LS-SCN-014"
OFF_GRID = "LS-SCN-015"

_USE_NIFTI = "use the label map in NIfTI format"


@dataclass(frozen=True)
class ScanCase:
    """One CT: a NIfTI file, or a DICOM series.

    `case.image` is its file, or the redacted folder of a DICOM series. `files` are all files that it is read from,
    `states` their sizes and times when they were found, and `shown` is the file in issues.
    """

    case: Case
    files: tuple[Path, ...] = field(repr=False)
    series: Series | None = None
    shown: str | Path | None = None
    states: tuple[tuple[int, int], ...] = field(default=(), repr=False)

    def read(self) -> CTVolume:
        """Read the CT in HU.

        Raises:
            InputError: as `read_ct` or `read_series`.
        """
        try:
            if self.series is not None:
                return read_series(self.series, case_id=self.case.case_id)
            return read_ct(self.files[0], case_id=self.case.case_id)
        except InputError as error:
            raise InputError(self._with_shown_file(issue) for issue in error.issues) from None

    def accepted(self) -> tuple[CTVolume, tuple[Issue, ...]]:
        """Read the CT, and return it with the warnings about its values.

        Raises:
            InputError: as `read`; its values are not HU (`judge_ct`).
        """
        ct = self.read()
        return ct, accept_ct(ct, case_id=self.case.case_id, file=self.shown)

    def fingerprint(self) -> str:
        """Return the SHA-256 of its file, or of the sorted hashes of several files, independent of names and order.

        Raises:
            InputError: LS-IMG-001 a file is missing, LS-IMG-002 it cannot be read.
        """
        try:
            hashes = [sha256_of(_regular(file)) for file in self.files]
        except FileNotFoundError:
            issue = Issue(
                "LS-IMG-001", "file is missing", "correct the path, or add the file", self.case.case_id, self.shown
            )
            raise InputError(issue) from None
        except OSError as error:
            message = f"file cannot be read ({error.strerror or type(error).__name__})"
            raise InputError(
                Issue("LS-IMG-002", message, "make it a readable file", self.case.case_id, self.shown)
            ) from None
        return hashes[0] if len(hashes) == 1 else hashlib.sha256("\n".join(sorted(hashes)).encode()).hexdigest()

    def _with_shown_file(self, issue: Issue) -> Issue:
        return issue if issue.file is None else replace(issue, file=self.shown)


def write_case_segmentation(
    target: Path,
    scan: ScanCase,
    label_map: LabelMap,
    *,
    model: str = "liverspleen",
    version: str = __version__,
    report: tuple[Path, ReportContent] | None = None,
) -> Issue | None:
    """Write a predicted label map as DICOM segmentation of its DICOM series; return a note if it is not written.

    `model` and `version` are written as the algorithm. `report` is the file and the content of a structured report,
    which refers to the segmentation: both files are written, or none. They contain the identity of the patient, as the
    CT does, so that radiology software assigns them to the study.

    Notes: LS-SCN-011 the CT is not DICOM, LS-SCN-012 its files cannot be referenced, LS-SCN-013 the label map has no
    voxel of an organ, LS-SCN-014 the files have changed since they were found, LS-SCN-015 a slice is not on the grid of
    the label map.
    """
    empty = not any(label_map.count(organ) for organ in label_map.covered)
    algorithm = Algorithm(model, version)

    def write() -> None:
        write_segmentation(target, label_map, scan.files, algorithm=algorithm)
        if report is not None:
            try:
                write_report(report[0], target, report[1])
            except UnreferableError:
                target.unlink()
                raise

    return _written(scan, empty, write)


def write_case_probabilities(
    target: Path, scan: ScanCase, maps: Mapping[Structure, NDArray[np.uint8]], geometry: Geometry
) -> Issue | None:
    """Write probability maps as fractional DICOM segmentation, as `write_case_segmentation` writes a label map."""
    empty = not any(values.any() for values in maps.values())
    algorithm = Algorithm("liverspleen", __version__)
    return _written(scan, empty, lambda: write_probabilities(target, maps, geometry, scan.files, algorithm=algorithm))


def _written(scan: ScanCase, empty: bool, write: Callable[[], None]) -> Issue | None:
    """Call `write` if there is something to write; return a note if nothing is written."""

    def note(code: str, message: str, hint: str) -> Issue:
        return Issue(code, f"no DICOM segmentation is written: {message}", hint, scan.case.case_id, severity="note")

    if scan.series is None:
        return note(NOT_DICOM, "the CT is not DICOM", _USE_NIFTI)
    if empty:
        return note(EMPTY, "no organ was found", "check the case")
    if scan.states and states(scan.files) != scan.states:
        return note(CHANGED, "files of the CT have changed since they were found", "run the same command again")
    try:
        write()
    except UnreferableError as error:
        return note(UNREFERABLE, str(error), f"{_USE_NIFTI}, or export the series again with valid UIDs and headers")
    except ValueError:  # a slice is not one of the label map, as in a series of slightly uneven slices
        return note(OFF_GRID, "slices of the CT are not on the even grid of the label map", _USE_NIFTI)
    return None


def states(files: Iterable[Path]) -> tuple[tuple[int, int], ...]:
    """Return size and time of each file; zeros for a missing file."""
    return tuple(map(size_and_time, files))


def _regular(file: Path) -> Path:
    """Return the file; a pipe, which would block, is an error."""
    if file.exists() and not file.is_file():
        raise OSError(None, "not a regular file")
    return file
