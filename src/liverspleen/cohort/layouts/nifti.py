"""NIfTI: a folder of CT scans, and a folder of label maps with the same names or those of `liverspleen predict`."""

from __future__ import annotations

from pathlib import Path

from liverspleen.cohort.layouts.source import (
    Exclusion,
    Found,
    NiftiLabels,
    NiftiScan,
    Request,
    SourceCase,
    label_map_files,
    nifti_label_values,
)
from liverspleen.cohort.layouts.source import nifti_files as files_in
from liverspleen.errors import InputError, Issue
from liverspleen.imaging.nifti import strip_suffix


def find(request: Request) -> Found:
    """Find the CT scans in `images/` of the input, or else in the input itself, which may be a single file.

    Raises:
        InputError: LS-IMP-002 there is no CT, LS-IMP-001 `labels=` does not exist; as `nifti_label_values`.
    """
    scans, excluded = _scans(request.input)
    labels, several = _label_maps(request, scans)
    values, warnings = nifti_label_values(request, request.labels) if labels and request.labels else (None, ())
    cases = tuple(
        SourceCase(name, name, NiftiScan(file), NiftiLabels(labels[name], values) if name in labels else None)
        for name, file in scans.items()
    )
    if not cases and not excluded:
        raise InputError(Issue("LS-IMP-002", "input= has no .nii.gz or .nii file", "give the folder of the images"))
    return Found(cases, (*excluded, *several), (*warnings, *_notes(request, scans, labels)))


def _scans(source: Path) -> tuple[dict[str, Path], tuple[Exclusion, ...]]:
    if source.is_file():
        name = strip_suffix(source.name)
        return ({name: source} if name else {}), ()
    folder = source / "images"
    return files_in(folder if folder.is_dir() else source)


def _label_maps(request: Request, scans: dict[str, Path]) -> tuple[dict[str, Path], tuple[Exclusion, ...]]:
    labels = request.labels
    if labels is None:
        return {}, ()
    if labels.is_dir():
        return label_map_files(labels, scans)
    if labels.is_file() and len(scans) == 1:
        return dict.fromkeys(scans, labels), ()
    message = "labels= is not a folder, expected a folder, or a file if there is a single CT"
    raise InputError(Issue("LS-IMP-001", message, "correct the path"))


def _notes(request: Request, scans: dict[str, Path], labels: dict[str, Path]) -> list[Issue]:
    message = "label map has no CT of the same name"
    notes = [
        Issue("LS-IMP-006", message, "rename the label map", file=labels[name], severity="warning")
        for name in sorted(set(labels) - set(scans))
    ]
    if request.labels is not None:
        message = "CT has no label map of the same name"
        notes += [
            Issue("LS-IMP-005", message, "add the missing label map", file=scans[name], severity="warning")
            for name in sorted(set(scans) - set(labels))
        ]
    elif (request.input / "labels").is_dir():
        message = "folder 'labels' of the input is not read, because labels= is not given"
        notes.append(Issue("LS-IMP-026", message, "give it as labels= if it should be read", severity="note"))
    return notes
