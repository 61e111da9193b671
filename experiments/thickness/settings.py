"""Settings of the study, read from the command line."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from slabs import LATTICE_MM

from liverspleen.errors import InputError, Issue
from liverspleen.studies import given_settings, invalid_setting

SPACED_MM = 5.0
"""Thickness of slices with gaps and overlaps."""

SPACINGS_MM = (3.0, 4.0, 5.0, 6.0, 10.0)
"""Distances between their centres."""


@dataclass(frozen=True)
class Settings:
    """Settings of the study; the defaults give the figures of the README."""

    output: Path = Path("outputs/thickness")
    thickness_mm: tuple[float, ...] = (1.0, 2.0, 3.0, 5.0, 8.0)
    patients: int = 20
    """anatomies of the masks"""
    starts: int = 8
    """starts of the first slice, evenly spaced over one thickness"""
    pixel_mm: float = 0.75
    """of the masks"""
    scanned: int = 10
    """anatomies that are scanned and segmented: the first ones of `patients`"""
    scan_starts: int = 2
    matrix: int = 96
    development: int = 20
    """training phantoms of 1 to 8 mm, half of them of 5 mm"""
    steps: int = 800
    seeds: int = 2
    distance_mm: float = 5.0
    """distance of the input slices of the second network"""
    seed: int = 0
    workers: int = 0
    """processes; 0: one per core"""

    @property
    def decisive(self) -> dict[str, Any]:
        """The settings that the results depend on."""
        return {name: value for name, value in asdict(self).items() if name not in ("output", "workers")}

    def starts_mm(self, thickness_mm: float, count: int) -> tuple[float, ...]:
        """Return `count` starts, evenly spaced over one thickness.

        >>> Settings().starts_mm(2.0, 4)
        (0.0, 0.5, 1.0, 1.5)
        """
        return tuple(thickness_mm * index / count for index in range(count))


def _numbers(text: str) -> tuple[float, ...]:
    return tuple(float(number) for number in text.strip("[]()").split(","))


def read_settings(arguments: Sequence[str]) -> Settings:
    """Return the settings of the command line.

    Raises:
        InputError: LS-EXP-014, with all issues: unknown settings and values outside their limits.

    >>> read_settings(["output=o", "thickness_mm=1,5", "seeds=1"]).thickness_mm
    (1.0, 5.0)
    """
    readers: dict[str, Callable[[str], Any]] = {
        field.name: _numbers if field.name == "thickness_mm" else type(field.default) for field in fields(Settings)
    }
    readers["output"] = Path
    given, issues = {}, []
    for key, value in given_settings(arguments, readers).items():
        try:
            given[key] = readers[key](value)
        except ValueError:
            issues.append(invalid_setting(f"{key}={value} is not a number", f"give {key}=NUMBER"))
    settings = Settings(**given) if not issues else Settings()
    if issues := [*issues, *_limit_issues(settings)]:
        raise InputError(issues)
    return settings


def _limit_issues(settings: Settings) -> list[Issue]:
    issues = []
    least = {"patients": 2, "starts": 2, "scanned": 0, "scan_starts": 1, "development": 2, "steps": 1, "seeds": 1}
    for name, low in (*least.items(), ("matrix", 32), ("seed", 0), ("workers", 0)):
        if (value := getattr(settings, name)) < low:
            issues.append(
                invalid_setting(f"{name} is {value}, expected at least {low}", f"set {name} to {low} or more")
            )
    if settings.scanned > settings.patients:
        issues.append(
            invalid_setting(
                f"scanned is {settings.scanned}, expected at most {settings.patients} (patients)", "reduce scanned"
            )
        )
    for name in ("pixel_mm", "distance_mm"):
        if not 0 < getattr(settings, name) < math.inf:
            issues.append(
                invalid_setting(
                    f"{name} is {getattr(settings, name)}, expected a positive number", f"give {name} in millimetres"
                )
            )
    for thickness in settings.thickness_mm:
        if not 1.0 <= thickness <= 8.0:
            issues.append(
                invalid_setting(f"a slice thickness is {thickness} mm, expected 1 to 8 mm", "correct thickness_mm")
            )
    for distance in {*settings.thickness_mm, *SPACINGS_MM}:
        step = distance / LATTICE_MM / max(settings.starts, 1)
        if not math.isfinite(step) or step != round(step):
            message = f"{settings.starts} starts over {distance} mm are not multiples of {LATTICE_MM} mm"
            issues.append(invalid_setting(message, "use other starts or thicknesses, such as starts=8"))
    return issues
