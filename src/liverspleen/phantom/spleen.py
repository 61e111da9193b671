"""The spleen: a crescent at the left posterior wall, concave towards stomach and kidney."""

from __future__ import annotations

from liverspleen.organs import Structure
from liverspleen.phantom.composites import Grown, Intersection, Outside, Union, Waves, Wavy
from liverspleen.phantom.frame import Frame
from liverspleen.phantom.painting import Layer, Solid
from liverspleen.phantom.patient import Patient
from liverspleen.phantom.shapes import Shape, Triple
from liverspleen.phantom.traits import Condition, bounded_normal

# linear scale: mean, SD and bounds; the volume grows slightly slower than its cube, because the wall limits it
_SCALE = {
    Condition.HEALTHY: (1.0, 0.08, 0.86, 1.18),
    Condition.FATTY: (1.03, 0.08, 0.88, 1.2),
    Condition.CLD: (1.12, 0.08, 0.95, 1.3),
    Condition.CIRRHOSIS: (1.56, 0.12, 1.3, 1.85),
    Condition.POST_HEPATECTOMY: (1.1, 0.08, 0.92, 1.3),
}
_ANCHOR: Triple = (-112.0, -48.0, -38.0)


def spleen_shape(scale: float, frame: Frame, cavity: Shape, gap_mm: float) -> Shape:
    """Return the spleen of a linear scale within the cavity."""
    shift, rng = frame.scatter(), frame.rng
    tilt = tuple(rng.normal(0, 7, 3))
    slim = float(rng.uniform(0.78, 1.0))
    blobs = [
        ((-80, -60, -52), (32 * slim, 21, 34), (0, 0, 0)),
        ((-102, -40, -70), (23 * slim, 36, 46), (0, 10, 20)),
        ((-113, -6, -92), (17 * slim, 32, 36), (0, 15, 10)),
    ]
    parts = tuple(
        frame.ellipsoid(
            centre,
            axes,
            (turn[0] + tilt[0], turn[1] + tilt[1], turn[2] + tilt[2]),
            shift=shift,
            scale=scale,
            anchor=_ANCHOR,
        )
        for centre, axes, turn in blobs
    )
    body = Wavy(Union(parts, 14.0), Waves.draw(rng, count=8, wavelength_mm=60, total_mm=1.6))
    visceral = frame.ellipsoid((-54, -12, -74), (36, 36, 60), shift=shift, scale=scale**0.3, anchor=_ANCHOR)
    hollowed = Intersection((body, Outside(visceral)), 10.0)
    return Intersection((hollowed, Grown(cavity, -gap_mm)), 4.0)


def spleen_solids(patient: Patient) -> list[Solid]:
    """Return the spleen with surrounding fat or fluid."""
    frame, cavity, hu, rng = patient.frame, patient.cavity, patient.hu, patient.frame.rng
    ascites_mm = patient.form.ascites_mm
    scale = bounded_normal(rng, *_SCALE[patient.condition])
    shape = spleen_shape(scale, frame, cavity, 0.3 + 0.7 * ascites_mm)
    fluid = (Layer(ascites_mm, 8.0),) if ascites_mm else ()
    plane = Layer(float(rng.uniform(-2.0, 0.5)), hu.fat, waves=Waves.draw(rng, count=5, wavelength_mm=55, total_mm=1.5))
    layers = (*fluid, plane, Layer(0.0, hu.spleen, Structure.SPLEEN))
    return [Solid("spleen", shape, layers, within=cavity)]
