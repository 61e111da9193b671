"""Settings of the study, read from the command line."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from liverspleen.errors import InputError
from liverspleen.studies import given_settings, invalid_setting, whole_numbers

LEAST = {"cases": 2, "few": 1, "tests": 2, "matrix": 32, "steps": 1, "seeds": 1, "folds": 2, "workers": 1}


@dataclass(frozen=True)
class Settings:
    """Settings of the study; the defaults give the figures of the README."""

    output: Path = Path("outputs/warm_start")
    cases: int = 40
    """training cases of each population"""
    few: int = 8
    """new cases of the training that starts from the old model"""
    tests: int = 25
    """test cases of each population"""
    matrix: int = 128
    steps: int = 1500
    """of every training"""
    validate_every: int = 250
    seeds: int = 3
    folds: int = 5
    workers: int = 2
    """trainings at once, each with one thread"""

    @property
    def decisive(self) -> dict[str, Any]:
        """The settings that each result depends on; more seeds only add results."""
        return {name: value for name, value in asdict(self).items() if name not in ("output", "seeds", "workers")}


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
    if settings.few * settings.seeds > settings.cases:
        message = f"{settings.seeds} seeds of {settings.few} new cases each are more than the {settings.cases} cases"
        issues.append(invalid_setting(message, "reduce few or seeds, or increase cases"))
    if issues:
        raise InputError(issues)
    return settings
