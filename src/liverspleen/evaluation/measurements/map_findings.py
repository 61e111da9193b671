"""What `measure` reports about label maps besides their rows: anatomy, exchanged labels, crops, names."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from liverspleen.cohort.findings.anatomy import find_organs, is_cropped, label_map_issues
from liverspleen.cohort.findings.organ import Organ
from liverspleen.cohort.manifest import Case
from liverspleen.cohort.spellings import Spellings, spellings
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


def several_spellings(folders: Mapping[str, Mapping[str, tuple[Path, ...]]], known: Collection[str]) -> list[Spellings]:
    """Return the cases whose spellings differ between the folders (by option) and the cohort, or in a folder."""
    places = [(case_id, "cohort") for case_id in known]
    for option, files in folders.items():
        places += [(case_id, f"{option} '{first.name}'") for case_id, (first, *_) in files.items()]
    return [one for one in spellings(places) if not one.places.keys() <= set(known)]


def unused_label_maps(files: Mapping[str, tuple[Path, ...]], cases: Iterable[str]) -> Iterator[Issue]:
    """Yield the warning LS-LAB-006 for each label map whose case is none of these."""
    known = set(cases)
    for case_id, (first, *_) in files.items():
        if case_id not in known:
            message, hint = "label map has no valid case in the cohort", "correct its name or add the case"
            yield Issue("LS-LAB-006", message, hint, file=first, severity="warning")
