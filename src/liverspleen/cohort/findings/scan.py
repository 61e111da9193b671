"""Summary of a CT from one pass over its slices, for all findings."""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from liverspleen.errors import Issue, Severity
from liverspleen.imaging.volume import CTVolume
from liverspleen.storage import sha256_of_array

_COARSE_MM = 4.0  # distance of samples; enough to distinguish the trunk and its lungs
_BODY_HU = -300  # between fat, about -100, and lung or air, below -500
_LOWEST = np.iinfo(np.int16).min


@dataclass(frozen=True, eq=False)
class ScanSummary:
    """Summary of a CT.

    `histogram` counts the voxels of each value, -32768 first. `lowest`, `highest` and `checksums` are those of each
    slice. `coarse` is the CT with all slices, sampled within a slice; `coarse_mm` is the distance of its rows and of
    its columns. `voxels_sha256` is that of the slice cache.
    """

    histogram: NDArray[np.int64]
    lowest: NDArray[np.int16]
    highest: NDArray[np.int16]
    checksums: tuple[int, ...]
    coarse: NDArray[np.int16]
    coarse_mm: tuple[float, float]
    voxels_sha256: str

    @property
    def voxels(self) -> int:
        """Number of voxels."""
        return int(self.histogram.sum())

    @cached_property
    def ends(self) -> tuple[int, int]:
        """Lowest and highest value in HU."""
        return int(self.lowest.min()), int(self.highest.max())

    def count(self, low: int, high: int) -> int:
        """Return the number of voxels from `low` to `high` HU, both included."""
        return int(self.histogram[max(low - _LOWEST, 0) : max(high - _LOWEST + 1, 0)].sum())

    def fraction(self, low: int, high: int) -> float:
        """Return the fraction of voxels from `low` to `high` HU, both included."""
        return self.count(low, high) / self.voxels

    @cached_property
    def body(self) -> NDArray[np.bool_]:
        """Where `coarse` is denser than lung and air: the trunk without lungs and gas, and the couch."""
        body: NDArray[np.bool_] = self.coarse > _BODY_HU
        return body


def summarise(ct: CTVolume) -> ScanSummary:
    """Return the summary of a CT, computed slice by slice without a second volume in memory.

    >>> from liverspleen.imaging import Geometry
    >>> values = np.array([-1000, -1000, 40, 60], np.int16).reshape(1, 2, 2)
    >>> summary = summarise(CTVolume(values, Geometry((2, 2, 1), np.eye(4))))
    >>> summary.ends, summary.count(0, 100), summary.fraction(-1000, -1000)
    ((-1000, 60), 2, 0.5)
    """
    _, row_mm, column_mm = ct.geometry.spacing_mm
    rows, columns = (max(1, int(_COARSE_MM // edge)) for edge in (row_mm, column_mm))
    histogram = np.zeros(1 << 16, np.int64)
    checksums = []
    for plane in ct.hu:
        checksums.append(zlib.crc32(plane.tobytes()))
        histogram += np.bincount(plane.view(np.uint16).ravel(), minlength=histogram.size)
    return ScanSummary(
        histogram=np.roll(histogram, -_LOWEST),  # as unsigned integers, negative values are after the others
        lowest=ct.hu.min(axis=(1, 2)),
        highest=ct.hu.max(axis=(1, 2)),
        checksums=tuple(checksums),
        coarse=ct.hu[:, ::rows, ::columns].copy(),
        coarse_mm=(rows * row_mm, columns * column_mm),
        voxels_sha256=sha256_of_array(ct.hu),
    )


def finding(severity: Severity, code: str, message: str, hint: str) -> Issue:
    """An issue of this severity."""
    return Issue(code, message, hint, severity=severity)
