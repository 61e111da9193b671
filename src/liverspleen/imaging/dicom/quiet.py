"""pydicom without warnings and log lines."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from typing import Any

pydicom: Any = import_module("pydicom")  # Any: the types of pydicom lack much of what is used here
import_module("pydicom.pixels")

_LOGGERS = tuple(logging.getLogger(name) for name in ("pydicom", "highdicom"))  # loggers below these inherit the level


@contextmanager
def quiet() -> Iterator[None]:
    """Suppress warnings and log lines of pydicom and highdicom, which may quote private values and paths."""
    levels = [logger.level for logger in _LOGGERS]
    with warnings.catch_warnings(), pydicom.config.disable_value_validation():
        warnings.simplefilter("ignore")
        for logger in _LOGGERS:
            logger.setLevel(logging.CRITICAL + 1)
        try:
            yield
        finally:
            for logger, level in zip(_LOGGERS, levels, strict=True):
                logger.setLevel(level)
