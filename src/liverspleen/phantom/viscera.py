"""Stomach, bowel, pancreas, kidneys and great vessels, whose densities overlap with those of liver and spleen."""

from __future__ import annotations

import numpy as np

from liverspleen.phantom.composites import Grown, Intersection, Union, Waves, Wavy
from liverspleen.phantom.frame import Frame
from liverspleen.phantom.painting import Layer, Solid
from liverspleen.phantom.patient import Patient
from liverspleen.phantom.shapes import Capsule, Ellipsoid, HalfSpace, Shape, Triple, as_triple
from liverspleen.phantom.traits import Densities

_GAS_HU = -900.0


def _gut(name: str, parts: list[Capsule], cavity: Shape, wall: float, contents: list[float]) -> list[Solid]:
    """Return a piece of gut: all walls first, then all contents, so that the lumen is continuous."""
    walls = [Solid(name, part, (Layer(0.0, wall),), within=cavity) for part in parts]
    lumen = [
        Solid(name, part, (Layer(-3.5, content),), within=cavity) for part, content in zip(parts, contents, strict=True)
    ]
    return walls + lumen


def _content(hu: Densities, rng: np.random.Generator) -> float:
    """Sample the density of the content of a piece of bowel: oral contrast agent if given, else food and stool."""
    return float(rng.uniform(15, 100)) if hu.oral_contrast is None else hu.oral_contrast + float(rng.normal(0, 10))


def _bubbles(part: Capsule, cavity: Shape, rng: np.random.Generator) -> list[Solid]:
    """Return gas bubbles in stool."""
    start, end = np.array(part.start), np.array(part.end)
    solids = []
    for _ in range(int(np.linalg.norm(end - start) / 9)):
        spread = 0.55 * min(part.start_radius_mm, part.end_radius_mm)
        x, y, z = start + rng.random() * (end - start) + rng.uniform(-spread, spread, 3)
        bubble = Ellipsoid((float(x), float(y), float(z)), (float(rng.uniform(2, 5)),) * 3)
        solids.append(Solid("stool gas", bubble, (Layer(0.0, -650.0),), within=cavity))
    return solids


def bowel_solids(patient: Patient) -> list[Solid]:
    """Return colon, duodenum and small bowel; the colon is higher if the right lobe of the liver is missing."""
    frame, cavity, hu, rng = patient.frame, patient.cavity, patient.hu, patient.frame.rng
    lift = 55.0 if patient.form.missing == "right" else 0.0
    colon: list[Triple] = [
        (98, -18, -235),
        (98, -8, -185 + lift),
        (84, 26, -160 + lift),
        (45, 62, -168),
        (0, 70, -150),
        (-50, 62, -132),
        (-92, 30, -116),
        (-108, -8, -140),
        (-106, -24, -190),
        (-104, -26, -250),
    ]
    radii = [float(r) for r in rng.uniform(18, 29, len(colon))]
    parts = frame.tube(colon, radii, shift=frame.scatter())
    stool = [_GAS_HU if rng.random() < 0.15 else _content(hu, rng) for _ in parts]
    solids = _gut("colon", parts, cavity, hu.bowel_wall, stool)
    for part in parts:
        solids += _bubbles(part, cavity, rng)
    duodenum = frame.tube([(30, 34, -102), (50, 8, -118), (46, -6, -155), (0, -6, -165)], [13, 13, 14, 12])
    solids += _gut("duodenum", duodenum, cavity, hu.bowel_wall, [_content(hu, rng) for _ in duodenum])
    for n in range(38):
        # the first loops are jejunum: in the left upper abdomen, between stomach, kidney and spleen
        span = ((-105, -50), (-25, 40), (-150, -95)) if n < 6 else ((-90, 85), (-12, 72), (-250, -118))
        start = np.array([rng.uniform(*along) for along in span])
        end = start + rng.normal(0, 26, 3)
        radius = float(rng.uniform(12, 19))
        ends = [as_triple(p) for p in (start, (start + end) / 2 + rng.normal(0, 8, 3), end)]
        loop = frame.tube(ends, [radius] * 3)
        solids += _gut("small bowel", loop, cavity, hu.bowel_wall, [_content(hu, rng)] * 2)
    return solids


