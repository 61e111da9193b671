"""What liver and spleen share: hollows, the tissue around them, and their texture."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from liverspleen.phantom.composites import blended_minimum
from liverspleen.phantom.randomised.body import Body
from liverspleen.phantom.randomised.space import Window
from liverspleen.phantom.shapes import Field, Grid, Shape


def carved(body: Body, depth: Field, window: Window, hollows: Sequence[tuple[Shape, float]]) -> Field:
    """Return the depth of a body without the hollows; each has a width of the smoothed edge in mm."""
    grid = body.space.grid(window)
    for hollow, blend in hollows:
        lower, upper = hollow.box()
        inner = inner_window(body, window, lower - blend, upper + blend)
        if inner is None:
            continue
        part = depth[inner]
        cut = hollow.depth(Grid(grid.x[inner], grid.y[inner], grid.z[inner]))
        np.copyto(part, -blended_minimum(-part, cut, blend))
    return depth


def inner_window(body: Body, window: Window, lower: Field, upper: Field) -> Window | None:
    """Return the part of a window that a box may reach, relative to the window."""
    found = body.space.window(lower, upper)
    if found is None:
        return None
    parts = []
    for outer, part in zip(window, found, strict=True):
        start, stop = max(outer.start, part.start) - outer.start, min(outer.stop, part.stop) - outer.start
        if stop <= start:
            return None
        parts.append(slice(start, stop))
    return parts[0], parts[1], parts[2]


def surround(body: Body, depth: Field, window: Window, ascites_mm: float, rng: np.random.Generator) -> None:
    """Paint fluid or an uneven plane of fat around an organ; where it is missing, the organ touches its neighbours."""
    hu = body.tissues
    if ascites_mm:
        fluid = np.maximum(depth - np.float32(ascites_mm), body.abdomen[window])
        body.canvas.paint(fluid, hu["fluid"], window)
    plane = depth - np.float32(rng.uniform(-4.0, 1.5))
    plane -= np.float32(2.0) * body.middle[0][window]
    np.maximum(plane, body.abdomen[window], out=plane)
    body.canvas.paint(plane, hu["fat"], window)


def texture(body: Body, organ: str, window: Window) -> Field:
    """Return the density of an organ, uneven in large parts; the arterial spleen is striped."""
    rng, hu = body.scan_rng(organ), body.tissues
    uneven = float(rng.uniform(0, 5) if rng.random() < 0.8 else rng.uniform(5, 16))
    density = np.float32(hu[organ]) + np.float32(uneven) * body.middle[0][window]
    fine = float(rng.uniform(0, 4))
    density += np.float32(fine) * body.narrow[1][window]
    if organ == "spleen" and body.tissues.phase == "arterial" and rng.random() < 0.6:
        stripes = np.sin(np.float32(rng.uniform(2, 5)) * body.narrow[0][window])
        density += np.float32(rng.uniform(5, 35)) * stripes
    return density
