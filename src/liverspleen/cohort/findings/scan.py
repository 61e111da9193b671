"""Summary of a CT from samples of its voxels, for all findings."""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from liverspleen.cohort.findings.areas import BodyAreas, body_areas
from liverspleen.errors import Issue, Severity
from liverspleen.imaging.volume import CTVolume

_COARSE_MM = 6.0  # distance of samples; enough for a histogram, and to distinguish the trunk and its lungs
_LEAST = 48  # rows and columns of samples, if the image has as many
_LOWEST = np.iinfo(np.int16).min


@dataclass(frozen=True, eq=False)
class ScanSummary:
    """Summary of a CT.

    `coarse` is the CT with all slices, sampled within a slice; `coarse_mm` is the distance of its rows and of its
    columns. `histogram` counts its voxels of each value, -32768 first. `flat` marks the slices with a single value.
    `copies` are the other slices that are equal to an earlier one. `fractional` is True if the file has values that are
    not whole numbers.
    """

    histogram: NDArray[np.int64]
    flat: NDArray[np.bool_]
    copies: tuple[int, ...]
    coarse: NDArray[np.int16]
    coarse_mm: tuple[float, float]
    fractional: bool = False

    @cached_property
    def voxels(self) -> int:
        """Number of sampled voxels."""
        return self.coarse.size

    @cached_property
    def ends(self) -> tuple[int, int]:
        """Lowest and highest value of the samples, in HU."""
        return int(self.coarse.min()), int(self.coarse.max())

    @cached_property
    def _cumulative(self) -> NDArray[np.int64]:
        return np.concatenate([[0], np.cumsum(self.histogram)])

    @cached_property
    def areas(self) -> tuple[BodyAreas, ...]:
        """Trunk, lung and bone in some slices."""
        return body_areas(self.coarse)

    def count(self, low: int, high: int) -> int:
        """Return the number of sampled voxels from `low` to `high` HU, both included."""
        return int(self.below(np.int64(high + 1)) - self.below(np.int64(low)))

    def below(self, hu: Any) -> Any:
        """Return the number of sampled voxels below each of `hu`, an array of whole numbers."""
        return self._cumulative[np.clip(hu - _LOWEST, 0, self.histogram.size)]

    def fraction(self, low: int, high: int) -> float:
        """Return the fraction of sampled voxels from `low` to `high` HU, both included."""
        return self.count(low, high) / self.voxels


def summarise(ct: CTVolume) -> ScanSummary:
    """Return the summary of a CT; a small part of its voxels is read.

    >>> from liverspleen.imaging import Geometry
    >>> values = np.array([-1000, -1000, 40, 60], np.int16).reshape(1, 2, 2)
    >>> summary = summarise(CTVolume(values, Geometry((2, 2, 1), np.diag([4.0, 4.0, 4.0, 1.0]))))
    >>> summary.ends, summary.count(0, 100), summary.fraction(-1000, -1000)
    ((-1000, 60), 2, 0.5)
    """
    _, row_mm, column_mm = ct.geometry.spacing_mm
    edges = zip((row_mm, column_mm), ct.hu.shape[1:], strict=True)
    rows, columns = (max(1, int(min(_COARSE_MM // edge_mm, size // _LEAST))) for edge_mm, size in edges)
    coarse = ct.hu[:, ::rows, ::columns].copy()
    histogram = np.bincount(coarse.view(np.uint16).ravel(), minlength=1 << 16)
    flat = coarse.min(axis=(1, 2)) == coarse.max(axis=(1, 2))
    for index in np.flatnonzero(flat):
        flat[index] = ct.hu[index].min() == ct.hu[index].max()
    return ScanSummary(
        histogram=np.roll(histogram, -_LOWEST),  # as unsigned integers, negative values are after the others
        flat=flat,
        copies=_copies(ct.hu, coarse, flat),
        coarse=coarse,
        coarse_mm=(rows * row_mm, columns * column_mm),
        fractional=ct.fractional,
    )


def _copies(hu: NDArray[np.int16], coarse: NDArray[np.int16], flat: NDArray[np.bool_]) -> tuple[int, ...]:
    """Return the slices that are equal to an earlier one; only slices with equal samples are compared."""
    first: dict[int, int] = {}
    copies = []
    for index, plane in enumerate(coarse):
        other = first.setdefault(zlib.crc32(plane.tobytes()), index)
        if other != index and not flat[index] and np.array_equal(hu[index], hu[other]):
            copies.append(index)
    return tuple(copies)


def finding(severity: Severity, code: str, message: str, hint: str) -> Issue:
    """An issue of this severity."""
    return Issue(code, message, hint, severity=severity)
