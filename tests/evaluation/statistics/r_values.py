"""Reference values written by `r_reference/reference.R` with R 4.2.2 (base R only), and its input data."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

FOLDER = Path(__file__).parent / "r_reference"


def expected(dataset: str) -> dict[str, float | list[float]]:
    """Values of one data set by name; `name.1`, `name.2` … become a list."""
    found: dict[str, float | list[float]] = {}
    with (FOLDER / "expected.csv").open(newline="") as handle:
        for row in csv.DictReader(handle):
            if row["dataset"] != dataset:
                continue
            name, _, position = row["name"].partition(".")
            if position:
                found.setdefault(name, []).append(float(row["value"]))  # type: ignore[union-attr]
            else:
                found[name] = float(row["value"])
    assert found, dataset
    return found


def paired(dataset: str) -> tuple[list[float], list[float]]:
    """Readings of test and reference, NaN if missing."""
    with (FOLDER / "paired.csv").open(newline="") as handle:
        rows = [row for row in csv.DictReader(handle) if row["dataset"] == dataset]
    test, reference = ([float(row[name] or "nan") for row in rows] for name in ("test", "reference"))
    return test, reference


def grouped() -> dict[str, list[float]]:
    """Values by group."""
    groups: dict[str, list[float]] = {}
    with (FOLDER / "grouped.csv").open(newline="") as handle:
        for row in csv.DictReader(handle):
            groups.setdefault(row["group"], []).append(float(row["value"]))
    return groups


def table(name: str) -> list[list[float]]:
    """Subjects × repeats, NaN if missing."""
    with (FOLDER / f"{name}.csv").open(newline="") as handle:
        return [[float(value or "nan") for value in row] for row in list(csv.reader(handle))[1:]]


def close(value: object, rel: float = 1e-9) -> object:
    """Equality up to the digits of both implementations; `abs` is for values near zero."""
    return pytest.approx(value, rel=rel, abs=1e-12)
