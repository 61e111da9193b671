"""CT volumes from arrays with an affine, and from images of nibabel."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias, Union

import numpy as np
from numpy.typing import ArrayLike, NDArray

from liverspleen.errors import InputError, Issue
from liverspleen.imaging.geometry import Geometry
from liverspleen.imaging.header import grid_in, nibabel
from liverspleen.imaging.hounsfield import hounsfield, reject_broken
from liverspleen.imaging.layout import data_type_error
from liverspleen.imaging.volume import CTVolume

if TYPE_CHECKING:
    from nibabel.spatialimages import SpatialImage

CTLike: TypeAlias = Union[CTVolume, "SpatialImage", NDArray[Any]]
"""A CT in memory: a volume, a NIfTI image of nibabel, or an array to be used with an affine."""

_BLOCK = 1 << 20  # voxels converted at a time


def ct_from_array(array: ArrayLike, affine: ArrayLike) -> CTVolume:
    """Return the CT in an array of HU, with the checks of `read_ct`.

    Axis n of the array is column n of `affine` (4, 4), which maps indices to mm in NIfTI's world (x to the right, y to
    anterior, z to superior): the order (i, j, k) of nibabel. A fourth axis of length 1 is dropped. Values are rounded;
    values outside int16 are clipped and counted. The result has the canonical order (slice, row, column);
    `geometry.to_native` converts an array in that order to the order of `array`.

    Raises:
        InputError: LS-IMG-006 not three axes, LS-IMG-007 not numeric, LS-IMG-008 NaN or infinity, LS-GEO-002 the
            affine is not finite, affine and invertible.

    >>> ct = ct_from_array(np.full((4, 5, 6), -1000.0), np.diag([-0.8, -0.8, 5.0, 1.0]))
    >>> ct.hu.dtype, ct.hu.shape, ct.geometry.spacing_mm
    (dtype('int16'), (6, 5, 4), (5.0, 0.8, 0.8))
    """
    values = np.asarray(array)
    source = _InMemory()
    if not 3 <= values.ndim <= 7 or min(values.shape) < 1 or any(n != 1 for n in values.shape[3:]):
        message = f"array has shape {values.shape}, expected three axes"
        raise source.error("LS-IMG-006", message, "give one 3D volume")
    first, second, third = values.shape[:3]
    try:
        geometry = Geometry((first, second, third), np.asarray(affine, dtype=np.float64))
    except (TypeError, ValueError) as error:
        hint = "give the 4 x 4 matrix from voxel indices to mm, such as image.affine of nibabel"
        raise source.error("LS-GEO-002", str(error), hint) from error
    return _ct(source, values, geometry)


def ct_from_nibabel(image: SpatialImage) -> CTVolume:
    """Return the CT in a NIfTI image of nibabel, as `read_ct` reads it from the file that nibabel writes.

    nibabel repairs some headers when it loads a file; `read_ct` rejects such files.

    Raises:
        InputError: LS-IMG-003 the image has no NIfTI header, LS-IMG-006 to 008 and LS-GEO-001 to 007 as `read_ct`.
    """
    source = _InMemory()
    if not isinstance(image, nibabel().Nifti1Pair):
        message = f"image is a {type(image).__name__}, expected a NIfTI image"
        raise source.error("LS-IMG-003", message, "give its array and its affine")
    # the header of a new image has the affine, whatever the old header holds; voxels are not copied
    geometry = grid_in(source, type(image)(image.dataobj, image.affine, image.header).header)
    return _ct(source, np.asanyarray(image.dataobj), geometry)


def as_ct_volume(ct: CTLike, affine: ArrayLike | None = None) -> CTVolume:
    """Return a CT in memory as a volume; `affine` is required for an array, and only for an array.

    Raises:
        ValueError: an array has no affine, or another input has one.
        InputError: as `ct_from_array` and `ct_from_nibabel`.
    """
    image: Any = ct
    if isinstance(ct, CTVolume) or hasattr(ct, "dataobj"):  # images of nibabel have it, arrays do not
        if affine is not None:
            raise ValueError(f"affine= is for arrays only; a {type(ct).__name__} has its own affine")
        return ct if isinstance(ct, CTVolume) else ct_from_nibabel(image)
    if affine is None:
        raise ValueError("an array needs affine=, the 4 x 4 matrix from its indices to mm")
    return ct_from_array(image, affine)


class _InMemory:
    """An input without a file."""

    def error(self, code: str, message: str, hint: str) -> InputError:
        return InputError(Issue(code, message, hint))


def _ct(source: _InMemory, values: NDArray[Any], geometry: Geometry) -> CTVolume:
    if values.dtype.kind not in "iuf":
        raise data_type_error(source, f"data type {values.dtype}")
    hu, broken, clipped, fractional = np.empty(geometry.canonical_shape, np.int16), 0, 0, False
    axis = int(np.argmax(np.abs(values.strides[:3])))  # blocks along the slowest axis are contiguous in memory
    stored = np.moveaxis(values.reshape(geometry.shape), axis, 0)
    target = np.moveaxis(geometry.to_native(hu), axis, 0)
    planes = max(1, _BLOCK // stored[0].size)
    for start in range(0, len(stored), planes):
        found = hounsfield(stored[start : start + planes])
        target[start : start + planes] = found.values
        broken, clipped = broken + found.broken, clipped + found.clipped
        fractional |= found.fractional
    reject_broken(source, broken, hu.size)
    return CTVolume(hu, geometry, clipped, fractional)
