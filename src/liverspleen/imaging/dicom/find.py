"""The series in a folder tree."""

from __future__ import annotations

from pathlib import Path

from liverspleen.imaging.dicom.series import Series


def find_series(root: Path, *, minimum_sections: int = 5) -> tuple[Series, ...]:
    """Every series below `root`, each with the reasons why it is left, if it is."""
    raise NotImplementedError
