"""`liverspleen correct import=`: verdicts, undo, killed runs and the tables."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from correcting import (
    correct,
    label_map,
    lines_of,
    save_as_slicer_does,
    save_nifti,
    states,
)
from predicting import predict, rows

from liverspleen.api import correction
from liverspleen.cli.main import main
from liverspleen.cohort.manifest import read_cohort, write_cohort
from liverspleen.cohort.split import is_trainable


def test_a_second_reader_confirms_differs_and_undoes(todo: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert correct(f"import={todo}", "state=confirmed", "reader=RK") == 0
    assert "LS-COR-013: no label map was newly confirmed" in capsys.readouterr().err
    assert states(todo) == ["predicted"]
    save_nifti(todo)
    assert correct(f"import={todo}", "reader=MB") == 0
    assert correct(f"import={todo}", "state=confirmed", "reader=RK") == 0
    assert states(todo) == ["predicted", "corrected", "confirmed"]
    assert states(todo, "b") == ["predicted"]  # a prediction is confirmed only by its id
    (row,) = rows(todo / "cohort.csv")
    assert (row["case_id"], row["label"]) == ("a", "history/a/0002.nii.gz")
    assert (row["label_state"], row["label_source"], row["label_reader"]) == ("confirmed", "corrected", "MB")
    assert correct(f"import={todo}", "state=confirmed", "reader=RK") == 0
    assert len(states(todo)) == 3  # the same verdict is recorded once
    assert correct(f"import={todo}", "state=rejected", "reader=MB", "cases=[a]") == 0
    assert not (todo / "cohort.csv").exists()
    assert correct(f"import={todo}", "state=undone", "cases=[a]") == 0
    assert [row["label_state"] for row in rows(todo / "cohort.csv")] == ["confirmed"]
    assert states(todo) == ["predicted", "corrected", "confirmed", "rejected", "undone"]


def test_undo_of_an_edit_lets_the_viewers_open_the_label_map_before_it(
    todo: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    first = label_map(todo).read_bytes()
    save_nifti(todo)
    assert correct(f"import={todo}") == 0
    assert correct(f"import={todo}", "state=undone", "cases=[a]", "reader=RK") == 0
    assert label_map(todo).read_bytes() == first
    assert (todo / "history" / "a" / "0002.nii.gz").is_file()
    assert correct(f"import={todo}", "state=undone", "cases=[a]") == 2
    (line,) = lines_of(capsys)
    assert line.startswith("LS-COR-011 case 'a'")


def test_only_confirmed_label_maps_on_request(todo: Path) -> None:
    save_nifti(todo)
    assert correct(f"import={todo}", "state=confirmed", "cases=[b]", "reader=RK") == 0
    assert correct(f"import={todo}") == 0
    found = {row["case_id"]: (row["label_state"], row["label_source"]) for row in rows(todo / "cohort.csv")}
    assert found == {"a": ("corrected", "corrected"), "b": ("confirmed", "predicted")}
    assert correct(f"import={todo}", "confirmed_only=true") == 0
    assert [row["case_id"] for row in rows(todo / "cohort.csv")] == ["b"]
    assert [row["case_id"] for row in rows(todo / "corrections.csv") if row["in_force"] == "true"] == ["b"]


@pytest.mark.parametrize("at", ["write_label_map", "write_tables", "copy"])
def test_a_killed_import_leaves_a_complete_older_state_and_is_resumed(
    at: str, todo: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert correct(f"import={todo}", "state=confirmed", "cases=[b]") == 0
    before = {name: (todo / name).read_bytes() for name in ("cohort.csv", "corrections.csv")}
    save_as_slicer_does(todo)

    def killed(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(correction, at, killed)
        assert correct(f"import={todo}") == 1
    assert {name: (todo / name).read_bytes() for name in before} == before
    assert [case.case_id for case in read_cohort(todo / "cohort.csv").cases] == ["b"]
    assert correct(f"import={todo}") == 0
    assert states(todo) == ["predicted", "corrected"]
    assert {row["case_id"] for row in rows(todo / "cohort.csv")} == {"a", "b"}


def test_a_test_case_of_the_cohort_stays_out_of_training(
    model: Path, predicted: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    given = [
        {"case_id": case, "patient_id": f"p{case}", "image": f"{case}.nii.gz", "dataset": dataset, "origin": "phantom"}
        for case, dataset in (("a", "development"), ("b", "test1"))
    ]
    folder = Path(shutil.copytree(predicted / "scans", tmp_path / "scans"))
    write_cohort(folder / "cohort.csv", given)
    assert predict(model, folder / "cohort.csv", tmp_path / "out") == 0
    todo = tmp_path / "todo"
    assert correct(f"input={tmp_path / 'out'}", f"output={todo}") == 0
    for case in "ab":
        save_nifti(todo, case)
    assert correct(f"import={todo}", "state=confirmed", "reader=RK") == 0
    cohort = read_cohort(todo / "cohort.csv")
    assert cohort.issues == ()
    assert {case.case_id: (case.patient_id, is_trainable(case)) for case in cohort.cases} == {
        "a": ("pa", True),
        "b": ("pb", False),
    }
    assert {case.covariates["origin"] for case in cohort.cases} == {"phantom"}
    capsys.readouterr()
    assert main(["check", f"cohort={todo / 'cohort.csv'}"]) in (0, 2)
    assert not [line for line in lines_of(capsys) if "LS-COH" in line or "LS-GEO" in line]


@pytest.mark.parametrize("reader", ["NA", "MB;RK"])
def test_a_name_that_the_cohort_would_lose_or_divide_is_rejected(reader: str, todo: Path) -> None:
    save_nifti(todo)
    assert correct(f"import={todo}", f"reader={reader}") == 2
    assert not (todo / "corrections.csv").exists()
    assert correct(f"import={todo}", "reader=N. A.") == 0
    assert [row["reader"] for row in rows(todo / "corrections.csv") if row["state"] == "corrected"] == ["N. A."]
