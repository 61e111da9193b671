"""Densities in HU of one scan: contrast phase, dose of contrast agent and tube voltage, liver fat, bowel contents."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from liverspleen.phantom.traits import Condition

PHASES = ("unenhanced", "arterial", "portal venous", "delayed")
_FREQUENCY = (0.18, 0.2, 0.48, 0.14)

# Enhancement in HU at the usual dose and 120 kVp, least and most in the phases of PHASES.
_ENHANCEMENT: dict[str, tuple[tuple[float, float], ...]] = {
    "liver": ((0, 0), (4, 30), (32, 75), (20, 52)),
    "spleen": ((0, 0), (35, 110), (48, 95), (25, 60)),
    "artery": ((0, 0), (140, 320), (75, 140), (45, 85)),
    "portal": ((0, 0), (5, 130), (90, 150), (45, 85)),
    "vein": ((0, 0), (0, 50), (75, 140), (45, 85)),
    "cava": ((0, 0), (5, 110), (50, 130), (45, 85)),
    "heart": ((0, 0), (60, 230), (70, 125), (40, 80)),
    "cortex": ((0, 0), (60, 180), (70, 170), (60, 150)),
    "medulla": ((0, 0), (10, 70), (60, 170), (60, 160)),
    "pelvis": ((0, 0), (0, 20), (0, 60), (100, 900)),
    "pancreas": ((0, 0), (35, 90), (35, 75), (20, 50)),
    "wall": ((0, 0), (15, 70), (25, 65), (15, 45)),
    "muscle": ((0, 0), (0, 12), (4, 22), (4, 22)),
}
_BLOOD = ("artery", "portal", "vein", "cava", "heart")


@dataclass(frozen=True)
class Tissues:
    """Densities in HU of one scan."""

    phase: str
    hu: dict[str, float]

    def __getitem__(self, tissue: str) -> float:
        """Return the density of a tissue."""
        return self.hu[tissue]


def draw_tissues(condition: Condition, rng: np.random.Generator) -> Tissues:
    """Sample the densities of one scan in a random contrast phase.

    >>> draw_tissues(Condition.HEALTHY, np.random.default_rng(1))["fat"] < -80
    True
    """
    which = int(rng.choice(len(PHASES), p=_FREQUENCY))
    dose = float(rng.uniform(0.65, 1.5))
    blood = float(rng.uniform(32, 52))
    base = {
        "liver": _unenhanced_liver(condition, rng),
        "spleen": rng.normal(47, 5),
        **dict.fromkeys(_BLOOD, blood),
        "cortex": rng.normal(32, 4),
        "medulla": rng.normal(30, 4),
        "pelvis": rng.uniform(0, 20),
        "pancreas": rng.uniform(15, 48),
        "wall": rng.uniform(25, 48),
        "muscle": rng.uniform(38, 62),
    }
    hu = {
        tissue: float(start + dose * rng.uniform(*_ENHANCEMENT[tissue][which]) + rng.normal(0, 3))
        for tissue, start in base.items()
    }
    if rng.random() < 0.1:  # other timing, disease, or beam quality
        hu["liver"], hu["spleen"] = (float(v) for v in rng.uniform(25, 190, 2))
    hu |= {
        "fat": float(rng.uniform(-118, -88)),
        "skin": float(rng.uniform(-20, 60)),
        "lung": float(rng.uniform(-920, -720)),
        "bone": float(rng.uniform(450, 1100)),
        "marrow": float(rng.uniform(100, 330)),
        "disc": float(rng.uniform(50, 120)),
        "fluid": float(rng.uniform(-5, 25)),
        "bile": float(rng.uniform(-8, 35) if rng.random() < 0.93 else rng.uniform(60, 300)),
        "gas": float(rng.uniform(-1000, -850)),
        "oral": float(rng.choice([rng.uniform(100, 250), rng.uniform(250, 700)])),
    }
    return Tissues(PHASES[which], hu)


def _unenhanced_liver(condition: Condition, rng: np.random.Generator) -> float:
    if condition is Condition.FATTY:
        return float(rng.uniform(-10, 42))
    draw = rng.random()
    if draw < 0.12:
        return float(rng.uniform(28, 48))
    return float(rng.uniform(66, 95) if draw > 0.95 else rng.normal(57, 6))
