"""Probability maps of one organ: the probability of each voxel, read in blocks of planes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from liverspleen.errors import InputError
from liverspleen.imaging.files import plane_blocks, read_layout
from liverspleen.imaging.geometry import Geometry
from liverspleen.imaging.layout import Layout, axes_error
from liverspleen.imaging.stream import Source

Floats = NDArray[np.float64]

TOLERANCE: Final = 1e-6
"""A value outside of [0, 1] by less is the rounding of float32 or of a slope, and is 0 or 1."""

_PERCENT: Final = 100
_WRITE = "write probabilities from 0 to 1, as float32, or as uint8 with a slope (scl_slope) of 1/255"
_GIVE_UNIT = "give probability_unit=percent if the map has percent; otherwise " + _WRITE


@dataclass(frozen=True)
class ProbabilityMap:
    """A file with the probability of one organ in each voxel; `percent`: the stored values are percent."""

    source: Source
    layout: Layout
    percent: bool = False

    @property
    def geometry(self) -> Geometry:
        """The grid of the map."""
        return self.layout.geometry

    def blocks(self) -> Iterator[Floats]:
        """Yield the probabilities in blocks of planes along the last native axis, float64 in [0, 1].

        Only one block is in memory. The values are checked after the last block.

        Raises:
            InputError: LS-MEA-029 a value is not a number or is outside of [0, 1]; the file is damaged.
        """
        broken, lowest, highest = 0, 0.0, 0.0
        for stored in plane_blocks(self.layout, case_id=self.source.case_id):
            values = self._probabilities(stored)
            broken += int(values.size - np.count_nonzero(np.isfinite(values)))
            lowest, highest = min(lowest, float(values.min())), max(highest, float(values.max()))
            yield np.clip(np.nan_to_num(values, copy=False), 0, 1, out=values)
        if broken:
            message = f"{broken} values are not finite numbers, expected probabilities from 0 to 1"
            raise self.source.error("LS-MEA-029", message, _WRITE)
        if lowest < -TOLERANCE or highest > 1 + TOLERANCE:
            raise self._outside(lowest, highest)

    def _probabilities(self, stored: NDArray[Any]) -> Floats:
        slope, intercept, divisor = self.layout.slope, self.layout.intercept, _PERCENT if self.percent else 1
        if intercept == 0 and stored.dtype.kind in "iu" and (whole := _whole(slope)):
            return np.asarray(stored / np.float64(whole * divisor))  # k/255, without the rounding of a float32 slope
        with np.errstate(over="ignore", invalid="ignore"):
            values = stored.astype(np.float64)
            if slope != 1 or intercept != 0:
                values *= slope
                values += intercept
            return values if divisor == 1 else values / divisor

    def _outside(self, lowest: float, highest: float) -> InputError:
        unit = _PERCENT if self.percent else 1
        message = f"values are from {lowest * unit:g} to {highest * unit:g}, expected probabilities from 0 to {unit}"
        may_be_percent = not self.percent and lowest >= -TOLERANCE and highest <= _PERCENT * (1 + TOLERANCE)
        return self.source.error("LS-MEA-029", message, _GIVE_UNIT if may_be_percent else _WRITE)


def open_probability_map(source: Source, *, percent: bool = False) -> ProbabilityMap:
    """Read the header of a probability map in a file of `FORMATS`.

    Raises:
        InputError: as `read_grid`; LS-IMG-006 the file has several values per voxel.
    """
    layout = read_layout(source.path, case_id=source.case_id)
    if layout.layers > 1:
        raise axes_error(source, (layout.layers, *layout.geometry.shape))
    return ProbabilityMap(source, layout, percent)


def _whole(slope: float) -> int:
    """Return the whole number whose inverse is this slope as a float32; 0 if there is none.

    >>> _whole(float(np.float32(1 / 255))), _whole(0.3)
    (255, 0)
    """
    if not 0 < slope <= 1 or slope < 1 / (1 << 16):
        return 0
    whole = round(1 / slope)
    return whole if abs(slope * whole - 1) < 1e-6 else 0  # a float32 has a relative error of 6e-8
