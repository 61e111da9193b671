"""CT series and segmentations written as DICOM."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from liverspleen.imaging.volume import CTVolume, LabelMap

EXPLICIT_LITTLE_ENDIAN = "1.2.840.10008.1.2.1"


def write_series(
    folder: Path,
    ct: CTVolume,
    *,
    tags: Mapping[str, object] | None = None,
    transfer_syntax: str = EXPLICIT_LITTLE_ENDIAN,
) -> tuple[Path, ...]:
    """Write a CT as one file per section; `tags` sets or replaces fields by keyword."""
    raise NotImplementedError


def write_segmentation(file: Path, label_map: LabelMap, sources: Sequence[Path]) -> None:
    """Write a label map as a DICOM segmentation of the CT in the files `sources`."""
    raise NotImplementedError
