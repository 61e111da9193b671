"""What is known of a DICOM series from its headers, and why it is taken or left."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from liverspleen.imaging.geometry import Geometry

_PHASES = {
    "arterial": r"arter|\bart\b",
    "portal_venous": r"portal|porto|ven(ous|ös|oes)|\bven\b|\bpvp?\b",
    "delayed": r"delay|equilib|excret|\bspät|\bspaet|\blate\b(?! *arter)",
    "non_contrast": r"(non|un|pre|without|w/o|no|ohne)[-_ ]*(contrast|enhanced|km\b)|unenh|nativ|\bplain\b|\bnc(ct)?\b",
}
"""Words of English and German protocols; whole words for the short ones."""

_DAYS = {"Y": 365.25, "M": 30.4375, "W": 7.0, "D": 1.0}


@dataclass(frozen=True)
class Left:
    """Why a series, or a file, is not taken; or what a reader should know of it (a warning).

    `code` is stable (`LS-DCM-NNN`). `what` never holds a header's free text, an id, a date or a path.
    """

    code: str
    message: str

    def __str__(self) -> str:
        return f"{self.code}: {self.message}"


@dataclass(frozen=True)
class Series:
    """One series, from its headers alone.

    `files` lie in the order of `geometry`'s slices: by position along the normal of the slice plane (the cross
    product of row and column direction), ascending; as found where there is no order. The native axes of `geometry` are
    (column, row, slice). UIDs, `patient_id` and `description` are what the headers say ("" if empty), for keyed
    hashing and for choosing: they may identify a person, so they are left out of `repr` and never printed.
    `left` is empty for a series that can be taken; `warnings` do not hinder it.
    """

    files: tuple[Path, ...]
    series_uid: str
    study_uid: str
    patient_id: str
    slices: int
    rows: int
    columns: int
    geometry: Geometry | None
    slice_thickness_mm: float | None
    """as recorded; the spacing comes from positions"""
    phase: str
    """`portal_venous`, `arterial`, `delayed`, `non_contrast` or empty: by words in description and contrast fields"""
    sex: str
    """`F`, `M`, `O` or empty"""
    age: float | None
    """years"""
    left: tuple[Left, ...]
    warnings: tuple[Left, ...]
    description: str
    """number and SeriesDescription, for choosing by manifest"""
    folder: str = "."
    """of the files (the common one of several), relative to the root of the search"""

    @property
    def patient_key(self) -> str:
        """What tells patients apart, private: PatientID, else StudyInstanceUID, else the folder."""
        return self.patient_id or self.study_uid or self.folder

    @property
    def series_key(self) -> str:
        """What tells series apart, private: SeriesInstanceUID, else StudyInstanceUID and folder."""
        return self.series_uid or f"{self.study_uid} {self.folder}"

    def __repr__(self) -> str:
        return f"Series({self.slices} slices of {self.rows} x {self.columns}, left={self.left})"


def phase_of(words: str) -> str:
    """The contrast phase that free text names; empty if it names none, or more than one.

    >>> phase_of("Abdomen PORTAL-VENOUS 5.0"), phase_of("liver late arterial"), phase_of("art + portal"), phase_of("CT")
    ('portal_venous', 'arterial', '', '')
    """
    plain = words.lower().replace("_", " ")
    found = [phase for phase, pattern in _PHASES.items() if re.search(pattern, plain)]
    return found[0] if len(found) == 1 else ""


def age_years(text: str) -> float | None:
    """Years of a DICOM age string.

    >>> age_years("061Y"), age_years("006M"), age_years("old")
    (61.0, 0.5, None)
    """
    parts = re.fullmatch(r"(\d{1,3})([DWMY])", text)
    return float(parts[1]) * _DAYS[parts[2]] / _DAYS["Y"] if parts else None
