"""Issues of `train` about a cohort and its split: one line each, and no training."""

from __future__ import annotations

import csv
import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from tiny import split_file, train, words

from liverspleen.cli.main import main
from liverspleen.cohort import open_cohort, read_cohort, read_split, write_cohort
from liverspleen.imaging.files import read_ct, read_label_map
from liverspleen.imaging.nifti import write_ct, write_label_map
from liverspleen.imaging.volume import CTVolume, LabelMap

Cohorts = Callable[..., Path]
Captured = pytest.CaptureFixture[str]


def issue_lines(capsys: Captured) -> list[str]:
    return [line for line in capsys.readouterr().err.splitlines() if "LS-" in line]


def assert_rejected(code: str, run: Path, capsys: Captured) -> str:
    """One line with that code, also in the run record, and no checkpoint."""
    (line,) = issue_lines(capsys)
    assert line.startswith(code), line
    assert json.loads((run / "run.json").read_text())["status"] == "rejected"
    assert not list(run.glob("*.ckpt"))
    return line


def edited(cohort: Path, **cells: str) -> None:
    """Change cells of the cohort's second row."""
    rows = list(csv.DictReader(cohort.read_text().splitlines()))
    rows[1] |= cells
    write_cohort(cohort, rows)


def test_patient_on_both_sides_of_the_split(box_cohort: Cohorts, tmp_path: Path, capsys: Captured) -> None:
    cohort = box_cohort()
    split = split_file(cohort, tmp_path / "split.csv", ("p0", "p1"), ("p1", "p2", "p3"))
    assert train(cohort, tmp_path / "run", f"split={split}") == 2
    assert "'p1'" in assert_rejected("LS-SPL-005", tmp_path / "run", capsys)


def test_patient_of_the_split_with_test_cases(box_cohort: Cohorts, tmp_path: Path, capsys: Captured) -> None:
    datasets = ("development", "development", "development", "test1")
    cohort = box_cohort(dataset=datasets, patient_id=("p0", "p1", "p2", "p0"))
    split = split_file(cohort, tmp_path / "split.csv", ("p0", "p1"), ("p2",))
    assert train(cohort, tmp_path / "run", f"split={split}") == 2
    assert "'p0'" in assert_rejected("LS-SPL-002", tmp_path / "run", capsys)
    assert train(cohort, tmp_path / "drawn") == 2  # nor is such a split drawn
    assert_rejected("LS-SPL-002", tmp_path / "drawn", capsys)


@pytest.mark.parametrize("cells", [{"label": "c0_label.nii.gz"}, {"patient_id": "p0"}, {"condition": "fatty"}])
def test_cohort_changed_since_the_split(
    cells: dict[str, str], box_cohort: Cohorts, tmp_path: Path, capsys: Captured
) -> None:
    cohort = box_cohort(condition=("healthy",) * 4)
    assert main(["split", f"cohort={cohort}", f"output={tmp_path}"]) == 0
    edited(cohort, **cells)
    assert train(cohort, tmp_path / "run", f"split={tmp_path / 'split.csv'}") == 2
    assert_rejected("LS-SPL-007", tmp_path / "run", capsys)


def test_cohort_changed_since_a_training_drew_its_split(box_cohort: Cohorts, tmp_path: Path, capsys: Captured) -> None:
    cohort, run = box_cohort(condition=("healthy",) * 4), tmp_path / "run"
    assert train(cohort, run, steps=1) == 0
    edited(cohort, condition="fatty")
    assert train(cohort, run, steps=2) == 2
    (line,) = issue_lines(capsys)
    assert line.startswith(f"LS-SPL-007 file '{run / 'split.csv'}': split is of a cohort with hash ")
    assert line.endswith("; restore the cohort, or choose another output=")
    assert train(cohort, tmp_path / "other", steps=1) == 0


def test_patient_of_the_split_without_a_label_map(box_cohort: Cohorts, tmp_path: Path, capsys: Captured) -> None:
    labels = ("c0_label.nii.gz", "", "c2_label.nii.gz", "c3_label.nii.gz")
    cohort = box_cohort(label=labels)
    split = split_file(cohort, tmp_path / "split.csv", ("p0", "p1"), ("p2", "p3"))
    assert train(cohort, tmp_path / "run", f"split={split}") == 2
    assert "'p1'" in assert_rejected("LS-SPL-006", tmp_path / "run", capsys)