def stomach_solids(patient: Patient) -> list[Solid]:
    """Return the stomach, with gas above fluid or food in the supine patient."""
    frame, cavity, hu, rng = patient.frame, patient.cavity, patient.hu, patient.frame.rng
    shift = frame.scatter()
    full = float(rng.uniform(0.9, 1.25))
    parts = tuple(
        frame.ellipsoid(centre, axes, tilt, shift=shift, scale=full)
        for centre, axes, tilt in (
            ((-54, -8, -48), (36, 36, 34), (0, 0, 0)),
            ((-62, 32, -78), (32, 28, 40), (20, 0, 0)),
            ((-18, 48, -108), (42, 22, 22), (0, -20, 0)),
        )
    )
    shape = Wavy(Union(parts, 18.0), Waves.draw(rng, count=6, wavelength_mm=60, total_mm=1.5))
    solids = [Solid("stomach", shape, (Layer(0.0, hu.bowel_wall), Layer(-4.5, hu.gastric_content)), within=cavity)]
    if rng.random() < 0.7:
        level = frame.at((0, float(rng.uniform(38, 62)), 0))[1]
        above = HalfSpace((0.0, level, 0.0), (0.0, -1.0, 0.0))
        solids.append(Solid("gastric gas", Intersection((Grown(shape, -4.5), above)), (Layer(0.0, _GAS_HU),), cavity))
    return solids


def pancreas_solids(patient: Patient) -> list[Solid]:
    """Return the pancreas, from the duodenum to the splenic hilum."""
    frame = patient.frame
    line: list[Triple] = [(34, 10, -122), (8, 20, -104), (-30, 6, -92), (-66, -18, -80)]
    parts = tuple(frame.tube(line, [15, 11, 10, 9], shift=frame.scatter()))
    shape = Wavy(Union(parts, 4.0), Waves.draw(frame.rng, count=6, wavelength_mm=18, total_mm=1.2))
    return [Solid("pancreas", shape, (Layer(0.0, patient.hu.pancreas),), within=patient.cavity)]


def kidney_solids(patient: Patient) -> list[Solid]:
    """Return both kidneys with a partial capsule of fat, cortex, medulla and sinus; the right kidney is lower."""
    frame, cavity, hu, rng = patient.frame, patient.cavity, patient.hu, patient.frame.rng
    solids = []
    for side, level in ((1, -128.0), (-1, -112.0)):
        shift, size = frame.scatter(), float(rng.uniform(0.9, 1.08))
        tilt = (float(rng.normal(0, 5)), side * -12.0, side * 25.0)
        body = frame.ellipsoid((side * 60.0, -44, level), (26, 30, 54), tilt, shift=shift, scale=size)
        sinus = frame.ellipsoid((side * 44.0, -36, level), (18, 10, 24), tilt, shift=shift, scale=size)
        capsule = Layer(
            float(rng.uniform(-2.0, 1.5)), hu.fat, waves=Waves.draw(rng, count=5, wavelength_mm=50, total_mm=2.0)
        )
        layers = (capsule, Layer(0.0, hu.kidney), Layer(-9.0, hu.kidney - 14))
        solids.append(Solid("kidney", body, layers, within=cavity))
        solids.append(Solid("renal sinus", sinus, (Layer(0.0, hu.fat + 15),), within=cavity))
    return solids


def great_vessel_solids(frame: Frame, hu: Densities) -> list[Solid]:
    """Return aorta, inferior vena cava, portal and splenic vein."""
    lines: list[tuple[str, list[Triple], list[float], float]] = [
        ("aorta", [(-14, -38, 80), (-12, -36, -80), (-8, -34, -260)], [12, 11, 9], hu.blood + 4),
        ("vena cava", [(20, 0, 18), (24, -24, -24), (26, -28, -90), (20, -30, -260)], [12, 12, 11, 11], hu.blood - 8),
        ("portal vein", [(4, 8, -104), (12, 4, -94), (22, 4, -84)], [7, 7, 6.5], hu.blood),
        ("splenic vein", [(4, 8, -104), (-34, 0, -90), (-76, -26, -76)], [6, 5, 4.5], hu.blood),
    ]
    return [
        Solid(name, part, (Layer(0.0, density),))
        for name, points, radii, density in lines
        for part in frame.tube(points, radii, shift=(0.0, 0.0, 0.0))
    ]
