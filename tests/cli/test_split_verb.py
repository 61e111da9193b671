"""`liverspleen split`: files, table, rejections. Images are not read."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from liverspleen.cli.main import main
from liverspleen.cohort import read_cohort, read_split, write_cohort

Captured = pytest.CaptureFixture[str]


@pytest.fixture
def cohort(tmp_path: Path) -> Path:
    """Ten internal and five external patients, six healthy and nine fatty; one more only in a test dataset."""
    rows = [
        {
            "case_id": f"c{number:02}",
            "patient_id": f"p{number:02}",
            "image": f"{number}.nii",
            "label": f"{number}_label.nii",
            "dataset": "test1" if number == 15 else "development",
            "condition": "healthy" if number in {0, 1, 2, 3, 10, 11} else "fatty",
            "site": "internal" if number < 10 else "external",
        }
        for number in range(16)
    ]
    write_cohort(tmp_path / "cohort.csv", rows)
    return tmp_path / "cohort.csv"


def names(folder: Path) -> list[str]:
    return sorted(file.name for file in folder.glob("*.csv"))


def test_five_folds_are_five_split_files(cohort: Path, tmp_path: Path, capsys: Captured) -> None:
    out = tmp_path / "out"
    assert main(["split", f"cohort={cohort}", f"output={out}", "folds=5", "seed=3"]) == 0
    assert names(out) == [f"fold{number}.csv" for number in range(5)]
    splits = [read_split(out / name, read_cohort(cohort)) for name in names(out)]
    assert sorted(p for split in splits for p in split.validation) == [f"p{number:02}" for number in range(15)]
    assert {(split.seed, split.train_fraction) for split in splits} == {(3, 0.8)}
    assert sorted(json.loads((out / "run.json").read_text())["outputs"]) == names(out)
    rows = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert rows[0][:3] == ["split:", "15", "patients;"]
    assert rows[1] == ["condition", "site", "fold0", "fold1", "fold2", "fold3", "fold4"]
    table = {(row[0], row[1]): [int(cell) for cell in row[2:]] for row in rows[2:]}
    assert table["all", "all"] == [3, 3, 3, 3, 3]
    assert table["all", "internal"] == [2, 2, 2, 2, 2]
    assert table["all", "external"] == [1, 1, 1, 1, 1]
    assert sorted(table["healthy", "all"]) == [1, 1, 1, 1, 2]  # six
    assert sum(table["fatty", "internal"]) == 6
    assert len(table) == 9  # two conditions and all, at two sites and all


def test_single_split_lists_both_sides(cohort: Path, tmp_path: Path, capsys: Captured) -> None:
    assert main(["split", f"cohort={cohort}", f"output={tmp_path / 'out'}"]) == 0
    rows = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert rows[1] == ["condition", "site", "training", "validation"]
    assert rows[-1] == ["all", "all", "12", "3"]
    assert ["all", "internal", "8", "2"] in rows


def test_more_than_ten_folds_are_summarized_by_the_extremes(cohort: Path, tmp_path: Path, capsys: Captured) -> None:
    assert main(["split", f"cohort={cohort}", f"output={tmp_path / 'out'}", "folds=15"]) == 0
    rows = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert rows[1] == ["condition", "site", "fewest", "most"]
    assert rows[-1] == ["all", "all", "1", "1"]


def test_files_of_another_split_are_removed(cohort: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    for mine in ("folder.csv", "fold.csv", "my_split.csv", "fold1.csv.bak"):
        (out / mine).write_text("mine")
    kept = ["fold.csv", "folder.csv", "my_split.csv"]
    for words, files in (
        (["folds=7"], [f"fold{number}.csv" for number in range(7)]),
        (["folds=2", "seed=1"], ["fold0.csv", "fold1.csv"]),
        ([], ["split.csv"]),
        (["folds=3"], ["fold0.csv", "fold1.csv", "fold2.csv"]),
    ):
        assert main(["split", f"cohort={cohort}", f"output={out}", *words]) == 0
        assert names(out) == sorted([*kept, *files])
    assert (out / "fold1.csv.bak").exists()


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (["folds=5", "train_fraction=0.8"], "LS-CFG-016"),
        (["folds=1"], "LS-CFG-006: folds=1 is below 2"),
        (["folds=16"], "LS-SPL-011"),
        (["train_fraction=1.5"], "LS-CFG-006: train_fraction=1.5 is above 1"),
    ],
)
def test_impossible_splits_are_one_line_and_keep_the_last_one(
    words: list[str], code: str, cohort: Path, tmp_path: Path, capsys: Captured
) -> None:
    out = tmp_path / "out"
    assert main(["split", f"cohort={cohort}", f"output={out}"]) == 0
    before = (out / "split.csv").read_bytes()
    capsys.readouterr()
    assert main(["split", f"cohort={cohort}", f"output={out}", *words]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(code)
    assert (out / "split.csv").read_bytes() == before


def test_reason_for_an_empty_cohort_is_also_reported(tmp_path: Path, capsys: Captured) -> None:
    """The row is rejected for its own reason, which explains the last line."""
    rows = [{"case_id": "a", "patient_id": "p", "image": "a.nii", "label": "b.nii", "condition": "unheard of"}]
    write_cohort(tmp_path / "cohort.csv", rows)
    assert main(["split", f"cohort={tmp_path / 'cohort.csv'}", f"output={tmp_path / 'out'}"]) == 2
    lines = capsys.readouterr().err.splitlines()
    assert [line.split()[0].rstrip(":") for line in lines] == ["LS-COH-014", "LS-SPL-001"]
    assert json.loads((tmp_path / "out" / "run.json").read_text())["issues"] == lines
