"""One randomised phantom: a random body in a random scan."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Final

import numpy as np

from liverspleen.organs import Structure
from liverspleen.phantom.randomised.body import Body, stream
from liverspleen.phantom.randomised.canvas import Canvas
from liverspleen.phantom.randomised.cavity import HALF_WIDTH_MM, Wall
from liverspleen.phantom.randomised.densities import Tissues, draw_tissues
from liverspleen.phantom.randomised.fields import Axes
from liverspleen.phantom.randomised.kidneys import paint_kidneys
from liverspleen.phantom.randomised.liver import paint_liver
from liverspleen.phantom.randomised.space import Pose, Space, Window
from liverspleen.phantom.randomised.spleen import paint_spleen
from liverspleen.phantom.randomised.technique import Technique, as_measured, background, draw_technique
from liverspleen.phantom.randomised.trunk import (
    paint_chest,
    paint_spine,
    paint_wall,
)
from liverspleen.phantom.randomised.viscera import (
    paint_colon,
    paint_great_vessels,
    paint_masses,
    paint_pancreas,
    paint_pelvis,
    paint_small_bowel,
    paint_stomach,
)
from liverspleen.phantom.rendering import PhantomScan
from liverspleen.phantom.traits import Condition

RANDOMISED_ORGANS: Final = (Structure.LIVER, Structure.SPLEEN)
"""The organs with a label in randomised phantoms."""

_CHUNK_VOXELS = 4_000_000  # painted at once; about 20 arrays of this size exist


@dataclass(frozen=True)
class RandomisedScan:
    """A random body in a random scan; its seeds determine every voxel.

    Two scan seeds with one anatomy seed show one patient in two scans.
    """

    condition: Condition
    anatomy_seed: tuple[int, ...]
    scan_seed: tuple[int, ...]
    matrix: int
    thickness_mm: tuple[float, float]  # smallest and largest

    @cached_property
    def pose(self) -> Pose:
        """Return size, position and deformation of the body."""
        return Pose.draw(np.random.default_rng((*self.anatomy_seed, 1)), (*self.anatomy_seed, 2))

    @cached_property
    def technique(self) -> Technique:
        """Return the parameters of the scan."""
        width_mm = 2 * (HALF_WIDTH_MM + self.pose.muscle_mm + 1.1 * self.pose.fat_mm + 6) * self.pose.scale[0]
        seed = (*self.scan_seed, 1)
        return draw_technique(
            seed, matrix=self.matrix, thickness_mm=self.thickness_mm, width_mm=width_mm, height=self.pose.scale[2]
        )

    @cached_property
    def tissues(self) -> Tissues:
        """Return the densities of the scan."""
        return draw_tissues(self.condition, np.random.default_rng((*self.scan_seed, 2)))

    @property
    def slice_thickness_mm(self) -> float:
        """Return the slice thickness, which may differ from the distance of the slices."""
        return self.technique.thickness_mm

    def render(self) -> PhantomScan:
        """Return CT and label map.

        A voxel has the label of the organ at its centre. The label includes lesions and vessels inside the organ,
        without the trunks of the portal vein.
        """
        technique, pose = self.technique, self.pose
        seeds = self.anatomy_seed, self.scan_seed
        part, back_mm = _trunk_window(pose, technique, self.anatomy_seed)
        outside = background(technique, back_mm, stream(self.scan_seed, "background"))
        z, y, x = technique.axes_mm
        labels = np.zeros((technique.slices, technique.matrix, technique.matrix), np.uint8)
        trunk = np.empty(labels[part].shape, np.float32)
        step = max(1, _CHUNK_VOXELS // max(1, trunk[0].size))
        for first in range(0, technique.slices, step):
            # one more slice, for the change of depth at the last one
            axes = z[first : first + step + 1], y[part[1]], x[part[2]]
            canvas = Canvas(_space(pose, technique, axes), outside[part[1:]])
            paint_body(Body.of(self.condition, pose, canvas, self.tissues, seeds))
            trunk[first : first + step] = canvas.hu[:step]
            labels[first : first + step, part[1], part[2]] = canvas.labels[:step]
        affine = np.diag([-technique.pixel_mm, -technique.pixel_mm, technique.spacing_mm, 1.0])
        affine[:3, 3] = x[0], y[0], z[0]
        return PhantomScan(as_measured(trunk, part, outside, technique), labels, affine)


def _space(pose: Pose, technique: Technique, axes_mm: Axes) -> Space:
    return Space.of(pose, axes_mm, technique.pixel_mm, technique.thickness_mm / technique.spacing_mm)


def _trunk_window(pose: Pose, technique: Technique, seed: tuple[int, ...]) -> tuple[Window, float]:
    """Return the part of the scan with the trunk, and the position in mm of its back, found on every fourth voxel."""
    z, y, x = (axis[::4] for axis in technique.axes_mm)
    space = _space(pose, technique, (z, y, x))
    inside = Wall.of(space, pose, stream(seed, "wall")).skin < 2.0
    rows, columns = np.flatnonzero(inside.any(axis=(0, 2))), np.flatnonzero(inside.any(axis=(0, 1)))
    if not rows.size:
        return (slice(0, technique.slices), slice(0, 1), slice(0, 1)), 0.0
    margin = 4 + int(20 / technique.pixel_mm)  # of breasts, in front
    return (
        slice(0, technique.slices),
        slice(max(4 * int(rows[0]) - margin, 0), min(4 * int(rows[-1]) + 5, technique.matrix)),
        slice(max(4 * int(columns[0]) - 4, 0), min(4 * int(columns[-1]) + 5, technique.matrix)),
    ), float(y[rows[-1]])


def paint_body(body: Body) -> None:
    """Paint all parts of the body, from the wall inwards."""
    rng = body.rng("body")
    ascites_mm = 0.0
    if rng.random() < (0.35 if body.condition is Condition.CIRRHOSIS else 0.06):
        ascites_mm = float(rng.uniform(2, 16))
    paint_wall(body)
    paint_chest(body)
    paint_spine(body)
    paint_small_bowel(body)
    paint_colon(body)
    paint_stomach(body)
    paint_pancreas(body)
    paint_spleen(body, ascites_mm)
    paint_liver(body, ascites_mm)
    paint_kidneys(body)
    paint_great_vessels(body)
    paint_masses(body)
    paint_pelvis(body)