def test_row_that_became_unusable_is_reported_with_its_split(
    box_cohort: Cohorts, tmp_path: Path, capsys: Captured
) -> None:
    """The table is the same, but the vocabulary has changed: the issue of the row is the reason, and is reported."""
    cohort = box_cohort(condition=("healthy", "fatty", "healthy", "healthy"))
    assert main(["split", f"cohort={cohort}", f"output={tmp_path}"]) == 0
    split = f"split={tmp_path / 'split.csv'}"
    assert train(cohort, tmp_path / "run", split, "vocabulary.conditions=[healthy]") == 2
    assert [line.split()[0].rstrip(":") for line in issue_lines(capsys)] == ["LS-COH-014", "LS-SPL-006"]
    assert not list((tmp_path / "run").glob("*.ckpt"))


def test_same_ct_under_two_patients_on_both_sides(box_cohort: Cohorts, tmp_path: Path, capsys: Captured) -> None:
    cohort = box_cohort()
    shutil.copy(cohort.parent / "c0.nii.gz", cohort.parent / "c3.nii.gz")
    shutil.copy(cohort.parent / "c0_label.nii.gz", cohort.parent / "c3_label.nii.gz")
    split = split_file(cohort, tmp_path / "split.csv", ("p0", "p1"), ("p2", "p3"))
    assert train(cohort, tmp_path / "run", f"split={split}") == 2
    assert "'c3'" in assert_rejected("LS-TRN-003", tmp_path / "run", capsys)


def test_development_patients_that_are_not_in_the_split_are_counted(
    box_cohort: Cohorts, tmp_path: Path, capsys: Captured
) -> None:
    cohort = box_cohort()
    split = split_file(cohort, tmp_path / "split.csv", ("p0",), ("p2",))
    assert train(cohort, tmp_path / "run", f"split={split}", steps=1) == 0
    (line,) = issue_lines(capsys)
    assert line.startswith("warning: LS-SPL-010")
    assert "2 of 4" in line


@pytest.mark.parametrize("changed", ["image", "label"])
def test_resuming_with_a_changed_file_is_rejected(
    changed: str, box_cohort: Cohorts, tmp_path: Path, capsys: Captured
) -> None:
    """The split (of patients) is still valid, but the rest of the training would use other data."""
    cohort, run = box_cohort(), tmp_path / "run"
    assert train(cohort, run, steps=1) == 0
    before = (run / "last.ckpt").read_bytes()
    if changed == "image":
        ct = read_ct(cohort.parent / "c1.nii.gz")
        write_ct(cohort.parent / "c1.nii.gz", CTVolume(ct.hu + np.int16(1), ct.geometry))
    else:
        label = read_label_map(cohort.parent / "c1_label.nii.gz")
        voxels = label.labels.copy()
        voxels[voxels.nonzero()[0][0]] = 0
        write_label_map(cohort.parent / "c1_label.nii.gz", LabelMap(voxels, label.geometry))
    capsys.readouterr()
    assert train(cohort, run, steps=2) == 2
    (line,) = issue_lines(capsys)
    assert line.startswith("LS-TRN-004")
    assert (run / "last.ckpt").read_bytes() == before


def test_own_split_with_another_fraction_is_rejected(box_cohort: Cohorts, tmp_path: Path, capsys: Captured) -> None:
    cohort, run = box_cohort(), tmp_path / "run"
    assert train(cohort, run, steps=1) == 0
    assert train(cohort, run, "train_fraction=0.5", steps=1) == 2
    assert any(
        line.startswith("LS-SPL-012") and "train_fraction=0.8, expected 0.5" in line for line in issue_lines(capsys)
    )


@pytest.fixture
def images(box_cohort: Cohorts, tmp_path: Path) -> Path:
    """A folder of four CT images and label maps in nnU-Net's layout, without any table."""
    source = box_cohort()
    folder = tmp_path / "Dataset001"
    for name, place in (("imagesTr", "c{}.nii.gz"), ("labelsTr", "c{}_label.nii.gz")):
        (folder / name).mkdir(parents=True)
        for number in range(4):
            target = f"c{number}_0000.nii.gz" if name == "imagesTr" else f"c{number}.nii.gz"
            shutil.copy(source.parent / place.format(number), folder / name / target)
    return folder


