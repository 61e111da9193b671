"""`liverspleen export`: layouts of other frameworks, and import of the exported data."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from pathlib import Path

import pytest

from liverspleen.cli.main import main
from liverspleen.cohort import split_by_patient, write_split
from liverspleen.cohort.manifest import read_cohort


@pytest.fixture
def export(tmp_path: Path) -> Callable[..., int]:
    def run(cohort: Path, layout: str, *words: str) -> int:
        output = tmp_path / "Dataset501_Test"
        return main(["export", f"cohort={cohort}", f"layout={layout}", f"output={output}", "workers=1", *words])

    return run


@pytest.fixture
def dataset(tmp_path: Path) -> Path:
    return tmp_path / "Dataset501_Test"


def test_nnunet_layout_has_its_folders_names_and_labels(box_cohort, export, dataset: Path) -> None:
    cohort = box_cohort((5, 6, 5), dataset=["development", "", "test1"])
    assert export(cohort, "nnunet") == 0
    content = json.loads((dataset / "dataset.json").read_text())
    assert content == {
        "channel_names": {"0": "CT"},
        "labels": {"background": 0, "liver": 1, "spleen": 2},
        "numTraining": 2,
        "file_ending": ".nii.gz",
    }
    files = {
        folder: sorted(p.name for p in (dataset / folder).iterdir())
        for folder in ("imagesTr", "labelsTr", "imagesTs", "labelsTs")
    }
    assert files == {
        "imagesTr": ["c0_0000.nii.gz", "c1_0000.nii.gz"],
        "labelsTr": ["c0.nii.gz", "c1.nii.gz"],
        "imagesTs": ["c2_0000.nii.gz"],
        "labelsTs": ["c2.nii.gz"],
    }


@pytest.mark.parametrize("layout", ["nnunet", "msd"])
def test_an_exported_cohort_imports_to_the_same_cohort(
    box_cohort, export, dataset: Path, tmp_path: Path, layout
) -> None:
    cohort = box_cohort((5, 6, 5), condition=["fatty", "cld", ""], sex=["F", "M", "F"])
    key = f"key={tmp_path / 'key'}"
    source = ["source=nifti", f"input={cohort.parent}", key, "workers=1"]
    labels = tmp_path / "labels"
    labels.mkdir()
    for file in cohort.parent.glob("*_label.nii.gz"):
        file.rename(labels / file.name.replace("_label", ""))
    source += [f"labels={labels}", "label_values=liverspleen", f"output={tmp_path / 'direct'}", "ids=names"]
    assert main(["import", *source]) == 0
    for file in labels.iterdir():
        file.rename(cohort.parent / file.name.replace(".nii.gz", "_label.nii.gz"))
    assert export(cohort, layout) == 0
    words = [f"source={layout}", f"input={dataset}", f"output={tmp_path / 'back'}", f"key={tmp_path / 'key'}"]
    words += [f"covariates={dataset / 'covariates.csv'}", "label_values=names", "ids=names", "workers=1"]
    assert main(["import", *words]) == 0
    hashes = []
    for name in ("direct", "back"):
        rows = csv.DictReader((tmp_path / name / "import.csv").read_text().splitlines())
        hashes.append({row["case_id"]: (row["image_sha256"], row["label_sha256"]) for row in rows})
    assert hashes[0] == hashes[1]
    assert all(all(pair) for pair in hashes[1].values())
    cases = read_cohort(tmp_path / "back" / "cohort.csv").cases
    assert [(case.case_id, case.patient_id, case.condition, case.sex) for case in cases] == [
        ("c0", "p0", "fatty", "F"),
        ("c1", "p1", "cld", "M"),
        ("c2", "p2", "", "F"),
    ]


def test_splits_are_those_of_nnunet(box_cohort, export, dataset: Path, tmp_path: Path) -> None:
    path = box_cohort((5, 5, 5, 5))
    cohort = read_cohort(path)
    folder = tmp_path / "split"
    splits = [split_by_patient(cohort, train_fraction=0.75, seed=seed) for seed in range(3)]
    for number, split in enumerate(splits):
        write_split(folder / f"fold{number}.csv", split)
    assert export(path, "nnunet", f"split={folder}") == 0
    folds = json.loads((dataset / "splits_final.json").read_text())
    patients = {case.case_id: case.patient_id for case in cohort.cases}
    assert [tuple(sorted(patients[c] for c in fold["train"])) for fold in folds] == [s.training for s in splits]
    assert [tuple(sorted(patients[c] for c in fold["val"])) for fold in folds] == [s.validation for s in splits]
    assert export(path, "nnunet", f"split={folder / 'fold1.csv'}") == 0
    assert json.loads((dataset / "splits_final.json").read_text()) == folds[1:2]


def test_partly_labelled_cases_are_skipped_and_listed(box_cohort, export, dataset: Path, capsys) -> None:
    cohort = box_cohort((5, 5, 5), labelled_structures=["", "liver", ""], label=["c0_label.nii.gz", "", ""])
    assert export(cohort, "nnunet") == 0
    errors = capsys.readouterr().err
    assert "warning: LS-XPT-001 case 'c1'" in errors
    assert "warning: LS-XPT-001 case 'c2'" in errors
    assert [path.name for path in (dataset / "imagesTr").iterdir()] == ["c0_0000.nii.gz"]


def test_a_bad_case_does_not_stop_the_others(box_cohort, export, dataset: Path, capsys) -> None:
    cohort = box_cohort((5, 5))
    (cohort.parent / "c1.nii.gz").write_bytes(b"none")
    assert export(cohort, "nnunet") == 2
    assert "LS-IMG-003 case 'c1'" in capsys.readouterr().err
    assert json.loads((dataset / "dataset.json").read_text())["numTraining"] == 1


def test_files_of_another_export_are_rejected(box_cohort, export, dataset: Path, capsys) -> None:
    cohort = box_cohort((5, 6, 5))
    assert export(cohort, "nnunet") == 0
    head, first, *rest = cohort.read_text().splitlines()
    cohort.write_text("\n".join([head, first.replace("development", "test1"), *rest]))
    capsys.readouterr()
    assert export(cohort, "nnunet") == 2
    lines = [line for line in capsys.readouterr().err.splitlines() if line.startswith("LS-")]
    assert len(lines) == 1
    assert "LS-XPT-007" in lines[0]
    assert "imagesTr/c0_0000.nii.gz" in lines[0]
    for name in ("imagesTr/c0_0000", "labelsTr/c0"):
        (dataset / f"{name}.nii.gz").unlink()
    unfinished = dataset / "imagesTr" / ".part-12345678-c9_0000.nii.gz"
    unfinished.write_bytes(b"")
    assert export(cohort, "nnunet") == 0
    assert not unfinished.exists()


def test_files_of_a_case_that_became_unusable_are_removed(box_cohort, export, dataset: Path) -> None:
    cohort = box_cohort((5, 6, 5))
    assert export(cohort, "nnunet") == 0
    next(cohort.parent.glob("c0.nii*")).write_bytes(b"")
    assert export(cohort, "nnunet") == 2
    assert not list(dataset.rglob("c0*"))
    assert json.loads((dataset / "dataset.json").read_text())["numTraining"] == 2


def test_msd_lists_its_cases(box_cohort, export, dataset: Path) -> None:
    cohort = box_cohort((5, 6), dataset=["development", "test2"])
    assert export(cohort, "msd") == 0
    content = json.loads((dataset / "dataset.json").read_text())
    assert content["training"] == [{"image": "./imagesTr/c0.nii.gz", "label": "./labelsTr/c0.nii.gz"}]
    assert content["test"] == ["./imagesTs/c1.nii.gz"]
    assert content["labels"] == {"0": "background", "1": "liver", "2": "spleen"}
    assert (content["numTraining"], content["numTest"], content["modality"]) == (1, 1, {"0": "CT"})


def test_invalid_options_are_rejected(box_cohort, export, capsys) -> None:
    cohort = box_cohort((5, 5))
    assert export(cohort, "bids") == 2
    assert export(cohort, "msd", f"split={cohort}") == 2
    assert [line[:10] for line in capsys.readouterr().err.splitlines()] == ["LS-CFG-006", "LS-CFG-016"]
