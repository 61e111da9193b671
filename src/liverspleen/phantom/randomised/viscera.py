"""Stomach, bowel, pancreas, great vessels, organs of the pelvis, and masses."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from liverspleen.phantom.composites import Union, blended_minimum
from liverspleen.phantom.randomised.body import Body, ellipsoid, near
from liverspleen.phantom.randomised.space import Window
from liverspleen.phantom.shapes import Capsule, Field, Shape, Triple
from liverspleen.phantom.traits import Condition

_CELLS = 64
Layers = tuple[tuple[float, float], ...]


def paint_small_bowel(body: Body) -> None:
    """Fill the abdomen below liver and stomach with loops: cells between the levels of two smooth fields.

    Each cell has random contents: fluid, food, contrast agent, gas above fluid, collapsed bowel, or mesenteric fat.
    """
    space, rng, hu = body.space, body.rng("small_bowel"), body.tissues
    resected = body.condition is Condition.POST_HEPATECTOMY  # bowel fills the room
    top = float(rng.uniform(-60, -15) if resected else rng.uniform(-120, -30))
    window = space.window(np.array([-125.0, -50.0, -400.0]), np.array([125.0, 95.0, top + 25]))
    if window is None:
        return
    border, cell = _cells(body, window, rng)
    grid = space.grid(window)
    region = np.maximum(body.abdomen[window] + 3, grid.z - np.float32(top) - np.float32(10) * body.middle[0][window])
    region = np.maximum(region, np.float32(-rng.uniform(5, 45)) - grid.y + np.float32(10) * body.middle[1][window])
    mesentery = float(rng.choice([rng.uniform(0.05, 0.5), rng.uniform(0.4, 0.9)]))
    fat = rng.random(_CELLS) < mesentery
    outside = np.where(fat[cell], np.float32(9), np.float32(rng.uniform(0.3, 3.5)) - border)
    loops = np.maximum(region, outside)
    body.canvas.paint(loops, hu["wall"], window)
    contents, levels = _contents(body, _CELLS), rng.normal(35, 30, _CELLS).astype(np.float32)
    levels[rng.random(_CELLS) > rng.choice([0.05, 0.3, 0.8])] = 1000
    inside = contents[cell]
    inside += np.float32(rng.uniform(0, 12)) * body.narrow[1][window]
    np.copyto(inside, np.float32(hu["gas"]), where=grid.y > levels[cell])
    body.canvas.paint(loops + np.float32(rng.uniform(1.5, 3.5)), inside, window)
    _paint_mesenteric_vessels(body)


def _cells(body: Body, window: Window, rng: np.random.Generator) -> tuple[Field, NDArray[np.intp]]:
    """Return the distance from the border of a cell in mm, and the number of the cell, below `_CELLS`."""
    across, start = rng.uniform(0.55, 1.1, 2), rng.uniform(20, 28, 2)
    near, number = [], []
    for turn, knots in enumerate(rng.uniform(20, 34, 2)):
        level = body.space.field((*body.anatomy_seed, 20 + turn), float(knots))[window]
        level *= np.float32(across[turn])
        level += np.float32(start[turn])
        below = np.floor(level)
        level -= below
        np.minimum(level, 1 - level, out=level)
        level *= np.float32(knots / across[turn])
        near.append(level)
        number.append(below.astype(np.intp))
    return blended_minimum(near[0], near[1], 9.0), (number[0] * 13 + number[1]) % _CELLS


def _contents(body: Body, count: int) -> Field:
    """Return densities of the contents of `count` pieces of gut."""
    rng, hu = body.scan_rng("contents"), body.tissues
    oral = 0.0 if rng.random() < 0.5 else float(rng.uniform(0.2, 1.0))
    kind = rng.random(count)
    collapsed = rng.uniform(0.1, 0.6)
    food = np.where(kind < collapsed, hu["wall"], rng.uniform(-5, 75, count))
    contrast = hu["oral"] * rng.uniform(0.5, 1.2, count)
    return np.where(rng.random(count) < oral, contrast, food).astype(np.float32)


def _paint_mesenteric_vessels(body: Body) -> None:
    window = body.space.window(np.array([-110.0, -60.0, -400.0]), np.array([110.0, 90.0, -20.0]))
    if window is None or body.rng("mesenteric_vessels").random() < 0.15:
        return
    tubes = body.tubes[window] - np.float32(body.rng("mesenteric_vessels").uniform(0.1, 0.3))
    tubes *= np.float32(9)
    fat = body.canvas.hu[window] > -80
    tubes[fat] = 9
    np.maximum(tubes, body.abdomen[window] + 4, out=tubes)
    body.canvas.paint(tubes, body.tissues["vein"], window)


def paint_colon(body: Body) -> None:
    """Paint the colon with stool, contrast agent, fluid or gas; its wall bulges between the folds."""
    rng, hu = body.rng("colon"), body.tissues
    line: list[Triple] = [
        (98, -18, -300),
        (100, -8, -215),
        (92, 16, -165),
        (50, 58, -175),
        (0, 68, -160),
        (-50, 62, -130),
        (-92, 26, -100),
        (-106, -8, -140),
        (-106, -24, -220),
        (-96, -24, -300),
        (-40, 0, -350),
        (0, -40, -400),
    ]
    drop = float(rng.normal(0, 18))
    points = [near(rng, (x, y, z + (drop if 1 < n < 7 else 0)), 11.0) for n, (x, y, z) in enumerate(line)]
    thin, thick = ((8, 18), (14, 26), (20, 36))[int(rng.integers(3))]
    radii = rng.uniform(thin, thick, len(points))
    oral = rng.random() < 0.35
    gas_rate = float(rng.choice([0.2, 0.6, 0.9]))
    for number, ((start, first), (end, last)) in enumerate(pairwise(zip(points, radii, strict=True))):
        rng = body.rng(f"colon {number}")
        found = body.canvas.depth(Capsule(start, end, float(first), float(last)), 3.0)
        if found is None:
            continue
        depth, window = found
        depth += np.float32(rng.uniform(1, 3)) * body.narrow[0][window]
        np.maximum(depth, body.abdomen[window] + 2, out=depth)
        body.canvas.paint(depth, hu["wall"], window)
        stool = np.float32(hu["oral"] * 0.7 if oral else rng.uniform(0, 90))
        inside = stool + np.float32(rng.uniform(0, 40)) * body.narrow[1][window]
        if rng.random() < 0.6:
            np.copyto(inside, np.float32(-500), where=body.narrow[1][window] > rng.uniform(0.9, 2))
        level = np.float32((start[1] + end[1]) / 2 + rng.normal(0, 14) if rng.random() < gas_rate else 900)
        np.copyto(inside, np.float32(hu["gas"]), where=body.space.y[window] > level)
        body.canvas.paint(depth + np.float32(rng.uniform(1.5, 3.5)), inside, window)


def paint_stomach(body: Body) -> None:
    """Paint the stomach: collapsed, or with fluid, food or contrast agent, and gas in front."""
    rng, hu = body.rng("stomach"), body.tissues
    full = float(rng.uniform(0.55, 1.5))
    shift = rng.normal(0, 9, 3)
    fundus = body.domes.left[2] - 32  # below the left dome
    parts = []
    for centre, axes, tilt in (
        ((-58, -6, fundus), (40, 46, 38), (0, 0, 0)),
        ((-60, 32, -78), (30, 28, 42), (20, 0, 0)),
        ((-14, 46, -112), (42, 22, 22), (0, -20, 0)),
    ):
        x, y, z = np.asarray(centre) + shift
        a, b, c = full * np.asarray(axes) * (1 if full > 0.8 else rng.uniform(0.7, 1.3, 3))
        parts.append(ellipsoid(rng, (x, y, z), (a, b, c), tilt))
    found = body.canvas.depth(Union(tuple(parts), 18.0), 6.0, warp=body.bent(4.0))
    if found is None:
        return
    depth, window = found
    np.maximum(depth, body.abdomen[window] + np.float32(rng.uniform(0.5, 4)), out=depth)
    body.canvas.paint(depth - np.float32(rng.uniform(-1, 4)), hu["fat"], window)
    body.canvas.paint(depth, hu["wall"], window)
    thick = float(rng.uniform(2.5, 6 if full > 0.8 else 13))
    inner = depth + np.float32(thick)
    inner += np.float32(rng.uniform(0, 2.5)) * body.narrow[0][window]
    kind = rng.choice(["water", "food", "contrast", "mixed"], p=[0.3, 0.3, 0.25, 0.15])
    mean = {"water": rng.uniform(-5, 30), "food": rng.uniform(20, 110), "contrast": hu["oral"], "mixed": hu["oral"] / 2}
    mottled = {"water": 2, "food": rng.uniform(5, 50), "contrast": 10, "mixed": 120}[str(kind)]
    content = np.float32(mean[str(kind)]) + np.float32(mottled) * body.narrow[1][window]
    if kind == "food" and rng.random() < 0.5:
        np.copyto(content, np.float32(-300), where=body.narrow[1][window] > 1.2)
    if rng.random() < 0.75:
        level = np.float32(rng.uniform(0, 70)) if rng.random() < 0.85 else np.float32(-60)
        np.copyto(content, np.float32(hu["gas"]), where=body.space.y[window] > level)
    body.canvas.paint(inner, content, window)


def paint_pancreas(body: Body) -> None:
    """Paint the pancreas from the duodenum to the splenic hilum, and the duodenum."""
    rng, hu, canvas = body.rng("pancreas"), body.tissues, body.canvas
    size = float(rng.uniform(0.6, 1.4))
    line: list[Triple] = [(36, 12, -128), (14, 22, -106), (-30, 8, -92), (-68, -18, -80)]
    points = [near(rng, p, 6.0) for p in line]
    radii = [size * r for r in (15, 10, 10, 9)]
    parts = tuple(Capsule(a, b, r, s) for (a, r), (b, s) in pairwise(zip(points, radii, strict=True)))
    uneven = float(rng.uniform(1, 3.5))
    found = canvas.depth(Union(parts, 4.0), 3.0)
    if found is not None:
        depth, window = found
        depth += np.float32(uneven) * body.narrow[0][window]
        np.maximum(depth, body.abdomen[window] + 3, out=depth)
        canvas.paint(depth, hu["pancreas"], window)
    content = float(_contents(body, 1)[0])
    loop: list[Triple] = [(30, 34, -108), (54, 8, -120), (48, -6, -160), (0, -6, -170)]
    for start, end in pairwise([near(rng, p, 6.0) for p in loop]):
        part = Capsule(start, end, float(rng.uniform(9, 15)), float(rng.uniform(9, 15)))
        canvas.shape(part, (0.0, hu["wall"]), (-3.0, content), within=body.abdomen)


def paint_great_vessels(body: Body) -> None:
    """Paint aorta, inferior vena cava, portal and splenic vein."""
    rng, hu = body.rng("great_vessels"), body.tissues
    wide = float(rng.uniform(0.8, 1.25))
    flat = float(rng.uniform(0.5, 1.2))
    vessels: list[tuple[list[Triple], float, str]] = [
        ([(-14, -36, 210), (-12, -31, -80), (-8, -29, -240)], 11.5 * wide * float(rng.uniform(0.9, 1.2)), "artery"),
        ([(-8, -29, -240), (32, -20, -330)], 7 * wide, "artery"),
        ([(-8, -29, -240), (-44, -20, -330)], 7 * wide, "artery"),
        ([(22, 2, 14), (24, -20, -24), (26, -23, -90), (22, -24, -250)], 12 * flat, "cava"),
        ([(-8, -22, -100), (-6, 8, -140), (-4, 14, -220)], 4.5 * wide, "artery"),
        ([(0, 8, -112), (4, 12, -160), (6, 14, -230)], 5.5 * wide, "portal"),
        ([(0, 8, -108), (12, 4, -94), (22, 4, -84)], 7 * wide, "portal"),
        ([(0, 8, -106), (-34, 0, -90), (-78, -28, -74)], 5 * wide, "portal"),
        ([(24, -28, -118), (52, -38, -128)], 5 * wide, "cava"),
        ([(20, -24, -112), (-48, -34, -112)], 5 * wide, "cava"),
    ]
    for points, radius, blood in vessels:
        for start, end in pairwise([near(rng, p, 2.5) for p in points]):
            body.canvas.shape(
                Capsule(start, end, radius, radius),
                *(((1.5, hu["fat"]),) if blood == "artery" else ()),
                (0.0, hu[blood]),
            )


def paint_masses(body: Body) -> None:
    """Paint masses and nodes of random density anywhere in the cavity."""
    rng, hu = body.rng("masses"), body.tissues
    for _ in range(int(rng.poisson(1.2))):
        place = (float(rng.uniform(-100, 100)), float(rng.uniform(-60, 75)), float(rng.uniform(-330, -40)))
        big = float(rng.uniform(6, 22) if rng.random() < 0.8 else rng.uniform(22, 60))
        shape = ellipsoid(rng, place, (big, big, big))
        density = hu["fluid"] if rng.random() < 0.3 else float(rng.uniform(15, 130))
        body.canvas.shape(shape, (0.0, density), within=body.abdomen)


def paint_pelvis(body: Body) -> None:
    """Paint hip bones, sacrum, femoral heads, bladder, uterus or prostate, and rectum."""
    rng, hu, canvas, space = body.rng("pelvis"), body.tissues, body.canvas, body.space
    if space.window(np.array([-np.inf, -np.inf, -2000.0]), np.array([np.inf, np.inf, -225.0])) is None:
        return
    bone: Layers = ((0.0, 0.7 * hu["bone"]), (-3.0, hu["marrow"]))
    organs: list[tuple[Shape, Layers]] = [
        (ellipsoid(rng, (0, 42, -370), tuple(rng.uniform(18, 52, 3))), ((0.0, hu["muscle"]), (-3.0, hu["fluid"]))),
        (ellipsoid(rng, (0, 6, -372), tuple(rng.uniform(15, 40, 3))), ((0.0, float(rng.uniform(35, 125))),)),
        (
            Capsule((0, -48, -330), (0, -52, -420), 18, 16),
            ((0.0, hu["wall"]), (-4.0, float(rng.choice([hu["gas"], 40])))),
        ),
    ]
    for organ, layers in organs:
        canvas.shape(organ, *layers, within=body.abdomen)
    canvas.shape(ellipsoid(rng, (0, -72, -310), (48, 20, 62), (-20, 0, 0)), *bone)
    for side in (-1.0, 1.0):
        canvas.shape(ellipsoid(rng, (side * 78, -92, -310), (62, 34, 80)), (0.0, hu["muscle"]))
        canvas.shape(ellipsoid(rng, (side * 92, -25, -282), (10, 58, 52), (0, side * 18, side * -38)), *bone)
        canvas.shape(ellipsoid(rng, (side * 92, 2, -375), (34, 32, 38)), *bone)
        canvas.shape(ellipsoid(rng, (side * 98, 2, -382), (25, 25, 25), spread=0.0), (4.0, 60.0), *bone)
        canvas.shape(Capsule((side * 105, 0, -385), (side * 150, -10, -440), 18, 20), *bone)
