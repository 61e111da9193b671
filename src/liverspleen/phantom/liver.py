"""The liver: two lobes below the right dome, vessels and focal lesions."""

from __future__ import annotations

from liverspleen.organs import Structure
from liverspleen.phantom.composites import Grown, Intersection, Outside, Union, Waves, Wavy
from liverspleen.phantom.frame import Frame
from liverspleen.phantom.painting import Layer, Solid
from liverspleen.phantom.patient import LiverForm, Patient
from liverspleen.phantom.shapes import Ellipsoid, HalfSpace, Shape, Triple, as_triple
from liverspleen.phantom.traits import Condition, Densities


def _lobes(form: LiverForm, frame: Frame) -> Shape:
    """Return the lobes blended into one shape, before neighbouring organs cut it."""
    shift, tilt = frame.scatter(), tuple(frame.rng.normal(0, 7, 3))
    under_dome: Triple = (95.0, 10.0, -15.0)
    bare_area: Triple = (10.0, 30.0, -30.0)

    def right(centre: Triple, axes: Triple, extra: Triple = (0.0, 0.0, 0.0)) -> Ellipsoid:
        turned = (tilt[0] + extra[0], tilt[1] + extra[1], tilt[2] + extra[2])
        return frame.ellipsoid(centre, axes, turned, shift=shift, scale=form.right, anchor=under_dome)

    def left(centre: Triple, axes: Triple, extra: Triple) -> Ellipsoid:
        turned = (tilt[0] + extra[0], tilt[1] + extra[1], tilt[2] + extra[2])
        return frame.ellipsoid(centre, axes, turned, shift=shift, scale=form.left, anchor=bare_area)

    tip = float(frame.rng.uniform(-158, -106))
    main = [right((76, -4, -70), (58, 70, 68)), right((98, 0, tip), (27, 42, 52), (0, 8, 0))]
    lateral = [
        left((8, 46, -50), (60, 36, 36), (0, 0, 10)),
        left((-42, 50, -42), (54, 27, 25), (0, 12, -12)),
    ]
    caudate = frame.ellipsoid((24, -16, -58), (17, 17, 26), shift=shift, scale=form.caudate)
    if form.missing == "right":
        medial = left((40, 22, -66), (50, 52, 54), (0, 0, 20))
        return Union((medial, *lateral, caudate), 16.0)
    if form.missing == "left":
        cut = HalfSpace(frame.at((float(frame.rng.uniform(20, 34)), 0, 0)), (-0.94, 0.33, 0.08))
        return Intersection((Union((*main, lateral[0], caudate), 18.0), cut), 14.0)
    return Union((*main, *lateral, caudate), 18.0)


def liver_shape(form: LiverForm, frame: Frame, cavity: Shape) -> Shape:
    """Return the liver within the cavity, concave below, with the surface of its condition."""
    rng = frame.rng
    hilum = frame.ellipsoid(
        (22, 12, -140), (52, 56, float(rng.uniform(42, 56))), (0, float(rng.normal(0, 8)), 0), shift=frame.scatter()
    )
    lobes = Wavy(_lobes(form, frame), Waves.draw(rng, count=8, wavelength_mm=85, total_mm=2.6))
    hollowed = Intersection((lobes, Outside(hilum)), 14.0)
    gap = 0.3 + 2.5 * form.nodules_mm + 0.7 * form.ascites_mm
    kept = Intersection((hollowed, Grown(cavity, -gap)), 5.0)
    if form.nodules_mm == 0:
        return kept
    nodules = Waves.draw(rng, count=14, wavelength_mm=form.nodule_wavelength_mm, total_mm=form.nodules_mm)
    return Wavy(kept, nodules)


