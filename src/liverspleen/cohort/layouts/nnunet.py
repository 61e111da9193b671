"""nnU-Net raw data, versions 2 and 1: `imagesTr/<case>_0000.nii.gz`, `labelsTr/<case>.nii.gz`; test cases in `..Ts`."""

from __future__ import annotations

import re
from pathlib import Path

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
    nifti_files,
)
from liverspleen.cohort.vocabulary import DEVELOPMENT
from liverspleen.errors import InputError, Issue
from liverspleen.imaging.nifti import SUFFIXES

_CHANNEL = re.compile(r"(?P<case>.+)_(?P<channel>\d{4})")
_FOLDERS = (("imagesTr", "labelsTr", DEVELOPMENT), ("imagesTs", "labelsTs", TEST))


def find(request: Request) -> Found:
    """The cases of `imagesTr` for development, those of `imagesTs` as a test set.

    Raises:
        InputError: LS-IMP-002 there is no image, LS-IMP-035 images are not NIfTI, and what `read_description` and
            `needed_meaning` reject.
    """
    description = read_description(request.input)
    if description.content.get("file_ending", SUFFIXES[0]) not in SUFFIXES:
        raise InputError(
            Issue("LS-IMP-035", "dataset.json states images in another format than NIfTI", "convert them to .nii.gz")
        )
    cases: list[SourceCase] = []
    left: list[Left] = []
    notes = list(description.notes)
    for images, labels, dataset in _FOLDERS:
        scans, faulty = _scans(request.input / images)
        drawings, twice = _files(request.input / labels)
        values = needed_meaning(request, description.names) if drawings else None
        left += [*faulty, *twice]
        for name, file in scans.items():
            if dataset == DEVELOPMENT and drawings and name not in drawings:
                left.append(
                    Left(name, Issue("LS-IMP-005", "CT has no label map", "add the missing label map", file=file))
                )
                continue
            drawing = NiftiDrawing(drawings[name], values) if name in drawings else None
            cases.append(SourceCase(name, name, NiftiScan(file), drawing, {"dataset": dataset}))
        notes += [
            Issue(
                "LS-IMP-006",
                "label map has no CT of its name",
                "add the missing CT",
                file=drawings[name],
                severity="warning",
            )
            for name in sorted(set(drawings) - set(scans) - {item.name for item in left})
        ]
    if not cases and not left:
        raise InputError(Issue("LS-IMP-002", "no image lies in imagesTr or imagesTs", "give the dataset's folder"))
    return Found(tuple(cases), tuple(left), tuple(notes))


def _scans(folder: Path) -> tuple[dict[str, Path], list[Left]]:
    """By case: the file of channel 0; cases with another channel, or files without one, are left."""
    files, twice = _files(folder)
    left = list(twice)
    found: dict[str, Path] = {}
    several: set[str] = set()
    for name, file in files.items():
        match = _CHANNEL.fullmatch(name)
        if match is None:
            message = "the file name has no channel number, expected _0000 at its end"
            left.append(Left(name, Issue("LS-IMP-034", message, "rename the file", file=file)))
        elif match["channel"] == "0000":
            found[match["case"]] = file
        elif match["case"] not in several:
            several.add(match["case"])
            message = "case has further channels, expected one (CT)"
            left.append(Left(match["case"], Issue("LS-IMP-008", message, "keep the CT channel alone", file=file)))
    return {name: file for name, file in found.items() if name not in several}, left


def _files(folder: Path) -> tuple[dict[str, Path], tuple[Left, ...]]:
    return nifti_files(folder) if folder.is_dir() else ({}, ())
