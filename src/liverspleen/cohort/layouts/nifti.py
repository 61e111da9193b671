"""A folder of CT in NIfTI, and a folder of label maps of the same names, or as `liverspleen predict` names them."""

from __future__ import annotations

from pathlib import Path

from liverspleen.cohort.layouts.source import (
    Found,
    Left,
    NiftiDrawing,
    NiftiScan,
    Request,
    SourceCase,
    label_map_files,
    needed_meaning,
)
from liverspleen.cohort.layouts.source import nifti_files as files_in
from liverspleen.errors import InputError, Issue
from liverspleen.imaging.nifti import strip_suffix


def find(request: Request) -> Found:
    """The CT in `images/` of the input, else in the input itself; the input may be a single file too.

    Raises:
        InputError: LS-IMP-002 there is no CT, LS-IMP-001 labels= is not there, and what `needed_meaning` rejects.
    """
    scans, left = _scans(request.input)
    drawings, twice = _drawings(request, scans)
    values = needed_meaning(request, None) if drawings else None
    cases = tuple(
        SourceCase(name, name, NiftiScan(file), NiftiDrawing(drawings[name], values) if name in drawings else None)
        for name, file in scans.items()
    )
    if not cases and not left:
        raise InputError(Issue("LS-IMP-002", "no .nii.gz or .nii lies in the input", "give the folder of the images"))
    return Found(cases, (*left, *twice), tuple(_notes(request, scans, drawings)))


def _scans(source: Path) -> tuple[dict[str, Path], tuple[Left, ...]]:
    if source.is_file():
        name = strip_suffix(source.name)
        return ({name: source} if name else {}), ()
    folder = source / "images"
    return files_in(folder if folder.is_dir() else source)


def _drawings(request: Request, scans: dict[str, Path]) -> tuple[dict[str, Path], tuple[Left, ...]]:
    labels = request.labels
    if labels is None:
        return {}, ()
    if labels.is_dir():
        return label_map_files(labels, scans)
    if labels.is_file() and len(scans) == 1:
        return dict.fromkeys(scans, labels), ()
    message = "labels= is neither a folder nor, for a single CT, a file"
    raise InputError(Issue("LS-IMP-001", message, "correct the path"))


def _notes(request: Request, scans: dict[str, Path], drawings: dict[str, Path]) -> list[Issue]:
    notes = [
        Issue("LS-IMP-006", "label map has no CT of its name", "rename it", file=drawings[name], severity="warning")
        for name in sorted(set(drawings) - set(scans))
    ]
    if request.labels is not None:
        notes += [
            Issue(
                "LS-IMP-005",
                "CT has no label map of its name",
                "add the missing label map",
                file=scans[name],
                severity="warning",
            )
            for name in sorted(set(scans) - set(drawings))
        ]
    elif (request.input / "labels").is_dir():
        message = "the input has a folder 'labels', which is not read without labels="
        notes.append(Issue("LS-IMP-026", message, "name it by labels= if it is wanted", severity="note"))
    return notes
