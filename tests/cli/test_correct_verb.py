"""`liverspleen correct`: folders for viewers, import of edits in each format, verdicts, and the tables."""

from __future__ import annotations

import gzip
import json
import os
import shutil
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from urllib.parse import unquote
from xml.etree import ElementTree

import numpy as np
import pytest
from numpy.typing import NDArray
from predicting import TINY, exam, predict, rows, scan

from liverspleen.api import correction
from liverspleen.cli.main import main
from liverspleen.cohort.manifest import read_cohort, write_cohort
from liverspleen.cohort.split import is_trainable
from liverspleen.correction import case_folder
from liverspleen.correction.viewers import PLACE
from liverspleen.imaging.dicom import write_segmentation, write_series
from liverspleen.imaging.files import read_ct, read_label_map
from liverspleen.imaging.geometry import Geometry, same_grid
from liverspleen.imaging.nifti import write_ct, write_label_map
from liverspleen.imaging.volume import CTVolume, LabelMap
from liverspleen.organs import Structure
from liverspleen.storage import sha256_of

VOXEL_CM3 = 8 * 8 * 20 / 1000


@pytest.fixture(scope="module")
def predicted(model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder with scans/ and the predictions out/ of two cases."""
    top = tmp_path_factory.mktemp("predicted")
    (top / "scans").mkdir()
    for seed, name in enumerate("ab"):
        scan(top / "scans" / f"{name}.nii.gz", seed=seed)
    assert predict(model, top / "scans", top / "out") == 0
    return top


@pytest.fixture
def out(predicted: Path, tmp_path: Path) -> Path:
    """A copy of the predictions; run.json has the path of the scans."""
    return Path(shutil.copytree(predicted / "out", tmp_path / "out"))


@pytest.fixture
def todo(out: Path) -> Path:
    """A correction folder with both cases."""
    assert correct(f"input={out}", f"output={out.parent / 'todo'}") == 0
    return out.parent / "todo"


def correct(*words: str) -> int:
    return main(["correct", *words])


def label_map(todo: Path, case: str = "a") -> Path:
    return todo / "cases" / case / f"{case}_dseg.nii.gz"


def edited(todo: Path, case: str = "a") -> LabelMap:
    """The label map of a case with 3 x 4 voxels more of the spleen in slice 0, and 5 fewer of the liver in slice 2."""
    found = read_label_map(label_map(todo, case))
    labels = found.labels.copy()
    assert not labels[0, 0:3, 0:4].any()
    labels[0, 0:3, 0:4] = Structure.SPLEEN
    slices, row, column = (axis[:5] for axis in np.nonzero((labels == Structure.LIVER) & in_slice(labels, 2)))
    labels[slices, row, column] = 0
    return LabelMap(labels, found.geometry)


def in_slice(labels: NDArray[np.uint8], number: int) -> NDArray[np.bool_]:
    return np.arange(labels.shape[0])[:, None, None] == number


def save_nifti(todo: Path, case: str = "a") -> LabelMap:
    found = edited(todo, case)
    write_label_map(label_map(todo, case), found)
    return found


def save_as_slicer_does(todo: Path, case: str = "a") -> LabelMap:
    """Write the smallest box around the segments as .seg.nrrd, with other label values than ours."""
    found = edited(todo, case)
    native, affine = found.to_native(), found.geometry.affine.copy()
    inside = np.nonzero(native)
    box = tuple(slice(int(axis.min()), int(axis.max()) + 1) for axis in inside)
    affine[:3, 3] = affine[:3, :3] @ [extent.start for extent in box] + affine[:3, 3]
    cropped = np.choose(native[box], [0, 5, 1]).astype(np.uint8)  # liver 5, spleen 1
    assert cropped.shape != native.shape
    lps = np.diag([-1.0, -1.0, 1.0, 1.0]) @ affine
    write_seg_nrrd(todo, case, cropped, lps, [("Spleen", 1), ("Liver", 5)])
    return found


def write_seg_nrrd(
    todo: Path, case: str, array: NDArray[np.uint8], lps: NDArray[np.float64], segments: list[tuple[str, int]]
) -> Path:
    vectors = " ".join(f"({','.join(map(str, lps[:3, axis]))})" for axis in range(3))
    lines = [
        "NRRD0004",
        "type: unsigned char",
        "dimension: 3",
        "space: left-posterior-superior",
        f"sizes: {' '.join(map(str, array.shape))}",
        f"space directions: {vectors}",
        "kinds: domain domain domain",
        "encoding: gzip",
        f"space origin: ({','.join(map(str, lps[:3, 3]))})",
    ]
    for number, (name, value) in enumerate(segments):
        lines += [f"Segment{number}_Name:={name}", f"Segment{number}_LabelValue:={value}", f"Segment{number}_Layer:=0"]
    file = todo / "cases" / case / f"{case}_dseg.seg.nrrd"
    file.write_bytes("\n".join([*lines, "", ""]).encode() + gzip.compress(array.tobytes(order="F")))
    return file


def lines_of(capsys: pytest.CaptureFixture[str]) -> list[str]:
    return [line for line in capsys.readouterr().err.splitlines() if "LS-" in line]


def states(todo: Path, case: str = "a") -> list[str]:
    return [row["state"] for row in rows(todo / "corrections.csv") if row["case_id"] == case]


# ---- folders --------------------------------------------------------------------------------------------------------


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


# ---- import ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("save", [save_nifti, save_as_slicer_does])
def test_an_edit_is_imported_with_what_changed(save: Callable[[Path], LabelMap], todo: Path) -> None:
    before = read_label_map(label_map(todo)).labels
    after = save(todo)
    assert correct(f"import={todo}", "reader=MB", "date=2026-04-03") == 0
    imported = read_label_map(todo / "history" / "a" / "0002.nii.gz")
    assert np.array_equal(imported.labels, after.labels)
    assert same_grid(read_ct(todo / "cases" / "a" / "a_ct.nii.gz").geometry, imported.geometry)
    assert np.array_equal(read_label_map(label_map(todo)).labels, after.labels)  # what the viewers open now
    (row,) = (row for row in rows(todo / "corrections.csv") if row["state"] == "corrected")
    assert (row["case_id"], row["reader"], row["date"], row["in_force"]) == ("a", "MB", "2026-04-03", "true")
    liver, spleen = (int(np.count_nonzero(before == value)) for value in (1, 2))
    expected = {
        "slices": 2,  # 0 and 2
        "liver_slices": 1,
        "spleen_slices": 1,
        "liver_before_cm3": liver * VOXEL_CM3,
        "liver_after_cm3": (liver - 5) * VOXEL_CM3,
        "spleen_before_cm3": spleen * VOXEL_CM3,
        "spleen_after_cm3": (spleen + 12) * VOXEL_CM3,
        "liver_dss": 2 * (liver - 5) / (2 * liver - 5),
        "spleen_dss": 2 * spleen / (2 * spleen + 12),
    }
    assert {name: float(row[name]) for name in expected} == pytest.approx(expected, abs=1e-9)


def test_the_same_edit_is_imported_once(todo: Path, capsys: pytest.CaptureFixture[str]) -> None:
    save_as_slicer_does(todo)
    assert correct(f"import={todo}") == 0
    before = {file: file.read_bytes() for file in (todo / "history").rglob("*.*")}
    assert correct(f"import={todo}") == 0
    assert "new entries: none" in capsys.readouterr().out
    assert {file: file.read_bytes() for file in (todo / "history").rglob("*.*")} == before
    same = read_label_map(label_map(todo))
    write_label_map(label_map(todo).with_name("a_dseg.nii"), same)  # the same voxels in another file
    assert correct(f"import={todo}") == 0
    assert states(todo) == ["predicted", "corrected"]


def test_the_time_between_files_is_that_of_the_files(todo: Path) -> None:
    record = todo / "history" / "a" / "0001.json"
    started = json.loads(record.read_text())["content"]["saved"]
    save_nifti(todo)
    later = datetime.fromisoformat(started).timestamp() + 754
    os.utime(label_map(todo), (later, later))
    assert correct(f"import={todo}") == 0
    row = rows(todo / "corrections.csv")[1]
    assert float(row["seconds_between_files"]) == 754


def test_a_segment_that_is_missing_counts_as_not_labelled(todo: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = edited(todo)
    lps = np.diag([-1.0, -1.0, 1.0, 1.0]) @ found.geometry.affine
    only = (found.to_native() == Structure.LIVER).astype(np.uint8)
    write_seg_nrrd(todo, "a", only, lps, [("Liver", 1)])
    assert correct(f"import={todo}") == 0
    (line,) = lines_of(capsys)
    assert line.startswith("warning: LS-COR-009 case 'a'")
    (row,) = rows(todo / "cohort.csv")
    assert row["labelled_structures"] == "liver"


def shifted(todo: Path) -> None:
    found = edited(todo)
    affine = found.geometry.affine.copy()
    affine[0, 3] += 3.0  # voxels are 8 mm
    write_label_map(label_map(todo), LabelMap(found.labels, Geometry(found.geometry.shape, affine)))


def resampled(todo: Path) -> None:
    labels = np.ones((5, 16, 16), np.uint8)
    write_label_map(label_map(todo), LabelMap(labels, Geometry((16, 16, 5), np.diag([-16.0, -16.0, 20.0, 1.0]))))


def other_values(todo: Path) -> None:
    found = edited(todo)
    labels = found.labels.copy()
    labels[labels == Structure.SPLEEN] = 7
    write_label_map(label_map(todo), LabelMap(labels, found.geometry))


def emptied(todo: Path) -> None:
    found = edited(todo)
    write_label_map(label_map(todo), LabelMap(np.zeros_like(found.labels), found.geometry))


def renamed(todo: Path) -> None:
    save_nifti(todo)
    label_map(todo).rename(label_map(todo).with_name("Segmentation.nii.gz"))


def removed(todo: Path) -> None:
    label_map(todo).unlink()


def cut_off(todo: Path) -> None:
    label_map(todo).write_bytes(label_map(todo).read_bytes()[:200])


def unnamed_segments(todo: Path) -> None:
    found = edited(todo)
    lps = np.diag([-1.0, -1.0, 1.0, 1.0]) @ found.geometry.affine
    write_seg_nrrd(todo, "a", found.to_native(), lps, [("Segment_1", 1), ("Segment_2", 2)])


def no_dicom(todo: Path) -> None:
    label_map(todo).with_name("a_dseg.dcm").write_bytes(b"none")


def two_edits(todo: Path) -> None:
    save_as_slicer_does(todo)
    found = edited(todo)
    found.labels[4, 30:] = Structure.SPLEEN
    write_label_map(label_map(todo), found)


def changed_ct(todo: Path) -> None:
    save_nifti(todo)
    scan(todo / "cases" / "a" / "a_ct.nii.gz", seed=9)


BROKEN = {
    shifted: ("LS-GEO-004", "corners of the label map"),
    resampled: ("LS-GEO-003", "label map has shape (5, 16, 16), expected (5, 32, 32)"),
    other_values: ("LS-LAB-001", "7"),
    emptied: ("LS-COR-007", "no labelled voxel"),
    renamed: ("LS-COR-005", "Segmentation.nii.gz has another name than the label map"),
    removed: ("LS-COR-005", "the label map a_dseg.nii.gz is missing"),
    cut_off: ("LS-IMG-0", ""),
    unnamed_segments: ("LS-LAB-057", "name the segments liver and spleen"),
    no_dicom: ("LS-COR-008", "not a DICOM segmentation"),
    two_edits: ("LS-COR-006", "a_dseg.nii.gz and a_dseg.seg.nrrd were both edited"),
    changed_ct: ("LS-COR-012", "copy of the CT"),
}


@pytest.mark.parametrize("broken", BROKEN, ids=lambda broken: broken.__name__)
def test_a_broken_edit_is_one_line_and_the_other_case_is_imported(
    broken: Callable[[Path], None], todo: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    broken(todo)
    save_nifti(todo, "b")
    assert correct(f"import={todo}") == 2
    (line,) = lines_of(capsys)
    code, text = BROKEN[broken]
    assert line.startswith(code)
    assert " case 'a' " in line
    assert text in line
    assert states(todo) == ["predicted"]
    assert states(todo, "b") == ["predicted", "corrected"]


# ---- verdicts, undo, tables -----------------------------------------------------------------------------------------


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


def darker(seed: int) -> tuple[CTVolume, LabelMap]:
    """Return a CT with a darker liver and spleen than in the training of the model, and its true label map."""
    ct, truth = exam(6, seed)
    hu = ct.hu - np.select([truth.labels == Structure.LIVER, truth.labels == Structure.SPLEEN], [70, 110])
    return CTVolume(hu.astype(np.int16), ct.geometry), truth


@pytest.mark.slow
def test_the_command_sequence_of_the_page_gives_a_model_that_is_better_on_the_test_cases(
    model: Path, tmp_path: Path
) -> None:
    top, truth, given = tmp_path / "cohort", {}, []
    for seed in range(5):
        case, (ct, truth[f"c{seed}"]) = f"c{seed}", darker(30 + seed)
        write_ct(top / f"{case}.nii.gz", ct)
        write_label_map(top / "truth" / f"{case}.nii.gz", truth[case])
        dataset = "test1" if seed > 2 else "development"
        label = f"truth/{case}.nii.gz" if dataset == "test1" else None
        given.append(
            {"case_id": case, "patient_id": case, "image": f"{case}.nii.gz", "label": label, "dataset": dataset}
        )
    write_cohort(top / "cohort.csv", given)
    out, todo, run = tmp_path / "out", tmp_path / "todo", tmp_path / "run2"
    assert predict(model, top / "cohort.csv", out) == 0
    assert correct(f"input={out}", f"cases={out / 'review.csv'}", f"output={todo}") == 0
    for case in ("c0", "c1", "c2"):
        native = truth[case].to_native()
        lps = np.diag([-1.0, -1.0, 1.0, 1.0]) @ truth[case].geometry.affine
        write_seg_nrrd(todo, case, native, lps, [("Liver", 1), ("Spleen", 2)])
    assert correct(f"import={todo}", "reader=MB") == 0
    assert correct(f"import={todo}", "state=confirmed", "reader=RK") == 0
    assert {row["case_id"] for row in rows(todo / "cohort.csv")} == {"c0", "c1", "c2"}
    assert main(["split", f"cohort={todo / 'cohort.csv'}", f"output={tmp_path / 'split'}", "train_fraction=1"]) == 0
    words = [f"cohort={todo / 'cohort.csv'}", f"split={tmp_path / 'split' / 'split.csv'}", f"start={model}"]
    assert main(["train", *words, f"output={run}", *TINY]) == 0
    before = mean_dss(tmp_path, top, out)
    assert predict(run / "last.ckpt", top / "cohort.csv", tmp_path / "out2", "datasets=[test1]") == 0
    after = mean_dss(tmp_path, top, tmp_path / "out2")
    assert after > before + 0.03


def mean_dss(folder: Path, cohort: Path, labels: Path) -> float:
    """Mean DSS of the test cases c3 and c4 against the true label maps."""
    output = folder / f"measured_{labels.name}"
    assert (
        main(["measure", f"labels={labels}", f"cohort={cohort / 'cohort.csv'}", "datasets=[test1]", f"output={output}"])
        == 0
    )
    found = [float(row["dss"]) for row in rows(output / "measurements.csv") if row["dss"]]
    assert len(found) == 4
    return float(np.mean(found))


# ---- DICOM ----------------------------------------------------------------------------------------------------------


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
