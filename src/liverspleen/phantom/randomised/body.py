"""What the parts of a body share: the scan, the densities, the wall, and fields of texture."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

from liverspleen.phantom.randomised.canvas import Canvas
from liverspleen.phantom.randomised.cavity import Domes, Wall, diaphragm_depth
from liverspleen.phantom.randomised.densities import Tissues
from liverspleen.phantom.randomised.space import Pose, Space, Window
from liverspleen.phantom.shapes import Ellipsoid, Field, Grid, Triple, as_triple
from liverspleen.phantom.traits import Condition


@dataclass(frozen=True)
class Body:
    """One patient in one scan."""

    condition: Condition
    pose: Pose
    canvas: Canvas
    tissues: Tissues
    wall: Wall
    domes: Domes
    abdomen: Field  # depth of the cavity below the diaphragm
    middle: tuple[Field, Field]  # smooth fields of SD 1, about 60 mm
    narrow: tuple[Field, Field]  # about 26 mm
    tubes: Field  # distance from a network of thin tubes, in units of about 12 mm
    anatomy_seed: tuple[int, ...]
    scan_seed: tuple[int, ...]

    @classmethod
    def of(
        cls,
        condition: Condition,
        pose: Pose,
        canvas: Canvas,
        tissues: Tissues,
        seeds: tuple[tuple[int, ...], tuple[int, ...]],
    ) -> Body:
        """Return a body without contents; `seeds` are those of the anatomy and of the scan."""
        space, anatomy = canvas.space, seeds[0]
        narrow = space.field((*anatomy, 12), 13.0), space.field((*anatomy, 13), 13.0)
        wall, domes = Wall.of(space, pose, stream(anatomy, "wall")), Domes.draw(stream(anatomy, "diaphragm"))
        return cls(
            condition=condition,
            pose=pose,
            canvas=canvas,
            tissues=tissues,
            wall=wall,
            domes=domes,
            abdomen=np.maximum(wall.cavity, diaphragm_depth(space, domes)),
            middle=(space.field((*anatomy, 10), 32.0), space.field((*anatomy, 11), 32.0)),
            narrow=narrow,
            tubes=np.hypot(*narrow),
            anatomy_seed=anatomy,
            scan_seed=seeds[1],
        )

    @property
    def space(self) -> Space:
        """Return the positions of the voxels."""
        return self.canvas.space

    def rng(self, part: str) -> np.random.Generator:
        """Return the generator of a part of the anatomy: equal in all scans of a patient."""
        return stream(self.anatomy_seed, part)

    def scan_rng(self, part: str) -> np.random.Generator:
        """Return the generator of what differs between two scans of a patient."""
        return stream(self.scan_seed, part)

    def bent(self, mm: float) -> Callable[[Grid, Window], Grid]:
        """Return a warp that displaces positions by smooth fields of SD `mm` along each axis."""

        def warp(grid: Grid, window: Window) -> Grid:
            by = np.float32(mm)
            c, a, b = self.space.wide
            return Grid(grid.x + by * a[window], grid.y + by * b[window], grid.z + by * c[window])

        return warp


def stream(seed: tuple[int, ...], part: str) -> np.random.Generator:
    """Return the generator of one part, so that parts do not influence each other."""
    return np.random.default_rng((*seed, crc32(part.encode())))


def near(rng: np.random.Generator, centre: Triple | NDArray[np.float64], sd_mm: float) -> Triple:
    """Return a random point near `centre`, at most 2 SD away along each axis."""
    return as_triple(np.asarray(centre) + rng.normal(0, sd_mm, 3).clip(-2 * sd_mm, 2 * sd_mm))


def ellipsoid(
    rng: np.random.Generator,
    centre: Triple | NDArray[np.float64],
    axes: Triple | NDArray[np.float64],
    tilt: Triple | NDArray[np.float64] = (0.0, 0.0, 0.0),
    spread: float = 4.0,
) -> Ellipsoid:
    """Return an ellipsoid near a place; its axes and tilt vary by 8 % and 6 degrees."""
    varied = np.asarray(axes) * rng.normal(1, 0.08, 3).clip(0.8, 1.2)
    turned = np.asarray(tilt) + rng.normal(0, 6, 3)
    return Ellipsoid(near(rng, centre, spread), as_triple(varied), as_triple(turned))
