"""The liver of random shape, with vessels, lesions and gallbladder."""

from __future__ import annotations

import numpy as np

from liverspleen.organs import Structure
from liverspleen.phantom.composites import Union, blended_minimum
from liverspleen.phantom.randomised.body import Body, ellipsoid, near
from liverspleen.phantom.randomised.kidneys import renal_impression
from liverspleen.phantom.randomised.organs import carved, inner_window, surround, texture
from liverspleen.phantom.randomised.space import Window
from liverspleen.phantom.shapes import Capsule, Ellipsoid, Field, Shape, Triple
from liverspleen.phantom.traits import Condition


def paint_liver(body: Body, ascites_mm: float) -> None:
    """Paint the liver below the right dome, with fissures, vessels, lesions and gallbladder."""
    rng, canvas = body.rng("liver"), body.canvas
    found = canvas.depth(_lobes(body), ascites_mm + 4.0, warp=body.bent(float(rng.uniform(2, 6))))
    if found is None:
        return
    depth, window = found
    depth = carved(body, depth, window, [*_hollows(body), *renal_impression(body, "right")])
    depth += np.float32(rng.uniform(1, 3)) * body.middle[1][window]
    gap = float(rng.uniform(0.0, 1.5) if rng.random() < 0.75 else rng.uniform(1.0, 4.0))
    if body.condition is Condition.CIRRHOSIS:
        depth += np.float32(rng.uniform(0.5, 2.5)) * body.narrow[0][window]
    edge = body.abdomen[window] + np.float32(gap + ascites_mm)
    depth = -blended_minimum(-depth, -edge, 4.0)
    surround(body, depth, window, ascites_mm, rng)
    canvas.paint(depth, texture(body, "liver", window), window, label=Structure.LIVER)
    _paint_gallbladder(body)
    _paint_liver_vessels(body, depth, window)
    _paint_lesions(body, depth, window)


def _lobes(body: Body) -> Shape:
    rng, condition = body.rng("lobes"), body.condition
    size = float(rng.uniform(0.88, 1.08) * rng.normal(1.07, 0.06))
    if rng.random() < 0.1:
        size *= float(rng.uniform(1.05, 1.25))
    right, left = size * float(rng.uniform(0.9, 1.08)), size * float(rng.uniform(0.75, 1.2))
    if condition is Condition.CIRRHOSIS:
        right, left = right * float(rng.uniform(0.78, 0.95)), left * float(rng.uniform(1.0, 1.2))
    resected = condition is Condition.POST_HEPATECTOMY
    missing = str(rng.choice(["right", "left", ""], p=[0.3, 0.4, 0.3])) if resected else ""
    tilt = rng.normal(0, 7, 3)

    def part(centre: Triple, axes: Triple, extra: Triple, scale: float, anchor: Triple) -> Ellipsoid:
        x, y, z = (a + scale * (c - a) for a, c in zip(anchor, centre, strict=True))
        a, b, c = (scale * r for r in axes)
        u, v, w = np.asarray(extra) + tilt
        return ellipsoid(rng, (x, y, z), (a, b, c), (float(u), float(v), float(w)))

    dome, bare = (95.0, 10.0, -15.0), (10.0, 30.0, -30.0)
    tip = float(rng.uniform(-150, -80))
    reach = float(
        rng.choice([rng.uniform(-50, -10), rng.uniform(-80, -40), rng.uniform(-105, -70)], p=[0.25, 0.5, 0.25])
    )
    parts = []
    if missing != "right":
        parts += [part((77, -4, -60), (69, 82, 76), (0, 0, 0), right, dome)]
        thin = float(rng.uniform(0.7, 1.15))
        parts += [part((105, -4, tip), (29 * thin, 46 * thin, 50), (0, 8, 0), right, dome)]
        if rng.random() < 0.08:  # a tongue of the right lobe that reaches the pelvis
            parts += [part((104, 5, tip - 55), (19, 30, 48), (0, 6, 0), right, dome)]
    else:
        parts += [part((40, 22, -66), (50, 52, 54), (0, 0, 20), left * 1.3, bare)]
    thick = float(rng.uniform(0.7, 1.3))
    high, low = float(rng.uniform(-18, 30)), float(rng.uniform(-120, -84))  # the diaphragm cuts off what is above it
    deep = (high + low) / 2
    parts += [part((14, 52, deep), (58, 40, (high - low) / 2), (0, 0, 10), left, bare)]
    if missing != "left":
        parts += [
            part(
                (reach / 2 - 5, 54, high - float(rng.uniform(25, 55))),
                (abs(reach) / 2 + 34, 30 * thick, 36 * thick),
                (0, 10, -10),
                left,
                bare,
            )
        ]
        if rng.random() < 0.35:  # the left lobe hangs down in front
            hanging = deep - float(rng.uniform(25, 60))
            parts += [part((float(rng.uniform(-35, 25)), 60, hanging), (36, 20 * thick, 36), (-8, 0, 0), left, bare)]
        if reach < -75:
            parts += [part((reach, 20, -38), (22, 38, 22), (0, 0, 10), left, bare)]
    caudate = 1.4 if condition is Condition.CIRRHOSIS else 1.0
    parts += [ellipsoid(rng, (24, -14, -60), (17 * caudate, 17 * caudate, 26 * caudate))]
    return Union(tuple(parts), float(rng.uniform(12, 30)))