def test_folder_of_images_needs_no_other_step_and_is_not_changed(
    images: Path, tmp_path: Path, capsys: Captured
) -> None:
    before = sorted(images.rglob("*"))
    run = tmp_path / "run"
    assert main(words(images, run, steps=2)) == 0
    (line,) = issue_lines(capsys)
    assert line.startswith("warning: LS-COH-030")
    assert sorted(images.rglob("*")) == before  # nothing is written there
    cohort = read_cohort(run / "cohort.csv", root=images)
    assert [case.case_id for case in cohort.cases] == ["c0", "c1", "c2", "c3"]
    assert json.loads((run / "run.json").read_text())["inputs"]["cohort"] == cohort.hash
    assert main(words(images, run, steps=4)) == 0  # resumes
    assert json.loads((run / "run.json").read_text())["status"] == "done"
    for place, name in (("imagesTr", "c{}_0000.nii.gz"), ("labelsTr", "c{}.nii.gz")):
        shutil.copy(images / place / name.format(0), images / place / name.format(9))
    capsys.readouterr()
    assert main(words(images, run, steps=6)) == 2
    (line,) = issue_lines(capsys)
    assert line.startswith("LS-COH-036")


def test_folder_with_other_label_values_has_the_import_as_hint(images: Path, tmp_path: Path, capsys: Captured) -> None:
    import nibabel

    for file in (images / "labelsTr").iterdir():
        image = nibabel.load(file)
        values = image.get_fdata()
        values[values == 1] = 5
        nibabel.save(nibabel.Nifti1Image(values.astype("uint8"), image.affine), file)
    assert main(words(images, tmp_path / "run")) == 2
    lines = issue_lines(capsys)
    assert sum("LS-LAB-001 4 cases" in line and "liverspleen import" in line for line in lines) == 1
    assert lines[-1].startswith("LS-TRN-001")


def test_folder_can_be_checked_split_and_prepared_too(images: Path, tmp_path: Path) -> None:
    assert main(["check", f"cohort={images}"]) == 0
    assert main(["split", f"cohort={images}", f"output={tmp_path / 'split'}", "folds=2"]) == 0
    assert main(["prepare", f"cohort={images}", f"cache={tmp_path / 'cache'}"]) == 0
    assert len([folder for folder in (tmp_path / "cache").iterdir() if folder.is_dir()]) == 4
    cohort = open_cohort(images)
    assert read_split(tmp_path / "split" / "fold1.csv", cohort).cohort_hash == cohort.hash


@pytest.mark.slow
def test_each_case_is_predicted_by_the_fold_that_has_not_seen_it(
    box_cohort: Cohorts, tmp_path: Path, capsys: Captured
) -> None:
    cohort = box_cohort()
    assert main(["split", f"cohort={cohort}", f"output={tmp_path}", "folds=2"]) == 0
    fold_rows: dict[str, str] = {}
    for fold in ("fold0", "fold1"):
        split, run = f"split={tmp_path / f'{fold}.csv'}", tmp_path / fold
        assert train(cohort, run, split, f"cache={tmp_path / 'cache'}", steps=1) == 0
        fold_rows |= {row[:2]: row for row in (run / "validation.csv").read_text().splitlines()[1:]}
        command = ["predict", f"model={run / 'last.ckpt'}", f"input={cohort}", split, f"output={tmp_path / 'labels'}"]
        assert main(command) == 0
    made_by = {
        file.name.removesuffix("_dseg.json"): json.loads(file.read_text())["settings"]["model_sha256"]
        for file in (tmp_path / "labels").glob("c*.json")
    }
    assert set(made_by) == set(fold_rows) == {"c0", "c1", "c2", "c3"}
    assert sorted(list(made_by.values()).count(model) for model in set(made_by.values())) == [2, 2]
    capsys.readouterr()
    assert main([*command[:3], f"split={tmp_path / 'fold0.csv'}", f"output={tmp_path / 'leak'}"]) == 2
    (line,) = issue_lines(capsys)
    assert line.startswith("LS-PRD-004")
    assert not list((tmp_path / "leak").glob("*.nii.gz"))
