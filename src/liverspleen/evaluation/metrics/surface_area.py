"""Areas of the surface in a cell of 2 x 2 x 2 voxels: marching-cubes polygons, built from the faces of the cell.

A cell has the centres of eight voxels as its corners; its code has one bit per corner, set if it is inside the mask.
The surface crosses each edge between an inside and an outside corner at its middle. The middles on a face are joined to
segments, the segments to closed polygons, and the polygons are divided into triangles. This leaves two choices:

- On a face with two inside corners opposite to each other, the segments cut off the corners of the side (inside or
  outside) that has fewer corners in the cell; with four of each, those of the inside. At any spacing a mask and its
  complement then have the same area; on a sheared grid only cells with four of each differ.
- A polygon of five or six corners is not always planar, so that its area depends on the triangles. The triangulation
  with the largest area in the unit cell is used. If several are equal there, they are equal at any spacing; on a
  sheared grid the largest of them is used, so that the storage order of the axes has no effect.

With these choices all 256 areas are those in the table of Nikolov et al., at any spacing (the tests compare them).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from itertools import product
from typing import Final

import numpy as np
from numpy.typing import NDArray

Point = tuple[float, float, float]
Triangle = tuple[Point, Point, Point]

CORNERS: Final = tuple(product((0, 1), repeat=3))
"""Corners of a cell along the three array axes, in the order of the bits of a code: the first is bit 0."""


def cell_areas_mm2(axes_mm: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the area of the surface in a cell, in mm², for each of the 256 codes.

    Row i of `axes_mm` (3, 3) is the step along array axis i in mm; the grid may be sheared.

    Source: Lorensen and Cline, Computer Graphics 1987;21(4):163-169; as weights of surface distances, Nikolov et al.,
    J Med Internet Res 2021;23(7):e26151.

    >>> areas = cell_areas_mm2(np.eye(3))
    >>> float(areas[0b00001111]), float(areas[0b00000001].round(6))  # a face of 1 x 1; a corner cut off: √3 / 8
    (1.0, 0.216506)
    """
    cell = _cell()
    ways = np.bincount(cell.way_of_triangle, weights=_areas(cell.triangles @ axes_mm))
    polygons = np.maximum.reduceat(ways, cell.first_way_of_polygon)
    return np.bincount(cell.code_of_polygon, weights=polygons, minlength=256).astype(np.float64)


@dataclass(frozen=True, eq=False)
class _Cell:
    """All polygons of all codes, each with all triangulations (n, 3, 3) whose area equals the largest one."""

    triangles: NDArray[np.float64]
    way_of_triangle: NDArray[np.intp]
    first_way_of_polygon: NDArray[np.intp]
    code_of_polygon: NDArray[np.intp]


@cache
def _cell() -> _Cell:
    triangles: list[Triangle] = []
    ways: list[int] = []
    first_ways: list[int] = []
    codes: list[int] = []
    for code in range(256):
        for polygon in _polygons(code):
            first_ways.append(ways[-1] + 1 if ways else 0)
            codes.append(code)
            for way, cut in enumerate(_largest(polygon), start=first_ways[-1]):
                triangles += cut
                ways += [way] * len(cut)
    return _Cell(np.array(triangles), np.array(ways), np.array(first_ways), np.array(codes))


def _polygons(code: int) -> Iterator[tuple[Point, ...]]:
    """Yield the closed polygons of a cell, each as its corners in order."""
    inside = {corner for bit, corner in enumerate(CORNERS) if code >> bit & 1}
    smaller = inside if len(inside) <= 4 else set(CORNERS) - inside
    neighbours: dict[Point, list[Point]] = {}
    for face in _faces():
        for one, other in _segments(face, smaller):
            neighbours.setdefault(one, []).append(other)
            neighbours.setdefault(other, []).append(one)
    while neighbours:
        polygon = [min(neighbours)]
        while following := [point for point in neighbours.pop(polygon[-1]) if point in neighbours]:
            polygon.append(following[0])
        yield tuple(polygon)


def _faces() -> Iterator[list[tuple[int, ...]]]:
    """Yield the six faces, each as its four corners in order."""
    for axis, end in product(range(3), (0, 1)):
        ring = ((0, 0), (0, 1), (1, 1), (1, 0))
        yield [(*pair[:axis], end, *pair[axis:]) for pair in ring]


def _segments(face: list[tuple[int, ...]], smaller: set[tuple[int, ...]]) -> Iterator[tuple[Point, Point]]:
    """Yield the segments on a face: one around each run of neighbouring corners that are in `smaller`."""
    belongs = [corner in smaller for corner in face]
    starts = [i for i in range(4) if belongs[i] and not belongs[i - 1]]
    for start in starts:
        end = next(i for i in range(start, start + 4) if not belongs[(i + 1) % 4])
        yield _middle(face[start - 1], face[start]), _middle(face[end % 4], face[(end + 1) % 4])


def _middle(one: tuple[int, ...], other: tuple[int, ...]) -> Point:
    first, second, third = ((a + b) / 2 for a, b in zip(one, other, strict=True))
    return first, second, third


def _triangulations(polygon: tuple[Point, ...]) -> Iterator[list[Triangle]]:
    """Yield all triangulations of a polygon: the triangle on the side from last to first corner, and the others."""
    if len(polygon) < 3:
        yield []
        return
    for k in range(1, len(polygon) - 1):
        for before, after in product(_triangulations(polygon[: k + 1]), _triangulations(polygon[k:])):
            yield [*before, (polygon[0], polygon[k], polygon[-1]), *after]


def _largest(polygon: tuple[Point, ...]) -> list[list[Triangle]]:
    ways = list(_triangulations(polygon))
    areas = np.array([_areas(np.array(way)).sum() for way in ways])
    return [way for way, area in zip(ways, areas, strict=True) if area > areas.max() - 1e-9]


def _areas(triangles: NDArray[np.float64]) -> NDArray[np.float64]:
    normals = np.cross(triangles[:, 1] - triangles[:, 0], triangles[:, 2] - triangles[:, 0])
    return np.asarray(np.linalg.norm(normals, axis=1) / 2)
