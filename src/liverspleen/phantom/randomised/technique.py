"""Scanner, position, and image quality of a randomised phantom."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from liverspleen.phantom.painting import AIR_HU
from liverspleen.phantom.randomised.fields import Axes, smooth_field
from liverspleen.phantom.randomised.space import Window
from liverspleen.phantom.shapes import Field

_THICKNESS_MM = (0.5, 0.75, 1.0, 1.25, 1.5, 2.0, 2.5, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 10.0)
_MOST_SLICES = 160
_NOISE_SLICES = 16
# highest and lowest z of scans in reference mm, and how often
_RANGES = (
    ((30.0, 70.0), (-260.0, -200.0), 0.35),  # upper abdomen
    ((30.0, 80.0), (-450.0, -400.0), 0.30),  # abdomen and pelvis
    ((150.0, 250.0), (-440.0, -200.0), 0.15),  # chest and abdomen
    ((-90.0, 60.0), (-300.0, -60.0), 0.15),  # any part
    ((150.0, 220.0), (-40.0, 60.0), 0.025),  # chest
    ((-250.0, -150.0), (-450.0, -380.0), 0.025),  # pelvis
)


@dataclass(frozen=True)
class Technique:
    """Parameters of one scan."""

    matrix: int
    pixel_mm: float
    thickness_mm: float
    spacing_mm: float
    bottom_mm: float  # centre of the lowest slice
    slices: int
    centre_mm: tuple[float, float]
    seed: tuple[int, ...]

    @property
    def axes_mm(self) -> Axes:
        """Return the positions of the voxels along z, y and x; rows run to posterior, columns to the left."""
        across: NDArray[np.float64] = (np.arange(self.matrix, dtype=np.float64) - (self.matrix - 1) / 2) * self.pixel_mm
        z: NDArray[np.float64] = self.bottom_mm + np.arange(self.slices, dtype=np.float64) * self.spacing_mm
        return z, self.centre_mm[1] - across, self.centre_mm[0] - across


def draw_technique(
    seed: tuple[int, ...], *, matrix: int, thickness_mm: tuple[float, float], width_mm: float, height: float
) -> Technique:
    """Sample a technique for a body of `width_mm`, whose length is `height` times that of the reference."""
    rng = np.random.default_rng(seed)
    low, high = thickness_mm
    choices = [t for t in _THICKNESS_MM if low <= t <= high] or [(low + high) / 2]
    thickness = float(rng.choice(choices))
    spacing = thickness
    if rng.random() < 0.2:
        spacing = (
            thickness * float(rng.choice([0.5, 0.8])) if rng.random() < 0.5 else thickness + float(rng.integers(1, 6))
        )
    field = width_mm * float(rng.choice([rng.uniform(0.95, 1.1), rng.uniform(1.05, 1.5)]))
    pixel = field / matrix
    top, bottom, _ = _RANGES[int(rng.choice(len(_RANGES), p=[r[2] for r in _RANGES]))]
    highest, lowest = height * float(rng.uniform(*top)), height * float(rng.uniform(*bottom))
    lowest = min(lowest, highest - 4 * spacing)
    slices = int((highest - lowest) / spacing) + 1
    if slices > _MOST_SLICES:
        lowest += float(rng.uniform(0, (slices - _MOST_SLICES) * spacing))
        slices = _MOST_SLICES
    slack = 0.5 * max(0.0, field - width_mm) + 8
    centre = (float(rng.uniform(-1, 1) * slack * 0.5), float(rng.normal(0, 14)))
    return Technique(matrix, pixel, thickness, spacing, lowest, slices, centre, (*seed, 1))


def background(technique: Technique, back_mm: float, rng: np.random.Generator) -> Field:
    """Return the density of one slice outside the trunk (row, column): air, arms, and the table behind `back_mm`."""
    _, y, x = technique.axes_mm
    image = np.full((technique.matrix, technique.matrix), AIR_HU, np.float32)
    rows, columns = y[:, None], x[None, :]
    if rng.random() < 0.12:
        _add_arms(image, rows, columns, technique.pixel_mm, rng)
    if rng.random() < 0.2:
        return image
    curve = float(rng.uniform(0, 1 / 500))
    at = back_mm - float(rng.uniform(0, 30))
    for _ in range(int(rng.integers(1, 4))):
        surface = at + curve * columns**2
        half = float(rng.uniform(0.5, 4))
        reach = np.abs(columns) < rng.uniform(180, 260)
        depth = np.abs(rows - surface) - half
        covered = np.clip(0.5 - depth / technique.pixel_mm, 0, 1) * reach
        image += (covered * (float(rng.uniform(-900, 150)) - image)).astype(np.float32)
        at -= float(rng.uniform(8, 60))
        curve *= float(rng.uniform(0.3, 1.2))
    return image


def _add_arms(image: Field, rows: Field, columns: Field, pixel_mm: float, rng: np.random.Generator) -> None:
    """Paint arms beside the trunk: skin, fat, muscle and bone."""
    for side in (-1, 1):
        x, y, radius = side * rng.uniform(200, 260), rng.uniform(-50, 40), rng.uniform(28, 48)
        depth = np.hypot(columns - x, (rows - y) * rng.uniform(0.8, 1.2)) - radius
        for inset, density in ((0, 20), (2, -100), (rng.uniform(4, 14), 55), (radius - rng.uniform(8, 14), 500)):
            image += (np.clip(0.5 - (depth + inset) / pixel_mm, 0, 1) * (density - image)).astype(np.float32)


def as_measured(hu: Field, part: Window, outside: Field, technique: Technique) -> NDArray[np.int16]:
    """Return the image of the trunk `hu` in its part of the scan.

    It has blur, shading, streaks, noise, the scanner's offset, the circle of reconstruction, and clipping.
    """
    rng = np.random.default_rng(technique.seed)
    blur = float(rng.uniform(0.4, 1.6)) / technique.pixel_mm
    if blur > 0.15:
        hu = ndimage.gaussian_filter(hu, sigma=(0, blur, blur), mode="nearest", truncate=3.0)
    if rng.random() < 0.25:
        hu += _sharpening(hu, float(rng.uniform(0.2, 1.0)))
    hu += np.float32(rng.normal(0, 3)) * (hu > -600)
    if rng.random() < 0.35:
        axes = tuple(axis[span] for axis, span in zip(technique.axes_mm, part, strict=True))
        shading = smooth_field(technique.seed, (axes[0], axes[1], axes[2]), float(rng.uniform(40, 120)))
        shading *= np.float32(rng.uniform(1, 6))
        hu += shading
    image = _noise(technique, rng)
    image[part] += hu - outside[part[1:]]
    image += outside
    if rng.random() < 0.3:
        _cut_circle(image, rng)
    low, high = -1024.0, 3071.0
    if rng.random() < 0.3:
        low, high = float(rng.choice([-125, -150, -160, -175])), float(rng.choice([240, 250, 275, 300, 400]))
    np.clip(image, low, high, out=image)
    return np.rint(image, out=image).astype(np.int16)


def _sharpening(image: Field, strength: float) -> Field:
    """Return what a sharp kernel adds: edges with overshoot."""
    smooth = ndimage.uniform_filter(image, size=(1, 3, 3), mode="nearest")
    np.subtract(image, smooth, out=smooth)
    np.clip(smooth, -120, 120, out=smooth)
    smooth *= np.float32(strength)
    return smooth


def _noise(technique: Technique, rng: np.random.Generator) -> Field:
    """Return noise of all slices: a few slices are computed and repeated with random shifts.

    It is correlated within slices, in some scans also between them, stronger in the middle of the field, and has
    horizontal streaks in some scans.
    """
    n = technique.matrix
    drawn = rng.standard_normal((min(technique.slices, _NOISE_SLICES), n, n), np.float32)
    sigma = float(rng.uniform(0.0, 0.9))
    along = float(rng.uniform(0.2, 0.6)) if rng.random() < 0.4 else 0.0
    if sigma > 0.25:
        drawn = ndimage.gaussian_filter(drawn, (along, sigma, sigma), mode="wrap", truncate=2.5)
    if rng.random() < 0.5:  # filtered back projection has little noise of low frequency
        drawn -= np.float32(rng.uniform(0.3, 0.9)) * ndimage.uniform_filter(drawn, (1, 5, 5), mode="wrap")
    drawn *= np.float32(np.exp(rng.uniform(np.log(2.5), np.log(18)))) / drawn[0].std()
    _, y, x = technique.axes_mm
    radius = np.hypot((y - y.mean())[:, None], (x - x.mean())[None, :]) / 150
    middle = np.clip(1.15 - 0.35 * radius**2, 0.5, None).astype(np.float32)
    noise = _repeated(drawn, technique.slices, rng)
    noise *= middle
    if rng.random() < 0.25:
        white = rng.standard_normal(drawn.shape, np.float32)
        streaks = ndimage.gaussian_filter1d(white, 6.0, axis=2, mode="wrap", truncate=2.5)
        levels = np.interp(np.linspace(0, 2, technique.slices), [0, 1, 2], rng.uniform(0, 28, 3))
        noise += _repeated(streaks, technique.slices, rng) * levels.astype(np.float32)[:, None, None]
    return noise


def _repeated(drawn: Field, slices: int, rng: np.random.Generator) -> Field:
    """Return as many slices as asked for: copies of `drawn`, each shifted in the plane."""
    block, rows, columns = drawn.shape
    noise = np.empty((slices, rows, columns), np.float32)
    for first in range(0, slices, block):
        shift = (int(rng.integers(rows)), int(rng.integers(columns))) if first else (0, 0)
        noise[first : first + block] = np.roll(drawn[: slices - first], shift, axis=(1, 2))
    return noise


def _cut_circle(image: Field, rng: np.random.Generator) -> None:
    """Set everything outside the circle of reconstruction to its value for no data."""
    rows, columns = image.shape[1:]
    y, x = np.ogrid[-1 : 1 : rows * 1j, -1 : 1 : columns * 1j]
    image[:, x * x + y * y > 1] = float(rng.choice([-1024, -1000]))
