"""The voxels of a series."""

from __future__ import annotations

from liverspleen.imaging.dicom.series import Series
from liverspleen.imaging.volume import CTVolume


def read_series(series: Series, *, case_id: str) -> CTVolume:
    """The CT of a series, in HU."""
    raise NotImplementedError
