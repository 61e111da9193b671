"""One randomised phantom: a random body in a random scan."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from liverspleen.phantom.randomised.body import HALF_WIDTH_MM, Body
from liverspleen.phantom.randomised.canvas import Canvas
from liverspleen.phantom.randomised.densities import draw_tissues
from liverspleen.phantom.randomised.organs import paint_liver, paint_spleen
from liverspleen.phantom.randomised.space import Pose, Space
from liverspleen.phantom.randomised.technique import as_measured, background, draw_technique
from liverspleen.phantom.randomised.trunk import (
    cavity_depth,
    diaphragm_depth,
    paint_chest,
    paint_spine,
    paint_wall,
)
from liverspleen.phantom.randomised.viscera import (
    paint_colon,
    paint_great_vessels,
    paint_kidneys,
    paint_masses,
    paint_pancreas,
    paint_pelvis,
    paint_small_bowel,
    paint_stomach,
)
from liverspleen.phantom.rendering import PhantomScan
from liverspleen.phantom.shapes import Capsule
from liverspleen.phantom.traits import Condition


@dataclass(frozen=True)
class RandomisedScan:
    """A scan with its contrast phase and slice thickness in mm."""

    scan: PhantomScan
    phase: str
    thickness_mm: float


def randomised_scan(
    condition: Condition,
    anatomy_seed: tuple[int, ...],
    scan_seed: tuple[int, ...],
    *,
    matrix: int,
    thickness_mm: tuple[float, float],
) -> RandomisedScan:
    """Return a scan of a random body; the seeds determine every voxel.

    The label of an organ includes its lesions and the vessels inside it, without the trunks of the portal vein. Two
    scan seeds with one anatomy seed show one patient in two scans.
    """
    rng, scan_rng = np.random.default_rng((*anatomy_seed, 0)), np.random.default_rng((*scan_seed, 0))
    pose = Pose.draw(rng, (*anatomy_seed, 1))
    width = 2 * (HALF_WIDTH_MM + 38) * pose.scale[0]
    technique = draw_technique(
        (*scan_seed, 2), matrix=matrix, thickness_mm=thickness_mm, width_mm=width, height=pose.scale[2]
    )
    space = Space.of(pose, technique.axes_mm, technique.pixel_mm, technique.thickness_mm / technique.spacing_mm)
    canvas = Canvas(space)
    canvas.hu += background(technique, (HALF_WIDTH_MM - 38 + 60) * pose.scale[1], scan_rng) - canvas.hu[0]
    cavity = cavity_depth(space, rng)
    body = Body(
        condition=condition,
        canvas=canvas,
        tissues=draw_tissues(condition, scan_rng),
        shape_rng=rng,
        scan_rng=scan_rng,
        slim=float(rng.uniform(0.88, 1.08)),
        middle=(space.field(rng, 32.0), space.field(rng, 32.0)),
        narrow=(space.field(rng, 13.0), space.field(rng, 13.0)),
        cavity=cavity,
        abdomen=np.maximum(cavity, diaphragm_depth(space, rng)),
    )
    paint_body(body)
    if scan_rng.random() < 0.12:
        _paint_arms(body)
    hu = as_measured(canvas.hu, technique)
    affine = np.diag([-technique.pixel_mm, -technique.pixel_mm, technique.spacing_mm, 1.0])
    z, y, x = technique.axes_mm
    affine[:3, 3] = x[0], y[0], z[0]
    return RandomisedScan(PhantomScan(hu, canvas.labels, affine), body.tissues.phase, technique.thickness_mm)


def paint_body(body: Body) -> None:
    """Paint all parts of the body, from the wall inwards."""
    rng = body.shape_rng
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


def _paint_arms(body: Body) -> None:
    """Paint arms beside the body."""
    rng, hu = body.scan_rng, body.tissues
    for side in (-1.0, 1.0):
        x, y = side * float(rng.uniform(195, 230)), float(rng.uniform(-50, 30))
        arm = Capsule((x, y, 300), (x + side * 10, y + float(rng.uniform(-20, 40)), -400), 42, 32)
        bone = float(rng.uniform(12, 30))
        body.canvas.shape(arm, (0.0, hu["skin"]), (-2.0, hu["fat"]), (-float(rng.uniform(4, 14)), hu["muscle"]), (-bone, hu["bone"]))
