"""The abdomen of one patient as solids in world mm, and the true volumes of the labelled organs."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from liverspleen.organs import Structure
from liverspleen.phantom.composites import Intersection
from liverspleen.phantom.contents import CONTENTS, LABELLED
from liverspleen.phantom.frame import Frame
from liverspleen.phantom.painting import Solid, paint
from liverspleen.phantom.patient import Patient, draw_form
from liverspleen.phantom.shapes import Grid
from liverspleen.phantom.torso import chest_solids, diaphragm, inner_wall, spine_solids, wall_solids
from liverspleen.phantom.traits import Condition, draw_densities, draw_habitus
from liverspleen.phantom.viscera import great_vessel_solids

__all__ = ["Anatomy", "Condition", "draw_anatomy", "true_volumes_cm3"]


@dataclass(frozen=True)
class Anatomy:
    """A patient as solids in the order of painting; later solids cover earlier ones."""

    condition: Condition
    seed: tuple[int, ...]
    solids: tuple[Solid, ...]
    trunk_size_mm: tuple[float, float]  # width and depth, skin to skin

    def organ_box(self, organ: Structure) -> NDArray[np.float64]:
        """Return the corners (2, 3) in mm of a box around an organ."""
        boxes = [solid.box() for solid in self.solids if any(layer.label == organ for layer in solid.layers)]
        return np.stack([np.min([b[0] for b in boxes], axis=0), np.max([b[1] for b in boxes], axis=0)])

    @property
    def z_range_mm(self) -> tuple[float, float]:
        """Lowest and highest z that a labelled organ can reach."""
        boxes = [self.organ_box(organ) for organ in LABELLED]
        return float(min(box[0, 2] for box in boxes)), float(max(box[1, 2] for box in boxes))


def draw_anatomy(condition: Condition, seed: int | tuple[int, ...]) -> Anatomy:
    """Sample the abdomen of one patient; the same condition and seed give the same patient.

    >>> draw_anatomy(Condition.CIRRHOSIS, 7).condition
    <Condition.CIRRHOSIS: 'cirrhosis'>
    """
    entropy = seed if isinstance(seed, tuple) else (seed,)
    rng = np.random.default_rng(entropy)
    hu, habitus = draw_densities(condition, rng), draw_habitus(condition, rng)
    frame = Frame.of(habitus, rng)
    form = draw_form(condition, rng)
    inner = inner_wall(habitus, rng)
    roof = diaphragm(frame, right_drop_mm=18.0 if form.missing == "right" else 0.0)
    patient = Patient(condition, form, frame, Intersection((inner, roof)), hu)
    solids = (
        wall_solids(habitus, inner, hu, rng)
        + chest_solids(frame, inner, roof, hu)
        + [solid for content in CONTENTS for solid in content.draw(patient)]
        + spine_solids(frame, inner, hu)
        + great_vessel_solids(frame, hu)
    )
    skin = next(solid for solid in solids if solid.name == "skin").box()
    width, depth = (float(skin[1, axis] - skin[0, axis]) for axis in (0, 1))
    return Anatomy(condition, entropy, tuple(solids), (width, depth))


def true_volumes_cm3(anatomy: Anatomy) -> dict[str, float]:
    """Return the volume in cm³ of each labelled organ, without vessels and focal lesions, by structure.

    It is the number of points of a fine lattice in the organ times the volume of a lattice cell, and does not depend on
    an acquisition. The origin of the lattice is random (from the anatomy's seed), so it matches no voxel grid.
    """
    volumes = {}
    origin = np.random.default_rng((*anatomy.seed, 1)).uniform(size=3)
    for organ in LABELLED:
        step = next(content.truth_step_mm for content in CONTENTS if content.organ is organ)
        lower, upper = anatomy.organ_box(organ)
        axes = [
            np.arange(low + shift * step, high, step) for low, high, shift in zip(lower, upper, origin, strict=True)
        ]
        first = next(i for i, s in enumerate(anatomy.solids) if any(x.label == organ for x in s.layers))
        _, label = paint(anatomy.solids[first:], Grid.of(*axes))
        volumes[organ.key] = float(np.count_nonzero(label == organ)) * step**3 / 1000
    return volumes
