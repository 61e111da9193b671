"""SimpleITK as a second reader, and the comparison of both readings of one mutated file."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from liverspleen.errors import InputError
from liverspleen.imaging import CTVolume
from liverspleen.imaging.geometry import affine_displacement_mm, grid_tolerance_mm

_HU = np.iinfo(np.int16)
ROUNDING_HU = 0.501  # CT volumes hold whole HU; SimpleITK scales to float32


@dataclass(frozen=True)
class Reading:
    """Values in the index order of the file, and the RAS+ affine."""

    values: NDArray[Any]
    affine: NDArray[np.float64]


def itk_reading(path: Path) -> Reading:
    """Read a file with SimpleITK. Raises RuntimeError if it rejects it, or reads no 3D image of one component."""
    import SimpleITK as sitk  # noqa: N813

    sitk.ProcessObject.SetGlobalWarningDisplay(False)
    image = sitk.ReadImage(str(path))
    values, axes = sitk.GetArrayFromImage(image).T, image.GetDimension()
    while values.ndim > 3 and values.shape[-1] == 1:
        values = values[..., 0]
    if values.ndim != 3 or image.GetNumberOfComponentsPerPixel() != 1:
        raise RuntimeError("not a 3D image of one component")
    affine = np.eye(4)
    affine[:3, :3] = (np.array(image.GetDirection()).reshape(axes, axes) * image.GetSpacing())[:3, :3]
    affine[:3, 3] = image.GetOrigin()[:3]
    return Reading(values, np.diag([-1, -1, 1, 1]) @ affine)


def difference(ct: CTVolume, theirs: Reading) -> str:
    """Return how two readings differ; empty if values agree within rounding and corners within the grid tolerance."""
    ours = ct.geometry.to_native(ct.hu)
    if ours.shape != theirs.values.shape:
        return f"shape {ours.shape}, theirs {theirs.values.shape}"
    if found := value_difference(ours, theirs.values):
        return found
    apart = affine_displacement_mm(ct.geometry.shape, ct.geometry.affine, theirs.affine)
    return "" if apart <= grid_tolerance_mm(ct.geometry) else f"corners are up to {apart} mm apart"


def value_difference(ours: NDArray[Any], theirs: NDArray[Any]) -> str:
    """Return by how much values differ; empty if they agree within the rounding to whole HU and the range of int16."""
    off = np.abs(theirs.astype(np.float64).clip(_HU.min, _HU.max) - ours).max()
    return "" if off <= ROUNDING_HU else f"values are up to {off} HU apart"


def outcome(ours: Callable[[], CTVolume], compare: Callable[[CTVolume], str]) -> str:
    """Return `rejected`, `only ours` if the second reader rejects the file (RuntimeError), `equal`, or the difference.

    Any other exception of our reader, which would be an unexpected error of a verb, is a failure of the test.
    """
    try:
        ct = ours()
    except InputError:
        return "rejected"
    try:
        return compare(ct) or "equal"
    except RuntimeError:
        return "only ours"


def differing(outcomes: dict[str, str]) -> tuple[Counter[str], list[str]]:
    """Return the number of each outcome, and the mutations with different readings."""
    known = ("rejected", "only ours", "equal")
    return Counter(o for o in outcomes.values() if o in known), [
        f"{mutation}: {o}" for mutation, o in outcomes.items() if o not in known
    ]
