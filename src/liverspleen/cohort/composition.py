"""Composition of a group of cases in counts, which a trained model may state without disclosing a case."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Any

from liverspleen.cohort.manifest import Case

ORIGIN = "origin"
"""Optional column of a cohort with the origin of a case; `phantom` means synthetic CT."""


def composition(cases: Iterable[Case]) -> dict[str, Any]:
    """Return the numbers of cases and patients, and of cases by condition and by origin; "" means not recorded.

    >>> from pathlib import Path
    >>> case = Case("a", "p", Path("a.nii"), condition="fatty", covariates={"origin": "phantom"})
    >>> composition([case, Case("b", "p", Path("b.nii"))])
    {'cases': 2, 'patients': 1, 'conditions': {'': 1, 'fatty': 1}, 'origins': {'': 1, 'phantom': 1}}
    """
    listed = list(cases)
    conditions = Counter(case.condition for case in listed)
    origins = Counter(case.covariates.get(ORIGIN, "").strip() for case in listed)
    return {
        "cases": len(listed),
        "patients": len({case.patient_id for case in listed}),
        "conditions": dict(sorted(conditions.items())),
        "origins": dict(sorted(origins.items())),
    }
