"""Checks of masks given by callers: boolean arrays, or numbers that are 0 and 1."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from liverspleen.imaging.geometry import Geometry

_LISTED: Final = 3  # unexpected values listed in an error


def boolean_mask(mask: ArrayLike, name: str) -> NDArray[np.bool_]:
    """Return `mask` as a boolean array of the same shape; a boolean array is returned unchanged.

    Raises:
        ValueError: a value is neither 0 nor 1; the message contains `name`.

    >>> boolean_mask([[0, 1]], "mask").tolist()
    [[False, True]]
    >>> boolean_mask([0, 1, 2], "reference")
    Traceback (most recent call last):
    ValueError: reference has the values 2, expected 0 and 1: select one structure, as in labels == 1
    """
    array = unmasked(mask, name)
    if array.dtype == np.bool_:
        return array
    if array.dtype.kind not in "iuf":
        raise ValueError(f"{name} is {array.dtype}, expected a boolean array, or numbers that are 0 and 1")
    ones: NDArray[np.bool_] = np.equal(array, 1)
    if not (known := ones | np.equal(array, 0)).all():
        foreign = np.unique(array[~known])
        values = ", ".join(f"{value:g}" for value in foreign[:_LISTED]) + (", …" if foreign.size > _LISTED else "")
        raise ValueError(f"{name} has the values {values}, expected 0 and 1: select one structure, as in labels == 1")
    return ones


def unmasked(array: ArrayLike, name: str) -> NDArray[Any]:
    """Return `array` as an array without a mask of its own.

    Raises:
        ValueError: it is a masked array with masked elements, which are neither inside nor outside.

    >>> unmasked(np.ma.array([0, 1], mask=[False, True]), "test")
    Traceback (most recent call last):
    ValueError: test has 1 masked element of 2: fill it, as in test.filled(0)
    """
    if count := int(np.ma.getmaskarray(array).sum()) if isinstance(array, np.ma.MaskedArray) else 0:
        elements = "element" if count == 1 else "elements"
        raise ValueError(f"{name} has {count} masked {elements} of {np.size(array)}: fill it, as in {name}.filled(0)")
    return np.asarray(array)


def same_shape(test: NDArray[np.bool_], reference: NDArray[np.bool_]) -> None:
    """Check that two masks have the same shape.

    Raises:
        ValueError: the shapes differ.
    """
    if test.shape != reference.shape:
        raise ValueError(f"masks have shapes {test.shape} and {reference.shape}, expected the same shape")


def grid_of(mask: NDArray[np.bool_], affine: ArrayLike) -> Geometry:
    """Return the grid of a mask whose axis n is column n of the affine.

    Raises:
        ValueError: the mask does not have three axes, or the affine is not finite, affine and invertible.
    """
    if mask.ndim != 3:
        raise ValueError(f"mask has shape {mask.shape}, expected three axes")
    first, second, third = mask.shape
    return Geometry((first, second, third), np.asarray(affine, dtype=np.float64))
