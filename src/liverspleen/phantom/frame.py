"""Scaling of a reference trunk to a patient: organs are defined for a cavity with half axes of 130 and 92 mm."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from liverspleen.phantom.shapes import Capsule, Ellipsoid, Triple
from liverspleen.phantom.traits import Habitus

_REFERENCE_MM = (130.0, 92.0)


@dataclass(frozen=True)
class Frame:
    """Scaling of reference positions and sizes to a patient; z = 0 is the apex of the right dome."""

    stretch: Triple
    jitter_mm: float
    rng: np.random.Generator

    @classmethod
    def of(cls, habitus: Habitus, rng: np.random.Generator, *, jitter_mm: float = 3.0) -> Frame:
        """Return the frame of a patient; positions of organs vary by `jitter_mm` (SD) along each axis."""
        width, depth = habitus.half_width_mm / _REFERENCE_MM[0], habitus.half_depth_mm / _REFERENCE_MM[1]
        return cls((width, depth, habitus.height), jitter_mm, rng)

    def at(self, point: Triple, *, shift: Triple = (0.0, 0.0, 0.0)) -> Triple:
        """Return the patient's point for a reference point, moved by `shift` mm."""
        x, y, z = (p * s + d for p, s, d in zip(point, self.stretch, shift, strict=True))
        return x, y, z

    def scatter(self) -> Triple:
        """Return a random shift in mm for one organ, at most 2 SD along each axis."""
        x, y, z = self.rng.normal(0, self.jitter_mm, 3).clip(-2 * self.jitter_mm, 2 * self.jitter_mm)
        return float(x), float(y), float(z)

    def ellipsoid(
        self,
        centre: Triple,
        semi_axes: Triple,
        tilt_deg: Triple = (0.0, 0.0, 0.0),
        *,
        shift: Triple = (0.0, 0.0, 0.0),
        scale: float = 1.0,
        anchor: Triple | None = None,
    ) -> Ellipsoid:
        """Return an ellipsoid of the reference trunk, scaled about `anchor` (its centre by default) and stretched."""
        fixed = centre if anchor is None else anchor
        x, y, z = (a + scale * (c - a) for c, a in zip(centre, fixed, strict=True))
        a, b, c = (scale * r * s for r, s in zip(semi_axes, self.stretch, strict=True))
        return Ellipsoid(self.at((x, y, z), shift=shift), (a, b, c), tilt_deg)

    def tube(self, points: list[Triple], radii_mm: list[float], *, shift: Triple = (0.0, 0.0, 0.0)) -> list[Capsule]:
        """Return capsules along a line of reference points, with a radius in mm at each point."""
        placed = [self.at(point, shift=shift) for point in points]
        joints = zip(placed, radii_mm, strict=True)
        return [Capsule(start, end, first, last) for (start, first), (end, last) in pairwise(joints)]
