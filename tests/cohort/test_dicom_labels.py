"""DICOM segmentations as labels of a cohort: each belongs to one CT, and none is merged with another."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
from plain_segmentation import BOXES, CODES, LIVER, LIVER_VOXELS, SPLEEN, SPLEEN_VOXELS, item, save, segmentation

from liverspleen.cohort.layouts import Found, Request, find_cases
from liverspleen.errors import InputError
from liverspleen.imaging import CTVolume, Geometry, LabelMap, write_label_map
from liverspleen.imaging.dicom import write_series
from liverspleen.organs import ORGANS

AFFINE = np.diag([-0.75, -0.5, 2.5, 1.0])
SHAPE = (41, 37, 8)
SMALL = (slice(1, 3), slice(4, 6), slice(3, 5))  # 2 x 2 x 2 voxels
Row = Mapping[str, str]


@pytest.fixture
def ct(tmp_path: Path) -> tuple[Path, ...]:
    return series(tmp_path / "in" / "ct")


def series(folder: Path, seed: int = 0) -> tuple[Path, ...]:
    hu = np.random.default_rng(seed).integers(-1000, 1000, (8, 37, 41)).astype(np.int16)
    tags = {"PatientID": "P", "FrameOfReferenceUID": "2.25.7", "SeriesNumber": 4}
    return write_series(folder, CTVolume(hu, Geometry(SHAPE, AFFINE)), tags=tags)


def find(tmp_path: Path, *rows: Row) -> Found:
    keys = ("source", "patient", "series", "segmentation", "phase")
    complete = tuple(dict.fromkeys(keys, "") | dict(row) for row in rows)
    return find_cases("dicom", Request(tmp_path / "in", tmp_path / "seg", covariate_rows=complete))


def voxels(found: Found, number: int = 0) -> tuple[int, ...]:
    """Voxels of liver and spleen of a case."""
    case = found.cases[number]
    assert case.labels is not None
    label_map = case.labels.read("a", case.scan.read("a"))
    return tuple(label_map.count(organ) for organ in ORGANS)


def codes(found: Found) -> list[str]:
    return [exclusion.issue.code for exclusion in found.excluded] + [issue.code for issue in found.notes]


@pytest.mark.parametrize(
    "links", [("derivation",), ("frame",), ("series",), ("derivation", "instances", "series", "frame")]
)
def test_a_segmentation_finds_its_ct(links: tuple[str, ...], ct: tuple[Path, ...], tmp_path: Path) -> None:
    save(segmentation(ct, links=links), tmp_path / "seg/s.dcm")
    found = find(tmp_path)
    assert voxels(found) == (LIVER_VOXELS, SPLEEN_VOXELS)
    assert codes(found) == []


def test_codes_of_snomed_rt_have_two_names(ct: tuple[Path, ...], tmp_path: Path) -> None:
    named = {"liver": ("SNM3", "T-62000"), "spleen": ("SRT", "T-C3000")}
    dataset = segmentation(ct, codes=named)
    for segment in dataset.SegmentSequence:
        segment.SegmentLabel = segment.SegmentedPropertyTypeCodeSequence[0].CodeMeaning = "x"
    save(dataset, tmp_path / "seg/s.dcm")
    assert voxels(find(tmp_path)) == (LIVER_VOXELS, SPLEEN_VOXELS)


def two_versions(ct: tuple[Path, ...], tmp_path: Path) -> None:
    save(segmentation(ct, uid="2.25.21"), tmp_path / "seg/v1.dcm")
    newer = segmentation(ct, {"liver": SMALL, "spleen": SPLEEN}, uid="2.25.22")
    newer.ContentDate = "20210101"
    save(newer, tmp_path / "seg/new/v2.dcm")


def test_two_versions_are_rejected_and_described(ct: tuple[Path, ...], tmp_path: Path) -> None:
    two_versions(ct, tmp_path)
    found = find(tmp_path)
    assert found.cases == ()
    (exclusion,) = found.excluded
    assert exclusion.issue.code == "LS-LAB-040"
    assert "2 segmentations give the liver and spleen of one CT" in exclusion.issue.message
    listed = [issue for issue in found.notes if issue.code == "LS-LAB-041"]
    assert [Path(str(issue.file)).name for issue in listed] == ["v1.dcm", "v2.dcm"]
    assert "a of 2, from the oldest to the newest: liver and spleen, manual, 4 slices" in listed[0].message


@pytest.mark.parametrize("name", ["new/v2.dcm", "2.25.22", "2.25.22.1", " new/v2.dcm ; 2.25.22"])
@pytest.mark.parametrize("keys", [{"source": "ct"}, {"patient": "P"}, {"patient": "P", "series": "4"}])
def test_the_covariates_select_a_version(name: str, keys: Row, ct: tuple[Path, ...], tmp_path: Path) -> None:
    two_versions(ct, tmp_path)
    found = find(tmp_path, {**keys, "segmentation": name})
    assert voxels(found) == (8, SPLEEN_VOXELS)
    assert codes(found) == []


def test_a_series_of_two_versions_does_not_select_one(ct: tuple[Path, ...], tmp_path: Path) -> None:
    for number in (1, 2):
        dataset = segmentation(ct, uid=f"2.25.{number}")
        dataset.SeriesInstanceUID = "2.25.9"
        save(dataset, tmp_path / f"seg/v{number}.dcm")
    assert codes(find(tmp_path, {"source": "ct", "segmentation": "2.25.9"}))[0] == "LS-LAB-040"
    assert voxels(find(tmp_path, {"source": "ct", "segmentation": "2.25.2"})) == (LIVER_VOXELS, SPLEEN_VOXELS)


def test_a_named_segmentation_that_is_not_there_is_an_error(ct: tuple[Path, ...], tmp_path: Path) -> None:
    two_versions(ct, tmp_path)
    assert codes(find(tmp_path, {"source": "ct", "segmentation": "v2.dcm"}))[0] == "LS-LAB-044"
    assert codes(find(tmp_path, {"source": "other", "segmentation": "v1.dcm"}))[0] == "LS-LAB-040"


def test_a_segmentation_of_another_ct_cannot_be_named(ct: tuple[Path, ...], tmp_path: Path) -> None:
    save(segmentation(ct), tmp_path / "seg/s.dcm")
    series(tmp_path / "in" / "late", seed=1)
    found = find(tmp_path, {"source": "late", "segmentation": "s.dcm"})
    assert [(exclusion.name, exclusion.issue.code) for exclusion in found.excluded] == [("late", "LS-LAB-044")]
    assert [case.name for case in found.cases] == ["ct"]


def test_a_row_of_a_patient_names_segmentations_of_all_examinations(ct: tuple[Path, ...], tmp_path: Path) -> None:
    two_versions(ct, tmp_path)
    late = series(tmp_path / "in" / "late", seed=1)
    save(segmentation(late, uid="2.25.31"), tmp_path / "seg/late.dcm")
    found = find(tmp_path, {"patient": "P", "segmentation": "new/v2.dcm;late.dcm"})
    assert [case.name for case in found.cases] == ["ct", "late"]
    assert [voxels(found, number) for number in (0, 1)] == [(8, SPLEEN_VOXELS), (LIVER_VOXELS, SPLEEN_VOXELS)]


def test_one_file_per_organ_is_one_label_map(ct: tuple[Path, ...], tmp_path: Path) -> None:
    for number, organ in enumerate(BOXES):
        save(segmentation(ct, {organ: BOXES[organ]}, uid=f"2.25.{number + 1}"), tmp_path / f"seg/{organ}.dcm")
    found = find(tmp_path)
    assert voxels(found) == (LIVER_VOXELS, SPLEEN_VOXELS)
    assert codes(found) == []


def test_a_copy_of_a_segmentation_is_read_once(ct: tuple[Path, ...], tmp_path: Path) -> None:
    file = save(segmentation(ct), tmp_path / "seg/s.dcm")
    shutil.copy(file, tmp_path / "seg/t.dcm")
    found = find(tmp_path)
    assert voxels(found) == (LIVER_VOXELS, SPLEEN_VOXELS)
    assert codes(found) == ["LS-LAB-042"]


def test_labels_that_match_no_ct_are_an_error(ct: tuple[Path, ...], tmp_path: Path) -> None:
    save(segmentation(series(tmp_path / "absent", seed=1), links=("derivation", "frame")), tmp_path / "seg/s.dcm")
    with pytest.raises(InputError) as caught:
        find(tmp_path)
    severities = {issue.code: issue.severity for issue in caught.value.issues}
    assert severities == {"LS-IMP-005": "warning", "LS-IMP-006": "warning", "LS-IMP-040": "error"}
    named = find(tmp_path, {"source": "ct", "segmentation": "s.dcm"})
    assert voxels(named) == (LIVER_VOXELS, SPLEEN_VOXELS)  # the grid is the same, and the user decides


def test_two_ct_on_one_grid_need_the_covariates(ct: tuple[Path, ...], tmp_path: Path) -> None:
    series(tmp_path / "in" / "late", seed=1)
    save(segmentation(ct, links=("frame",)), tmp_path / "seg/s.dcm")
    found = find(tmp_path)
    assert [(exclusion.name, exclusion.issue.code) for exclusion in found.excluded] == [
        ("ct", "LS-DCM-073"),
        ("late", "LS-DCM-073"),
    ]
    found = find(tmp_path, {"source": "late", "segmentation": "s.dcm"})
    assert [(case.name, case.labels is None) for case in found.cases] == [("ct", True), ("late", False)]
    assert voxels(found, 1) == (LIVER_VOXELS, SPLEEN_VOXELS)


def test_contradictory_references_reject_the_case(ct: tuple[Path, ...], tmp_path: Path) -> None:
    dataset = segmentation(ct)
    dataset.FrameOfReferenceUID = "2.25.8"
    save(dataset, tmp_path / "seg/s.dcm")
    assert codes(find(tmp_path))[:2] == ["LS-DCM-072", "LS-LAB-041"]


def test_a_segmentation_without_an_organ_is_reported(ct: tuple[Path, ...], tmp_path: Path) -> None:
    kidney = segmentation(ct, {"spleen": SMALL}, codes=CODES | {"spleen": ("SCT", "64033007")}, uid="2.25.5")
    segment = kidney.SegmentSequence[0]
    segment.SegmentLabel = segment.SegmentedPropertyTypeCodeSequence[0].CodeMeaning = "Kidney"
    save(kidney, tmp_path / "seg/k.dcm")
    assert codes(find(tmp_path))[:1] == ["LS-IMP-025"]
    save(segmentation(ct), tmp_path / "seg/s.dcm")
    found = find(tmp_path)
    assert voxels(found) == (LIVER_VOXELS, SPLEEN_VOXELS)
    assert [(issue.code, issue.severity) for issue in found.notes] == [("LS-IMP-025", "warning")]


def test_an_organ_without_frames_is_absent_with_a_note(ct: tuple[Path, ...], tmp_path: Path) -> None:
    save(segmentation(ct, {"liver": LIVER, "spleen": (slice(0), slice(0), slice(0))}), tmp_path / "seg/s.dcm")
    found = find(tmp_path)
    assert voxels(found) == (LIVER_VOXELS, 0)
    assert codes(found) == ["LS-DCM-074"]
    assert [organ.key for organ in found.cases[0].labels.covered] == ["liver", "spleen"]


def test_a_damaged_segmentation_is_an_error(ct: tuple[Path, ...], tmp_path: Path) -> None:
    dataset = segmentation(ct)
    dataset.PerFrameFunctionalGroupsSequence = [item()]
    save(dataset, tmp_path / "seg/s.dcm")
    with pytest.raises(InputError) as caught:
        find(tmp_path)
    errors = [issue.code for issue in caught.value.issues if issue.severity == "error"]
    assert errors == ["LS-DCM-041", "LS-IMP-040"]


@pytest.mark.parametrize("names", [("ct.nii", "ct.nii.gz"), ("ct.nii.gz", "s.dcm")])
def test_two_files_of_one_ct_are_rejected_and_listed(
    names: tuple[str, str], ct: tuple[Path, ...], tmp_path: Path
) -> None:
    empty = LabelMap(np.zeros((8, 37, 41), np.uint8), Geometry(SHAPE, AFFINE))
    for name in names:
        if name.endswith(".dcm"):
            save(segmentation(ct), tmp_path / "seg" / name)
        else:
            write_label_map(tmp_path / "seg" / name, empty)
    found = find(tmp_path)
    issues = [found.excluded[0].issue, *found.notes]
    assert issues[0].code == "LS-IMP-007"
    assert sorted(Path(str(issue.file)).name for issue in issues if issue.file) == sorted(names)
    if "s.dcm" in names:
        assert voxels(find(tmp_path, {"source": "ct", "segmentation": "s.dcm"})) == (LIVER_VOXELS, SPLEEN_VOXELS)
