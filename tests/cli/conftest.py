"""Fixtures for the tests of the verbs."""

from pathlib import Path

import pytest
from predicting import trained


@pytest.fixture(scope="session")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint that finds the boxes of `predicting.exam`, made once."""
    return trained(tmp_path_factory.mktemp("model"))
