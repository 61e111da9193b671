"""Hints about sources of an import."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from hinting import Call, hint
from hints_of_tables import written
from plain_segmentation import save, segmentation
from source_files import Exam, box_exam, chaos, msd, nifti, nnunet, totalsegmentator

from liverspleen.api.importing import run_import
from liverspleen.config import ImportConfig, compose
from liverspleen.imaging import LabelMap, write_label_map
from liverspleen.imaging.dicom import write_series

Change = Callable[[Path], object]


@cache
def defaults() -> ImportConfig:
    """Composed once: composing takes longer than importing a small case."""
    config: ImportConfig = compose("import", ["source=nifti", "input=x", "output=x", "workers=1", "ids=names"])
    return config


def imported(folder: Path, layout: str, **options: Any) -> Call:
    """Return an import of `folder/in` into `folder/out`."""
    values = {"source": layout, "input": folder / "in", "output": folder / "out", "key": folder / "key"}
    return lambda: run_import(replace(defaults(), **(values | options)))


def exams(*names: str) -> list[Exam]:
    return [box_exam(name, seed=seed) for seed, name in enumerate(names or ("a", "b"))]


def source_changes(
    code: str, text: str, layout: str, spoil: Change, change: Change, write: Any = None, **options: Any
) -> None:
    """Register a hint that changes the files of a source: `spoil` and `change` get its folder."""
    writer = write or {"nifti": nifti, "msd": msd, "nnunet": nnunet, "totalsegmentator": totalsegmentator}[layout]
    given = {"nifti": {"label_values": "liverspleen"}, "msd": {"label_values": "names"}}.get(layout, {})
    given |= {"label_values": "names"} if layout == "nnunet" else {}

    @hint(code, text)
    def entry(folder: Path):
        writer(folder / "in", exams())
        names = {"input": "images", "labels": "masks"} if layout == "nifti" else {}
        paths = {option: folder / "in" / name for option, name in names.items()}
        spoil(folder / "in")
        yield imported(folder, layout, **paths, **given, **options)
        change(folder / "in")


def moved(old: str, new: str) -> Change:
    return lambda folder: (folder / old).rename(folder / new)


def copied(old: str, new: str) -> Change:
    return lambda folder: (folder / new).write_bytes((folder / old).read_bytes())


def removed(name: str) -> Change:
    return lambda folder: (folder / name).unlink()


def described(**content: Any) -> Change:
    """Change entries of dataset.json."""

    def change(folder: Path) -> None:
        file = folder / "dataset.json"
        file.write_text(json.dumps(json.loads(file.read_text()) | content))

    return change


# ---- import ---------------------------------------------------------------------------------------------------------


@hint("LS-IMP-001", "correct the path")
def labels_that_do_not_exist(folder: Path):
    nifti(folder / "in", exams())
    images, options = folder / "in" / "images", {"label_values": "liverspleen"}
    yield imported(folder, "nifti", input=images, labels=folder / "in" / "mask", **options)
    yield imported(folder, "nifti", input=images, labels=folder / "in" / "masks", **options)


@hint("LS-IMP-002", "give the folder of the images")
def folder_without_images(folder: Path):
    nifti(folder / "in", exams())
    options = {"labels": folder / "in" / "masks", "label_values": "liverspleen"}
    (folder / "in" / "notes").mkdir()
    yield imported(folder, "nifti", input=folder / "in" / "notes", **options)
    yield imported(folder, "nifti", input=folder / "in" / "images", **options)


@hint("LS-IMP-003", "label_values=")
def values_without_meaning(folder: Path):
    nifti(folder / "in", exams())
    options = {"input": folder / "in" / "images", "labels": folder / "in" / "masks"}
    yield imported(folder, "nifti", **options)
    yield imported(folder, "nifti", **options, label_values={1: "liver", 2: "spleen"})


@hint("LS-IMP-004", "give label_values= as a preset or a map")
def source_without_names(folder: Path):
    nifti(folder / "in", exams())
    options = {"input": folder / "in" / "images", "labels": folder / "in" / "masks"}
    yield imported(folder, "nifti", **options, label_values="names")
    yield imported(folder, "nifti", **options, label_values="liverspleen")


@hint("LS-IMP-013", "rename one of them")
def two_cases_with_one_id(folder: Path):
    nifti(folder / "in", exams("a", "A"))
    options = {"input": folder / "in" / "images", "labels": folder / "in" / "masks", "label_values": "liverspleen"}
    yield imported(folder, "nifti", **options)
    for name in ("images", "masks"):
        (folder / "in" / name / "A.nii.gz").rename(folder / "in" / name / "b.nii.gz")


@hint("LS-IMP-032", "move the file, or choose another output=")
def file_that_no_import_wrote(folder: Path):
    nifti(folder / "in", exams())
    (folder / "out" / "images").mkdir(parents=True)
    (folder / "out" / "images" / "a.nii.gz").touch()
    options = {"input": folder / "in" / "images", "labels": folder / "in" / "masks", "label_values": "liverspleen"}
    yield imported(folder, "nifti", **options)
    yield imported(folder, "nifti", **options, output=folder / "other")


@hint("LS-IMP-036", "correct the path")
def input_that_does_not_exist(folder: Path):
    nifti(folder / "in", exams())
    options = {"labels": folder / "in" / "masks", "label_values": "liverspleen"}
    yield imported(folder, "nifti", input=folder / "im", **options)
    yield imported(folder, "nifti", input=folder / "in" / "images", **options)


@hint("LS-IMP-030", "remove it from the covariates")
def organ_that_the_label_map_cannot_show(folder: Path):
    nifti(folder / "in", exams())
    file = written(folder / "c.csv", "source,labelled_structures\na,liver;spleen\nb,liver\n")
    options = {"input": folder / "in" / "images", "labels": folder / "in" / "masks", "label_values": {1: "liver"}}
    yield imported(folder, "nifti", **options, covariates=file)
    written(file, "source,labelled_structures\na,liver\nb,liver\n")


@hint("LS-IMP-026", "give the meaning of their values by label_values= to read them")
def labels_that_are_not_read(folder: Path):
    images = folder / "in" / "images"
    nifti(folder / "in", exams())
    (folder / "in" / "masks").rename(images / "labels")
    yield imported(folder, "nifti", input=images)
    yield imported(folder, "nifti", input=images, label_values="liverspleen")


@hint("LS-IMP-011", "state the dataset in the covariates")
def test_cases_of_the_source(folder: Path):
    nnunet(folder / "in", exams())
    (folder / "in" / "imagesTs").mkdir()
    (folder / "in" / "imagesTr" / "b_0000.nii.gz").rename(folder / "in" / "imagesTs" / "b_0000.nii.gz")
    (folder / "in" / "labelsTr" / "b.nii.gz").unlink()
    yield imported(folder, "nnunet", label_values="names")
    file = written(folder / "c.csv", "source,dataset\na,development\nb,test2\n")
    yield imported(folder, "nnunet", label_values="names", covariates=file)


@hint("LS-IDN-005", "give key= outside of output=")
def key_in_the_output(folder: Path):
    nifti(folder / "in", exams())
    options = {"input": folder / "in" / "images", "labels": folder / "in" / "masks", "label_values": "liverspleen"}
    yield imported(folder, "nifti", **options, key=folder / "out" / "key")
    yield imported(folder, "nifti", **options, key=folder / "key")


source_changes(
    "LS-IMP-005", "add the missing label map", "nifti", moved("masks/a.nii.gz", "x"), moved("x", "masks/a.nii.gz")
)


PAIRS = "give the pairs by pairs=, a table with the columns image and label"
PAIRED = "image,label\nimages/a.nii.gz,masks/a.nii.gz\nimages/b.nii.gz,masks/b.nii.gz\n"


def pairs_help(code: str, spoil: Change, table: str = PAIRED) -> None:
    """Register the hint to give pairs: `spoil` changes the files of a source, `table` gives the pairs."""

    @hint(code, PAIRS)
    def entry(folder: Path):
        nifti(folder / "in", exams())
        spoil(folder / "in")
        options = {"input": folder / "in" / "images", "label_values": "liverspleen"}
        yield imported(folder, "nifti", labels=folder / "in" / "masks", **options)
        yield imported(folder, "nifti", pairs=written(folder / "in" / "pairs.csv", table), **options)


pairs_help("LS-IMP-006", moved("masks/b.nii.gz", "masks/x.nii.gz"), PAIRED.replace("masks/b", "masks/x"))
pairs_help("LS-IMP-007", copied("masks/a.nii.gz", "masks/a_seg.nii.gz"))
pairs_help(
    "LS-IMP-040",
    lambda folder: [moved(f"masks/{name}.nii.gz", f"masks/x{name}.nii.gz")(folder) for name in "ab"],
    PAIRED.replace("masks/", "masks/x"),
)


@hint("LS-IMP-007", "keep one")
def two_files_of_one_ct(folder: Path):
    nifti(folder / "in", exams())
    copied("images/a.nii.gz", "images/a.nii")(folder / "in")
    yield imported(folder, "nifti", input=folder / "in" / "images")
    removed("images/a.nii")(folder / "in")


@hint("LS-IMP-040", "correct the path, or remove the option")
def labels_without_a_label_map(folder: Path):
    nifti(folder / "in", exams())
    (folder / "in" / "empty").mkdir()
    options = {"input": folder / "in" / "images", "label_values": "liverspleen"}
    yield imported(folder, "nifti", labels=folder / "in" / "empty", **options)
    yield imported(folder, "nifti", labels=folder / "in" / "masks", **options)


def pairs_change(code: str, text: str, before: str) -> None:
    """Register a hint that changes the table of pairs."""

    @hint(code, text)
    def entry(folder: Path):
        nifti(folder / "in", exams())
        table = written(folder / "in" / "pairs.csv", before)
        yield imported(folder, "nifti", pairs=table, label_values="liverspleen")
        written(table, PAIRED)


pairs_change("LS-IMP-042", "write a header with the columns image, label", PAIRED.replace("image,", "ct,"))
pairs_change("LS-IMP-042", "write a row for each CT", "image,label\n")
pairs_change("LS-IMP-043", "correct the path", PAIRED.replace("masks/b", "masks/x"))
pairs_change("LS-IMP-043", "keep one row of each file", PAIRED.replace("masks/b", "masks/a"))


@hint("LS-IMP-044", "exchange the two files, or input= and labels=")
def images_and_labels_exchanged(folder: Path):
    nifti(folder / "in", exams())
    images, masks = folder / "in" / "images", folder / "in" / "masks"
    yield imported(folder, "nifti", input=masks, labels=images, label_values="liverspleen")
    yield imported(folder, "nifti", input=images, labels=masks, label_values="liverspleen")


@hint("LS-IMP-044", "give it as the label map of its CT by pairs= if it should be read")
def label_map_among_images(folder: Path):
    nifti(folder / "in", exams())
    moved("masks/a.nii.gz", "images/organs.nii.gz")(folder / "in")
    options = {"input": folder / "in" / "images", "label_values": "liverspleen"}
    yield imported(folder, "nifti", labels=folder / "in" / "masks", **options)
    table = PAIRED.replace("masks/a", "images/organs")
    yield imported(folder, "nifti", pairs=written(folder / "in" / "pairs.csv", table), **options)


@hint("LS-IMP-045", "give the patients by covariates= if they are of several patients")
def ct_scans_of_two_patients_in_one_folder(folder: Path):
    nifti(folder / "in", exams())
    (folder / "in" / "images").rename(folder / "in" / "site")
    shutil.rmtree(folder / "in" / "masks")
    yield imported(folder, "nifti")
    file = written(folder / "c.csv", "source,patient\nsite/a,P\nsite/b,Q\n")
    yield imported(folder, "nifti", covariates=file)


source_changes(
    "LS-IMP-008",
    "keep only the CT channel",
    "nnunet",
    described(channel_names={"0": "CT", "1": "MR"}),
    described(channel_names={"0": "CT"}),
)
source_changes(
    "LS-IMP-010",
    "correct the file",
    "msd",
    lambda folder: described(labels=[])(folder),
    described(labels={"1": "liver", "2": "spleen"}),
)
source_changes(
    "LS-IMP-010", "give the folder that contains it", "nnunet", moved("dataset.json", "x"), moved("x", "dataset.json")
)
source_changes(
    "LS-IMP-034",
    "rename the file",
    "nnunet",
    moved("imagesTr/a_0000.nii.gz", "imagesTr/a.nii.gz"),
    moved("imagesTr/a.nii.gz", "imagesTr/a_0000.nii.gz"),
)
source_changes(
    "LS-IMP-035",
    "convert the images to .nii.gz",
    "nnunet",
    described(file_ending=".mgz"),
    described(file_ending=".nii.gz"),
)
source_changes("LS-IMP-029", "add the file", "totalsegmentator", moved("a/ct.nii.gz", "x"), moved("x", "a/ct.nii.gz"))


def entries(folder: Path) -> Any:
    return json.loads((folder / "dataset.json").read_text())["training"]


source_changes(
    "LS-IMP-012",
    "correct the entry",
    "msd",
    lambda folder: described(training=[{"image": "../a.nii.gz", "label": "x"}, *entries(folder)[1:]])(folder),
    lambda folder: described(training=[{k: f"./{k}sTr/a.nii.gz" for k in ("image", "label")}, *entries(folder)[1:]])(
        folder
    ),
)


@hint("LS-IMP-009", "check that voxels are in HU")
def channel_of_another_name(folder: Path):
    nnunet(folder / "in", exams())
    described(channel_names={"0": "image"})(folder / "in")
    yield imported(folder, "nnunet", label_values="names")
    described(channel_names={"0": "CT"})(folder / "in")


def masks(folder: Path, change: Callable[[Exam], LabelMap]) -> Path:
    """Write a source of TotalSegmentator, and the changed mask of the liver of case a; return its file."""
    totalsegmentator(folder / "in", exams())
    file = folder / "in" / "a" / "segmentations" / "liver.nii.gz"
    write_label_map(file, change(exams()[0]))
    return file


def liver(exam: Exam) -> LabelMap:
    return LabelMap((exam.label.labels == 1).astype(np.uint8), exam.label.geometry)


@hint("LS-IMP-027", "give a binary mask of one organ")
def mask_with_two_values(folder: Path):
    file = masks(folder, lambda exam: exam.label)
    yield imported(folder, "totalsegmentator")
    write_label_map(file, liver(exams()[0]))


@hint("LS-IMP-028", "resample the masks to their CT")
def mask_on_another_grid(folder: Path):
    file = masks(folder, lambda exam: liver(box_exam("x", slices=4)))
    yield imported(folder, "totalsegmentator")
    write_label_map(file, liver(exams()[0]))


@hint("LS-IMP-023", "correct the masks")
def masks_that_overlap(folder: Path):
    file = masks(folder, lambda exam: LabelMap((exam.label.labels > 0).astype(np.uint8), exam.label.geometry))
    yield imported(folder, "totalsegmentator")
    write_label_map(file, liver(exams()[0]))


@hint("LS-IMP-020", "add a mask for every slice")
def mask_that_is_missing(folder: Path):
    chaos(folder / "in", exams())
    last = sorted((folder / "in" / "a" / "Ground").iterdir())[-1]
    kept = last.read_bytes()
    last.unlink()
    yield imported(folder, "chaos", label_values="chaos_mr")
    last.write_bytes(kept)


# ---- DICOM ----------------------------------------------------------------------------------------------------------


@hint("LS-IMP-019", "give their folder as labels= if they should be read")
def segmentations_that_are_not_read(folder: Path):
    for exam in exams():
        files = write_series(folder / "in" / exam.name, exam.ct, tags={"PatientID": exam.patient})
        save(segmentation(files), folder / "in" / exam.name / "segmentation.dcm")
    yield imported(folder, "dicom", minimum_slices=2)
    yield imported(folder, "dicom", minimum_slices=2, labels=folder / "in")


@hint("LS-DCM-020", "give the patient in covariates=")
def series_without_patient(folder: Path):
    write_series(folder / "in" / "a", exams("a")[0].ct, tags={"PatientID": ""})
    yield imported(folder, "dicom", minimum_slices=2)
    file = written(folder / "c.csv", "source,patient\na,P1\n")
    yield imported(folder, "dicom", minimum_slices=2, covariates=file)
