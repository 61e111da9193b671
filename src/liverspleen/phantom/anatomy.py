"""One patient's abdomen as solids in world millimetres, and the true volumes of liver and spleen."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from liverspleen.organs import ORGANS, Structure
from liverspleen.phantom.composites import Intersection
from liverspleen.phantom.frame import Frame
from liverspleen.phantom.liver import draw_form, liver_solids
from liverspleen.phantom.painting import Solid, paint
from liverspleen.phantom.shapes import Grid
from liverspleen.phantom.spleen import spleen_solids
from liverspleen.phantom.torso import chest_solids, diaphragm, inner_wall, spine_solids, wall_solids
from liverspleen.phantom.traits import Condition, draw_densities, draw_habitus
from liverspleen.phantom.viscera import (
    bowel_solids,
    great_vessel_solids,
    kidney_solids,
    pancreas_solids,
    stomach_solids,
)

__all__ = ["Anatomy", "Condition", "draw_anatomy", "true_volumes_cm3"]

# Lattice of the true volumes in mm. The count of lattice points in a smooth body errs by about the square root of the
# number of boundary cells: below 0.05 % of a liver, below 0.1 % of a small spleen.
_TRUTH_STEP_MM = {Structure.LIVER: 1.5, Structure.SPLEEN: 1.0}


@dataclass(frozen=True)
class Anatomy:
    """A patient without any grid: solids in the order of painting; later ones lie over earlier ones."""

    condition: Condition
    seed: tuple[int, ...]
    solids: tuple[Solid, ...]
    trunk_size_mm: tuple[float, float]  # width and depth, skin to skin

    def organ_box(self, organ: Structure) -> NDArray[np.float64]:
        """Corners (2, 3) in mm of a box around that organ."""
        boxes = [solid.box() for solid in self.solids if any(layer.label == organ for layer in solid.layers)]
        return np.stack([np.min([b[0] for b in boxes], axis=0), np.max([b[1] for b in boxes], axis=0)])

    @property
    def z_range_mm(self) -> tuple[float, float]:
        """Lowest and highest z that a part of liver or spleen can reach."""
        boxes = [self.organ_box(organ) for organ in ORGANS]
        return float(min(box[0, 2] for box in boxes)), float(max(box[1, 2] for box in boxes))


def draw_anatomy(condition: Condition, seed: int | tuple[int, ...]) -> Anatomy:
    """The abdomen of one patient; the same condition and seed give the same patient.

    >>> draw_anatomy(Condition.CIRRHOSIS, 7).condition
    <Condition.CIRRHOSIS: 'cirrhosis'>
    """
    entropy = seed if isinstance(seed, tuple) else (seed,)
    rng = np.random.default_rng(entropy)
    hu, habitus = draw_densities(condition, rng), draw_habitus(condition, rng)
    frame = Frame.of(habitus, rng)
    form = draw_form(condition, rng)
    right_missing = form.missing == "right"
    inner = inner_wall(habitus, rng)
    roof = diaphragm(frame, right_drop_mm=18.0 if right_missing else 0.0)
    cavity = Intersection((inner, roof))
    solids = (
        wall_solids(habitus, inner, hu, rng)
        + chest_solids(frame, inner, roof, hu)
        + bowel_solids(frame, cavity, hu, right_fossa_empty=right_missing)
        + stomach_solids(frame, cavity, hu)
        + pancreas_solids(frame, cavity, hu)
        + spleen_solids(condition, frame, cavity, hu, ascites_mm=form.ascites_mm)
        + liver_solids(condition, form, frame, cavity, hu)
        + kidney_solids(frame, cavity, hu)
        + spine_solids(frame, inner, hu)
        + great_vessel_solids(frame, hu)
    )
    skin = next(solid for solid in solids if solid.name == "skin").box()
    width, depth = (float(skin[1, axis] - skin[0, axis]) for axis in (0, 1))
    return Anatomy(condition, entropy, tuple(solids), (width, depth))


def true_volumes_cm3(anatomy: Anatomy) -> dict[str, float]:
    """Volume in cm³ of liver and spleen, vessels and focal lesions cut out, by structure.

    Points of a fine lattice that lie in the organ, times the lattice's cell: no acquisition is involved. The lattice
    lies askew to every acquisition (its origin is drawn from the anatomy's seed).
    """
    volumes = {}
    origin = np.random.default_rng((*anatomy.seed, 1)).uniform(size=3)
    for organ in ORGANS:
        step = _TRUTH_STEP_MM[organ]
        lower, upper = anatomy.organ_box(organ)
        axes = [
            np.arange(low + shift * step, high, step) for low, high, shift in zip(lower, upper, origin, strict=True)
        ]
        first = next(i for i, s in enumerate(anatomy.solids) if any(x.label == organ for x in s.layers))
        _, label = paint(anatomy.solids[first:], Grid.of(*axes))
        volumes[organ.key] = float(np.count_nonzero(label == organ)) * step**3 / 1000
    return volumes
