"""The organs that training labels teach, and warnings about organs that they do not teach."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from liverspleen.errors import InputError, Issue, counted
from liverspleen.organs import ORGANS, Structure, listed

if TYPE_CHECKING:
    from liverspleen.data.cache import CachedCase


def taught_organs(training: Sequence[CachedCase]) -> tuple[Structure, ...]:
    """Return the organs that at least one training case labels and shows.

    An organ that counts as labelled but has no voxel in any training case is not taught: it was probably not annotated,
    and a network cannot find what it has never seen.

    Raises:
        InputError: LS-TRN-022 no organ is taught.
    """
    found = tuple(organ for organ in ORGANS if any(_shows(case, organ) for case in training))
    if training and not found:
        message = f"no label map of the {counted(len(training), 'training case')} has a voxel of {listed('or')}"
        hint = "run liverspleen check, and correct the label maps or labelled_structures"
        raise InputError(Issue("LS-TRN-022", message, hint))
    return found


def coverage(training: Sequence[CachedCase]) -> str:
    """Return the number of training cases that label each organ, as text; empty if all label all organs."""
    numbers = {organ.key: sum(organ in case.labelled for case in training) for organ in ORGANS}
    if all(number == len(training) for number in numbers.values()):
        return ""
    found = ", ".join(f"{key} in {number}" for key, number in numbers.items())
    return f"labelled: {found} of {counted(len(training), 'training case')}"


def coverage_issues(
    taught: Sequence[Structure], training: Sequence[CachedCase], validation: Sequence[CachedCase]
) -> Iterator[Issue]:
    """Yield the warnings LS-TRN-020 and LS-TRN-021 about organs that are not taught, or taught without validation."""
    reported = listed(keys=[organ.key for organ in taught])
    for organ in ORGANS:
        name = organ.key
        if organ not in taught:
            labelled = sum(organ in case.labelled for case in training)
            claimed = f"{name} counts as labelled in {counted(labelled, 'training case')}, but none has a voxel of it"
            unlabelled = f"no training case labels the {name}"
            message = f"{claimed if labelled else unlabelled}: the model reports {reported} only, {name} is unknown"
            hint = f"remove {name} from labelled_structures, or add it to the label maps"
            other = f"add training cases with labels of the {name} if it is needed"
            yield Issue("LS-TRN-020", message, hint if labelled else other, severity="warning")
        elif validation and not any(_shows(case, organ) for case in validation):
            message = f"no validation case shows a labelled {name}, so best.ckpt is selected without it"
            hint = f"use a split whose validation cases have labels of the {name}"
            yield Issue("LS-TRN-021", message, hint, severity="warning")


def _shows(case: CachedCase, organ: Structure) -> bool:
    return organ in case.labelled and bool(case.present[:, ORGANS.index(organ)].any())
