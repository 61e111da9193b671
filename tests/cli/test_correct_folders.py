"""`liverspleen correct input=`: folders for viewers, from NIfTI and DICOM."""

from __future__ import annotations

import shutil
from pathlib import Path
from urllib.parse import unquote
from xml.etree import ElementTree

import numpy as np
import pytest
from correcting import (
    correct,
    edited,
    label_map,
    lines_of,
    save_nifti,
    states,
)
from predicting import exam, predict, rows, scan

from liverspleen.correction import case_folder
from liverspleen.correction.viewers import PLACE
from liverspleen.imaging.dicom import write_segmentation, write_series
from liverspleen.imaging.files import read_ct, read_label_map
from liverspleen.imaging.geometry import same_grid
from liverspleen.storage import sha256_of


def test_the_paths_of_workspace_and_scene_are_relative_and_exist(todo: Path, predicted: Path) -> None:
    for case in "ab":
        folder = todo / "cases" / case
        workspace = ElementTree.parse(folder / f"{case}.itksnap")
        paths = [e.get("value", "") for e in workspace.iter("entry") if e.get("key") == "AbsolutePath"]
        assert [Path(path).parent.as_posix() for path in paths] == [PLACE, PLACE]
        scene = ElementTree.parse(folder / f"{case}.mrml")
        names = [unquote(name) for node in scene.getroot() if (name := node.get("fileName"))]
        assert {*names} == {f"{case}_ct.nii.gz", f"{case}_dseg.nii.gz", "slicer.ctbl"}
        for name in (*names, *(Path(path).name for path in paths)):
            assert (folder / name).is_file()
        assert (folder / f"{case}_ct.nii.gz").read_bytes() == (predicted / "scans" / f"{case}.nii.gz").read_bytes()
        assert not (folder / f"{case}_ct.nii.gz").samefile(predicted / "scans" / f"{case}.nii.gz")


def test_the_first_cases_of_the_table_are_selected_and_kept_when_the_command_is_repeated(
    out: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    order = [row["case_id"] for row in rows(out / "review.csv")]
    words = [f"input={out}", f"cases={out / 'review.csv'}", f"output={tmp_path / 'todo'}"]
    assert correct(*words, "top=1") == 0
    assert [folder.name for folder in (tmp_path / "todo" / "cases").iterdir()] == order[:1]
    save_nifti(tmp_path / "todo", order[0])
    kept = label_map(tmp_path / "todo", order[0]).read_bytes()
    assert correct(*words, "top=2") == 0
    assert "2 cases in " in capsys.readouterr().out.splitlines()[-1]
    assert label_map(tmp_path / "todo", order[0]).read_bytes() == kept
    assert {folder.name for folder in (tmp_path / "todo" / "cases").iterdir()} == {*order}


@pytest.mark.parametrize("at", ["itksnap_workspace", "slicer_scene", "history_folder"])
def test_a_case_whose_folder_was_not_finished_is_made_again(
    at: str, out: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    words = [f"input={out}", f"output={tmp_path / 'todo'}"]
    with monkeypatch.context() as patch:
        patch.setattr(case_folder, at, killed)
        assert correct(*words) == 1
    assert correct(*words) == 0
    assert correct(f"import={tmp_path / 'todo'}") == 0
    assert states(tmp_path / "todo") == states(tmp_path / "todo", "b") == ["predicted"]


def test_a_case_without_a_label_map_is_skipped_and_an_unknown_id_is_an_error(
    out: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "list.csv").write_text("case_id,score\nnone,1\nb,0.5\n")
    assert correct(f"input={out}", f"cases={tmp_path / 'list.csv'}", f"output={tmp_path / 'todo'}") == 0
    (line,) = lines_of(capsys)
    assert line.startswith("note: LS-COR-002 ")
    assert "1 case without a label map in input=, first 'none', skipped" in line
    assert correct(f"input={out}", "cases=[b,none]", f"output={tmp_path / 'other'}") == 2
    (line,) = lines_of(capsys)
    assert "LS-COR-002" in line
    assert not (tmp_path / "other" / "cases").exists()


def test_a_prediction_that_is_not_the_one_of_its_sidecar_is_rejected(
    out: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copyfile(out / "b_dseg.nii.gz", out / "a_dseg.nii.gz")
    assert correct(f"input={out}", "cases=[a,b]", f"output={tmp_path / 'todo'}") == 2
    (line,) = lines_of(capsys)
    assert line.startswith("LS-COR-004 case 'a'")
    other = tmp_path / "scans"
    other.mkdir()
    scan(other / "b.nii.gz", seed=7)
    assert correct(f"input={out}", "cases=[b]", f"scans={other}", f"output={tmp_path / 'more'}") == 2
    (line,) = lines_of(capsys)
    assert line.startswith("LS-COR-004 case 'b'")
    assert "the CT is not the one that was predicted" in line


@pytest.mark.parametrize(
    ("words", "text"),
    [
        ([], "neither input= nor import= is given"),
        (["input=x", "import=y"], "input= and import= are both given"),
        (["input=x"], "LS-CFG-002: correct input= needs output="),
        (["import=x", "top=3"], "top= has no effect with import="),
        (["input=x", "output=y", "reader=A"], "reader= has no effect with input="),
        (["import=x", "state=undone"], "state=undone needs cases="),
        (["import=x", "date=3.4.2026"], "date=3.4.2026 is not a date; use the form YYYY-MM-DD"),
    ],
)
def test_keys_that_contradict_each_other_are_one_line(
    words: list[str], text: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert correct(*words) == 2
    (line,) = lines_of(capsys)
    assert text in line


@pytest.mark.parametrize("mode", ["input", "import"])
def test_another_folder_is_one_line(mode: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    more = [f"output={tmp_path / 'todo'}"] if mode == "input" else []
    assert correct(f"{mode}={tmp_path}", *more) == 2
    (line,) = lines_of(capsys)
    assert line.startswith("LS-COR-001 ")


def test_a_dicom_ct_becomes_nifti_and_a_dicom_segmentation_is_imported(
    model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source = tmp_path / "Smith^John"
    ct, _ = exam(6, 3)
    files = write_series(source / "ct", ct, tags={"PatientName": "Smith^John", "PatientID": "77"})
    key = f"key={tmp_path / 'k' / 'key'}"
    assert predict(model, source, tmp_path / "out", key) == 0
    assert correct(f"input={tmp_path / 'out'}", f"output={tmp_path / 'todo'}") == 2
    assert any("LS-COR-003" in line for line in lines_of(capsys))
    todo = tmp_path / "todo"
    assert correct(f"input={tmp_path / 'out'}", f"output={todo}", f"scans={source}", key) == 0
    (case,) = (folder.name for folder in (todo / "cases").iterdir())
    copied = read_ct(todo / "cases" / case / f"{case}_ct.nii.gz")
    assert np.array_equal(copied.hu, ct.hu)
    assert same_grid(copied.geometry, read_label_map(label_map(todo, case)).geometry)
    after = edited(todo, case)
    write_segmentation(todo / "cases" / case / f"{case}_dseg.dcm", after, files)
    assert correct(f"import={todo}") == 0
    assert np.array_equal(read_label_map(todo / "history" / case / "0002.nii.gz").labels, after.labels)
    written = [file for file in todo.rglob("*") if file.is_file() and file.suffix != ".dcm"]
    assert not [file for file in written if b"Smith" in file.read_bytes() or "Smith" in str(file.relative_to(todo))]
    (row,) = rows(todo / "cohort.csv")
    assert row["patient_id"] not in ("77", "Smith^John")
    assert sha256_of(todo / row["label"])
