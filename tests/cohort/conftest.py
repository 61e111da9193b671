"""Phantoms of all five conditions, made once."""

from __future__ import annotations

from pathlib import Path

import pytest

from liverspleen.phantom.cohort import write_phantom_cohort


@pytest.fixture(scope="session")
def phantoms(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """cohort.csv of five small phantoms, one of each condition."""
    folder = tmp_path_factory.mktemp("phantoms")
    request = {"development": 5, "test1": 0, "pairs": 0, "seed": 11, "matrix": 64, "thickness_mm": (5.0, 5.0)}
    return write_phantom_cohort(folder, **request, workers=1)
