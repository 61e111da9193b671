"""The kidneys, and the room that they take from liver and spleen."""

from __future__ import annotations

import numpy as np

from liverspleen.phantom.randomised.body import Body, ellipsoid, near
from liverspleen.phantom.shapes import Capsule, Ellipsoid

_SIDES = {"right": (1.0, -140.0), "left": (-1.0, -122.0)}  # sign of x, and z in mm


def kidney(body: Body, side: str) -> Ellipsoid | None:
    """Return the right or left kidney; None if it is missing."""
    rng, (sign, level) = body.rng(f"kidney {side}"), _SIDES[side]
    if rng.random() < 0.04:
        return None
    centre = near(rng, (sign * rng.uniform(54, 70), -rng.uniform(42, 58), level), 7.0)
    size = float(rng.uniform(0.75, 1.15))
    tilt = (float(rng.normal(0, 8)), sign * -12.0, sign * 25.0)
    return ellipsoid(rng, centre, (27 * size, 30 * size, 54 * size), tilt, 0.0)


def renal_impression(body: Body, side: str) -> list[tuple[Ellipsoid, float]]:
    """Return what a kidney and the fat behind it take from its neighbour, with the width of the smoothed edge in mm."""
    found = kidney(body, side)
    if found is None:
        return []
    (x, y, z), (a, b, c) = found.centre, found.semi_axes_mm
    return [(Ellipsoid((x, y - 13.0, z), (a + 2, b + 15, c + 2), found.tilt_deg), 6.0)]


def paint_kidneys(body: Body) -> None:
    """Paint the kidneys with fat around them, cortex, medulla, pelvis and cysts."""
    for side in _SIDES:
        shape = kidney(body, side)
        if shape is not None:
            _paint_kidney(body, shape, side)


def _paint_kidney(body: Body, shape: Ellipsoid, side: str) -> None:
    rng, hu, canvas = body.rng(f"kidney {side} inside"), body.tissues, body.canvas
    sign, level = _SIDES[side]
    gap = float(rng.choice([rng.uniform(-2, 2), rng.uniform(2, 14)]))
    found = canvas.shape(shape, (gap, hu["fat"]), (0.0, hu["cortex"]), within=body.abdomen)
    if found is None:
        return
    depth, window = found
    lobes = depth + np.float32(7) + np.float32(3) * body.narrow[0][window]
    canvas.paint(np.maximum(lobes, body.abdomen[window]), hu["medulla"], window)
    size = shape.semi_axes_mm[2] / 54
    x, y, z = shape.centre
    sinus = Ellipsoid((x - 14 * sign, y + 6, z), (14 * size, 8 * size, 20 * size), shape.tilt_deg)
    canvas.shape(sinus, (0.0, hu["fat"] + 25), (-4.0, hu["pelvis"]), within=body.abdomen)
    for _ in range(int(rng.poisson(0.6))):
        radius = float(rng.uniform(4, 16) if rng.random() < 0.85 else rng.uniform(16, 38))
        cyst = Ellipsoid(near(rng, shape.centre, 22.0), (radius,) * 3)
        density = hu["fluid"] if rng.random() < 0.8 else float(rng.uniform(20, 120))
        canvas.shape(cyst, (1.0, hu["medulla"]), (0.0, density), within=body.abdomen)
    adrenal = Capsule((sign * 30, -30, level + 50), (sign * 38, -36, level + 36), 4, 3)
    canvas.shape(adrenal, (0.0, hu["muscle"]))
