"""Liver and spleen segmentation and volumetry on portal venous CT, with the agreement statistics to trust it.

Research use only; not a medical device.

The functions below are imported when they are first used, so that `import liverspleen` stays light:

>>> import liverspleen
>>> sorted(liverspleen.__all__)  # doctest: +NORMALIZE_WHITESPACE
['__version__', 'compare', 'measure', 'predict', 'read_cohort', 'read_measurements', 'report', 'segment', 'train']
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from liverspleen.api import compare, measure, predict, report, train
    from liverspleen.cohort import read_cohort
    from liverspleen.evaluation import read_measurements
    from liverspleen.inference.segment import segment

__version__ = "0.1.0"

__all__ = [
    "__version__",
    "compare",
    "measure",
    "predict",
    "read_cohort",
    "read_measurements",
    "report",
    "segment",
    "train",
]

_HOMES = {
    "read_cohort": "liverspleen.cohort",
    "read_measurements": "liverspleen.evaluation",
    "segment": "liverspleen.inference",
}


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOMES.get(name, "liverspleen.api")), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
