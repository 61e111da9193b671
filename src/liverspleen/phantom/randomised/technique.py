"""Scanner, position, and image quality of a randomised phantom."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from liverspleen.phantom.painting import AIR_HU
from liverspleen.phantom.randomised.fields import smooth_field
from liverspleen.phantom.shapes import Field

_THICKNESS_MM = (0.5, 0.75, 1.0, 1.25, 1.5, 2.0, 2.5, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 10.0)
_MOST_SLICES = 160
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
    def axes_mm(self) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
        """Return the positions of the voxels along z, y and x; rows run to posterior, columns to the left."""
        across = (np.arange(self.matrix) - (self.matrix - 1) / 2) * self.pixel_mm
        z = self.bottom_mm + np.arange(self.slices) * self.spacing_mm
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
        spacing = thickness * float(rng.choice([0.5, 0.8])) if rng.random() < 0.5 else thickness + float(rng.integers(1, 6))
    field = width_mm * float(rng.choice([rng.uniform(0.95, 1.1), rng.uniform(1.05, 1.5)]))
    pixel = field / matrix
    top, bottom, _ = _RANGES[int(rng.choice(len(_RANGES), p=[r[2] for r in _RANGES]))]
    highest, lowest = height * float(rng.uniform(*top)), height * float(rng.uniform(*bottom))
    lowest = min(lowest, highest - 3 * spacing)
    slices = int((highest - lowest) / spacing) + 1
    if slices > _MOST_SLICES:
        lowest += float(rng.uniform(0, (slices - _MOST_SLICES) * spacing))
        slices = _MOST_SLICES
    slack = 0.5 * max(0.0, field - width_mm) + 8
    centre = (float(rng.uniform(-1, 1) * slack * 0.5), float(rng.normal(0, 14)))
    return Technique(matrix, pixel, thickness, spacing, lowest, slices, centre, (*seed, 1))


def background(technique: Technique, back_mm: float, rng: np.random.Generator) -> Field:
    """Return the density of one slice outside the body (row, column): air, table and cushions, the same in all slices."""
    _, y, x = technique.axes_mm
    image = np.full((technique.matrix, technique.matrix), AIR_HU, np.float32)
    if rng.random() < 0.2:
        return image
    rows, columns = y[:, None], x[None, :]
    curve = float(rng.uniform(0, 1 / 500))
    at = -back_mm - float(rng.uniform(2, 30))
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


def as_measured(hu: Field, technique: Technique) -> NDArray[np.int16]:
    """Return the image with blur, streaks, noise, the scanner's offset, the circle of reconstruction, and clipping."""
    rng = np.random.default_rng(technique.seed)
    blur = float(rng.uniform(0.3, 1.1)) / technique.pixel_mm
    image = ndimage.gaussian_filter(hu, sigma=(0, blur, blur), mode="nearest", truncate=3.0) if blur > 0.15 else hu.copy()
    if rng.random() < 0.25:
        image += _sharpening(image, float(rng.uniform(0.2, 1.0)))
    inside = image > -600
    if rng.random() < 0.35:
        shading = smooth_field(rng, technique.axes_mm, float(rng.uniform(40, 120)))
        shading *= np.float32(rng.uniform(1, 6))
        image += shading
    image += _noise(image.shape, technique, rng)
    image += np.float32(rng.normal(0, 3)) * inside
    if rng.random() < 0.3:
        _cut_circle(image, rng)
    low, high = -1024.0, 3071.0
    if rng.random() < 0.3:
        low, high = float(rng.choice([-125, -150, -160, -200, -250])), float(rng.choice([240, 250, 275, 300, 400]))
    np.clip(image, low, high, out=image)
    return np.rint(image, out=image).astype(np.int16)


def _sharpening(image: Field, strength: float) -> Field:
    """Return what a sharp kernel adds: edges with overshoot."""
    smooth = ndimage.uniform_filter(image, size=(1, 3, 3), mode="nearest")
    np.subtract(image, smooth, out=smooth)
    np.clip(smooth, -120, 120, out=smooth)
    smooth *= np.float32(strength)
    return smooth


def _noise(shape: tuple[int, ...], technique: Technique, rng: np.random.Generator) -> Field:
    """Return noise: correlated within slices, stronger in the middle of the body, with horizontal streaks in some scans."""
    sd = float(np.exp(rng.uniform(np.log(2.5), np.log(22))))
    white = rng.standard_normal(shape, np.float32)
    sigma = float(rng.uniform(0.0, 0.9))
    along = float(rng.uniform(0.2, 0.6)) if rng.random() < 0.4 else 0.0
    noise = ndimage.gaussian_filter(white, (along, sigma, sigma), mode="wrap", truncate=2.5) if sigma > 0.25 else white
    if rng.random() < 0.5:  # filtered back projection has little noise of low frequency
        noise -= np.float32(rng.uniform(0.3, 0.9)) * ndimage.uniform_filter(noise, (1, 5, 5), mode="wrap")
    noise *= np.float32(sd) / noise[: max(1, shape[0] // 8)].std()
    z, y, x = (np.float32(a) for a in technique.axes_mm)
    radius = np.hypot((y - y.mean())[:, None], (x - x.mean())[None, :]) / np.float32(150)
    noise *= np.clip(np.float32(1.15) - np.float32(0.35) * radius * radius, 0.5, None)
    if rng.random() < 0.25:
        streaks = ndimage.gaussian_filter1d(rng.standard_normal(shape, np.float32), 6.0, axis=2, mode="wrap", truncate=2.5)
        levels = np.interp(z, [z.min(), z.mean(), z.max()], rng.uniform(0, 28, 3)).astype(np.float32)
        streaks *= levels[:, None, None]
        noise += streaks
    return noise


def _cut_circle(image: Field, rng: np.random.Generator) -> None:
    """Set everything outside the circle of reconstruction to its value for no data."""
    rows, columns = image.shape[1:]
    y, x = np.ogrid[-1 : 1 : rows * 1j, -1 : 1 : columns * 1j]
    image[:, x * x + y * y > 1] = float(rng.choice([-1024, -1000]))
