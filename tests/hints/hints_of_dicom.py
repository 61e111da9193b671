"""Hints about DICOM series, and about DICOM segmentations as label maps."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pydicom
from hinting import Call, hint
from plain_segmentation import BOXES, save, segmentation
from source_files import box_exam

from liverspleen.cohort.layouts import Meaning, Request, find_cases
from liverspleen.errors import InputError, Issue
from liverspleen.imaging.dicom import write_series
from liverspleen.organs import Structure

sys.path.append(str(Path(__file__).parents[1] / "imaging" / "dicom"))
from dicom_stacks import change, state

Edit = Callable[[pydicom.Dataset, int], object]
"""Changes a slice, by its data set and number."""

SLICES = 6
WRITTEN: dict[tuple[object, ...], dict[str, bytes]] = {}
"""Content of the files of each series that was written: writing takes longer than the test."""


def series(folder: Path, seed: int = 0, **tags: object) -> tuple[Path, ...]:
    known = {"PatientID": "P", "StudyInstanceUID": f"2.25.{seed + 1}", "FrameOfReferenceUID": "2.25.7"}
    key = (seed, *tags.items())
    if key not in WRITTEN:
        files = write_series(folder, box_exam("a", slices=SLICES, seed=seed).ct, tags=known | tags)
        WRITTEN[key] = {file.name: file.read_bytes() for file in files}
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in WRITTEN[key].items():
        (folder / name).write_bytes(content)
    return tuple(folder / name for name in WRITTEN[key])


def found(folder: Path, rows: Sequence[Mapping[str, str]] = (), **options: Any) -> Call:
    """Return what an import of `folder/in`, with `folder/seg` as labels if it exists, finds and reads."""
    keys = dict.fromkeys(("source", "patient", "series", "segmentation", "phase"), "")
    labels = folder / "seg"
    request = Request(folder / "in", labels if labels.exists() else None, covariate_rows=tuple(keys | r for r in rows))

    def call() -> list[Issue]:
        source = find_cases("dicom", replace(request, **options))
        issues = [*(exclusion.issue for exclusion in source.excluded), *source.notes]
        for case in source.cases:
            try:
                ct = case.scan.read("a")
                assert case.labels is None or case.labels.read("a", ct).labels.any()
            except InputError as error:
                issues += error.issues
        return issues

    return call


def headers_change(code: str, text: str, spoil: Edit, correct: Edit) -> None:
    """Register a hint that changes the headers of a series."""

    @hint(code, text)
    def entry(folder: Path):
        files = series(folder / "in" / "ct")
        change(files, spoil)
        yield found(folder)
        change(files, correct)


def stated(**fields: Any) -> Edit:
    """State fields, also by text that pydicom does not write; None deletes the field."""

    def edit(dataset: pydicom.Dataset, _: int) -> None:
        for keyword, value in fields.items():
            if value is None:
                delattr(dataset, keyword)
            elif isinstance(value, str):
                state(dataset, keyword, value)
            else:
                setattr(dataset, keyword, value)

    return edit


def at_the_end(edit: Edit) -> Edit:
    return lambda dataset, number: edit(dataset, number) if number == SLICES - 1 else None


CORRECT = "correct these fields in the headers"
RESCALE = "add the rescaling of the scanner to the headers"
UNSIGNED = stated(RescaleIntercept=None, PixelRepresentation=0)

headers_change("LS-DCM-007", CORRECT, stated(PixelSpacing="0,8"), stated(PixelSpacing=[0.8, 0.8]))
headers_change("LS-DCM-050", CORRECT, stated(RescaleSlope="1,0"), stated(RescaleSlope=1))
headers_change(
    "LS-DCM-053",
    RESCALE,
    lambda dataset, number: stated(RescaleSlope=None if number == SLICES - 1 else 2)(dataset, number),
    stated(RescaleSlope=2),
)
headers_change("LS-DCM-054", RESCALE, UNSIGNED, stated(RescaleIntercept=-1024))
headers_change("LS-DCM-057", CORRECT, stated(HighBit=11), stated(HighBit=15))
headers_change(
    "LS-DCM-065",
    "correct the header of this image",
    at_the_end(stated(SeriesInstanceUID="2.25.9")),
    stated(SeriesInstanceUID="2.25.8"),
)


@hint("LS-DCM-014", f"give minimum_slices={SLICES} if the series should be used")
def series_of_few_slices(folder: Path):
    series(folder / "in" / "ct")
    yield found(folder, minimum_slices=SLICES + 1)
    yield found(folder, minimum_slices=SLICES)


@hint("LS-DCM-061", "give series_by=folder")
def slices_with_own_series(folder: Path):
    change(
        series(folder / "in" / "ct"), lambda dataset, number: setattr(dataset, "SeriesInstanceUID", f"2.25.{number}")
    )
    yield found(folder)
    yield found(folder, series_by="folder")


# ---- segmentations --------------------------------------------------------------------------------------------------

SEGMENT_VALUES = Meaning({1: Structure.LIVER, 2: Structure.SPLEEN})
COLUMN = "in the column 'segmentation' of the covariates"


def segmented(folder: Path, **options: Any) -> Any:
    """Write a series and return a segmentation of it."""
    return segmentation(series(folder / "in" / "ct"), **options)


def two_versions(folder: Path) -> None:
    for number in (1, 2):
        save(segmented(folder, uid=f"2.25.2{number}"), folder / "seg" / f"v{number}.dcm")


@hint("LS-LAB-040", f"name one {COLUMN}")
def two_segmentations(folder: Path):
    two_versions(folder)
    yield found(folder)
    yield found(folder, [{"source": "ct", "segmentation": "v2.dcm"}])


@hint("LS-LAB-040", "keep one in labels=")
def two_segmentations_of_which_one_is_removed(folder: Path):
    two_versions(folder)
    yield found(folder)
    (folder / "seg" / "v1.dcm").unlink()


@hint("LS-LAB-042", "remove the copy")
def copied_segmentation(folder: Path):
    save(segmented(folder), folder / "seg" / "s.dcm")
    shutil.copy(folder / "seg" / "s.dcm", folder / "seg" / "t.dcm")
    yield found(folder)
    (folder / "seg" / "t.dcm").unlink()


@hint("LS-LAB-044", "give the path relative to labels=, or a UID of the segmentation, in the column 'segmentation'")
def segmentation_of_another_path(folder: Path):
    save(segmented(folder), folder / "seg" / "new" / "s.dcm")
    yield found(folder, [{"source": "ct", "segmentation": "s.dcm"}])
    yield found(folder, [{"source": "ct", "segmentation": "new/s.dcm"}])


@hint("LS-IMP-025", "give the meaning of segment numbers by label_values=")
def segments_without_a_code_of_an_organ(folder: Path):
    kidneys = segmented(folder, codes=dict.fromkeys(BOXES, ("SCT", "64033007")))
    for segment in kidneys.SegmentSequence:
        segment.SegmentLabel = segment.SegmentedPropertyTypeCodeSequence[0].CodeMeaning = "Kidney"
    save(kidneys, folder / "seg" / "s.dcm")
    yield found(folder)
    yield found(folder, meaning=SEGMENT_VALUES)


@hint("LS-DCM-071", "give the meaning of the segment numbers by label_values=")
def two_segments_of_one_organ(folder: Path):
    livers = segmented(folder, codes=dict.fromkeys(BOXES, ("SCT", "10200004")))
    for segment in livers.SegmentSequence:
        segment.SegmentLabel = segment.SegmentedPropertyTypeCodeSequence[0].CodeMeaning = "Liver"
    save(livers, folder / "seg" / "s.dcm")
    yield found(folder)
    yield found(folder, meaning=SEGMENT_VALUES)


@hint("LS-DCM-072", f"name the segmentation {COLUMN}")
def segmentation_of_another_frame(folder: Path):
    other = segmented(folder)
    other.FrameOfReferenceUID = "2.25.8"
    save(other, folder / "seg" / "s.dcm")
    yield found(folder)
    yield found(folder, [{"source": "ct", "segmentation": "s.dcm"}])


@hint("LS-DCM-073", f"name the segmentation {COLUMN}")
def segmentation_of_two_phases(folder: Path):
    save(segmented(folder, links=("frame",)), folder / "seg" / "s.dcm")
    for file in series(folder / "in" / "late", seed=1):  # on the grid of the other phase
        dataset = pydicom.dcmread(file)
        dataset.ImagePositionPatient = pydicom.dcmread(folder / "in" / "ct" / file.name).ImagePositionPatient
        dataset.save_as(file)
    yield found(folder)
    yield found(folder, [{"source": "late", "segmentation": "s.dcm"}])


@hint("LS-IMP-040", "select the labelled series by the covariates")
def segmentation_of_a_series_that_is_not_selected(folder: Path):
    series(folder / "in" / "ct", SeriesNumber=4, SeriesDescription="portal venous")
    late = series(folder / "in" / "late", seed=1, StudyInstanceUID="2.25.1", SeriesNumber=5)
    save(segmentation(late), folder / "seg" / "s.dcm")
    yield found(folder)
    yield found(folder, [{"patient": "P", "series": "5"}])
