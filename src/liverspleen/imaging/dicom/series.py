"""Description of a DICOM series from its headers, with the reasons why it is excluded."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from liverspleen.errors import Severity
from liverspleen.imaging.geometry import Geometry

_PHASES = {
    "arterial": r"arter|\bart\b",
    "portal_venous": r"portal|porto|ven(ous|ös|oes)|\bven\b|\bpvp?\b",
    "delayed": r"delay|equilib|excret|\bspät|\bspaet|\blate\b(?! *arter)",
    "non_contrast": r"(non|un|pre|without|w/o|no|ohne)[-_ ]*(contrast|enhanced|km\b)|unenh|nativ|\bplain\b|\bnc(ct)?\b",
}
"""Terms of English and German protocols; short terms match whole words only."""

_NO_SLICES = frozenset({"LS-DCM-002", "LS-DCM-003", "LS-DCM-004", "LS-DCM-014", "LS-DCM-016"})
"""Reasons of series that an examination may contain besides its CT scans."""

_DAYS = {"Y": 365.25, "M": 30.4375, "W": 7.0, "D": 1.0}


@dataclass(frozen=True)
class Reason:
    """A reason why a series or file is excluded, or a warning about it.

    `code` is stable (`LS-DCM-NNN`). `message` never holds free text of a header, an id, a date or a path. `hint` is
    empty if the general one applies, and `severity` is that of a warning (it may also be a note).
    """

    code: str
    message: str
    hint: str = ""
    severity: Severity = "warning"

    def __str__(self) -> str:
        return f"{self.code}: {self.message}"


@dataclass(frozen=True)
class Series:
    """One series, as described by its headers.

    `places` are in the order of the slices of `geometry`: ascending by position along the normal of the slice plane
    (the cross product of row and column direction); in the order of discovery if the series has no geometry. Each
    is the index of a file in `files` and that of the frame in it, None for a file of one slice. `files` are in the
    order of their first slices. The native axes of `geometry` are (column, row, slice). UIDs, `patient_id` and
    `description` are copied from the headers ("" if empty) for keyed hashes and for selection: they may identify a
    person, so `repr` omits them and no output has them.
    `exclusions` is empty for a usable series; `warnings` do not exclude it.
    """

    files: tuple[Path, ...]
    places: tuple[tuple[int, int | None], ...]
    series_uid: str
    study_uid: str
    patient_id: str
    slices: int
    rows: int
    columns: int
    geometry: Geometry | None
    slice_thickness_mm: float | None
    """as recorded; the slice spacing is computed from positions"""
    phase: str
    """`portal_venous`, `arterial`, `delayed`, `non_contrast` or empty; by terms in description and contrast fields"""
    sex: str
    """`F`, `M`, `O` or empty"""
    age: float | None
    """years"""
    exclusions: tuple[Reason, ...]
    warnings: tuple[Reason, ...]
    description: str
    """number and SeriesDescription, for selection by a manifest"""
    folder: str = "."
    """of the files, relative to the root of the search; the common parent of several folders"""
    derived: bool = False
    """whether the images are derived or secondary, by ImageType; such a series is used if there is no other one"""
    skipped: tuple[Path, ...] = ()
    """copies of slices, and images of another plane, which are not read"""

    @property
    def patient_key(self) -> str:
        """Private identifier of the patient: PatientID, else StudyInstanceUID, else the folder."""
        return self.patient_id or self.study_uid or self.folder

    @property
    def series_key(self) -> str:
        """Private identifier of the series: SeriesInstanceUID, else StudyInstanceUID and folder."""
        return self.series_uid or f"{self.study_uid} {self.folder}"

    def __repr__(self) -> str:
        return f"Series({self.slices} slices of {self.rows} x {self.columns}, exclusions={self.exclusions})"


def eligible(found: Iterable[Series]) -> tuple[Series, ...]:
    """Return the usable series; derived ones only if there is no other CT scan, usable or not."""
    series = tuple(found)
    has_original = any(not s.derived and not {r.code for r in s.exclusions} & _NO_SLICES for s in series)
    return tuple(s for s in series if not s.exclusions and not (s.derived and has_original))


def phase_of(text: str) -> str:
    """Return the contrast phase that free text states; empty if it states none or several.

    >>> phase_of("Abdomen PORTAL-VENOUS 5.0"), phase_of("liver late arterial"), phase_of("art + portal"), phase_of("CT")
    ('portal_venous', 'arterial', '', '')
    """
    text = text.lower().replace("_", " ")
    found = [phase for phase, pattern in _PHASES.items() if re.search(pattern, text)]
    return found[0] if len(found) == 1 else ""


def age_years(text: str) -> float | None:
    """Return the years of a DICOM age string; None if it is not valid.

    >>> age_years("061Y"), age_years("006M"), age_years("old")
    (61.0, 0.5, None)
    """
    parts = re.fullmatch(r"(\d{1,3})([DWMY])", text)
    return float(parts[1]) * _DAYS[parts[2]] / _DAYS["Y"] if parts else None
