"""Scanners, and the position of a patient in a scanner."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from liverspleen.phantom.anatomy import Anatomy
from liverspleen.phantom.traits import bounded_normal

_THICKNESS_MM = (1.0, 1.25, 1.5, 2.0, 2.5, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0)
_USUAL_MM = 5.0  # paper: mostly 5 mm slices


@dataclass(frozen=True)
class Scanner:
    """Properties of a device and its protocol."""

    matrix: int
    slice_thickness_mm: float
    noise_sd_hu: float
    kernel_cutoff_per_mm: float  # soft 0.3, sharp 0.6: sharper images with finer and stronger noise
    hu_offset: float = 0.0


@dataclass(frozen=True)
class Acquisition:
    """A scan of one patient: contiguous axial slices upwards from `bottom_mm`, the lower face of the first slice."""

    scanner: Scanner
    field_of_view_mm: float
    centre_mm: tuple[float, float]
    bottom_mm: float
    slice_count: int
    seed: tuple[int, ...] = (0,)

    @property
    def pixel_mm(self) -> float:
        """Edge of a pixel."""
        return self.field_of_view_mm / self.scanner.matrix


def draw_scanner(
    seed: int | tuple[int, ...], *, matrix: int, thickness_mm: tuple[float, float], external: bool = False
) -> Scanner:
    """Sample a scanner with a slice thickness within the bounds, mostly 5 mm; external scanners vary more.

    >>> draw_scanner(1, matrix=128, thickness_mm=(5.0, 5.0)).slice_thickness_mm
    5.0
    """
    rng = np.random.default_rng(seed)
    low, high = thickness_mm
    choices = [t for t in _THICKNESS_MM if low <= t <= high] or [(low + high) / 2]
    weights = np.array([len(choices) if t == _USUAL_MM else 1.0 for t in choices])
    thickness = float(rng.choice(choices, p=weights / weights.sum()))
    # half the thickness gives √2 times the noise (quanta per voxel); protocols compensate for a part of it
    noise = bounded_normal(rng, 10.0, 2.0, 6.0, 15.0) * (_USUAL_MM / thickness) ** 0.25
    spread = 1.5 if external else 1.0
    return Scanner(
        matrix=matrix,
        slice_thickness_mm=thickness,
        noise_sd_hu=noise * (1.15 if external else 1.0),
        kernel_cutoff_per_mm=float(rng.uniform(0.3, 0.45 * spread)),
        hu_offset=float(rng.normal(0, 1.5 * spread)),
    )


def plan_acquisition(anatomy: Anatomy, scanner: Scanner, seed: tuple[int, ...]) -> Acquisition:
    """Sample an acquisition of the patient: complete liver and spleen, off centre, with a random field of view."""
    rng = np.random.default_rng(seed)
    bottom, top = anatomy.z_range_mm
    bottom -= float(rng.uniform(1.0, 75.0)) + scanner.slice_thickness_mm
    top += float(rng.uniform(1.0, 50.0)) + scanner.slice_thickness_mm
    width, depth = anatomy.trunk_size_mm
    field = max(width, depth) * float(rng.uniform(1.03, 1.2))
    slack = field - width
    centre = (float(rng.uniform(-0.35, 0.35)) * slack, float(rng.uniform(-18, 14)))
    count = int(np.ceil((top - bottom) / scanner.slice_thickness_mm))
    return Acquisition(scanner, field, centre, bottom, count, (*seed, 1))
