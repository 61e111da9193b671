"""What is known of a DICOM series from its headers, and why it is taken or left."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from liverspleen.imaging.geometry import Geometry


@dataclass(frozen=True)
class Left:
    """Why a series, or a file, is not taken; or what a reader should know of it (a warning).

    `code` is stable (`LS-DCM-NNN`). `what` never holds a header's free text, an id, a date or a path.
    """

    code: str
    what: str

    def __str__(self) -> str:
        return f"{self.code}: {self.what}"


@dataclass(frozen=True)
class Series:
    """One series, from its headers alone.

    `files` lie in the order of `geometry`'s sections: by position along the normal of the section plane (the cross
    product of row and column direction), ascending; as found where there is no order. The native axes of `geometry` are
    (column, row, section). UIDs, `patient_id` and `description` are what the headers say ("" if empty), for keyed
    hashing and for choosing: they may identify a person, so they are left out of `repr` and never printed.
    `left` is empty for a series that can be taken; `warnings` do not hinder it.
    """

    files: tuple[Path, ...]
    series_uid: str
    study_uid: str
    patient_id: str
    sections: int
    rows: int
    columns: int
    geometry: Geometry | None
    section_thickness_mm: float | None
    """as recorded; the spacing comes from positions"""
    phase: str
    """`portal_venous`, `arterial`, `delayed`, `non_contrast` or empty: by keyword, in description and contrast fields"""
    sex: str
    """`F`, `M`, `O` or empty"""
    age: float | None
    """years"""
    left: tuple[Left, ...]
    warnings: tuple[Left, ...]
    description: str
    """number and SeriesDescription, for choosing by manifest"""

    def __repr__(self) -> str:
        return f"Series({self.sections} sections of {self.rows} x {self.columns}, left={self.left})"
