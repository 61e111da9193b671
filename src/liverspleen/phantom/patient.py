"""Properties of one patient from which the shapes of the organs are sampled."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from liverspleen.phantom.frame import Frame
from liverspleen.phantom.shapes import Shape
from liverspleen.phantom.traits import Condition, Densities, bounded_normal


@dataclass(frozen=True)
class LiverForm:
    """Effect of a condition on the shape; scales are linear, 1 for the healthy liver."""

    right: float
    left: float
    caudate: float
    nodules_mm: float  # standard deviation of the surface's height
    nodule_wavelength_mm: float
    ascites_mm: float  # fluid around the organ, 0 without
    missing: str  # "", "right" or "left": the lobe that was resected


def draw_form(condition: Condition, rng: np.random.Generator) -> LiverForm:
    """Sample the form of the liver in a condition."""
    size = bounded_normal(rng, 1.03, 0.05, 0.93, 1.13)
    left = size * float(rng.uniform(0.8, 1.3))
    if condition is Condition.FATTY:
        return LiverForm(size * 1.06, left * 1.06, 1.0, 0.0, 30.0, 0.0, "")
    if condition is Condition.CLD:
        return LiverForm(size, left * 1.03, 1.1, 0.7, 22.0, 0.0, "")
    if condition is Condition.CIRRHOSIS:
        ascites = float(rng.uniform(4, 11)) if rng.random() < 0.4 else 0.0
        shrunk = float(rng.uniform(0.85, 0.94))
        return LiverForm(
            size * shrunk,
            max(left, 0.95) * 1.1,
            1.5,
            float(rng.uniform(1.4, 2.2)),
            float(rng.uniform(15, 22)),
            ascites,
            "",
        )
    if condition is Condition.POST_HEPATECTOMY:
        missing = str(rng.choice(["right", "right", "left"]))
        regrown = float(np.clip(left, 0.9, 1.1)) * 1.35 if missing == "right" else min(left, 1.0) * 1.1
        return LiverForm(size * 0.99, regrown, 1.15, 0.0, 30.0, 0.0, missing)
    return LiverForm(size, left, 1.0, 0.0, 30.0, 0.0, "")


@dataclass(frozen=True)
class Patient:
    """Properties that the organs of one patient share; `frame` has the random generator that places them."""

    condition: Condition
    form: LiverForm
    frame: Frame
    cavity: Shape  # of the abdomen: below the diaphragm, inside the wall
    hu: Densities
