"""Medical Segmentation Decathlon: `dataset.json` lists the images and labels of a task."""

from __future__ import annotations

import os
from pathlib import Path, PurePosixPath
from typing import Any

from liverspleen.cohort.layouts.description import read_description
from liverspleen.cohort.layouts.source import (
    TEST,
    Found,
    Left,
    NiftiDrawing,
    NiftiScan,
    Request,
    SourceCase,
    needed_meaning,
)
from liverspleen.cohort.vocabulary import DEVELOPMENT
from liverspleen.errors import InputError, Issue
from liverspleen.imaging.nifti import strip_suffix


def find(request: Request) -> Found:
    """The cases that `dataset.json` lists: `training` for development, `test` (images alone) as a test set.

    Raises:
        InputError: LS-IMP-002 it lists none, LS-IMP-010 its lists are broken, and what `read_description` and
            `needed_meaning` reject.
    """
    description = read_description(request.input)
    training, test = description.content.get("training") or [], description.content.get("test") or []
    if not isinstance(training, list) or not isinstance(test, list):
        raise InputError(Issue("LS-IMP-010", "dataset.json: its cases are no lists", "correct it"))
    if not training and not test:
        raise InputError(Issue("LS-IMP-002", "dataset.json lists no case", "see that source= is the right layout"))
    values = needed_meaning(request, description.names) if training else None
    cases: list[SourceCase] = []
    left: list[Left] = []
    for number, entry in enumerate([*training, *test]):
        trains = number < len(training)
        image = _entry(request.input, entry.get("image") if isinstance(entry, dict) else entry)
        label = _entry(request.input, entry.get("label")) if trains and isinstance(entry, dict) else None
        name = (strip_suffix(image.name) if image else None) or f"entry {number + 1}"
        if image is None or (trains and label is None):
            message = "dataset.json: an entry is no file inside the input, or names no label"
            left.append(Left(name, Issue("LS-IMP-012", message, "correct the entry")))
            continue
        drawing = NiftiDrawing(label, values) if label else None
        facts = {"dataset": DEVELOPMENT if trains else TEST}
        cases.append(SourceCase(name, name, NiftiScan(image), drawing, facts))
    return Found(tuple(cases), tuple(left), description.notes)


def _entry(root: Path, entry: Any) -> Path | None:
    """The file that an entry such as `./imagesTr/a.nii.gz` names; None if it is none inside the root."""
    if not isinstance(entry, str) or "\0" in entry or strip_suffix(PurePosixPath(entry).name) is None:
        return None
    file = root / PurePosixPath(entry)
    inside = Path(os.path.realpath(file)).is_relative_to(os.path.realpath(root))
    return file if inside else None