def _vessels(frame: Frame, hu: Densities) -> list[Solid]:
    """Return the portal and hepatic veins inside the liver, which are excluded from its label."""
    shift = frame.scatter()
    portal: list[tuple[list[Triple], list[float]]] = [
        ([(18, 2, -86), (34, 10, -76), (58, 4, -74)], [6.5, 6.0, 5.2]),
        ([(58, 4, -74), (78, 22, -66), (92, 34, -56)], [5.2, 4.6, 3.6]),
        ([(58, 4, -74), (80, -20, -84), (98, -34, -92)], [5.2, 4.6, 3.6]),
        ([(30, 10, -78), (12, 34, -62), (-8, 48, -54)], [5.4, 4.6, 3.6]),
    ]
    hepatic: list[tuple[list[Triple], list[float]]] = [
        ([(26, -22, -28), (60, -22, -40), (96, -18, -66)], [5.6, 5.0, 3.4]),
        ([(24, -18, -28), (40, 16, -40), (54, 40, -66)], [5.4, 4.8, 3.4]),
        ([(22, -18, -28), (6, 18, -32), (-18, 42, -38)], [5.2, 4.6, 3.4]),
    ]
    caliber = float(frame.rng.uniform(1.0, 1.25))
    solids = []
    for name, tree, density in (("portal vein", portal, hu.blood), ("hepatic vein", hepatic, hu.blood - 6)):
        for points, radii in tree:
            scattered = [as_triple(p + frame.rng.normal(0, 3) * (i > 0) for p in q) for i, q in enumerate(points)]
            for part in frame.tube(scattered, [caliber * r for r in radii], shift=shift):
                solids.append(Solid(name, part, (Layer(0.0, density),), carves=Structure.LIVER))
    return solids


def _lesions(condition: Condition, frame: Frame, hu: Densities) -> list[Solid]:
    """Return focal lesions, which are excluded from the liver's label: cysts, and tumours that differ in density."""
    rng = frame.rng
    chronic = condition in (Condition.CLD, Condition.CIRRHOSIS)
    solids = []
    for _ in range(int(rng.binomial(3, 0.3 if chronic else 0.22))):
        centre = (float(rng.uniform(30, 105)), float(rng.uniform(-45, 45)), float(rng.uniform(-120, -30)))
        radius = float(rng.uniform(8, 20))
        density = float(rng.uniform(0, 18))
        if chronic or rng.random() < 0.3:
            density = hu.liver + float(rng.choice([-1, 1])) * float(rng.uniform(32, 45))
        ball = frame.ellipsoid(centre, (radius, radius * float(rng.uniform(0.8, 1.2)), radius), shift=frame.scatter())
        solids.append(Solid("focal lesion", ball, (Layer(0.0, density),), carves=Structure.LIVER))
    return solids


def liver_solids(patient: Patient) -> list[Solid]:
    """Return the liver with surrounding fat or fluid, gallbladder, vessels and lesions, in the order of painting."""
    form, frame, cavity, hu, rng = patient.form, patient.frame, patient.cavity, patient.hu, patient.frame.rng
    shape = liver_shape(form, frame, cavity)
    fluid = (Layer(form.ascites_mm, 8.0),) if form.ascites_mm else ()
    # a plane of fat on a part of the surface only: elsewhere the liver touches other organs
    plane = Layer(float(rng.uniform(-2.0, 0.6)), hu.fat, waves=Waves.draw(rng, count=5, wavelength_mm=70, total_mm=1.6))
    layers = (*fluid, plane, Layer(0.0, hu.liver, Structure.LIVER))
    solids = [Solid("liver", shape, layers, within=cavity)]
    if form.missing != "right" and rng.random() < 0.85:
        bladder = frame.ellipsoid((48, 40, -112), (15, 20, 28), (20, 0, 0), shift=frame.scatter())
        solids.append(Solid("gallbladder", bladder, (Layer(0.0, hu.bowel_wall), Layer(-2.0, hu.bile)), within=cavity))
    return solids + _vessels(frame, hu) + _lesions(patient.condition, frame, hu)
