"""Settings of the study, read from the command line."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from liverspleen.errors import InputError
from liverspleen.studies import given_settings, invalid_setting, whole_numbers

LEAST = {"tests": 2, "matrix": 32}


@dataclass(frozen=True)
class Settings:
    """Settings of the study; the defaults are those of the README."""

    output: Path = Path("outputs/correction_loop")
    seeds: int = 5
    few: int = 6
    """training cases of the start model"""
    pool: int = 60
    """cases of the new population that can be corrected; each seed has its own"""
    tests: int = 30
    """test cases of the new population, the same for all seeds"""
    rounds: int = 4
    cases: int = 4
    """corrections of each round"""
    matrix: int = 96
    start_steps: int = 600
    """of the start model"""
    steps: int = 300
    """of each round"""
    workers: int = 2
    """loops at once, each with one thread"""

    @property
    def decisive(self) -> dict[str, Any]:
        """The settings that each result depends on; more seeds only add results."""
        return {name: value for name, value in asdict(self).items() if name not in ("output", "seeds", "workers")}

    @property
    def arguments(self) -> list[str]:
        """These settings as arguments."""
        return [f"{name}={value}" for name, value in asdict(self).items()]


def read_settings(arguments: Sequence[str]) -> Settings:
    """Return the settings of the command line.

    Raises:
        InputError: LS-EXP-014, with all issues: unknown settings and values outside their limits.

    >>> read_settings(["output=o", "seeds=1"]).seeds
    1
    """
    kinds = {field.name: type(field.default) for field in fields(Settings)}
    texts = given_settings(arguments, kinds)
    numbers, issues = whole_numbers(texts, {key: LEAST.get(key, 1) for key in kinds if key != "output"})
    given: dict[str, Any] = {**numbers, **({"output": Path(texts["output"])} if "output" in texts else {})}
    settings = Settings() if issues else Settings(**given)
    if settings.rounds * settings.cases > settings.pool:
        message = f"{settings.rounds} rounds of {settings.cases} cases are more than the {settings.pool} cases"
        issues.append(invalid_setting(message, "reduce rounds or cases, or increase pool"))
    if issues:
        raise InputError(issues)
    return settings
