"""A CT to be segmented, wherever it lies: read, told apart by its bytes, and its label map brought back to it."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path

from liverspleen import __version__
from liverspleen.cohort.manifest import Case
from liverspleen.errors import InputError, Issue
from liverspleen.imaging.dicom import Algorithm, Series, UnreferableError, read_series, write_segmentation
from liverspleen.imaging.nifti import read_ct
from liverspleen.imaging.volume import CTVolume, LabelMap
from liverspleen.storage import sha256_of, size_and_time

NOT_DICOM, UNREFERABLE, EMPTY, CHANGED = "LS-SCN-011", "LS-SCN-012", "LS-SCN-013", "LS-SCN-014"


@dataclass(frozen=True)
class ScanCase:
    """One CT: a NIfTI file, or a DICOM series.

    `case.image` is its file, or for DICOM its folder as it may be told. `files` is everything that it is read from,
    `states` their sizes and times when they were found, and `shown` what issues call its file.
    """

    case: Case
    files: tuple[Path, ...] = field(repr=False)
    series: Series | None = None
    shown: str | Path | None = None
    states: tuple[tuple[int, int], ...] = field(default=(), repr=False)

    def read(self) -> CTVolume:
        """The CT, in HU.

        Raises:
            InputError: as `read_ct` or `read_series`.
        """
        try:
            if self.series is not None:
                return read_series(self.series, case_id=self.case.case_id)
            return read_ct(self.files[0], case_id=self.case.case_id)
        except InputError as error:
            raise InputError(self._told(issue) for issue in error.issues) from None

    def fingerprint(self) -> str:
        """SHA-256 that stands for the bytes of its files: of one file its own; of several it knows no names or order.

        Raises:
            InputError: LS-IMG-001 a file is missing, LS-IMG-002 it cannot be read.
        """
        try:
            hashes = [sha256_of(_regular(file)) for file in self.files]
        except FileNotFoundError:
            issue = Issue("LS-IMG-001", "file is missing", "correct the path or bring the file", self.case.case_id)
            raise InputError(replace(issue, file=self.shown)) from None
        except OSError as error:
            message = f"file cannot be read ({error.strerror or type(error).__name__})"
            raise InputError(
                Issue("LS-IMG-002", message, "make it a readable file", self.case.case_id, self.shown)
            ) from None
        return hashes[0] if len(hashes) == 1 else hashlib.sha256("\n".join(sorted(hashes)).encode()).hexdigest()

    def _told(self, issue: Issue) -> Issue:
        return issue if issue.file is None else replace(issue, file=self.shown)


def write_case_segmentation(
    target: Path, scan: ScanCase, label_map: LabelMap, *, model: str = "liverspleen", version: str = __version__
) -> Issue | None:
    """Write a label map that a model drew as DICOM-SEG beside its DICOM series; a note with the reason if it cannot be.

    `model` and its `version` are named as the algorithm. The file names the patient, as the CT does: only so does
    radiology software put it to its study.

    The reasons: LS-SCN-011 the CT is no DICOM, LS-SCN-012 its files cannot be referred to, mostly for want of UIDs,
    LS-SCN-013 there is no voxel of an organ, LS-SCN-014 its files have changed since they were found, or are not those
    of the label map.
    """

    def note(code: str, message: str, hint: str) -> Issue:
        return Issue(code, f"no DICOM-SEG is written: {message}", hint, scan.case.case_id, severity="note")

    if scan.series is None:
        return note(NOT_DICOM, "the CT is no DICOM", "take the label map in NIfTI")
    if not any(label_map.count(organ) for organ in label_map.covered):
        return note(EMPTY, "no organ was found", "look at the case")
    if scan.states and states(scan.files) != scan.states:
        return note(CHANGED, "files of the CT have changed since they were found", "run the same command again")
    try:
        write_segmentation(target, label_map, scan.files, algorithm=Algorithm(model, version))
    except UnreferableError as error:
        return note(UNREFERABLE, str(error), "take the label map in NIfTI, or export the series with its UIDs")
    except ValueError:  # a slice has no place in the label map
        message = "its slices are not those of the label map"
        return note(CHANGED, message, "run the same command again")
    return None


def states(files: Iterable[Path]) -> tuple[tuple[int, int], ...]:
    """Size and time of each file; zeros where there is none."""
    return tuple(map(size_and_time, files))


def _regular(file: Path) -> Path:
    """The file, which is not a pipe that would be waited for."""
    if file.exists() and not file.is_file():
        raise OSError(None, "not a regular file")
    return file
