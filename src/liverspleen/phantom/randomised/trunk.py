"""Wall, bones and muscles of the trunk, the diaphragm and the chest."""

from __future__ import annotations

import numpy as np

from liverspleen.phantom.composites import Union, blended_minimum
from liverspleen.phantom.randomised.body import Body, ellipsoid, near
from liverspleen.phantom.randomised.canvas import WHOLE
from liverspleen.phantom.randomised.cavity import HALF_DEPTH_MM
from liverspleen.phantom.randomised.space import Window
from liverspleen.phantom.shapes import Capsule, Ellipsoid, Field


def paint_wall(body: Body) -> None:
    """Paint skin, subcutaneous fat, muscle and ribs; the cavity is filled with fat."""
    canvas, hu, rng = body.canvas, body.tissues, body.rng("layers")
    cavity, fascia, skin, muscle = body.wall.cavity, body.wall.fascia, body.wall.skin, body.pose.muscle_mm
    canvas.paint(skin - np.float32(2.0), hu["skin"], label=None, upright=True)
    canvas.paint(skin, np.float32(hu["fat"]) + np.float32(rng.uniform(2, 9)) * body.narrow[0], label=None, upright=True)
    canvas.paint(fascia, _muscle(body, WHOLE), label=None, upright=True)
    if rng.random() < 0.5:  # fat between the layers of muscle
        plane = np.abs(fascia + np.float32(muscle * rng.uniform(0.25, 0.6))) + np.float32(1.2) * body.middle[1]
        canvas.paint(np.maximum(plane - np.float32(rng.uniform(0.1, 1.2)), fascia), hu["fat"], label=None, upright=True)
    canvas.paint(cavity, hu["fat"], label=None, upright=True)
    _paint_ribs(body)
    if rng.random() < 0.35:
        _paint_breasts(body)


def _muscle(body: Body, window: Window) -> Field:
    """Return the density of the muscles: marbled, with streaks of fat, most of them at the back."""
    rng, hu = body.rng("muscles"), body.tissues
    density = np.float32(rng.uniform(0, 16)) * np.minimum(body.narrow[1][window], 0)
    density += np.float32(hu["muscle"])
    wide = np.clip(body.space.y[window] * np.float32(-1 / HALF_DEPTH_MM), 0.3, 1)
    wide *= np.float32(rng.uniform(0.05, 0.45))
    streaks = np.abs(body.narrow[0][window])
    streaks /= wide
    streaks -= 1
    np.minimum(streaks, 0, out=streaks)
    streaks *= np.float32(rng.uniform(30, 140))
    density += streaks
    return density


def _paint_ribs(body: Body) -> None:
    """Paint sloping rings in the wall above the costal margin, of cartilage in front."""
    space, hu, rng = body.space, body.tissues, body.rng("ribs")
    thick, pitch = float(rng.uniform(3.5, 7)), float(rng.uniform(26, 35))
    inset = float(rng.uniform(1.0, 3.0))
    cavity = body.wall.cavity.reshape(-1)
    voxels = np.flatnonzero((cavity > inset - 3) & (cavity < inset + thick + 3))
    x, y, z = (axis.reshape(-1)[voxels] for axis in (space.x, space.y, space.z))
    depth = np.abs(cavity[voxels] - np.float32(inset + thick / 2))
    depth -= np.float32(thick / 2)
    ring = z + np.float32(rng.uniform(0.35, 0.9)) * y
    ring += np.float32(rng.uniform(0.1, 0.5)) * np.abs(x)
    ring *= np.float32(1 / pitch)
    ring += np.float32(rng.random())
    ring -= np.floor(ring)
    ring -= np.float32(0.5)
    np.abs(ring, out=ring)
    ring *= np.float32(0.85 * pitch)
    ring -= np.float32(rng.uniform(3.5, 5.5))
    depth = -blended_minimum(-depth, -ring, 4.0)
    np.maximum(depth, np.float32(0.75) * y + np.float32(rng.uniform(-160, -110)) - z, out=depth)
    cartilage = y > np.float32(rng.uniform(0.3, 0.75) * HALF_DEPTH_MM)
    bone = np.where(cartilage, np.float32(rng.uniform(70, 220)), np.float32(0.8 * hu["bone"]))
    body.canvas.paint_at(voxels, depth, bone)
    marrow = np.where(cartilage, np.float32(rng.uniform(60, 140)), np.float32(hu["marrow"]))
    body.canvas.paint_at(voxels, depth + np.float32(1.7), marrow)


