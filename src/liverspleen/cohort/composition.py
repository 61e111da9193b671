"""Composition of a group of cases in counts, which a trained model may state without disclosing a case."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Any

from liverspleen.cohort.label_origin import LABEL_STATE, is_corrected
from liverspleen.cohort.manifest import Case
from liverspleen.organs import ORGANS

ORIGIN = "origin"
"""Optional column of a cohort with the origin of a case; `phantom` means synthetic CT."""

PHANTOM = "phantom"
"""Origin of phantoms, as `liverspleen phantom` writes it."""


def origin_of(case: Case) -> str:
    """Return the origin of a case; "" if it is not recorded."""
    return case.covariates.get(ORIGIN, "").strip()


def measured_origin(case: Case) -> str:
    """Return the origin that measurements state: `phantom` or empty, because other origins may name a hospital."""
    return PHANTOM if origin_of(case) == PHANTOM else ""


def composition(cases: Iterable[Case]) -> dict[str, Any]:
    """Return the numbers of cases and patients, and of cases by labelled organ, condition, origin and correction.

    "" means that condition or origin is not recorded. `corrections` counts the label maps that `liverspleen correct`
    wrote, by their state.

    >>> from pathlib import Path
    >>> case = Case("a", "p", Path("a.nii"), condition="fatty", covariates={"origin": "phantom"})
    >>> found = composition([case, Case("b", "p", Path("b.nii"), Path("label.nii"))])
    >>> found["cases"], found["patients"], found["organs"], found["conditions"]
    (2, 1, {'liver': 1, 'spleen': 1}, {'': 1, 'fatty': 1})
    """
    listed = list(cases)
    conditions = Counter(case.condition for case in listed)
    origins = Counter(map(origin_of, listed))
    corrections = Counter(case.covariates[LABEL_STATE] for case in listed if is_corrected(case))
    labelled = Counter(organ.key for case in listed if case.label for organ in case.labelled_structures)
    return {
        "cases": len(listed),
        "patients": len({case.patient_id for case in listed}),
        "organs": {organ.key: labelled[organ.key] for organ in ORGANS},
        "conditions": dict(sorted(conditions.items())),
        "origins": dict(sorted(origins.items())),
        "corrections": dict(sorted(corrections.items())),
    }
