"""Conversion of numbers of any type to Hounsfield units within int16."""

from __future__ import annotations

from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from liverspleen.errors import InputError

_HU = np.iinfo(np.int16)


class InputSource(Protocol):
    """An input that is read; it builds the errors of its issues."""

    def error(self, code: str, message: str, hint: str) -> InputError:
        """Return the error for an issue of this input."""
        ...


class Hounsfield(NamedTuple):
    """Whole numbers within int16, and the numbers of voxels that are NaN or infinite and that were clipped.

    `fractional` is True if the values were not whole numbers.
    """

    values: NDArray[Any]
    broken: int = 0
    clipped: int = 0
    fractional: bool = False


def hounsfield(values: NDArray[Any]) -> Hounsfield:
    """Return the values rounded to whole numbers and clipped to int16; zeros if any value is NaN or infinite.

    >>> hounsfield(np.array([-1000.4, 40000.0]))
    Hounsfield(values=array([-1000., 32767.]), broken=0, clipped=1, fractional=True)
    """
    fractional = False
    if values.dtype.kind == "f":
        if not (finite := np.isfinite(values)).all():
            return Hounsfield(np.zeros_like(values, np.int16), values.size - int(np.count_nonzero(finite)))
        rounded = np.rint(values)
        values, fractional = rounded, not np.array_equal(rounded, values)
    clipped = 0
    if not np.can_cast(values.dtype, np.int16):
        clipped = int(np.count_nonzero((values < _HU.min) | (values > _HU.max)))
        values = values.clip(_HU.min, _HU.max) if clipped else values
    return Hounsfield(values, 0, clipped, fractional)


def reject_broken(source: InputSource, broken: int, voxels: int) -> None:
    """Raise LS-IMG-008 if any voxel is NaN or infinite."""
    if broken:
        message = f"{broken} of {voxels} voxels are NaN or infinite, expected finite HU"
        raise source.error("LS-IMG-008", message, "convert the image from its source again")
