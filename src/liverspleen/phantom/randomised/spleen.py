"""The spleen of random size and shape."""

from __future__ import annotations

import numpy as np

from liverspleen.organs import Structure
from liverspleen.phantom.composites import Union, blended_minimum
from liverspleen.phantom.randomised.body import Body, ellipsoid
from liverspleen.phantom.randomised.organs import carved, surround, texture
from liverspleen.phantom.shapes import Shape
from liverspleen.phantom.traits import Condition

_SPLEEN_SIZE = {
    Condition.HEALTHY: (0.82, 1.5),
    Condition.FATTY: (0.9, 1.55),
    Condition.CLD: (0.9, 1.7),
    Condition.CIRRHOSIS: (1.1, 2.1),
    Condition.POST_HEPATECTOMY: (0.8, 1.55),
}


def paint_spleen(body: Body, ascites_mm: float) -> None:
    """Paint the spleen at the left posterior wall; it is absent in some patients and very large in others."""
    rng, canvas = body.rng("spleen"), body.canvas
    if rng.random() < 0.05:
        return
    low, high = _SPLEEN_SIZE[body.condition]
    size = float(rng.uniform(low, high) if rng.random() < 0.92 else rng.uniform(1.5, 2.6))
    anchor = np.asarray((-118.0, -60.0, -30.0)) + rng.normal(0, (4, 8, 12))
    tilt = rng.normal(0, 10, 3)
    slim = float(rng.uniform(0.78, 1.2))
    parts = []
    for centre, axes, turn in (
        ((-80, -60, -52), (32 * slim, 21, 34), (0, 0, 0)),
        ((-102, -40, -70), (23 * slim, 36, 46), (0, 10, 20)),
        ((-113, -6, -92), (17 * slim, 32, 36), (0, 15, 10)),
    ):
        if rng.random() < 0.12:
            continue
        x, y, z = anchor + size * (np.asarray(centre) - (-112.0, -48.0, -38.0))
        a, b, c = size * np.asarray(axes) * rng.uniform(0.85, 1.15, 3)
        u, v, w = np.asarray(turn) + tilt
        parts.append(
            ellipsoid(
                rng, (float(x), float(y), float(z)), (float(a), float(b), float(c)), (float(u), float(v), float(w))
            )
        )
    found = (
        canvas.depth(Union(tuple(parts), 14.0), ascites_mm + 4.0, warp=body.bent(float(rng.uniform(1.5, 5))))
        if parts
        else None
    )
    if found is None:
        return
    depth, window = found
    hollow = ellipsoid(
        rng, anchor + np.asarray((54.0, 34.0, -38.0)), (36 * size**0.3, 36 * size**0.3, 62 * size**0.3), spread=6.0
    )
    hollows: list[tuple[Shape, float]] = [(hollow, 10.0)] if rng.random() < 0.9 or size < 1.5 else []
    if rng.random() < 0.4:
        notch = tuple(anchor + size * rng.uniform((0, 0, -60), (35, 50, 10)))
        hollows.append((ellipsoid(rng, notch, (float(rng.uniform(3, 10)), 22, 8), spread=6.0), 5.0))
    depth = carved(body, depth, window, hollows)
    depth += np.float32(rng.uniform(0.5, 2.5)) * body.middle[0][window]
    gap = float(rng.uniform(0.0, 1.5) if rng.random() < 0.65 else rng.uniform(1.0, 6.0))
    depth = -blended_minimum(-depth, -(body.abdomen[window] + np.float32(gap + ascites_mm)), 4.0)
    surround(body, depth, window, ascites_mm, rng)
    canvas.paint(depth, texture(body, "spleen", window), window, label=Structure.SPLEEN)
    if rng.random() < 0.1:
        place = tuple(anchor + rng.normal(0, 18, 3) + (15.0, 0.0, -30.0))
        cyst = canvas.depth(ellipsoid(rng, place, (float(rng.uniform(4, 20)),) * 3))
        if cyst is not None:
            lesion, part = cyst
            lesion[canvas.labels[part] != Structure.SPLEEN] = 9
            canvas.paint(lesion, float(rng.uniform(0, 60)), part, label=None)
