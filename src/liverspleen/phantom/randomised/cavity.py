"""The wall of the trunk, and the diaphragm, as depths over a scan."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from liverspleen.phantom.randomised.fields import doubled
from liverspleen.phantom.randomised.space import Pose, Space
from liverspleen.phantom.shapes import Field, Triple, as_triple

HALF_WIDTH_MM = 130.0
HALF_DEPTH_MM = 92.0

_LEVELS = [-430.0, -330.0, -260.0, -190.0, -110.0, -30.0, 60.0, 150.0, 260.0]
_WIDTH = [0.80, 0.95, 0.98, 0.95, 0.99, 1.0, 0.95, 0.82, 0.6]
_DEPTH = [0.85, 0.95, 0.95, 0.93, 0.98, 1.0, 0.98, 0.88, 0.7]


def profile(space: Space, levels: list[float], values: NDArray[np.floating] | list[float]) -> Field:
    """Return a quantity (z, 1, 1) that changes along the body axis; constant beyond the first and last level."""
    along: Field = np.interp(space.z.mean(axis=(1, 2)), levels, values).astype(np.float32)
    return along[:, None, None]


def cavity_depth(space: Space, rng: np.random.Generator) -> Field:
    """Return the depth of the inner wall: a rounded ellipse whose size changes slowly along the body."""
    width = HALF_WIDTH_MM * (np.asarray(_WIDTH) * rng.normal(1, 0.025, len(_WIDTH)))
    depth = HALF_DEPTH_MM * (np.asarray(_DEPTH) * rng.normal(1, 0.035, len(_DEPTH)))
    a = space.x / profile(space, _LEVELS, width)
    b = space.y / profile(space, _LEVELS, depth)
    a *= a
    b *= b
    both = a * b
    both *= np.float32(rng.uniform(0.1, 1.2))  # 0 an ellipse, 2 a superellipse of exponent 4
    a += b
    a *= a
    a -= both
    np.maximum(a, 0, out=a)
    np.sqrt(np.sqrt(a, out=a), out=a)
    a -= 1
    a *= np.float32((HALF_WIDTH_MM + HALF_DEPTH_MM) / 2)
    return a


@dataclass(frozen=True)
class Wall:
    """Depths of the surfaces of the wall from inside to outside, negative inside."""

    cavity: Field
    fascia: Field  # outer surface of the muscles
    skin: Field

    @classmethod
    def of(cls, space: Space, pose: Pose, rng: np.random.Generator) -> Wall:
        """Return the wall of a body, interpolated from every second row and column."""
        full, space = space, space.halved
        cavity = cavity_depth(space, rng)
        behind = np.clip(space.y * np.float32(-1.25 / HALF_DEPTH_MM), 0, 1)
        behind *= behind
        across = space.x * np.float32(1 / 108)
        across *= across
        np.minimum(across, 1, out=across)
        behind *= 1 - across
        behind *= np.float32(rng.uniform(18, 30))  # the muscles of the back
        behind += profile(space, [-330.0, -240.0, -180.0], [22.0, 6.0, 0.0]) + np.float32(pose.muscle_mm)
        behind += np.float32(1.5) * space.wide[1]
        fascia = np.subtract(cavity, behind, out=behind)
        size = full.x.shape[1], full.x.shape[2]
        skin = fascia - _fat_mm(space, pose.fat_mm, rng)
        return cls(doubled(cavity, size), doubled(fascia, size), doubled(skin, size))


def _fat_mm(space: Space, mean_mm: float, rng: np.random.Generator) -> Field:
    """Return the thickness of the fat below the skin: uneven, other in front than at the back, less at the chest."""
    front, back = rng.uniform(-0.4, 0.6), rng.uniform(-0.4, 0.5)
    thick = np.clip(space.y * np.float32(1 / HALF_DEPTH_MM), -1.3, 1.3)
    thick *= np.float32((front - back) / 2)
    thick += np.float32(1 + (front + back) / 2)
    thick += np.float32(0.14) * space.wide[0]
    along = rng.uniform([0.9, 0.9, 0.5, 0.4], [1.5, 1.3, 1.0, 1.1])
    thick *= profile(space, [-320.0, -160.0, 0.0, 120.0], mean_mm * along)
    np.maximum(thick, 1.5, out=thick)
    return thick


@dataclass(frozen=True)
class Domes:
    """Tops of the two domes of the diaphragm in reference mm; the left one is mostly lower."""

    right: Triple
    left: Triple
    steep: float
    wide_mm: float  # wide domes leave little room for the heart between them
    long_mm: float  # how far they reach to the front

    @classmethod
    def draw(cls, rng: np.random.Generator) -> Domes:
        """Sample the domes."""
        right = as_triple((rng.normal(64, 5), rng.normal(4, 8), 0.0))
        left = as_triple((rng.normal(-68, 5), rng.normal(-2, 8), np.clip(rng.normal(-12, 11), -45, 14)))
        return cls(right, left, *(float(v) for v in rng.uniform((0.75, 85, 100), (1.3, 130, 160))))


def diaphragm_depth(space: Space, domes: Domes) -> Field:
    """Return the depth of the space below the two domes."""
    size = space.x.shape[1], space.x.shape[2]
    space = space.halved
    steep = domes.steep
    tops = []
    for x, y, z in (domes.right, domes.left):
        u, v = (space.x - np.float32(x)) * np.float32(1 / domes.wide_mm), space.y - np.float32(y)
        v *= np.where(v > 0, np.float32(1 / domes.long_mm), np.float32(1 / 84))
        u *= u
        v *= v
        u += v
        v = u * np.float32(24 * steep)
        v += np.float32(30 * steep)
        v *= u
        np.subtract(np.float32(z), v, out=v)
        tops.append(v)
    right, other = tops
    near = np.abs(right - other)
    np.subtract(np.float32(24), near, out=near)
    np.maximum(near, 0, out=near)
    near *= near
    near *= np.float32(0.25 / 24)
    top = np.maximum(right, other, out=right)
    top += near
    np.subtract(space.z, top, out=top)
    top *= np.float32(0.75)  # mean cosine of the slope
    return doubled(top, size)
