"""Test cases do not become training cases through `liverspleen correct`."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path

import pytest
from correcting import correct, lines_of, save_nifti
from predicting import predict

from liverspleen.cohort.manifest import Case, read_cohort, write_cohort


def cohort(folder: Path, cases: Sequence[tuple[str, str, str]]) -> Path:
    """Write cohort.csv with case, patient and dataset."""
    rows = [
        {"case_id": case, "patient_id": patient, "image": f"{case}.nii.gz", "dataset": dataset}
        for case, patient, dataset in cases
    ]
    write_cohort(folder / "cohort.csv", rows)
    return folder / "cohort.csv"


@pytest.fixture
def scans(predicted: Path, tmp_path: Path) -> Path:
    """A copy of the CT scans a and b."""
    return Path(shutil.copytree(predicted / "scans", tmp_path / "scans"))


def test_another_scan_of_a_test_patient_is_neither_proposed_nor_copied(
    model: Path, scans: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out, todo = tmp_path / "out", tmp_path / "todo"
    assert predict(model, cohort(scans, [("a", "p", "development"), ("b", "p", "test1")]), out) == 0
    capsys.readouterr()
    assert correct(f"input={out}", f"output={todo}", "top=5") == 0
    (line,) = lines_of(capsys)
    assert "2 cases of test patients, first 'a', not proposed" in line
    assert correct(f"input={out}", f"output={todo}", "cases=[a,b]") == 2
    (line,) = lines_of(capsys)
    assert line.startswith("LS-SPL-002: patient 'p' has development cases and test cases (b)")
    assert [folder.name for folder in (todo / "cases").iterdir()] == ["b"]  # as a reference


def test_scans_without_the_dataset_of_the_prediction_are_rejected(
    model: Path, scans: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out, todo = tmp_path / "out", tmp_path / "todo"
    plain = shutil.copytree(scans, tmp_path / "plain")
    assert predict(model, cohort(scans, [("a", "a", "test1"), ("b", "b", "development")]), out) == 0
    capsys.readouterr()
    assert correct(f"input={out}", f"output={todo}", f"scans={plain}") == 2
    (line,) = lines_of(capsys)
    assert line.startswith("LS-COR-004 case 'a' ")
    assert "patient or dataset is not that of the prediction" in line
    assert [folder.name for folder in (todo / "cases").iterdir()] == ["b"]  # an empty dataset counts as development
    assert correct(f"input={out}", f"output={todo}", f"scans={scans / 'cohort.csv'}") == 0
    assert {case.case_id: case.dataset for case in in_force(todo)} == {"a": "test1", "b": ""}


def in_force(todo: Path) -> tuple[Case, ...]:
    for case in "ab":
        save_nifti(todo, case)
    assert correct(f"import={todo}") == 0
    return read_cohort(todo / "cohort.csv").cases


@pytest.mark.parametrize("change", ["dataset", "ct"])
def test_a_later_prediction_of_another_ct_or_dataset_is_not_counted_as_the_case_of_the_folder(
    change: str, model: Path, todo: Path, scans: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    if change == "ct":
        shutil.copy(scans / "a.nii.gz", scans / "b.nii.gz")
    dataset = "test1" if change == "dataset" else "development"
    assert predict(model, cohort(scans, [("a", "a", ""), ("b", "b", dataset)]), tmp_path / "out2") == 0
    capsys.readouterr()
    assert correct(f"input={tmp_path / 'out2'}", f"output={todo}") == 2
    found = capsys.readouterr()
    assert "1 case in " in found.out
    (line,) = [line for line in found.err.splitlines() if "LS-COR" in line]
    assert line.startswith("LS-COR-019 case 'b' ")
