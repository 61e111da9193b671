"""Hints about label maps to measure, and the meaning of their values."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
from hinting import Call, hint
from hints_of_sources import exams, liver, moved
from hints_of_tables import written

from liverspleen.cohort.label_values import label_values
from liverspleen.cohort.manifest import read_cohort, write_cohort
from liverspleen.evaluation.measurements.label_folder import measure_folder
from liverspleen.imaging import LabelMap, write_ct, write_label_map
from liverspleen.organs import Structure


def labelled(folder: Path, *names: str) -> Path:
    for exam in exams(*names):
        write_label_map(folder / f"{exam.name}.nii.gz", exam.label)
    return folder


@hint("LS-LAB-005", "add the missing label map, or exclude the case")
def case_without_label_map(folder: Path):
    labelled(folder / "labels", "a"), labelled(folder / "reference", "a", "b")
    yield lambda: measure_folder(folder / "labels", reference=folder / "reference")
    labelled(folder / "labels", "a", "b")


@hint("LS-LAB-006", "correct its name or add the case")
def label_map_without_case(folder: Path):
    labelled(folder / "labels", "a", "b")
    labelled(folder, "a", "b")
    rows = [{"case_id": name, "patient_id": name, "image": f"{name}.nii.gz"} for name in "ab"]
    write_cohort(folder / "cohort.csv", rows[:1])
    yield lambda: measure_folder(folder / "labels", cohort=read_cohort(folder / "cohort.csv"))
    write_cohort(folder / "cohort.csv", rows)


@hint("LS-LAB-007", "keep one of them")
def two_label_maps_of_a_case(folder: Path):
    labelled(folder / "labels", "a", "a_dseg")
    yield lambda: measure_folder(folder / "labels")
    (folder / "labels" / "a_dseg.nii.gz").unlink()


@hint("LS-LAB-008", "give them different names")
def two_readers_of_one_name(folder: Path):
    labelled(folder / "labels"), labelled(folder / "reference")
    options = {"reference": folder / "reference"}
    yield lambda: measure_folder(folder / "labels", **options, reader="manual")
    yield lambda: measure_folder(folder / "labels", **options, reader="dla")


@hint("LS-LAB-009", "give the folder that contains the label maps directly")
def folder_above_the_label_maps(folder: Path):
    labelled(folder / "labels")
    yield lambda: measure_folder(folder)
    yield lambda: measure_folder(folder / "labels")


@hint("LS-LAB-023", "correct the path")
def labels_of_another_path(folder: Path):
    labelled(folder / "labels")
    yield lambda: measure_folder(folder / "label")
    yield lambda: measure_folder(folder / "labels")


@hint("LS-LAB-024", "label_values=")
def values_for_masks_named_by_organ(folder: Path):
    write_label_map(folder / "labels" / "a" / "liver.nii.gz", liver(exams()[0]))
    yield lambda: measure_folder(folder / "labels", label_values=label_values("label_values", {1: "liver"}))
    yield lambda: measure_folder(folder / "labels")


@hint("LS-LAB-022", "keep one mask of each organ")
def two_masks_of_an_organ(folder: Path):
    for name in ("liver.nii.gz", "liver.nii"):
        write_label_map(folder / "labels" / "a" / name, liver(exams()[0]))
    yield lambda: measure_folder(folder / "labels")
    (folder / "labels" / "a" / "liver.nii").unlink()


def measured(labels: Path, **options: Any) -> Call:
    return lambda: measure_folder(labels, surface=None, **options)


def names(folder: Path, **labels: int) -> Path:
    return written(folder / "dataset.json", json.dumps({"labels": labels}))


EXCHANGED = {1: Structure.SPLEEN, 2: Structure.LIVER}


@hint("LS-LAB-050", "remove label_values= if the file is right, else correct the file")
def values_that_the_file_contradicts(folder: Path):
    names(labelled(folder / "labels"), liver=1, spleen=2)
    yield measured(folder / "labels", label_values=EXCHANGED)
    yield measured(folder / "labels")


@hint("LS-LAB-050", "remove the file that is wrong, or give label_values=")
def two_files_of_label_values(folder: Path):
    names(labelled(folder / "labels"), liver=1, spleen=2)
    table = written(folder / "labels" / "dseg.tsv", "index\tname\n1\tspleen\n2\tliver\n")
    yield measured(folder / "labels")
    table.unlink()


@hint("LS-LAB-051", "correct the file, or give label_values=")
def file_of_label_values_without_an_organ(folder: Path):
    names(labelled(folder / "labels"), kidney=1)
    yield measured(folder / "labels")
    names(folder / "labels", liver=1, spleen=2)


@hint("LS-LAB-052", "if the label map was edited, move it to another folder, and measure it there")
def edited_label_map(folder: Path):
    labelled(folder / "labels", "a_dseg")
    written(folder / "labels" / "a_dseg.json", '{"covered": ["liver"]}')
    yield measured(folder / "labels")
    (folder / "edited").mkdir()
    moved("labels/a_dseg.nii.gz", "edited/a_dseg.nii.gz")(folder)
    yield measured(folder / "edited")


@hint("LS-LAB-054", "check the label values, and correct the spleen in the label map")
def spleen_inside_of_the_liver(folder: Path):
    exam = exams("a")[0]
    labels = exam.label.labels.copy()
    labels[2:4, 12:18, 8:12] = Structure.SPLEEN
    labels[:, :, 16:] = 0
    write_label_map(folder / "labels" / "a.nii.gz", LabelMap(labels, exam.label.geometry))
    yield measured(folder / "labels")
    write_label_map(folder / "labels" / "a.nii.gz", exam.label)


@hint("LS-MEA-020", "give label_values='{1: spleen, 2: liver}' if these values are exchanged")
def exchanged_label_values(folder: Path):
    exam = exams("a")[0]
    write_label_map(folder / "reference" / "a.nii.gz", exam.label)
    exchanged = np.array([0, 2, 1], np.uint8)[exam.label.labels]
    write_label_map(folder / "labels" / "a.nii.gz", LabelMap(exchanged, exam.label.geometry))
    yield measured(folder / "labels", reference=folder / "reference")
    yield measured(folder / "labels", reference=folder / "reference", label_values=EXCHANGED)


@hint("LS-MEA-021", "give cohort= with the CT scans to compare with their faces")
def label_map_that_fills_its_grid(folder: Path):
    exam = exams("a")[0]
    full = LabelMap(np.ones_like(exam.label.labels), exam.label.geometry)
    write_label_map(folder / "labels" / "a.nii.gz", full)
    write_ct(folder / "a.nii.gz", exam.ct)
    write_cohort(folder / "cohort.csv", [{"case_id": "a", "patient_id": "a", "image": "a.nii.gz"}])
    yield measured(folder / "labels")
    yield measured(folder / "labels", cohort=read_cohort(folder / "cohort.csv"))
