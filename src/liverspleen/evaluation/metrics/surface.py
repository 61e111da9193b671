"""Surface distances of two masks in mm: HD95, ASSD and NSD, by voxel borders or by surface area."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from liverspleen.evaluation.metrics.masks import boolean_mask, grid_of, same_shape
from liverspleen.evaluation.metrics.nearest_distance import Neighbourhood, distances_mm, neighbourhood
from liverspleen.evaluation.metrics.surface_area import cell_areas_mm2
from liverspleen.evaluation.metrics.surface_points import Surface, area_surface, common_box, padded, voxel_surface
from liverspleen.evaluation.statistics.samples import Floats, Result
from liverspleen.imaging.geometry import Geometry
from liverspleen.imaging.volume import LabelMap
from liverspleen.organs import ORGANS, Structure

Definition = Literal["voxel", "area"]

PERCENTILE: Final = 95

SLACK: Final = 1e-9
"""Relative: a distance equal to the tolerance counts as within it, also after rounding of coordinates."""

_METHODS: Final[dict[str, str]] = {
    "voxel": "borders: voxels of the mask with a 6-neighbour outside, distances between centres; HD95: larger of the "
    "two directed 95th percentiles, linear; ASSD: mean of the distances of both directions; NSD: fraction of both "
    "borders within the tolerance",
    "area": "surface: marching-cubes area in the cells between 2 x 2 x 2 voxels, distances between cells; HD95: larger "
    "of the two directed 95th percentiles by area; ASSD: mean by area of the distances of both directions; NSD: "
    "fraction of both areas within the tolerance",
}


@dataclass(frozen=True)
class SurfaceDistances(Result):
    """Distances between two surfaces; `None` is undefined, and `reason` says why.

    `n_test` and `n_reference` count the surface elements: border voxels, or the cells that the surface crosses. The
    areas are given only by the definition `area`.
    """

    definition: Definition
    tolerance_mm: float
    hd95_mm: float | None
    assd_mm: float | None
    nsd: float | None
    n_test: int
    n_reference: int
    area_test_mm2: float | None
    area_reference_mm2: float | None
    method: str
    reason: str | None


def surface_distances(
    test: ArrayLike,
    reference: ArrayLike,
    affine: ArrayLike,
    *,
    tolerance_mm: float,
    definition: Definition = "voxel",
) -> SurfaceDistances:
    """Compute HD95, ASSD and NSD between the surfaces of two 3D masks of the same shape.

    Axis n of the masks is column n of `affine` (4, 4), in mm: the order (i, j, k) of nibabel. Oblique and sheared grids
    are measured without resampling. For an axis-aligned grid it is `np.diag([*spacing_mm, 1])`. A mask is a boolean
    array, or numbers that are 0 and 1.

    - `voxel`: the border is every voxel of the mask with a 6-neighbour outside (beyond the image is outside);
      distances are between centres. HD95 is the larger of the two directed 95th percentiles (linear interpolation),
      ASSD the mean of the distances of both directions together, NSD the fraction of the voxels of both borders within
      `tolerance_mm` of the other. These are MONAI's definitions.
    - `area`: elements are the cells between 2 x 2 x 2 voxels that the surface crosses, weighted by their
      marching-cubes area. HD95 is the larger of the two smallest distances that contain 95 % of the area; ASSD and NSD
      are as above, by area. These are the definitions of Nikolov et al., except that they give the mean distance of
      each direction; ASSD is the mean of both by area.

    Undefined: all three if both masks are empty; HD95 and ASSD if one is empty, with an NSD of 0.

    Raises:
        ValueError: the masks are not 3D, differ in shape, or contain a value that is neither 0 nor 1; the affine is not
            finite, affine and invertible; the tolerance is negative or not finite; the definition is unknown.

    Source: HD95 Huttenlocher 1993 with a percentile; NSD and surface elements Nikolov et al., J Med Internet Res
    2021;23(7):e26151; definitions compared in Reinke et al., Nat Methods 2024;21:182-194.

    >>> test, reference = np.zeros((2, 3, 6, 8), bool)
    >>> test[1, 2:4, 1:6], reference[1, 2:4, 2:7] = True, True  # moved by one column of 2 mm
    >>> found = surface_distances(test, reference, np.diag([5.0, 1.0, 2.0, 1.0]), tolerance_mm=1.0)
    >>> found.hd95_mm, found.assd_mm, found.nsd  # 2 of 10 border voxels have no partner, in both
    (2.0, 0.4, 0.8)
    """
    _check(tolerance_mm, definition)
    one, other = boolean_mask(test, "test"), boolean_mask(reference, "reference")
    same_shape(one, other)
    axes = _axes_mm(grid_of(one, affine))
    near = neighbourhood(axes)
    shape, first, second = _surfaces(one, other, axes, near, definition)
    hd95_mm, assd_mm, nsd = None, None, None if not (first.points.size or second.points.size) else 0.0
    if first.points.size and second.points.size:
        forward = _Directed(distances_mm(first, second, shape, near), first.weights)
        backward = _Directed(distances_mm(second, first, shape, near), second.weights)
        hd95_mm = max(forward.percentile(), backward.percentile())
        assd_mm = (forward.sum + backward.sum) / (forward.total + backward.total)
        nsd = (forward.within(tolerance_mm) + backward.within(tolerance_mm)) / (forward.total + backward.total)
    return SurfaceDistances(
        definition=definition,
        tolerance_mm=float(tolerance_mm),
        hd95_mm=hd95_mm,
        assd_mm=assd_mm,
        nsd=nsd,
        n_test=first.points.size,
        n_reference=second.points.size,
        area_test_mm2=first.area_mm2,
        area_reference_mm2=second.area_mm2,
        method=_METHODS[definition],
        reason=_reason(first.points.size, second.points.size),
    )


def organ_surface_distances(
    test: LabelMap, reference: LabelMap, *, tolerance_mm: float, definition: Definition = "voxel"
) -> dict[Structure, SurfaceDistances]:
    """Compute the `surface_distances` of each organ in two label maps, on the grid of `reference`.

    Raises:
        ValueError: the shapes differ; as `surface_distances`.

    >>> labels = np.zeros((4, 6, 6), np.uint8); labels[1:3, 2:4, 2:4] = Structure.LIVER
    >>> label_map = LabelMap(labels, Geometry((6, 6, 4), np.eye(4)))
    >>> found = organ_surface_distances(label_map, label_map, tolerance_mm=2.0)
    >>> found[Structure.LIVER].nsd, found[Structure.SPLEEN].reason
    (1.0, 'both masks are empty')
    """
    if test.labels.shape != reference.labels.shape:
        raise ValueError(
            f"label maps have shapes {test.labels.shape} and {reference.labels.shape}, expected the same shape"
        )
    affine = reference.geometry.canonical_affine
    return {
        organ: surface_distances(
            # a plain int keeps the comparison in uint8
            test.labels == int(organ),
            reference.labels == int(organ),
            affine,
            tolerance_mm=tolerance_mm,
            definition=definition,
        )
        for organ in ORGANS
    }


def _surfaces(
    test: NDArray[np.bool_], reference: NDArray[np.bool_], axes: Floats, near: Neighbourhood, definition: Definition
) -> tuple[tuple[int, ...], Surface, Surface]:
    """Return the shape of the padded grid around both masks, and the surface of each mask on it."""
    box = common_box(test, reference)
    margin = tuple(reach + 1 for reach in near.reach)  # the first cells are one before the first voxels
    one, other = padded(test[box], margin), padded(reference[box], margin)
    if definition == "voxel":
        return one.shape, voxel_surface(one), voxel_surface(other)
    areas_mm2 = cell_areas_mm2(axes)
    return one.shape, area_surface(one, areas_mm2), area_surface(other, areas_mm2)


def _reason(n_test: int, n_reference: int) -> str | None:
    if n_test and n_reference:
        return None
    if n_test or n_reference:
        return f"the {'reference' if n_test else 'test'} mask is empty: distances are undefined"
    return "both masks are empty"


def _check(tolerance_mm: float, definition: str) -> None:
    if not 0 <= tolerance_mm < np.inf:
        raise ValueError(f"tolerance is {tolerance_mm} mm, expected 0 or a positive number")
    if definition not in _METHODS:
        raise ValueError(f"definition {definition!r} is not one of {', '.join(_METHODS)}")


def _axes_mm(grid: Geometry) -> Floats:
    """Return the steps along the array axes in mm, as the rows of a (3, 3) array."""
    return grid.affine[:3, :3].T + 0.0  # adding 0 turns -0 into 0


@dataclass(frozen=True, eq=False)
class _Directed:
    """Distances of the elements of one surface to the other in mm, and the weight of each."""

    distances_mm: Floats
    weights: Floats | None

    @property
    def total(self) -> float:
        return float(self.distances_mm.size) if self.weights is None else float(self.weights.sum())

    @property
    def sum(self) -> float:
        return float(self.distances_mm.sum() if self.weights is None else self.distances_mm @ self.weights)

    def within(self, tolerance_mm: float) -> float:
        inside = self.distances_mm <= tolerance_mm * (1 + SLACK)
        return float(np.count_nonzero(inside) if self.weights is None else self.weights[inside].sum())

    def percentile(self) -> float:
        if self.weights is None:
            return float(np.percentile(self.distances_mm, PERCENTILE))
        order = np.argsort(self.distances_mm, kind="stable")
        cumulated = np.cumsum(self.weights[order])
        reached = np.searchsorted(cumulated, PERCENTILE / 100 * cumulated[-1])
        return float(self.distances_mm[order[reached]])
