"""Salted hashes of the training cases of a model, and the search for these cases on other sides of a split."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from liverspleen.data.cache import CachedCase
from liverspleen.errors import InputError, Issue

HASH_DIGITS = 16
"""Hexadecimal digits of a hash: 10 000 cases and 10 000 others have an equal one with a probability of 5e-12."""


def trained_on(training: Sequence[CachedCase], *, salt: str) -> dict[str, Any]:
    """Return the salt and the salted voxel hashes of training cases, sorted, as plain values for a checkpoint.

    They disclose no name. Only a person who has the CT can find out that it was a training case.
    """
    return {"salt": salt, "cases": sorted({salted(case.voxels_sha256, salt) for case in training})}


def salt_of(*parts: str) -> str:
    """Return the salt of a model from hashes that describe its training; equal trainings have equal salts.

    >>> len(salt_of("cohort", "split"))
    32
    """
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:32]


def salted(voxels_sha256: str, salt: str) -> str:
    """Return the salted hash of the voxels of a CT."""
    return hashlib.sha256(f"{salt} {voxels_sha256}".encode()).hexdigest()[:HASH_DIGITS]


def reject_known(
    validation: Sequence[CachedCase], tested: Mapping[str, str], models: Sequence[Mapping[str, Any]]
) -> None:
    """Reject validation and test cases that one of the models was trained on.

    Args:
        validation: cases of the validation side.
        tested: voxel hashes of test cases by case_id.
        models: the start model and those before it, each with `sha256` and `trained_on`; None: not recorded.

    Raises:
        InputError: LS-TRN-031 for each such case.
    """
    sides = {
        "validation": {case.case_id: case.voxels_sha256 for case in validation},
        "test": dict(tested),
    }
    if issues := [issue for side, cases in sides.items() for issue in _known(side, cases, models)]:
        raise InputError(issues)


def known_cases(cases: Mapping[str, str], models: Sequence[Mapping[str, Any]]) -> Iterator[tuple[str, str]]:
    """Yield the case_id of each case that a model was trained on, and the SHA-256 of the first such model.

    Args:
        cases: voxel hashes by case_id.
        models: as in `reject_known`.

    >>> record = {"salt": "1", "cases": [salted("a", "1")]}
    >>> [*known_cases({"c1": "a", "c2": "b"}, [{"sha256": "5e", "trained_on": record}])]
    [('c1', '5e')]
    """
    records = [(model["sha256"], model["trained_on"]) for model in models if model["trained_on"] is not None]
    known = [(sha256, record["salt"], frozenset(record["cases"])) for sha256, record in records]
    for case_id, voxels in cases.items():
        found = next((sha256 for sha256, salt, hashes in known if salted(voxels, salt) in hashes), None)
        if found is not None:
            yield case_id, found


def _known(side: str, cases: Mapping[str, str], models: Sequence[Mapping[str, Any]]) -> Iterator[Issue]:
    """Yield one issue for each case that a model was trained on."""
    for case_id, found in known_cases(cases, models):
        message = f"the {side} case was a training case of model {found[:12]}, from which start= comes"
        hint = "put the case on the training side" if side == "validation" else "remove the case from the cohort"
        yield Issue("LS-TRN-031", message, f"{hint}, or use another start=", case_id=case_id)
