"""Liver and spleen segmentation and volumetry on portal venous CT, with agreement statistics.

Research use only; not a medical device.

The functions are imported when they are first used, so that `import liverspleen` is fast:

>>> import liverspleen
>>> sorted(liverspleen.__all__)  # doctest: +NORMALIZE_WHITESPACE
['__version__', 'compare', 'measure', 'predict', 'read_cohort', 'read_measurements', 'report', 'segment', 'train']
"""

from __future__ import annotations

from os import environ as _environment
from typing import TYPE_CHECKING

from liverspleen.environment import name_user
from liverspleen.lazy import lazy_exports

name_user()  # before other packages ask for it

if TYPE_CHECKING:
    from liverspleen.api import compare, measure, predict, report, train
    from liverspleen.cohort import read_cohort
    from liverspleen.evaluation import read_measurements
    from liverspleen.inference.segment import segment
else:
    __getattr__, __dir__ = lazy_exports(
        __name__,
        {
            **dict.fromkeys(("compare", "measure", "predict", "report", "train"), "api"),
            "read_cohort": "cohort",
            "read_measurements": "evaluation",
            "segment": "inference",
        },
    )

# Threads that wait for others then sleep. By default they wait actively, and a step beside a busy process takes many
# times as long. OpenMP reads the variable when torch is imported.
_environment.setdefault("OMP_WAIT_POLICY", "passive")

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
