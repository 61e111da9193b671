"""Origin of corrected label maps: the columns of a cohort that `liverspleen correct` writes, and their check."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

from liverspleen.cohort.manifest import Case
from liverspleen.errors import InputError, Issue
from liverspleen.storage import sha256_of

LABEL_STATE: Final = "label_state"
LABEL_SHA256: Final = "label_sha256"
LABEL_COLUMNS: Final = (
    LABEL_STATE,
    "label_source",
    "label_reader",
    "label_confirmed_by",
    "label_history",
    "label_entry",
    LABEL_SHA256,
)
"""State of the label map in force, `corrected` or `predicted`, the readers who edited and confirmed it, the SHA-256 of
the first entry of its history, the number of its entry there, and the SHA-256 of the file."""


def is_corrected(case: Case) -> bool:
    """Return whether the label map of a case comes from a correction folder."""
    return case.label is not None and all(case.covariates.get(name) for name in (LABEL_STATE, LABEL_SHA256))


def label_origins(cases: Iterable[Case]) -> list[dict[str, Any]]:
    """Return case_id and origin of each label map that comes from a correction folder, after a check of the files.

    Raises:
        InputError: LS-COR-015 for each label map that is missing or is not the one that the cohort states.
    """
    corrected = [case for case in cases if is_corrected(case)]
    if changed := [case for case in corrected if not _is_stated(case)]:
        message = "the label map is missing, or is not the one of label_sha256"
        hint = (
            "repeat liverspleen correct import=, with the same cohort= and split=, or restore the label map from a copy"
        )
        raise InputError(Issue("LS-COR-015", message, hint, case.case_id, case.label) for case in changed)
    return [
        {"case_id": case.case_id, **{name: case.covariates.get(name, "") for name in LABEL_COLUMNS}}
        for case in corrected
    ]


def _is_stated(case: Case) -> bool:
    return case.label is not None and case.label.is_file() and sha256_of(case.label) == case.covariates[LABEL_SHA256]
