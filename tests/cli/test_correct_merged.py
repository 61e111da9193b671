"""The merged cohort of `liverspleen correct import=`: it is never older than the label maps in force."""

from __future__ import annotations

from pathlib import Path

import pytest
from correcting import correct, lines_of, save_nifti, states
from predicting import exam, rows, scan

from liverspleen.cli.main import main
from liverspleen.cohort.manifest import write_cohort
from liverspleen.imaging.nifti import write_label_map


@pytest.fixture
def original(tmp_path: Path) -> list[str]:
    """The arguments of an original cohort of the patients x and y, and its split."""
    folder, given = tmp_path / "cohort", []
    for seed, case in enumerate("xy"):
        scan(folder / f"{case}.nii.gz", seed=50 + seed)
        write_label_map(folder / f"{case}_label.nii.gz", exam(5, 50 + seed)[1])
        row = {"case_id": case, "patient_id": case, "image": f"{case}.nii.gz", "label": f"{case}_label.nii.gz"}
        given.append({**row, "dataset": "development"})
    write_cohort(folder / "cohort.csv", given)
    assert main(["split", f"cohort={folder / 'cohort.csv'}", f"output={tmp_path / 'split'}"]) == 0
    return [f"cohort={folder / 'cohort.csv'}", f"split={tmp_path / 'split' / 'split.csv'}"]


def cases(table: Path) -> list[str]:
    return [row["case_id"] for row in rows(table)]


def test_a_rejected_label_map_does_not_remain_in_the_merged_cohort(
    todo: Path, original: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    merged = todo / "merged_cohort.csv"
    for case in "ab":
        save_nifti(todo, case)
    assert correct(f"import={todo}", *original) == 0
    assert cases(merged) == ["x", "y", "a", "b"]
    assert correct(f"import={todo}", "reader=MB") == 0  # nothing new
    assert cases(merged) == ["x", "y", "a", "b"]
    capsys.readouterr()
    assert correct(f"import={todo}", "state=rejected", "cases=[b]") == 0
    (line,) = lines_of(capsys)
    assert line.startswith("note: LS-COR-021 ")
    assert not merged.exists()
    assert not (todo / "merged_split.csv").exists()
    assert correct(f"import={todo}", *original) == 0
    assert cases(merged) == ["x", "y", "a"]


@pytest.mark.parametrize("name", ["merged_cohort.csv", "cohort.csv"])
def test_a_table_of_the_folder_is_not_the_original_cohort(
    name: str, todo: Path, original: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    save_nifti(todo)
    assert correct(f"import={todo}", *original) == 0
    before = (todo / "merged_cohort.csv").read_bytes()
    capsys.readouterr()
    assert correct(f"import={todo}", f"cohort={todo / name}", f"split={todo / 'merged_split.csv'}") == 2
    (line,) = lines_of(capsys)
    assert line.startswith("LS-COR-020 ")
    assert (todo / "merged_cohort.csv").read_bytes() == before


def test_with_a_wrong_split_nothing_is_imported(
    todo: Path, original: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    save_nifti(todo)
    cohort, split = original
    assert correct(f"import={todo}", "state=confirmed", cohort, f"split={todo / 'none.csv'}") == 2
    assert not (todo / "corrections.csv").exists()
    assert correct(f"import={todo}", "state=confirmed", cohort, split) == 0
    assert states(todo) == ["predicted", "corrected", "confirmed"]
