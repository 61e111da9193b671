"""Solids in layers, painted in order: at each point the last painted layer counts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from liverspleen.organs import Structure
from liverspleen.phantom.composites import Waves
from liverspleen.phantom.shapes import Field, Grid, Shape

AIR_HU = -1000.0


@dataclass(frozen=True)
class Layer:
    """The part of a solid that is deeper than `outset_mm` (positive: also a halo around it), with one density.

    With `waves` the thickness of the halo varies along the surface, so a thin plane of fat has gaps.
    """

    outset_mm: float
    hu: float
    label: Structure = Structure.BACKGROUND
    waves: Waves | None = None


@dataclass(frozen=True)
class Solid:
    """A shape with its layers from outside to inside, limited to another shape by `within`.

    A solid with `carves` is painted on that structure only, such as vessels and focal lesions of the liver.
    """

    name: str
    shape: Shape
    layers: tuple[Layer, ...]
    within: Shape | None = None
    carves: Structure | None = None

    def box(self) -> NDArray[np.float64]:
        """Return the corners (2, 3) in mm of a box around all layers of this solid."""
        lower, upper = self.shape.box()
        halo = max(0.0, *(x.outset_mm + (x.waves.reach_mm if x.waves else 0) for x in self.layers))
        lower, upper = lower - halo, upper + halo
        if self.within is not None:
            bound = self.within.box()
            lower, upper = np.maximum(lower, bound[0]), np.minimum(upper, bound[1])
        return np.stack([lower, upper])


def paint(solids: Sequence[Solid], grid: Grid) -> tuple[Field, NDArray[np.uint8]]:
    """Return density in HU and label at every sample of the grid, both (z, y, x); unpainted samples are air.

    >>> from liverspleen.phantom.shapes import Ellipsoid
    >>> ball = Solid("ball", Ellipsoid((0, 0, 0), (5, 5, 5)), (Layer(0.0, 60.0, Structure.LIVER),))
    >>> hu, label = paint([ball], Grid.of([-9.0, 0.0, 9.0], [0.0], [0.0]))
    >>> hu.ravel().tolist(), label.ravel().tolist()
    ([-1000.0, 60.0, -1000.0], [0, 1, 0])
    """
    hu = np.full(grid.shape, AIR_HU, np.float32)
    label = np.zeros(grid.shape, np.uint8)
    for solid in solids:
        window = grid.window(*solid.box())
        part = grid.part(window)
        if 0 in part.shape:
            continue
        depth = solid.shape.depth(part)
        allowed = None if solid.within is None else solid.within.depth(part) < 0
        if solid.carves is not None:
            on_structure = label[window] == solid.carves
            allowed = on_structure if allowed is None else allowed & on_structure
        for layer in solid.layers:
            inside = (depth if layer.waves is None else depth + layer.waves.height(part)) < layer.outset_mm
            if allowed is not None:
                inside = inside & allowed
            np.copyto(hu[window], np.float32(layer.hu), where=inside)
            np.copyto(label[window], np.uint8(layer.label), where=inside)
    return hu, label
