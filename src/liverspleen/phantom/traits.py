"""Condition, trunk sizes and densities of a patient."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

import numpy as np


class Condition(StrEnum):
    """The five groups of the paper, with their values in `cohort.csv`."""

    HEALTHY = "healthy"
    FATTY = "fatty"
    CLD = "cld"
    CIRRHOSIS = "cirrhosis"
    POST_HEPATECTOMY = "post_hepatectomy"


@dataclass(frozen=True)
class Densities:
    """Densities in HU of one patient in the portal venous phase."""

    liver: float
    spleen: float
    muscle: float
    fat: float
    blood: float
    kidney: float
    pancreas: float
    bowel_wall: float
    gastric_content: float
    oral_contrast: float | None  # density of the bowel's content, None without contrast
    bile: float
    bone: float
    marrow: float
    lung: float


@dataclass(frozen=True)
class Habitus:
    """Outer and inner size of the trunk; `height` scales everything along the body axis."""

    half_width_mm: float  # of the abdominal cavity
    half_depth_mm: float
    height: float
    muscle_mm: float
    fat_mm: float


# Mean at the usual enhancement, and bounds, in HU. The groups overlap with each other and, across patients, with
# muscle, bowel, pancreas, heart and kidney.
_LIVER_HU = {
    Condition.HEALTHY: (106, 80, 130),
    Condition.FATTY: (34, 6, 56),
    Condition.CLD: (98, 78, 128),
    Condition.CIRRHOSIS: (92, 70, 120),
    Condition.POST_HEPATECTOMY: (103, 78, 130),
}
_SPLEEN_HU = (114, 90, 140)


def bounded_normal(rng: np.random.Generator, mean: float, sd: float, low: float, high: float) -> float:
    """Sample a normal distribution, repeated until the value is within the bounds."""
    while not low <= (value := float(rng.normal(mean, sd))) <= high:
        pass
    return value


def draw_densities(condition: Condition, rng: np.random.Generator) -> Densities:
    """Sample the densities of a patient; contrast dose and timing change all enhancing tissues together."""
    enhancement = float(rng.uniform(0.8, 1.2))

    def enhanced(mean: float, sd: float, low: float, high: float) -> float:
        return float(np.clip(mean * enhancement + rng.normal(0, sd), low, high))

    mean, low, high = _LIVER_HU[condition]
    liver = enhanced(mean, 7, low, high)
    spleen = enhanced(_SPLEEN_HU[0], 7, *_SPLEEN_HU[1:])
    contrast = float(rng.uniform(110, 190)) if rng.random() < 0.7 else None
    food, water = float(rng.uniform(50, 115)), float(rng.uniform(5, 35))
    return Densities(
        liver=liver,
        spleen=spleen,
        muscle=bounded_normal(rng, 54 + 12 * enhancement, 6, 48, 88),
        fat=bounded_normal(rng, -102, 5, -115, -90),
        blood=max(enhanced(136, 6, 105, 175), liver + 28),
        kidney=enhanced(142, 14, 100, 195),
        pancreas=enhanced(95, 10, 65, 125),
        bowel_wall=enhanced(90, 10, 60, 125),
        gastric_content=contrast or (food if rng.random() < 0.4 else water),
        oral_contrast=contrast,
        bile=float(rng.uniform(0, 35)),
        bone=float(rng.uniform(420, 620)),
        marrow=float(rng.uniform(140, 220)),
        lung=float(rng.uniform(-880, -800)),
    )


def draw_habitus(condition: Condition, rng: np.random.Generator) -> Habitus:
    """Sample the trunk sizes; patients with fatty liver have more subcutaneous fat."""
    fat = rng.uniform(16, 38) if condition is Condition.FATTY else rng.uniform(7, 26)
    width = bounded_normal(rng, 129, 7, 114, 145)
    return Habitus(
        half_width_mm=width,
        half_depth_mm=width * float(rng.uniform(0.66, 0.78)),
        height=bounded_normal(rng, 1.0, 0.06, 0.88, 1.12),
        muscle_mm=float(rng.uniform(14, 24)),
        fat_mm=float(fat),
    )
