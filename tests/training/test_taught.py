"""Which organs training labels teach, and what is reported about the others."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from liverspleen.data.cache import CachedCase
from liverspleen.errors import InputError
from liverspleen.organs import ORGANS, Structure
from liverspleen.training.taught import coverage, coverage_issues, taught_organs

LIVER, SPLEEN = ORGANS


def case(labelled: tuple[Structure, ...], shown: tuple[Structure, ...]) -> CachedCase:
    """Return a case with two slices, of which the second shows some organs."""
    made = CachedCase("a", "p", Path(), (2, 8, 8), "", labelled=labelled)
    made.__dict__["present"] = np.array([[False] * len(ORGANS), [organ in shown for organ in ORGANS]])
    return made


BOTH, LIVER_ONLY = case((LIVER, SPLEEN), (LIVER, SPLEEN)), case((LIVER,), (LIVER,))
CLAIMED = case((LIVER, SPLEEN), (LIVER,))


@pytest.mark.parametrize(
    ("training", "expected"),
    [
        ([BOTH], (LIVER, SPLEEN)),
        ([LIVER_ONLY], (LIVER,)),
        ([LIVER_ONLY, LIVER_ONLY, BOTH], (LIVER, SPLEEN)),
        ([CLAIMED], (LIVER,)),  # the column was not edited
        ([CLAIMED, case((SPLEEN,), (SPLEEN,))], (LIVER, SPLEEN)),
        ([case((SPLEEN,), (LIVER, SPLEEN))], (SPLEEN,)),
    ],
)
def test_an_organ_is_taught_if_a_training_case_labels_and_shows_it(
    training: list[CachedCase], expected: tuple[Structure, ...]
) -> None:
    assert taught_organs(training) == expected


def test_labels_without_any_organ_start_no_training() -> None:
    with pytest.raises(InputError, match="LS-TRN-022"):
        taught_organs([case((LIVER, SPLEEN), ())])


def test_warnings_name_the_organ_and_the_cause() -> None:
    (unlabelled,) = coverage_issues((LIVER,), [LIVER_ONLY], [LIVER_ONLY])
    assert (unlabelled.code, unlabelled.severity) == ("LS-TRN-020", "warning")
    assert "no training case labels the spleen: the model reports liver only" in unlabelled.message
    (claimed,) = coverage_issues((LIVER,), [CLAIMED, CLAIMED], [])
    assert "spleen counts as labelled in 2 training cases, but none has a voxel of it" in claimed.message
    assert "labelled_structures" in claimed.hint
    (unvalidated,) = coverage_issues((LIVER, SPLEEN), [BOTH], [LIVER_ONLY])
    assert unvalidated.code == "LS-TRN-021"
    assert [*coverage_issues((LIVER, SPLEEN), [BOTH, LIVER_ONLY], [BOTH])] == []


def test_a_mixed_cohort_is_counted() -> None:
    assert coverage([BOTH, LIVER_ONLY, LIVER_ONLY]) == "labelled: liver in 3, spleen in 1 of 3 training cases"
    assert coverage([BOTH, CLAIMED]) == ""
