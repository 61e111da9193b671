"""Which cases `liverspleen correct` copies: proposals, the first cases of a table, and its Python function."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from correcting import correct, label_map, lines_of, save_nifti
from predicting import predict, rows

from liverspleen import api
from liverspleen.cohort.manifest import write_cohort
from liverspleen.errors import InputError


def folders(todo: Path) -> set[str]:
    return {folder.name for folder in (todo / "cases").iterdir()}


def test_the_most_doubtful_case_is_proposed_first_and_again_until_it_is_judged(
    out: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    first, second = (row["case_id"] for row in rows(out / "review.csv"))
    words = [f"input={out}", f"output={tmp_path / 'todo'}", "top=1"]
    assert correct(*words) == 0
    assert f"proposal 1: {first}: doubt " in capsys.readouterr().out
    entry = json.loads((tmp_path / "todo" / "history" / first / "0001.json").read_text())
    assert set(entry["content"]["proposal"]) == {"doubt", "weight", "distance", "nearest"}
    assert correct(*words) == 0
    assert folders(tmp_path / "todo") == {first}
    save_nifti(tmp_path / "todo", first)
    assert correct(f"import={tmp_path / 'todo'}") == 0
    assert correct(*words) == 0
    assert folders(tmp_path / "todo") == {first, second}
    assert correct(f"import={tmp_path / 'todo'}", "state=rejected", f"cases=[{second}]") == 0
    capsys.readouterr()
    assert correct(*words) == 0  # nothing is open any more
    found = capsys.readouterr()
    assert "0 cases in " in found.out
    assert f"2 cases edited or judged before, first '{min(first, second)}', skipped" in found.err
    assert correct(f"import={tmp_path / 'todo'}", "state=undone", f"cases=[{second}]") == 0
    assert correct(*words) == 0
    assert "1 case in " in capsys.readouterr().out.splitlines()[-1]


def test_a_table_gives_its_first_cases_that_are_still_open(
    out: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    first, second = (row["case_id"] for row in rows(out / "review.csv"))
    words = [f"input={out}", f"cases={out / 'review.csv'}", f"output={tmp_path / 'todo'}", "top=1"]
    assert correct(*words) == 0
    save_nifti(tmp_path / "todo", first)
    assert correct(f"import={tmp_path / 'todo'}", "state=confirmed") == 0
    capsys.readouterr()
    assert correct(*words) == 0
    (line,) = lines_of(capsys)
    assert line.startswith("note: LS-COR-002 ")
    assert f"1 case edited or judged before, first '{first}', skipped" in line
    assert folders(tmp_path / "todo") == {first, second}


@pytest.mark.parametrize(
    "text",
    ["\ufeffcase_id;score\r\nb;0,5\r\n", "sep=;\ncase_id;score\nb;1\n", "score,case_id\n1, b \n\n1,\n2\n"],
    ids=["Excel in Europe", "Excel with sep", "spaces, empty cells and short rows"],
)
def test_a_table_may_be_saved_by_a_spreadsheet(
    text: str, out: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "list.csv").write_text(text, encoding="utf-8")
    assert correct(f"input={out}", f"cases={tmp_path / 'list.csv'}", f"output={tmp_path / 'todo'}") == 0
    assert folders(tmp_path / "todo") == {"b"}
    assert lines_of(capsys) == []


@pytest.mark.parametrize(
    ("text", "reason"),
    [("", "no column case_id"), ("score\n1\n", "no column case_id"), ("case_id,score\n,1\n", "no rows")],
)
def test_a_table_without_a_case_is_an_error(
    text: str, reason: str, out: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "list.csv").write_text(text)
    assert correct(f"input={out}", f"cases={tmp_path / 'list.csv'}", f"output={tmp_path / 'todo'}") == 2
    (line,) = lines_of(capsys)
    assert f"the table of cases cannot be read (it has {reason})" in line


def test_all_cases_with_a_label_map_are_copied_whatever_review_csv_lists(out: Path, tmp_path: Path) -> None:
    (out / "review.csv").write_text("case_id\nb\n")
    assert correct(f"input={out}", f"output={tmp_path / 'todo'}") == 0
    assert folders(tmp_path / "todo") == {"a", "b"}


@pytest.mark.parametrize("words", [["top=5"], []])
def test_a_rejected_case_is_named(
    words: list[str], model: Path, predicted: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    scans = Path(shutil.copytree(predicted / "scans", tmp_path / "scans"))
    (scans / "c.nii.gz").write_bytes(b"damaged")
    assert predict(model, scans, tmp_path / "out") == 2
    capsys.readouterr()
    assert correct(f"input={tmp_path / 'out'}", f"output={tmp_path / 'todo'}", *words) == 0
    (line,) = lines_of(capsys)
    assert "1 case without a label map in input=, first 'c', skipped" in line
    assert folders(tmp_path / "todo") == {"a", "b"}


def test_test_cases_are_not_proposed(
    model: Path, predicted: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = Path(shutil.copytree(predicted / "scans", tmp_path / "scans"))
    given = [
        {"case_id": case, "patient_id": case, "image": f"{case}.nii.gz", "dataset": dataset}
        for case, dataset in (("a", "test1"), ("b", "development"))
    ]
    write_cohort(folder / "cohort.csv", given)
    assert predict(model, folder / "cohort.csv", tmp_path / "out") == 0
    capsys.readouterr()
    assert correct(f"input={tmp_path / 'out'}", f"output={tmp_path / 'todo'}", "top=5") == 0
    (line,) = lines_of(capsys)
    assert "1 case of test patients, first 'a', not proposed" in line
    assert folders(tmp_path / "todo") == {"b"}


def test_the_function_copies_imports_and_reports_the_cases(out: Path, tmp_path: Path) -> None:
    todo = tmp_path / "todo"
    made = api.correct(folder=todo, input=out, top=1)
    (case,) = made.cases
    assert (made.kept, made.choices[0].case_id) == (0, case)
    save_nifti(todo, case)
    done = api.correct(folder=todo, reader="MB", state="confirmed")
    assert (done.recorded, done.in_force, done.without) == ({"corrected": 1, "confirmed": 1}, {"confirmed": 1}, ())
    assert done.merged is None
    assert label_map(todo, case).is_file()
    with pytest.raises(InputError, match="cohort= and split= are needed together"):
        api.correct(folder=todo, cohort=tmp_path / "cohort.csv")
