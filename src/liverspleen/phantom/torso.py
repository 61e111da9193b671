"""Body wall, bones, muscles, lungs and heart."""

from __future__ import annotations

import numpy as np

from liverspleen.phantom.composites import Intersection, Outside, Waves
from liverspleen.phantom.frame import Frame
from liverspleen.phantom.painting import Layer, Solid
from liverspleen.phantom.shapes import Capsule, Ellipsoid, HalfSpace, Shape
from liverspleen.phantom.traits import Densities, Habitus
from liverspleen.phantom.trunk import BelowDiaphragm, Ribs, Wall


def inner_wall(habitus: Habitus, rng: np.random.Generator) -> Wall:
    """Sample the inner surface of the wall of chest and abdomen."""
    phase = float(rng.uniform(0, 2 * np.pi))
    return Wall(0.0, habitus.half_width_mm, habitus.half_depth_mm, float(rng.uniform(0.0, 0.04)), phase)


def _thicker(wall: Wall, lateral_mm: float, front_mm: float, back_mm: float) -> Wall:
    """Return the wall moved outwards by different amounts at the sides, in front and at the back."""
    return Wall(
        wall.centre_y_mm + (front_mm - back_mm) / 2,
        wall.half_width_mm + lateral_mm,
        wall.half_depth_mm + (front_mm + back_mm) / 2,
        wall.swell,
        wall.swell_phase,
    )


def wall_solids(habitus: Habitus, inner: Wall, hu: Densities, rng: np.random.Generator) -> list[Solid]:
    """Return couch, skin, subcutaneous fat, muscle, ribs, and the fat of the cavity."""
    muscle, fat = habitus.muscle_mm, habitus.fat_mm
    outer = _thicker(inner, muscle, muscle, muscle + 24)
    skin = _thicker(outer, fat + 2, fat * float(rng.uniform(0.7, 1.3)) + 2, fat * float(rng.uniform(0.5, 0.9)) + 2)
    back = skin.centre_y_mm - skin.half_depth_mm * (1 + skin.swell)
    couch = Ellipsoid((0.0, back - 6, -80.0), (210.0, 4.0, 900.0))
    ribs = Ribs(
        _thicker(inner, 7.5, 7.5, 9.5),
        6.0,
        float(rng.uniform(27, 33)),
        float(rng.uniform(0, 30)),
        float(rng.uniform(-150, -115)),
    )
    return [
        Solid("couch", couch, (Layer(0.0, -120.0),)),
        Solid("skin", skin, (Layer(0.0, 20.0), Layer(-2.0, hu.fat))),
        Solid("muscle", outer, (Layer(0.0, hu.muscle),)),
        Solid("ribs", ribs, (Layer(0.0, hu.bone), Layer(-1.8, hu.marrow))),
        Solid("cavity", inner, (Layer(0.0, hu.fat),)),
    ]


def diaphragm(frame: Frame, *, right_drop_mm: float) -> BelowDiaphragm:
    """Sample the diaphragm, the upper limit of the abdominal cavity."""
    rng = frame.rng
    left = float(rng.uniform(-24, -6))
    return BelowDiaphragm(
        frame.at((64, 4, 0), shift=(0, 0, -right_drop_mm)),
        frame.at((-66, -4, left)),
    )


def chest_solids(frame: Frame, inner: Wall, roof: BelowDiaphragm, hu: Densities) -> list[Solid]:
    """Return the muscle of the diaphragm, the lungs, and the heart above the left lobe of the liver."""
    muscle = float(frame.rng.uniform(1.5, 3.5))
    above = BelowDiaphragm(roof.right_apex_mm, roof.left_apex_mm, muscle)
    chest = Intersection((inner, Outside(above)))
    shift = frame.scatter()
    # fat in some places only: in others the heart touches the diaphragm, and the liver is below it
    fat_waves = Waves.draw(frame.rng, count=5, wavelength_mm=60, total_mm=2.0)
    epicardial = Layer(-1.6, hu.fat + 10, waves=fat_waves)
    heart = frame.ellipsoid((-10, 32, -8), (66, 52, 48), (0, 10, -20), shift=shift)
    ventricle = frame.ellipsoid((-30, 34, 8), (26, 22, 26), (0, 10, -20), shift=shift)
    atrium = frame.ellipsoid((18, 28, 12), (22, 24, 26), (0, 0, 0), shift=shift)
    return [
        Solid("diaphragm", inner, (Layer(0.0, hu.muscle),), within=Outside(roof)),
        Solid("lungs", chest, (Layer(0.0, hu.lung),)),
        Solid("mediastinum", frame.ellipsoid((0, -34, 40), (34, 40, 90)), (Layer(0.0, hu.fat),), within=chest),
        Solid("heart", heart, (epicardial, Layer(0.0, hu.blood - 28)), within=chest),
        Solid("chambers", ventricle, (Layer(0.0, hu.blood),), within=chest),
        Solid("chambers", atrium, (Layer(0.0, hu.blood - 5),), within=chest),
    ]


def spine_solids(frame: Frame, inner: Wall, hu: Densities) -> list[Solid]:
    """Return vertebrae with discs, the spinal canal, and the muscles along the spine."""
    rng, top, bottom = frame.rng, 150.0, -320.0
    y = -inner.half_depth_mm + 22.0
    pitch = 34.0 * frame.stretch[2]
    solids: list[Solid] = []

    def column(name: str, x: float, at: float, radius: float, *layers: Layer, top: float = top) -> None:
        solids.append(Solid(name, Capsule((x, at, bottom), (x, at, top), radius, radius), layers))

    for side in (-1.0, 1.0):
        column("paraspinal muscle", side * 32, y - 34, 27, Layer(0.0, hu.muscle))
        psoas = Capsule((side * 44, y + 4, bottom), (side * 26, y + 2, -110), 24, 10)
        solids.append(Solid("psoas", psoas, (Layer(2.0, hu.fat), Layer(0.0, hu.muscle))))
        crus = Ellipsoid((side * 17, y + 24, -60), (7, 12, 60))
        solids.append(Solid("crus", crus, (Layer(0.0, hu.muscle),)))
    column("disc", 0.0, y, 20, Layer(2.0, hu.fat), Layer(0.0, 88.0))
    offset = float(rng.uniform(0, pitch))
    for n in range(int((top - bottom) / pitch)):
        z = bottom + offset + n * pitch
        body: Shape = Intersection(
            (
                Capsule((0, y, z - 60), (0, y, z + 60), 20.5, 20.5),
                HalfSpace((0, 0, z + pitch / 2 - 4), (0, 0, 1.0)),
                HalfSpace((0, 0, z - pitch / 2 + 4), (0, 0, -1.0)),
            )
        )
        solids.append(Solid("vertebra", body, (Layer(0.0, hu.bone), Layer(-2.0, hu.marrow))))
    for side in (-1.0, 1.0):
        column("pedicle", side * 15, y - 22, 6, Layer(0.0, hu.bone - 150))
    column("lamina", 0.0, y - 38, 8, Layer(0.0, hu.bone - 150))
    column("spinal canal", 0.0, y - 25, 9, Layer(0.0, 30.0))
    return solids
