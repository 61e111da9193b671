"""What measure reports about label maps: exchanged values, anatomy, grids that are no CT. Ellipsoids of known size."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from liverspleen.cli.main import main
from liverspleen.evaluation import measure_folder
from liverspleen.evaluation.measurements.label_folder import Measured
from liverspleen.imaging.geometry import Geometry
from liverspleen.imaging.nifti import write_label_map
from liverspleen.imaging.volume import LabelMap
from liverspleen.organs import LABEL_VALUES

SPACING = 8.0
SHAPE = (24, 48, 48)  # slice, row, column: 192 x 384 x 384 mm
LIVER, SPLEEN = ((12, 24, 14), (8, 9, 9)), ((12, 28, 38), (5, 5, 4))  # centre and half axes in voxels


def drawn(*organs: tuple[int, tuple[tuple[int, ...], tuple[int, ...]]]) -> NDArray[np.uint8]:
    """Return label values with ellipsoids; a later one replaces an earlier one."""
    labels = np.zeros(SHAPE, np.uint8)
    index = np.indices(SHAPE)
    for value, (centre, half) in organs:
        labels[sum(((i - c) / h) ** 2 for i, c, h in zip(index, centre, half, strict=True)) <= 1] = value
    return labels


def save(folder: Path, labels: NDArray[np.uint8], name: str = "a", **names: int) -> Path:
    grid = Geometry(labels.shape[::-1], np.diag([-SPACING, -SPACING, SPACING, 1.0]))
    write_label_map(folder / f"{name}.nii.gz", LabelMap(labels, grid))
    if names:
        (folder / "dataset.json").write_text(json.dumps({"labels": {"background": 0, **names}}))
    return folder


def codes(measured: Measured) -> list[str]:
    return [issue.code for issue in measured.issues]


def found(measured: Measured) -> dict[tuple[str, str], tuple[float | None, str, float | None]]:
    return {(row.reader, row.structure): (row.voxels, row.volume_status, row.dss) for row in measured.rows}


BOTH = drawn((1, LIVER), (2, SPLEEN))
NUMBER = {"liver": int((BOTH == 1).sum()), "spleen": int((BOTH == 2).sum())}
EXCHANGED = drawn((2, LIVER), (1, SPLEEN))


def test_dataset_json_gives_the_meaning_of_labels_and_references(tmp_path: Path) -> None:
    labels = save(tmp_path / "out", EXCHANGED, spleen=1, liver=2)
    reference = save(tmp_path / "raw" / "labelsTs", EXCHANGED)
    (reference.parent / "dataset.json").write_text((labels / "dataset.json").read_text())  # one folder above
    measured = measure_folder(labels, reference=reference, surface=None)
    assert codes(measured) == []
    assert {key: row[0] for key, row in found(measured).items() if key[0] == "dla"} == {
        ("dla", key): number for key, number in NUMBER.items()
    }
    assert [row.dss for row in measured.rows if row.reference] == [1.0, 1.0]


def test_an_organ_that_dataset_json_does_not_name_has_no_row(tmp_path: Path) -> None:
    measured = measure_folder(save(tmp_path / "spleens", (BOTH == 2).astype(np.uint8), spleen=1), surface=None)
    assert found(measured) == {("dla", "spleen"): (NUMBER["spleen"], "ok", None)}


def test_a_value_that_dataset_json_does_not_name_is_an_error(tmp_path: Path) -> None:
    measured = measure_folder(save(tmp_path / "a", BOTH, spleen=1), surface=None)
    assert codes(measured) == ["LS-LAB-001"]


def test_exchanged_values_are_found_by_the_dss_and_the_hint_works(tmp_path: Path) -> None:
    labels, reference = save(tmp_path / "out", EXCHANGED), save(tmp_path / "reference", BOTH)
    measured = measure_folder(labels, reference=reference, surface=None)
    assert codes(measured) == ["LS-LAB-019", "LS-MEA-020"]
    assert "DSS would be liver 1.00, spleen 1.00 with exchanged values, and is liver 0.00" in measured.issues[1].message
    assert "label_values='{1: spleen, 2: liver}'" in measured.issues[1].hint
    assert all(issue.severity == "warning" for issue in measured.issues)
    run = ["measure", f"labels={labels}", f"reference={reference}", f"output={tmp_path / 'm'}"]
    assert main([*run, "label_values={1: spleen, 2: liver}"]) == 0
    other = measure_folder(reference, reference=labels, surface=None)
    assert "reference_values=" in other.issues[-1].hint


def test_means_and_their_numbers_are_printed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name, labels in (("a", BOTH), ("b", np.where(BOTH == 1, 1, 0).astype(np.uint8))):
        save(tmp_path / "reference", labels, name)
        save(tmp_path / "labels", labels, name)
    run = ["measure", f"labels={tmp_path / 'labels'}", f"reference={tmp_path / 'reference'}"]
    assert main([*run, f"output={tmp_path / 'm'}", "surface=none", "workers=1"]) == 0
    assert "measure: mean DSS liver 1.000 (n = 2), spleen 1.000 (n = 1)" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("labels", "code"),
    [
        (drawn((1, LIVER), (2, ((12, 24, 14), (4, 4, 4)))), "LS-LAB-054"),  # a spleen inside the liver
        (drawn((2, ((12, 24, 14), (11, 14, 14))), (1, LIVER)), "LS-LAB-054"),  # a liver inside the spleen
        (drawn((1, LIVER), (2, ((12, 40, 15), (4, 4, 4)))), "LS-LAB-018"),  # a spleen behind the liver
        (drawn((1, ((12, 24, 34), (8, 9, 9))), (2, ((12, 28, 10), (5, 5, 4)))), "LS-LAB-018"),  # mirrored
        (drawn((1, ((12, 28, 38), (5, 5, 4)))), "LS-LAB-018"),  # a liver alone on the left
        (drawn((2, ((12, 24, 8), (5, 5, 4)))), "LS-LAB-018"),  # a spleen alone on the right
        (drawn((1, ((12, 24, 14), (6, 6, 6))), (2, ((12, 28, 36), (8, 8, 8)))), "LS-LAB-055"),  # a spleen above a liver
        (drawn((1, ((12, 24, 14), (2, 2, 2))), (2, SPLEEN)), "LS-LAB-011"),  # a liver of 17 cm3
        (drawn((1, ((12, 24, 22), (11, 22, 21)))), "LS-LAB-012"),  # a liver of 10 900 cm3
    ],
)
def test_anatomy_is_checked_without_a_ct(tmp_path: Path, labels: NDArray[np.uint8], code: str) -> None:
    measured = measure_folder(save(tmp_path, labels), surface=None)
    assert [issue.severity for issue in measured.issues if issue.code == code] == ["warning"]
    assert measured.rows


def test_normal_anatomy_has_no_finding(tmp_path: Path) -> None:
    assert codes(measure_folder(save(tmp_path / "a", BOTH), surface=None)) == []
    for value in (1, 2):
        alone = save(tmp_path / f"{value}", np.where(value == BOTH, value, 0).astype(np.uint8))
        assert codes(measure_folder(alone, surface=None)) == []


def test_a_label_map_cropped_to_its_organs_is_not_truncated(tmp_path: Path) -> None:
    box = tuple(slice(line.min(), line.max() + 1) for line in np.nonzero(BOTH))
    measured = measure_folder(save(tmp_path / "box", np.ascontiguousarray(BOTH[box])), surface=None)
    assert [(issue.code, issue.severity) for issue in measured.issues] == [("LS-MEA-021", "note")]
    assert found(measured) == {("dla", key): (number, "ok", None) for key, number in NUMBER.items()}


def test_a_scan_that_ends_within_the_liver_is_truncated(tmp_path: Path) -> None:
    measured = measure_folder(save(tmp_path, np.ascontiguousarray(BOTH[:14])), surface=None)
    assert codes(measured) == []
    assert {row.volume_status for row in measured.rows} == {"truncated"}


def test_the_box_of_one_organ_is_not_a_ct_either(tmp_path: Path) -> None:
    spleen = np.where(BOTH == 2, 1, 0).astype(np.uint8)
    box = tuple(slice(line.min(), line.max() + 1) for line in np.nonzero(spleen))
    folder = save(tmp_path, np.ascontiguousarray(spleen[box]))
    measured = measure_folder(folder, surface=None, label_values=LABEL_VALUES["msd_spleen"])
    assert found(measured) == {("dla", "spleen"): (NUMBER["spleen"], "ok", None)}
