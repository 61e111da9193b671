"""The spleen of random size and shape."""

from __future__ import annotations

import numpy as np

from liverspleen.organs import Structure
from liverspleen.phantom.composites import Union, blended_minimum
from liverspleen.phantom.randomised.body import Body, ellipsoid
from liverspleen.phantom.randomised.kidneys import renal_impression
from liverspleen.phantom.randomised.organs import carved, surround, texture
from liverspleen.phantom.shapes import Capsule, Field, Shape
from liverspleen.phantom.traits import Condition

_SIZE = {
    Condition.HEALTHY: (0.62, 1.2),
    Condition.FATTY: (0.7, 1.3),
    Condition.CLD: (0.7, 1.4),
    Condition.CIRRHOSIS: (0.9, 1.8),
    Condition.POST_HEPATECTOMY: (0.65, 1.3),
}
_TOP = (-106.0, -56.0, -34.0)  # point of the wall from which the spleen grows


def paint_spleen(body: Body, ascites_mm: float) -> None:
    """Paint the spleen at the left posterior wall; it is absent in some patients and very large in others."""
    rng, canvas = body.rng("spleen"), body.canvas
    if rng.random() < 0.05:
        return
    low, high = _SIZE[body.condition]
    size = 1.08 * float(rng.uniform(low, high) if rng.random() < 0.88 else rng.uniform(1.4, 2.7))
    top = np.asarray(_TOP) + rng.normal(0, (4, 8, 13)) + (0.0, 0.0, body.domes.left[2] + 22 - rng.exponential(17))
    found = canvas.depth(_body_of_spleen(rng, top, size), ascites_mm + 4.0, warp=body.bent(float(rng.uniform(1.5, 5))))
    if found is None:
        return
    depth, window = found
    thick = np.float32(size**0.7 * rng.uniform(24, 58))  # from the wall to the hilum
    depth = -blended_minimum(-depth, body.abdomen[window] + thick, 16.0)
    depth = np.maximum(depth, body.space.x[window] - np.float32(rng.uniform(-50, -8)))  # not beyond the midline
    depth = carved(body, depth, window, [*_hollows(rng, top, size), *renal_impression(body, "left")])
    depth += np.float32(rng.uniform(0.5, 2.5)) * body.middle[0][window]
    gap = float(rng.uniform(0.0, 1.5) if rng.random() < 0.65 else rng.uniform(1.0, 6.0))
    depth = -blended_minimum(-depth, -(body.abdomen[window] + np.float32(gap + ascites_mm)), 4.0)
    surround(body, depth, window, ascites_mm, rng)
    canvas.paint(depth, texture(body, "spleen", window), window, label=Structure.SPLEEN)
    _paint_cyst(body, rng, top)


def _body_of_spleen(rng: np.random.Generator, top: Field, size: float) -> Shape:
    """Return blended ellipsoids from the upper pole beside the spine along the wall to the lower pole in front."""
    turned = float(rng.normal(10, 10))  # towards the back
    around = _rotation(turned)
    tilt = rng.normal((0.0, 0.0, turned), 10.0)
    slim, long = (float(v) for v in rng.uniform(0.8, (1.2, 1.4)))
    if rng.random() < 0.35:
        long *= float(rng.uniform(1.1, 1.5))  # reaches down beside the kidney
    parts: list[Shape] = []
    for centre, axes, turn in (
        ((-74, -52, -48), (34 * slim, 28, 32), (0, 0, 0)),
        ((-94, -42, -64), (32 * slim, 40, 42), (0, 10, 20)),
        ((-106, -22, -82), (25 * slim, 32, 31), (0, 15, 10)),
    ):
        if parts and rng.random() < 0.12:
            continue
        stretched = np.asarray((1.0, 1.0, long))
        place = around @ (top + size * stretched * (np.asarray(centre) - _TOP))
        axes = size * stretched * np.asarray(axes) * rng.uniform(0.85, 1.15, 3)
        parts.append(ellipsoid(rng, place, axes, turn + tilt))
    return Union(tuple(parts), 14.0)


def _rotation(degrees: float) -> Field:
    """Return the matrix of a rotation about the axis of the body."""
    angle = np.deg2rad(degrees)
    return np.array([[np.cos(angle), -np.sin(angle), 0], [np.sin(angle), np.cos(angle), 0], [0, 0, 1]])


def _hollows(rng: np.random.Generator, top: Field, size: float) -> list[tuple[Shape, float]]:
    """Return the impression of stomach and kidney, which large spleens may lack, and a notch."""
    beside_spine = float(rng.uniform(22, 36)) + 14 * max(
        size - 1.2, 0.0
    )  # large spleens grow downwards and forwards, not behind the kidney
    hollows: list[tuple[Shape, float]] = [(Capsule((-12, -50, 30), (-20, -54, -240), beside_spine, beside_spine), 6.0)]
    if size < 1.5 or rng.random() < 0.5:
        wide = float(rng.uniform(22, 38)) * size**0.3
        place = top + size**0.5 * np.asarray((62.0, 40.0, -38.0))
        hollows.append((ellipsoid(rng, place, (wide, wide, 1.7 * wide), spread=6.0), 10.0))
    if rng.random() < 0.4:
        notch = top + size * rng.uniform((0, 0, -60), (35, 50, 10))
        hollows.append((ellipsoid(rng, notch, (float(rng.uniform(3, 10)), 22, 8), spread=6.0), 5.0))
    return hollows


def _paint_cyst(body: Body, rng: np.random.Generator, top: Field) -> None:
    if rng.random() > 0.1:
        return
    place = top + rng.normal(0, 18, 3) + (15.0, 0.0, -30.0)
    found = body.canvas.depth(ellipsoid(rng, place, (float(rng.uniform(4, 20)),) * 3))
    if found is not None:
        cyst, window = found
        cyst[body.canvas.labels[window] != Structure.SPLEEN] = 9
        body.canvas.paint(cyst, float(rng.uniform(0, 60)), window, label=None)
