"""Shapes of the trunk: the abdominal wall, the two domes of the diaphragm, and the ribs."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from liverspleen.phantom.shapes import Field, Grid

_EXPONENT = np.float32(2.4)  # the cross-section of a trunk is slightly squarer than an ellipse


@dataclass(frozen=True)
class Wall:
    """The inside of an upright wall: a superellipse in each slice, whose width varies slowly along z."""

    centre_y_mm: float
    half_width_mm: float
    half_depth_mm: float
    swell: float = 0.03
    swell_phase: float = 0.0

    def box(self) -> NDArray[np.float64]:
        w, d = self.half_width_mm * (1 + self.swell), self.half_depth_mm * (1 + self.swell)
        return np.array([[-w, self.centre_y_mm - d, -np.inf], [w, self.centre_y_mm + d, np.inf]])

    def radius(self, grid: Grid) -> Field:
        """Return the distance from the axis relative to that of the wall without swelling, (1, y, x)."""
        across = np.abs(grid.x / np.float32(self.half_width_mm)) ** _EXPONENT
        along = np.abs((grid.y - np.float32(self.centre_y_mm)) / np.float32(self.half_depth_mm)) ** _EXPONENT
        radius: Field = (across + along) ** (1 / _EXPONENT)
        return radius

    def depth(self, grid: Grid) -> Field:
        reach = 1 + np.float32(self.swell) * np.sin(grid.z * np.float32(2 * np.pi / 380) + np.float32(self.swell_phase))
        depth: Field = (self.radius(grid) - reach) * np.float32((self.half_width_mm + self.half_depth_mm) / 2)
        return depth


@dataclass(frozen=True)
class BelowDiaphragm:
    """The space below the two domes of the diaphragm; `lift_mm` raises the surface (to the side of the lungs)."""

    right_apex_mm: tuple[float, float, float]
    left_apex_mm: tuple[float, float, float]
    lift_mm: float = 0.0

    def box(self) -> NDArray[np.float64]:
        top = max(self.right_apex_mm[2], self.left_apex_mm[2]) + self.lift_mm + 8
        return np.array([[-np.inf] * 3, [np.inf, np.inf, top]])

    def depth(self, grid: Grid) -> Field:
        (right, right_slope), (left, left_slope) = (
            self._dome(grid, apex) for apex in (self.right_apex_mm, self.left_apex_mm)
        )
        fraction = 1 / (1 + np.exp(np.clip((left - right) / 9, -40, 40)))
        top = fraction * right + (1 - fraction) * left
        slope = fraction * right_slope + (1 - fraction) * left_slope
        depth = (grid.z - top) / np.sqrt(1 + slope**2)
        return depth - np.float32(self.lift_mm)

    @staticmethod
    def _dome(grid: Grid, apex: tuple[float, float, float]) -> tuple[Field, Field]:
        """Return height in mm and slope of one dome, (1, y, x): flat at the top, with a deep sulcus at the back."""
        x, y = (grid.x - np.float32(apex[0])) / 80, (grid.y - np.float32(apex[1])) / 82
        q = x * x + y * y
        height = np.float32(apex[2]) - 35 * q - 26 * q * q
        return height, (35 + 52 * q) * 2 * np.sqrt(q) / 81


@dataclass(frozen=True)
class Ribs:
    """Sloping rings inside the wall, one per `pitch_mm`; they end at the costal margin, which rises to the front."""

    wall: Wall
    thickness_mm: float
    pitch_mm: float
    offset_mm: float
    margin_mm: float

    def box(self) -> NDArray[np.float64]:
        return self.wall.box()

    def depth(self, grid: Grid) -> Field:
        radial = np.abs(self.wall.depth(grid) + self.thickness_mm / 2) - self.thickness_mm / 2
        level = grid.z + np.float32(0.45) * grid.y
        ring = np.abs((level + np.float32(self.offset_mm)) % np.float32(self.pitch_mm) - self.pitch_mm / 2) - 5.5
        margin = np.float32(self.margin_mm) + np.float32(0.75) * grid.y - grid.z
        depth: Field = np.maximum(np.maximum(radial, ring), margin)
        return depth
