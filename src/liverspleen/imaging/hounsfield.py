"""Numbers of any type to Hounsfield units as int16: rounded, clipped and counted."""

from __future__ import annotations

from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from liverspleen.errors import InputError

_HU = np.iinfo(np.int16)


class Rejects(Protocol):
    """What is being read: it knows how an issue names it."""

    def rejected(self, code: str, message: str, hint: str) -> InputError:
        """The error to be raised."""
        ...


class Hounsfield(NamedTuple):
    """Whole numbers within int16; voxels that are no numbers, and those set to an end of int16."""

    values: NDArray[Any]
    broken: int
    clipped: int


def hounsfield(values: NDArray[Any]) -> Hounsfield:
    """The values rounded to whole numbers, with those beyond int16 at its ends.

    >>> hounsfield(np.array([-1000.4, 40000.0]))
    Hounsfield(values=array([-1000., 32767.]), broken=0, clipped=1)
    """
    if values.dtype.kind == "f":
        if not (finite := np.isfinite(values)).all():
            return Hounsfield(np.zeros_like(values, np.int16), values.size - int(np.count_nonzero(finite)), 0)
        values = np.rint(values)
    clipped = 0
    if not np.can_cast(values.dtype, np.int16):
        clipped = int(np.count_nonzero((values < _HU.min) | (values > _HU.max)))
        values = values.clip(_HU.min, _HU.max) if clipped else values
    return Hounsfield(values, 0, clipped)


def reject_broken(source: Rejects, broken: int, voxels: int) -> None:
    """Raise LS-IMG-008 if any voxel is NaN or infinite."""
    if broken:
        message = f"{broken} of {voxels} voxels are NaN or infinite, expected finite HU"
        raise source.rejected("LS-IMG-008", message, "convert it from its source again")
