"""How a header states the meaning of pixel values: bits, rescaling to HU, and padding."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from liverspleen.imaging.dicom.fields import integer, is_stated, numbers, text

RESCALING = ("RescaleIntercept", "RescaleSlope", "RescaleType", "ModalityLUTSequence")
PADDING = ("PixelRepresentation", "PixelPaddingValue", "PixelPaddingRangeLimit")
AIR_HU = -1024
"""Value of padding that would otherwise look like the patient; the lowest value of most scanners."""


@dataclass(frozen=True)
class Rescaling:
    """Slope and intercept as stated: None if a field is absent or empty, NaN if it is not one finite number.

    `unit` is RescaleType. `has_table` is whether a Modality LUT is stated.
    """

    slope: float | None
    intercept: float | None
    unit: str = ""
    has_table: bool = False

    @property
    def factors(self) -> tuple[float, float]:
        """Slope and intercept to apply: a missing slope and one of 0 are 1, a missing intercept is 0."""
        return self.slope or 1.0, self.intercept or 0.0


@dataclass(frozen=True)
class Padding:
    """Range of the stored values that mark pixels outside the image, both ends included."""

    first: int
    last: int

    def highest_hu(self, rescaling: Rescaling) -> float:
        """Return the highest HU that a padding pixel would have."""
        slope, intercept = rescaling.factors
        return max(self.first * slope, self.last * slope) + intercept


def rescaling(dataset: Any) -> Rescaling:
    """Return the rescaling that a header states."""
    return Rescaling(
        slope=_stated_number(dataset, "RescaleSlope"),
        intercept=_stated_number(dataset, "RescaleIntercept"),
        unit=text(dataset, "RescaleType").upper(),
        has_table=is_stated(dataset, "ModalityLUTSequence"),
    )


def bits(dataset: Any) -> tuple[int, int, int]:
    """Return BitsAllocated, BitsStored and HighBit; without HighBit the one that BitsStored implies."""
    allocated, stored = integer(dataset, "BitsAllocated"), integer(dataset, "BitsStored")
    high = numbers(dataset, "HighBit", 1)
    return allocated, stored, int(high[0]) if high else stored - 1


def is_signed(dataset: Any) -> bool:
    """Return whether pixel values are signed."""
    return numbers(dataset, "PixelRepresentation", 1) == (1.0,)


def padding(dataset: Any) -> Padding | None:
    """Return the padding values that a header states; None if it states none.

    They are read as pixels are, whatever their VR (US or SS): the BitsStored lowest bits, signed if pixels are.
    """
    if not is_stated(dataset, "PixelPaddingValue"):
        return None
    ends = [
        _as_pixel(int(value[0]), integer(dataset, "BitsStored"), is_signed(dataset))
        for keyword in ("PixelPaddingValue", "PixelPaddingRangeLimit")
        if (value := numbers(dataset, keyword, 1))
    ]
    return Padding(min(ends), max(ends)) if ends else None


def outside(stored: NDArray[Any], padding: Padding) -> NDArray[np.bool_]:
    """Return a mask of the padding of a slice: pixels with a padding value that are connected to its border.

    Other pixels with such a value are part of the image, if the value is one that tissue can have.
    """
    from scipy import ndimage  # slow to import, and few files need it

    parts, _ = ndimage.label((stored >= padding.first) & (stored <= padding.last))
    border = np.unique(np.concatenate([parts[0], parts[-1], parts[:, 0], parts[:, -1]]))
    return np.isin(parts, border[border > 0])


def _stated_number(dataset: Any, keyword: str) -> float | None:
    if not is_stated(dataset, keyword):
        return None
    value = numbers(dataset, keyword, 1)
    return value[0] if value else math.nan


def _as_pixel(value: int, stored_bits: int, signed: bool) -> int:
    value &= (1 << stored_bits) - 1
    return value - (1 << stored_bits) if signed and stored_bits and value >> (stored_bits - 1) else value
