"""Phantoms of another hospital: weak enhancement, and another scanner."""

from __future__ import annotations

from dataclasses import replace

from liverspleen.imaging.geometry import Geometry
from liverspleen.imaging.volume import CTVolume, LabelMap
from liverspleen.phantom.anatomy import Anatomy, Condition, draw_anatomy
from liverspleen.phantom.rendering import render
from liverspleen.phantom.scanner import Scanner, draw_scanner, plan_acquisition


def draw_scan(
    condition: Condition,
    seed: tuple[int, ...],
    *,
    matrix: int,
    thickness_mm: tuple[float, float],
    weak: bool = False,
    other: bool = False,
) -> tuple[CTVolume, LabelMap]:
    """Sample a patient, a scanner and a scan; the same arguments give the same voxels.

    Args:
        condition: condition of the patient.
        seed: numbers that no other scan has.
        matrix: rows and columns of the image.
        thickness_mm: least and largest slice thickness.
        weak: with `weakly_enhanced`.
        other: with `other_scanner`.
    """
    anatomy = draw_anatomy(condition, (*seed, 1))
    scanner = draw_scanner((*seed, 10), matrix=matrix, thickness_mm=thickness_mm)
    anatomy = weakly_enhanced(anatomy) if weak else anatomy
    scanner = other_scanner(scanner) if other else scanner
    scan = render(anatomy, plan_acquisition(anatomy, scanner, (*seed, 20)))
    geometry = Geometry(scan.hu.shape[::-1], scan.affine)
    return CTVolume(scan.hu, geometry), LabelMap(scan.labels, geometry)


def other_scanner(scanner: Scanner) -> Scanner:
    """Return the scanner with twice the noise, a sharp kernel, and a calibration that is 10 HU lower."""
    return replace(
        scanner,
        noise_sd_hu=2 * scanner.noise_sd_hu,
        kernel_cutoff_per_mm=0.6,
        hu_offset=scanner.hu_offset - 10,
    )


def weakly_enhanced(anatomy: Anatomy) -> Anatomy:
    """Return the anatomy with 0.4 of the distance from 40 HU in each tissue of 40 to 250 HU."""
    return replace(
        anatomy,
        solids=tuple(
            replace(solid, layers=tuple(replace(layer, hu=weak_hu(layer.hu)) for layer in solid.layers))
            for solid in anatomy.solids
        ),
    )


def weak_hu(hu: float) -> float:
    """Return the density of a tissue after weak enhancement.

    >>> [weak_hu(hu) for hu in (-100.0, 34.0, 40.0, 140.0, 500.0)]
    [-100.0, 34.0, 40.0, 80.0, 500.0]
    """
    return 40 + 0.4 * (hu - 40) if 40 < hu <= 250 else hu
