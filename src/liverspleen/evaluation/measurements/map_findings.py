"""What `measure` reports about a label map besides its rows: anatomy, exchanged labels, and grids that are no CT."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from liverspleen.cohort.findings.anatomy import find_organs, is_cropped, label_map_issues
from liverspleen.cohort.findings.organ import Organ
from liverspleen.cohort.manifest import Case
from liverspleen.errors import Issue
from liverspleen.evaluation.measurements.table import Measurement
from liverspleen.evaluation.metrics.overlap import overlaps
from liverspleen.imaging.volume import LabelMap
from liverspleen.organs import LABEL_VALUES, NUM_CLASSES, OWN_VALUES, RATIO_OF, Structure

_NEAR_ZERO = 0.1
_AGREEMENT = 0.5


def organs_of(label_map: LabelMap) -> dict[Structure, Organ]:
    """Return the covered organs that have a voxel."""
    return find_organs(label_map, label_map.covered)


def anatomy_issues(
    case: Case | str, label_map: LabelMap, organs: Mapping[Structure, Organ], file: Path | None
) -> Iterator[Issue]:
    """Yield the findings of `check` that need no CT, as warnings: the case is measured."""
    case_id, age = (case, None) if isinstance(case, str) else (case.case_id, case.age)
    for issue in label_map_issues(label_map, organs, age=age):
        yield replace(issue, case_id=case_id, file=file, severity="warning")


def cropped_issue(case_id: str, organs: Mapping[Structure, Organ], file: Path | None) -> Issue | None:
    """Return the note LS-MEA-021 if the grid is a box around the labels, so that truncation cannot be judged."""
    if not is_cropped(organs):
        return None
    message = "the grid is a box around the labels, not that of a CT, so no organ is called truncated"
    return Issue(
        "LS-MEA-021", message, "give cohort= with the CT scans to compare with their faces", case_id, file, "note"
    )


def exchanged_issue(
    case_id: str, label_map: LabelMap, reference: LabelMap, rows: Sequence[Measurement], hint: str
) -> Issue | None:
    """Return the warning LS-MEA-020 if all DSS are near 0, and would not be with liver and spleen exchanged."""
    scores = {row.structure: row.dss for row in rows if row.dss is not None}
    if not scores or max(scores.values()) >= _NEAR_ZERO:
        return None
    table = np.arange(NUM_CLASSES, dtype=np.uint8)
    table[[*RATIO_OF]] = RATIO_OF[::-1]
    found = overlaps(table[label_map.labels], reference.labels)
    after = {o.key: dss for o in RATIO_OF if o in reference.covered and (dss := found[o].dss) is not None}
    if max(after.values(), default=0.0) < _AGREEMENT:
        return None
    would, now = (", ".join(f"{key} {dss:.2f}" for key, dss in one.items()) for one in (after, scores))
    message = f"liver and spleen values look exchanged: DSS would be {would} with exchanged values, and is {now}"
    return Issue("LS-MEA-020", message, hint, case_id, severity="warning")


def exchanged_values(values: Mapping[int, Structure] | None) -> str:
    """Return the map of label values with liver and spleen exchanged, as text for an option.

    >>> exchanged_values(None), exchanged_values({1: Structure.LIVER})
    ("'{1: spleen, 2: liver}'", "'{1: spleen}'")
    """
    first, second = RATIO_OF
    other = {first: second, second: first}
    known = LABEL_VALUES[OWN_VALUES] if values is None else values
    return "'{" + ", ".join(f"{value}: {other.get(o, o).key}" for value, o in sorted(known.items())) + "}'"


def mean_dss(rows: Sequence[Measurement]) -> dict[str, tuple[float, int]]:
    """Return mean DSS and number of cases by structure; a structure without a defined DSS is omitted."""
    scores: dict[str, list[float]] = {}
    for row in rows:
        if row.dss is not None:
            scores.setdefault(row.structure, []).append(row.dss)
    return {key: (float(np.mean(found)), len(found)) for key, found in scores.items()}
