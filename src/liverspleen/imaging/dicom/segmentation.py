"""DICOM segmentations, read onto the grid of a CT."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from liverspleen.imaging.dicom.series import Left
from liverspleen.imaging.geometry import Geometry
from liverspleen.imaging.volume import LabelMap
from liverspleen.structures import Structure


@dataclass(frozen=True)
class Segmentation:
    """One DICOM segmentation, from its header.

    `series_uid` is the series it refers to and `study_uid` its study ("" if it says none); both are private, and left
    out of `repr`. `segments` has the meaning of each segment number, None where it is unknown. `geometry` is the grid
    that its frames span (column, row, section), None where they span none. `left` is empty for one that can be read.
    """

    file: Path
    series_uid: str
    study_uid: str
    segments: Mapping[int, Structure | None]
    geometry: Geometry | None
    left: tuple[Left, ...] = ()

    def __repr__(self) -> str:
        return f"Segmentation({dict(self.segments)}, left={self.left})"


def find_segmentations(root: Path) -> tuple[Segmentation, ...]:
    """Every DICOM segmentation below `root`."""
    raise NotImplementedError


def read_segmentation(
    segmentation: Segmentation,
    ct_geometry: Geometry,
    *,
    case_id: str,
    values: Mapping[int, Structure] | None = None,
) -> LabelMap:
    """The label map on the CT's grid; `values` says what segment numbers mean, instead of their codes."""
    raise NotImplementedError
