"""nnU-Net raw data, versions 2 and 1: `imagesTr/<case>_0000.nii.gz`, `labelsTr/<case>.nii.gz`; test cases in `..Ts`.

The files may have any image format.
"""

from __future__ import annotations

import re
from pathlib import Path

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
    nifti_files,
    required_label_values,
    skipped_files_of,
)
from liverspleen.cohort.vocabulary import DEVELOPMENT
from liverspleen.errors import InputError, Issue
from liverspleen.imaging.files import ENDINGS, FORMATS

_CHANNEL = re.compile(r"(?P<case>.+)_(?P<channel>\d{4})")
_FOLDERS = (("imagesTr", "labelsTr", DEVELOPMENT), ("imagesTs", "labelsTs", TEST))


def find(request: Request) -> Found:
    """Find the cases of `imagesTr` (development) and of `imagesTs` (test set).

    Raises:
        InputError: LS-IMP-002 there is no image, LS-IMP-035 images have another format; as `read_description` and
            `required_label_values`.
    """
    description = read_description(request.input)
    if description.content.get("file_ending", ".nii.gz") not in FORMATS:
        message = f"dataset.json states another format than {ENDINGS}"
        raise InputError(Issue("LS-IMP-035", message, "convert the images to .nii.gz, and correct file_ending"))
    cases: list[SourceCase] = []
    excluded: list[Exclusion] = []
    notes = [*description.notes, *meaning_notes(request, description.names)]
    for images, labels, dataset in _FOLDERS:
        scans, unusable_scans = _scans(request.input / images)
        label_maps, several = _files(request.input / labels)
        values = required_label_values(request, description.names) if label_maps else None
        excluded += [*unusable_scans, *several]
        for name, file in scans.items():
            if dataset == DEVELOPMENT and label_maps and name not in label_maps:
                issue = Issue("LS-IMP-005", "CT has no label map", "add the missing label map", file=file)
                excluded.append(Exclusion(name, issue))
                continue
            source = NiftiLabels(label_maps[name], values) if name in label_maps else None
            cases.append(SourceCase(name, name, NiftiScan(file), source, {"dataset": dataset}))
        message = "label map has no CT of the same name"
        notes += [
            Issue("LS-IMP-006", message, "add the missing CT, or correct the name", file=label_maps[name])
            for name in sorted(set(label_maps) - set(scans) - {item.name for item in excluded})
        ]
    if not cases and not excluded:
        raise InputError(Issue("LS-IMP-002", "no image in imagesTr or imagesTs", "give the folder of the dataset"))
    notes += skipped_files_of(request, cases, excluded, notes)
    return Found(tuple(cases), tuple(excluded), tuple(notes))


def _scans(folder: Path) -> tuple[dict[str, Path], list[Exclusion]]:
    """Return the file of channel 0 by case; cases with other channels and files without one are excluded."""
    files, same_name = _files(folder)
    excluded = list(same_name)
    found: dict[str, Path] = {}
    several: set[str] = set()
    for name, file in files.items():
        match = _CHANNEL.fullmatch(name)
        if match is None:
            message = "file name has no channel number, expected _0000 at the end"
            excluded.append(Exclusion(name, Issue("LS-IMP-034", message, "rename the file", file=file)))
        elif match["channel"] == "0000":
            found[match["case"]] = file
        elif match["case"] not in several:
            several.add(match["case"])
            message = "case has several channels, expected one (CT)"
            issue = Issue("LS-IMP-008", message, "keep only the CT channel", file=file)
            excluded.append(Exclusion(match["case"], issue))
    return {name: file for name, file in found.items() if name not in several}, excluded


def _files(folder: Path) -> tuple[dict[str, Path], tuple[Exclusion, ...]]:
    return nifti_files(folder) if folder.is_dir() else ({}, ())
