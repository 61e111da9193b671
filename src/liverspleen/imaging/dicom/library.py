"""pydicom, loaded without gdcm and kept quiet."""

from __future__ import annotations

import logging
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from typing import Any

# pydicom imports gdcm where it is installed; python-gdcm fails in any working directory that holds a folder named `dl`.
# None in its place makes that import fail as if it were not installed.
_HIDDEN = "gdcm" not in sys.modules
if _HIDDEN:
    sys.modules["gdcm"] = None  # type: ignore[assignment]
pydicom: Any = import_module("pydicom")  # Any: its own types leave out much of what is used here
for _part in ("decoders", "encoders"):
    import_module(f"pydicom.pixels.{_part}")
if _HIDDEN:
    del sys.modules["gdcm"]

_LOGGERS = tuple(logging.getLogger(name) for name in ("pydicom", "highdicom"))  # theirs below inherit the level


@contextmanager
def quiet() -> Iterator[None]:
    """Neither warnings nor log lines of pydicom and highdicom: they quote values and paths, which may be private."""
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