def _hollows(body: Body) -> list[tuple[Shape, float]]:
    """Return shapes that the liver has not: the hilum, fissures, and impressions of its neighbours."""
    rng = body.rng("hollows")
    deep, groove, spine = (float(rng.uniform(*limits)) for limits in ((40, 60), (5, 13), (22, 34)))
    hollows: list[tuple[Shape, float]] = [
        (ellipsoid(rng, (20, 12, -142), (52, 56, deep), (0, float(rng.normal(0, 8)), 0), 8.0), 14.0),
        (Capsule((10, -56, 30), (16, -58, -240), spine, spine), 6.0),
        (Capsule(near(rng, (24, -22, -20), 2), near(rng, (26, -25, -140), 3), groove, groove), 3.0),
    ]
    if rng.random() < 0.55:
        wide = float(rng.uniform(1, 5))
        turn = float(rng.normal(-10, 15))
        hollows.append(
            (
                ellipsoid(
                    rng,
                    (6, 42, -88),
                    (wide, float(rng.uniform(15, 32)), float(rng.uniform(15, 45))),
                    (0, 0, turn),
                    10.0,
                ),
                2.0,
            )
        )
    if rng.random() < 0.6:
        hollows.append((ellipsoid(rng, (22, 8, -72), (float(rng.uniform(14, 30)), 5, 18), (0, 0, -20), 6.0), 3.0))
    if rng.random() < 0.3:
        place = (float(rng.uniform(-40, 120)), float(rng.uniform(-70, 80)), float(rng.uniform(-140, -10)))
        hollows.append((ellipsoid(rng, place, tuple(rng.uniform(8, 30, 3))), 8.0))
    return hollows


def _paint_gallbladder(body: Body) -> None:
    rng, hu = body.rng("gallbladder"), body.tissues
    if rng.random() < 0.2:
        return
    size = float(rng.uniform(0.6, 1.35))
    shape = ellipsoid(rng, (48, 42, -112), (15 * size, 20 * size, 28 * size), (20, 0, 0), 9.0)
    body.canvas.shape(shape, (0.0, hu["wall"]), (-2.0, hu["bile"]), within=body.abdomen)


def _paint_liver_vessels(body: Body, depth: Field, window: Window) -> None:
    """Paint veins in the liver; the trunks of the portal vein at the hilum do not belong to the organ's label."""
    rng, hu, canvas = body.rng("liver_vessels"), body.tissues, body.canvas
    visible = np.float32(rng.uniform(0.08, 0.4))
    tubes = body.tubes[window] - visible
    tubes *= np.float32(9)
    np.maximum(tubes, depth + 3, out=tubes)
    kind = np.where(body.space.wide[1][window] > 0, np.float32(hu["portal"]), np.float32(hu["vein"]))
    canvas.paint(tubes, kind, window, label=None)
    wide = float(rng.uniform(0.6, 1.3))
    for name, start, end, radius, label in (
        ("portal", (20, 2, -86), (36, 10, -76), 6.5, Structure.BACKGROUND),
        ("portal", (36, 10, -76), (60, 4, -74), 5.5, Structure.BACKGROUND),
        ("portal", (60, 4, -74), (92, 26, -58), 4.5, None),
        ("portal", (60, 4, -74), (96, -30, -90), 4.5, None),
        ("portal", (34, 10, -76), (-4, 44, -58), 4.5, None),
        ("vein", (26, -18, -26), (96, -18, -64), 4.5, None),
        ("vein", (24, -16, -26), (54, 38, -64), 4.5, None),
        ("vein", (22, -16, -26), (-16, 40, -38), 4.0, None),
    ):
        tube = canvas.depth(Capsule(near(rng, start, 3), near(rng, end, 7), radius * wide, radius * wide * 0.7))
        if tube is None:
            continue
        vessel, part = tube
        inside = canvas.labels[part] == Structure.LIVER
        vessel[~inside] = 9
        canvas.paint(vessel, hu[name], part, label=label)


def _paint_lesions(body: Body, depth: Field, window: Window) -> None:
    """Paint cysts, metastases and other lesions inside an organ; its label includes them."""
    rng, hu = body.rng("lesions"), body.tissues
    for _ in range(int(rng.choice([0, rng.poisson(1.5), rng.poisson(7)], p=[0.5, 0.38, 0.12]))):
        place = (float(rng.uniform(-20, 115)), float(rng.uniform(-50, 60)), float(rng.uniform(-140, -15)))
        big = float(rng.uniform(3, 14) if rng.random() < 0.8 else rng.uniform(14, 45))
        lesion = ellipsoid(rng, place, (big, big, big))
        density = (
            hu["fluid"]
            if rng.random() < 0.35
            else hu["liver"] + float(rng.choice([-1, 1], p=[0.8, 0.2]) * rng.uniform(12, 70))
        )
        lower, upper = lesion.box()
        inner = inner_window(body, window, lower - 4, upper + 4)
        if inner is None:
            continue
        part = tuple(slice(w.start + i.start, w.start + i.stop) for w, i in zip(window, inner, strict=True))
        found = lesion.depth(body.space.grid((part[0], part[1], part[2])))
        found = np.maximum(found, depth[inner])
        body.canvas.paint(found, density, (part[0], part[1], part[2]), label=None)
