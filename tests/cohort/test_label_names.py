"""Label maps are found by their case, with the names of other tools and those of predict."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from liverspleen.cohort.folder import open_cohort
from liverspleen.cohort.label_names import label_files
from liverspleen.cohort.layouts import Meaning, Request, find_cases
from liverspleen.cohort.manifest import read_cohort
from liverspleen.errors import InputError
from liverspleen.evaluation.measurements.label_folder import measure_folder
from liverspleen.evaluation.reporting.overlay import overlays


def names(folder: Path, *known: str) -> dict[str, list[str]]:
    return {case: [file.name for file in files] for case, files in label_files(folder, known).items()}


def filled(folder: Path, *files: str) -> Path:
    folder.mkdir(exist_ok=True)
    for name in files:
        (folder / name).touch()
    return folder


def test_both_names_belong_to_their_case_and_two_files_are_both_listed(tmp_path: Path) -> None:
    folder = filled(tmp_path, "a.nii.gz", "b_dseg.nii.gz", "c.nii", "c_dseg.nii.gz", ".part-1-d.nii.gz", "e_dseg.png")
    assert names(folder) == {"a": ["a.nii.gz"], "b": ["b_dseg.nii.gz"], "c": ["c.nii", "c_dseg.nii.gz"]}


def test_a_case_with_the_name_of_a_prediction_keeps_its_label_map(tmp_path: Path) -> None:
    folder = filled(tmp_path, "x_dseg.nii.gz", "x_dseg_dseg.nii.gz", "_dseg.nii")
    # folder of predict with the cases x and x_dseg, with and without sidecars
    expected = {"x": ["x_dseg.nii.gz"], "x_dseg": ["x_dseg_dseg.nii.gz"], "_dseg": ["_dseg.nii"]}
    assert names(folder) == expected
    (folder / "x_dseg.json").write_text(json.dumps({"case_id": "x"}))
    assert names(folder, "x", "x_dseg", "_dseg") == expected
    # folder of another tool with the case x_dseg, which is in the cohort
    plain = filled(tmp_path / "plain", "x_dseg.nii.gz")
    assert names(plain, "x", "x_dseg") == {"x_dseg": ["x_dseg.nii.gz"]}
    assert names(plain, "x") == {"x": ["x_dseg.nii.gz"]}


@pytest.mark.parametrize("content", ["[1", '"x"', '{"case_id": "y"}', '{"case_id": ["x"]}', "[" * 100_000])
def test_an_invalid_sidecar_is_ignored(tmp_path: Path, content: str) -> None:
    folder = filled(tmp_path, "x_dseg.nii.gz")
    (folder / "x_dseg.json").write_text(content)
    assert names(folder) == {"x": ["x_dseg.nii.gz"]}


def renamed(cohort: Path, folder: Path, suffix: str = "_dseg") -> Path:
    """The label maps of a box cohort with the names of predict."""
    folder.mkdir()
    for case in read_cohort(cohort).cases:
        assert case.label is not None
        shutil.copy(case.label, folder / f"{case.case_id}{suffix}.nii.gz")
    return folder


def test_measure_and_figure_3_find_the_label_maps(box_cohort: Callable[..., Path], tmp_path: Path) -> None:
    table = box_cohort((5, 6))
    cohort, folder = read_cohort(table), renamed(table, tmp_path / "labels")
    measured = measure_folder(folder, cohort=cohort, surface=None)
    assert {issue.code for issue in measured.issues} <= {"LS-LAB-011"}  # the organs have few voxels
    assert {row.dss for row in measured.rows if row.reader == "dla"} == {1.0}
    assert [shown.case_id for shown in overlays(cohort, folder, ["c0", "c1"]).shown] == ["c0", "c1"]
    shutil.copy(folder / "c0_dseg.nii.gz", folder / "c0.nii.gz")
    measured = measure_folder(folder, cohort=cohort, surface=None)
    assert [issue.case_id for issue in measured.issues if issue.code != "LS-LAB-011"] == ["c0"]
    assert "LS-LAB-007" in {issue.code for issue in measured.issues}
    assert [note.cases for note in overlays(cohort, folder, ["c0", "c1"]).notes] == [("c0",)]


def test_a_reference_folder_of_a_case_with_the_name_of_a_prediction(
    box_cohort: Callable[..., Path], tmp_path: Path
) -> None:
    table = box_cohort((5,))
    labels, reference = renamed(table, tmp_path / "labels", "_dseg_dseg"), renamed(table, tmp_path / "manual")
    measured = measure_folder(labels, reference=reference, surface=None)
    assert {issue.code for issue in measured.issues} <= {"LS-LAB-011"}  # the organs have few voxels
    assert {row.case_id for row in measured.rows} == {"c0_dseg"}


def test_corrected_predictions_are_trained_on_and_imported(box_cohort: Callable[..., Path], tmp_path: Path) -> None:
    table = box_cohort((5, 6))
    (tmp_path / "images").mkdir()
    for name in ("c0", "c1"):
        shutil.copy(table.parent / f"{name}.nii.gz", tmp_path / "images")
    renamed(table, tmp_path / "labels")
    cases = open_cohort(tmp_path).cases
    assert [(c.case_id, c.label and c.label.name) for c in cases] == [(n, f"{n}_dseg.nii.gz") for n in ("c0", "c1")]
    meaning = Meaning()  # the values of liverspleen
    found = find_cases("nifti", Request(tmp_path, tmp_path / "labels", meaning))
    assert [case.name for case in found.cases if case.labels is not None] == ["c0", "c1"]
    shutil.copy(tmp_path / "labels" / "c0_dseg.nii.gz", tmp_path / "labels" / "c0.nii.gz")
    with pytest.raises(InputError, match="LS-LAB-007 case 'c0'"):
        open_cohort(tmp_path)


def test_a_label_map_with_another_word_in_its_name_is_that_of_the_only_case_with_its_key(tmp_path: Path) -> None:
    folder = filled(tmp_path, "segmentation-0.nii", "segmentation-1.nii", "x_seg.nii.gz", "y.nii")
    assert names(folder, "volume-0", "volume-10", "x", "x_0000", "y") == {
        "volume-0": ["segmentation-0.nii"],
        "segmentation-1": ["segmentation-1.nii"],
        "x_seg": ["x_seg.nii.gz"],  # of x or x_0000
        "y": ["y.nii"],
    }


def test_predictions_are_compared_with_the_references_of_their_dataset(
    box_cohort: Callable[..., Path], tmp_path: Path
) -> None:
    case = read_cohort(box_cohort((5,))).cases[0]
    assert case.label is not None
    for pattern in ("predicted/volume-0_dseg", "lits/segmentation-0", "predicted/p1_dseg", "folders/p1/segmentation"):
        file = tmp_path / f"{pattern}.nii.gz"
        file.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(case.label, file)
    (tmp_path / "lits" / "x.mgz").touch()
    for reference, expected in (("lits", "volume-0"), ("folders", "p1")):
        measured = measure_folder(tmp_path / "predicted", reference=tmp_path / reference, surface=None)
        assert {row.case_id for row in measured.rows if row.dss == 1.0} == {expected}
        skipped = [issue.message for issue in measured.issues if issue.code == "LS-COH-040"]
        assert skipped == (["1 file of another image format (.mgz) is not read"] if reference == "lits" else [])
