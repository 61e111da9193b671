"""`liverspleen predict`: which files are CT."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from liverspleen.cli.composition import compose_verb
from liverspleen.cli.predict import _cases


def cases(given: Path) -> tuple[list[str], list[str]]:
    """Ids of the cases, and codes of what is told."""
    found, faults = _cases(compose_verb("predict", ["model=m.ckpt", f"input={given}", "output=o"]))
    return [case.case_id for case in found], [fault.code for fault in faults]


def test_a_folder_that_holds_a_cohort_is_that_cohort(box_cohort: Callable[..., Path]) -> None:
    table = box_cohort((5, 6))
    assert cases(table.parent) == cases(table) == (["c0", "c1"], [])


def test_label_maps_beside_their_ct_are_not_segmented(box_cohort: Callable[..., Path]) -> None:
    table = box_cohort((5, 6))
    table.unlink()
    (table.parent / "c1.nii.gz").unlink()
    assert cases(table.parent) == (["c0", "c1_label"], ["LS-PRD-005"])
