"""The same patient or the same CT where it must not be twice: rejected before anything is learnt."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from liverspleen.data.cache import CachedCase
from liverspleen.errors import InputError, Issue


def reject_leaks(
    training: Sequence[CachedCase], validation: Sequence[CachedCase], tested: Mapping[str, str] | None = None
) -> None:
    """Reject an empty training side, a patient or a CT (by its voxels) on both sides, and a CT that is tested too.

    `tested` has the hashes of the voxels of test cases by case_id.

    Raises:
        InputError: with every leak found: LS-TRN-001 nothing to train on, LS-TRN-002 patient and LS-TRN-003 voxels on
            both sides, LS-TRN-013 voxels of a test case on either side.
    """
    if not training:
        raise InputError(Issue("LS-TRN-001", "no case to train on", "give development cases with labels of an organ"))
    patients = {case.patient_id: case for case in training}
    voxels = {case.voxels_sha256: case for case in training}
    issues = [
        Issue(
            "LS-TRN-002",
            f"patient {case.patient_id!r} is on the training and the validation side",
            "draw the split anew",
            case_id=case.case_id,
        )
        for case in validation
        if case.patient_id in patients
    ]
    issues += [
        Issue(
            "LS-TRN-003",
            f"its voxels equal those of training case {voxels[case.voxels_sha256].case_id!r}",
            "give both the same patient_id, or remove one, and draw the split anew",
            case_id=case.case_id,
        )
        for case in validation
        if case.voxels_sha256 in voxels
    ]
    learnt = {case.voxels_sha256: f"validation case {case.case_id!r}" for case in validation}
    learnt |= {case.voxels_sha256: f"training case {case.case_id!r}" for case in training}
    issues += [
        Issue(
            "LS-TRN-013",
            f"its voxels, those of a test case, equal those of {learnt[found]}",
            "leave one of both out of the cohort and draw the split anew",
            case_id=case_id,
        )
        for case_id, found in (tested or {}).items()
        if found in learnt
    ]
    if issues:
        raise InputError(issues)