def _paint_breasts(body: Body) -> None:
    rng, hu, muscle = body.rng("breasts"), body.tissues, body.pose.muscle_mm
    size = float(rng.uniform(0.6, 1.5))
    for side in (-1, 1):
        centre = (side * 75.0, HALF_DEPTH_MM + muscle + 8.0, 55.0)
        breast = ellipsoid(rng, centre, (55 * size, 34 * size, 55 * size))
        outside = -body.wall.cavity + np.float32(muscle)
        body.canvas.shape(breast, (2.0, hu["skin"]), (0.0, hu["fat"]), within=outside)
        gland = Ellipsoid(breast.centre, tuple(0.5 * a for a in breast.semi_axes_mm))  # type: ignore[arg-type]
        body.canvas.shape(gland, (0.0, float(rng.uniform(-60, 40))), within=outside)


def paint_chest(body: Body) -> None:
    """Paint diaphragm, lungs with vessels, effusions, mediastinum and heart."""
    canvas, space, hu, rng = body.canvas, body.space, body.tissues, body.rng("chest")
    window = space.window(np.array([-np.inf, -np.inf, -125.0]), np.array([np.inf, np.inf, np.inf]))
    if window is None:
        return
    grid, cavity, below = space.grid(window), body.wall.cavity[window], body.abdomen[window]
    above = np.maximum(cavity, -below)
    canvas.paint(above, hu["muscle"], window)
    chest = np.maximum(above, np.float32(rng.uniform(1.5, 4.0)) - below)
    air = np.float32(hu["lung"]) - np.float32(rng.uniform(0, 1.2)) * grid.y
    tubes = body.tubes[window]
    vessel = np.clip(np.float32(rng.uniform(0.2, 0.5)) - tubes, 0, 0.3)
    vessel *= np.float32(2200)
    air += vessel
    np.minimum(air, np.float32(40), out=air)
    canvas.paint(chest, air, window)
    for side in (-1.0, 1.0):
        if rng.random() < 0.14:  # pleural effusion, in the back
            level = grid.y + np.float32(rng.uniform(10, 85)) + np.float32(4) * body.middle[0][window]
            part = np.maximum(np.maximum(chest, level), np.float32(-side) * grid.x)
            canvas.paint(part, hu["fluid"] + 4, window)
        if rng.random() < 0.14:  # collapsed or inflamed lung
            level = grid.y + np.float32(rng.uniform(40, 85)) + np.float32(9) * body.middle[1][window]
            part = np.maximum(np.maximum(chest, level), np.float32(-side) * grid.x)
            canvas.paint(part, float(rng.uniform(20, 0.8 * max(hu["cava"], 60))), window)
    _paint_mediastinum(body, body.wall.cavity, -body.abdomen)


def _paint_mediastinum(body: Body, cavity: Field, below: Field) -> None:
    canvas, hu, rng = body.canvas, body.tissues, body.rng("mediastinum")
    chest = np.maximum(cavity, below)
    size = float(rng.uniform(0.85, 1.25))
    fatty = float(rng.uniform(-2.0, 9.0))
    middle = ellipsoid(rng, (0, -34, 60), (34, 38, 130))
    canvas.shape(middle, (0.0, hu["fat"]), within=chest)
    heart = ellipsoid(rng, (-14, 32, 0), (68 * size, 52 * size, 52 * size), (0, 10, -20), 7.0)
    wall = 0.6 * hu["heart"] + 0.4 * max(hu["muscle"], 45)
    canvas.shape(heart, (fatty, hu["fat"] + 10), (0.0, wall), within=chest, warp=body.bent(3.0))
    if rng.random() < 0.12:
        canvas.shape(heart, (float(rng.uniform(3, 12)), hu["fluid"]), (0.0, wall), within=chest)
    x, y, z = heart.centre
    for (dx, dy, dz), axes, blood in (
        ((-20, 2, 8), (27, 22, 28), hu["heart"]),
        ((16, 14, 2), (26, 22, 30), 0.5 * hu["heart"] + 0.5 * hu["cava"]),
        ((28, -8, 14), (21, 22, 26), hu["cava"]),
        ((-4, -28, 24), (28, 18, 24), hu["heart"]),
    ):
        chamber = ellipsoid(rng, (x + dx * size, y + dy * size, z + dz * size), tuple(size * a for a in axes))  # type: ignore[arg-type]
        canvas.shape(chamber, (0.0, blood), within=chest)
    for points, radius, blood in (
        (((10, 10, 60), (0, 5, 200)), 15, hu["artery"]),
        (((26, 4, 50), (26, 8, 200)), 10, hu["cava"]),
    ):
        canvas.shape(Capsule(*points, radius, radius), (0.0, blood), within=chest)
    esophagus = Capsule(near(rng, (-6, -42, -40), 4), near(rng, (-2, -46, 200), 4), 10, 9)
    canvas.shape(esophagus, (0.0, hu["wall"]), within=cavity)
    if rng.random() < 0.4:
        canvas.shape(esophagus, (-6.0, float(rng.choice([hu["gas"], hu["fluid"]]))), within=cavity)


