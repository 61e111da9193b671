"""Check that no patient and no CT is on both sides of a split, and that no test case is used for training."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from liverspleen.data.cache import CachedCase
from liverspleen.errors import InputError, Issue


def reject_leaks(
    training: Sequence[CachedCase], validation: Sequence[CachedCase], tested: Mapping[str, str] | None = None
) -> None:
    """Reject an empty training side, a patient or a CT (by its voxels) on both sides, and a CT of a test case.

    `tested` has the voxel hashes of test cases by case_id.

    Raises:
        InputError: with every issue found: LS-TRN-001 no training case, LS-TRN-002 patient and LS-TRN-003 voxels on
            both sides, LS-TRN-013 voxels of a test case on either side.
    """
    if not training:
        raise InputError(
            Issue("LS-TRN-001", "training side has no case", "give development cases with labels of an organ")
        )
    patients = {case.patient_id: case for case in training}
    voxels = {case.voxels_sha256: case for case in training}
    issues = [
        Issue(
            "LS-TRN-002",
            f"patient {case.patient_id!r} is on the training and the validation side",
            "split the cohort again",
            case_id=case.case_id,
        )
        for case in validation
        if case.patient_id in patients
    ]
    issues += [
        Issue(
            "LS-TRN-003",
            f"voxels of the validation case equal those of training case {voxels[case.voxels_sha256].case_id!r}",
            "give both cases the same patient_id, or remove one, and split the cohort again",
            case_id=case.case_id,
        )
        for case in validation
        if case.voxels_sha256 in voxels
    ]
    used = {case.voxels_sha256: f"validation case {case.case_id!r}" for case in validation}
    used |= {case.voxels_sha256: f"training case {case.case_id!r}" for case in training}
    issues += [
        Issue(
            "LS-TRN-013",
            f"voxels of the test case equal those of {used[found]}",
            "remove one of both cases from the cohort, and split the cohort again",
            case_id=case_id,
        )
        for case_id, found in (tested or {}).items()
        if found in used
    ]
    if issues:
        raise InputError(issues)
