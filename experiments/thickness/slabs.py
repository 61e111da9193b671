"""Masks of four readers of an organ for slices of any thickness, spacing and start.

An organ is given by samples on lines along z, `LATTICE_MM` apart: inside or not. A slice is a slab of samples. A reader
labels, or does not label, the pixel of each line in the slice.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

LATTICE_MM = 0.125
"""Distance of the samples along z; thickness, spacing and start are multiples of it."""

READERS = ("centre", "majority", "touched", "filled")
"""Rule by which a reader labels a pixel: centre, the central plane of the slice is inside the organ; majority, more
than half of the thickness is (exact halves count half); touched, any part is; filled, the full thickness is."""


@dataclass(frozen=True)
class Protocol:
    """Slices of one thickness and spacing; the lower face of one of them is `start_mm` above that of the lattice."""

    thickness_mm: float
    spacing_mm: float
    start_mm: float

    @property
    def samples(self) -> tuple[int, int, int]:
        """Thickness, spacing and start as numbers of samples.

        Raises:
            ValueError: one of them is not a multiple of `LATTICE_MM`.

        >>> Protocol(5.0, 4.0, 0.5).samples
        (40, 32, 4)
        """
        found = [value / LATTICE_MM for value in (self.thickness_mm, self.spacing_mm, self.start_mm)]
        if any(value != round(value) for value in found) or min(found[:2]) < 1:
            raise ValueError(f"{self} does not fit samples {LATTICE_MM} mm apart")
        thickness, spacing, start = map(round, found)
        return thickness, spacing, start


class Lines:
    """An organ on lines along z.

    Args:
        inside: whether the organ is at each sample, (z, ...); it does not extend beyond the ends.
    """

    def __init__(self, inside: NDArray[np.bool_]) -> None:
        self.inside = inside.reshape(len(inside), -1)
        self.below = np.zeros((len(inside) + 1, self.inside.shape[1]), np.int32)
        np.cumsum(self.inside, axis=0, out=self.below[1:])

    @property
    def length_mm(self) -> float:
        """Sum of the lengths inside the organ: the limit for thinner slices."""
        return float(self.below[-1].sum(dtype=np.int64)) * LATTICE_MM

    def pixels(self, protocol: Protocol) -> dict[str, float]:
        """Return the number of pixels that each reader labels, over all slices; exact halves count half.

        >>> ball = np.abs(np.arange(-80, 80) + 0.5) < 40  # a line of 10 mm in the middle of 20 mm
        >>> Lines(ball).pixels(Protocol(8.0, 8.0, 2.0))  # faces at 2, 10, 18 mm: 5 mm of each of two slices are inside
        {'centre': 2.0, 'majority': 2.0, 'touched': 2.0, 'filled': 0.0}
        """
        thickness, spacing, start = protocol.samples
        count = len(self.inside)
        first = start % spacing - spacing * -(-thickness // spacing)
        lower = np.arange(first, count, spacing)
        filled = self.below[np.clip(lower + thickness, 0, count)] - self.below[np.clip(lower, 0, count)]
        centre = lower + thickness // 2  # for an even number of samples the one above the central plane
        centre = centre[(centre >= 0) & (centre < count)]
        counts = (
            np.count_nonzero(self.inside[centre]),
            np.count_nonzero(2 * filled > thickness) + np.count_nonzero(2 * filled == thickness) / 2,
            np.count_nonzero(filled),
            np.count_nonzero(filled == thickness),
        )
        return {reader: float(value) for reader, value in zip(READERS, counts, strict=True)}
