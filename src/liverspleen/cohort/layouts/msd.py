"""Medical Segmentation Decathlon: `dataset.json` lists the images and labels of a task."""

from __future__ import annotations

import os
from pathlib import Path, PurePosixPath
from typing import Any

from liverspleen.cohort.layouts.description import read_description
from liverspleen.cohort.layouts.source import (
    TEST,
    Exclusion,
    Found,
    NiftiLabels,
    NiftiScan,
    Request,
    SourceCase,
    meaning_notes,
    required_label_values,
    skipped_files_of,
)
from liverspleen.cohort.vocabulary import DEVELOPMENT
from liverspleen.errors import InputError, Issue
from liverspleen.imaging.files import strip_suffix


def find(request: Request) -> Found:
    """Find the cases that `dataset.json` lists: `training` (development) and `test` (test set, images only).

    Raises:
        InputError: LS-IMP-002 it lists no case, LS-IMP-010 its lists are not valid; as `read_description` and
            `required_label_values`.
    """
    description = read_description(request.input)
    training, test = description.content.get("training") or [], description.content.get("test") or []
    if not isinstance(training, list) or not isinstance(test, list):
        message = "dataset.json: 'training' or 'test' is not a list"
        raise InputError(Issue("LS-IMP-010", message, "correct the file"))
    if not training and not test:
        raise InputError(Issue("LS-IMP-002", "dataset.json lists no case", "check that source= is the right layout"))
    values = required_label_values(request, description.names) if training else None
    cases: list[SourceCase] = []
    excluded: list[Exclusion] = []
    for number, entry in enumerate([*training, *test]):
        trains = number < len(training)
        image = _entry(request.input, entry.get("image") if isinstance(entry, dict) else entry)
        label = _entry(request.input, entry.get("label")) if trains and isinstance(entry, dict) else None
        name = (strip_suffix(image.name) if image else None) or f"entry {number + 1}"
        if image is None or (trains and label is None):
            message = "dataset.json: an entry is not a file inside the input, or has no label"
            excluded.append(Exclusion(name, Issue("LS-IMP-012", message, "correct the entry")))
            continue
        labels = NiftiLabels(label, values) if label else None
        facts = {"dataset": DEVELOPMENT if trains else TEST}
        cases.append(SourceCase(name, name, NiftiScan(image), labels, facts))
    notes = (*description.notes, *meaning_notes(request, description.names))
    skipped = skipped_files_of(request, cases, excluded, notes)
    return Found(tuple(cases), tuple(excluded), (*notes, *skipped))


def _entry(root: Path, entry: Any) -> Path | None:
    """Return the file of an entry such as `./imagesTr/a.nii.gz`; None if it is not an image path inside the root."""
    if not isinstance(entry, str) or "\0" in entry or strip_suffix(PurePosixPath(entry).name) is None:
        return None
    file = root / PurePosixPath(entry)
    inside = Path(os.path.realpath(file)).is_relative_to(os.path.realpath(root))
    return file if inside else None