def paint_spine(body: Body) -> None:
    """Paint vertebrae, discs and the muscles along the spine."""
    canvas, hu, rng = body.canvas, body.tissues, body.rng("spine")
    y = -HALF_DEPTH_MM + float(rng.uniform(30, 44))
    radius, pitch = float(rng.uniform(17, 23)), float(rng.uniform(28, 38))
    for side in (-1.0, 1.0):
        back = Ellipsoid((side * 31, y - 34, -120), (float(rng.uniform(20, 30)), float(rng.uniform(17, 25)), 700))
        found = canvas.depth(back, 1.5)
        if found is not None:
            depth, window = found
            canvas.paint(depth - np.float32(1.5), hu["fat"] + 30, window)
            canvas.paint(depth, _muscle(body, window), window)
        big = float(rng.uniform(14, 27))
        psoas = Capsule((side * 62, y + 22, -330), (side * 26, y + 4, -110), big, 8)
        canvas.shape(psoas, (2.5, hu["fat"]), (0.0, hu["muscle"]))
        crus = ellipsoid(rng, (side * 18, y + 22, -70), (6, 12, 55), spread=2.0)
        canvas.shape(crus, (0.0, hu["muscle"]))
    column = Capsule((0, y, -330), (0, y, 400), radius, radius)
    found = canvas.depth(column, 2.0)
    if found is None:
        return
    depth, window = found
    z = body.space.z[window]
    phase = np.remainder(z + np.float32(rng.uniform(0, pitch)), np.float32(pitch))
    disc = np.abs(phase - np.float32(pitch / 2)) - np.float32(pitch / 2 - rng.uniform(3, 5.5))
    canvas.paint(depth - np.float32(1.5), hu["fat"], window)
    canvas.paint(depth, hu["disc"], window)
    bone = np.maximum(depth, disc)
    canvas.paint(bone, 0.7 * hu["bone"], window)
    grain = np.sin(np.float32(rng.uniform(5, 9)) * body.narrow[1][window] + np.float32(4) * body.narrow[0][window])
    inside = np.float32(hu["marrow"]) * (1 + np.float32(0.12) * body.narrow[0][window] + np.float32(0.15) * grain)
    canvas.paint(bone + np.float32(2.0), inside, window)
    behind = 0.55 * hu["bone"]
    for side in (-1.0, 1.0):
        canvas.shape(
            Capsule((side * 15, y - 22, -330), (side * 15, y - 22, 400), 6, 6), (0.0, behind), (-2.5, hu["marrow"])
        )
        arm = Ellipsoid((side * 27, y - 27, 0), (16, 5, 2000), (0, 0, side * -20.0))
        found = canvas.depth(arm)
        if found is not None:
            d, w = found
            gap = (
                np.abs(
                    np.remainder(body.space.z[w] + np.float32(pitch * 0.3), np.float32(pitch)) - np.float32(pitch / 2)
                )
                - 6
            )
            canvas.paint(np.maximum(d, gap), behind, w)
    canvas.shape(
        Union((Capsule((0, y - 38, -330), (0, y - 38, 400), 7, 7), Ellipsoid((0, y - 48, 0), (3.5, 18, 3000))), 4.0),
        (0.0, behind),
    )
    canvas.shape(Capsule((0, y - 24, -330), (0, y - 24, 400), 9, 9), (0.0, float(rng.uniform(15, 45))))
