"""`liverspleen correct import=`: edits in each format, and broken ones."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

import numpy as np
import pytest
from correcting import (
    correct,
    edited,
    label_map,
    lines_of,
    save_as_slicer_does,
    save_nifti,
    states,
    write_seg_nrrd,
)
from predicting import rows, scan

from liverspleen.imaging.files import read_ct, read_label_map
from liverspleen.imaging.geometry import Geometry, same_grid
from liverspleen.imaging.nifti import write_label_map
from liverspleen.imaging.volume import LabelMap
from liverspleen.organs import Structure

VOXEL_CM3 = 8 * 8 * 20 / 1000


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


def test_a_copy_of_the_folder_of_a_case_is_reported(todo: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shutil.copytree(todo / "cases" / "a", todo / "cases" / "a copy")
    save_nifti(todo, "b")
    assert correct(f"import={todo}") == 0
    (line,) = lines_of(capsys)
    assert line.startswith("warning: LS-COR-022 ")
    assert "a copy" in line
    assert states(todo, "b") == ["predicted", "corrected"]


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
