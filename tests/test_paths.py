"""Public functions take a path as str: each is called so, and none of them asks for a Path."""

from __future__ import annotations

import importlib
import inspect
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from liverspleen import audit, cohort, data, evaluation, imaging
from liverspleen.cohort.covariates import read_covariates
from liverspleen.cohort.scans import open_scans
from liverspleen.data.cache import open_case
from liverspleen.evaluation.reporting.flow import read_exclusions
from liverspleen.formats import REPORT
from liverspleen.imaging import dicom
from liverspleen.phantom.cohort import write_phantom_cohort
from liverspleen.sweep.leaderboard import write_leaderboard

PACKAGES = ("imaging", "imaging.dicom", "cohort", "evaluation", "audit", "data", "training", "networks", "inference")
BARE_PATH = re.compile(r"(?<!\w)Path\b")


def public() -> Iterator[tuple[str, Any]]:
    for package in PACKAGES:
        module = importlib.import_module(f"liverspleen.{package}")
        for name in module.__all__:
            yield f"{package}.{name}", getattr(module, name)
    for function in (open_scans, read_covariates, read_exclusions, write_phantom_cohort, write_leaderboard):
        yield function.__name__, function


def bare_paths(function: Callable[..., Any]) -> list[str]:
    """The parameters whose annotation asks for a Path."""
    parameters = inspect.signature(function).parameters.values()
    return [parameter.name for parameter in parameters if BARE_PATH.search(str(parameter.annotation))]


def test_no_public_function_asks_for_a_path() -> None:
    functions = {name: found for name, found in public() if inspect.isfunction(found)}
    assert {"cohort.read_cohort", "evaluation.write_report", "inference.segment"} <= functions.keys()
    assert {name: bare for name, found in functions.items() if (bare := bare_paths(found))} == {}


def test_a_function_that_asks_for_a_path_is_found() -> None:
    def read(file: Path, root: Path | None = None, other: str = "") -> None: ...

    assert bare_paths(read) == ["file", "root"]


def test_images_are_read_and_written(box_cohort: Callable[..., Path], tmp_path: Path) -> None:
    folder = box_cohort().parent
    ct, label_map = imaging.read_ct(f"{folder}/c0.nii.gz"), imaging.read_label_map(f"{folder}/c0_label.nii.gz")
    assert imaging.read_grid(f"{folder}/c0.nii.gz").shape == (32, 32, 5)
    imaging.write_ct(f"{tmp_path}/a/ct.nii", ct)
    imaging.write_label_map(f"{tmp_path}/a/label.nii.gz", label_map)
    assert (imaging.read_ct(f"{tmp_path}/a/ct.nii").hu == ct.hu).all()
    assert (imaging.read_label_map(f"{tmp_path}/a/label.nii.gz").labels == label_map.labels).all()


def test_dicom_is_read_and_written(box_cohort: Callable[..., Path], tmp_path: Path) -> None:
    folder = box_cohort().parent
    ct, label_map = imaging.read_ct(f"{folder}/c0.nii.gz"), imaging.read_label_map(f"{folder}/c0_label.nii.gz")
    files = dicom.write_series(f"{tmp_path}/dicom/ct", ct, tags={"PatientID": "P0"})
    dicom.write_segmentation(f"{tmp_path}/dicom/seg.dcm", label_map, [str(file) for file in files])
    (series,) = (found for found in dicom.find_series(f"{tmp_path}/dicom") if not found.exclusions)
    assert len(series.files) == 5
    assert len(dicom.find_segmentations(f"{tmp_path}/dicom")) == 1
    assert dicom.count_skipped_links(f"{tmp_path}/dicom") == 0


def test_a_cohort_and_its_split_are_read_and_written(box_cohort: Callable[..., Path], tmp_path: Path) -> None:
    folder = box_cohort().parent
    found = cohort.read_cohort(f"{folder}/cohort.csv", root=str(folder))
    assert len(found.cases) == 4
    cohort.write_split(f"{tmp_path}/split.csv", cohort.split_by_patient(found, train_fraction=0.5, seed=0))
    assert len(cohort.read_split(f"{tmp_path}/split.csv", found).validation) == 2
    row = {"case_id": "c0", "patient_id": "p0", "image": "c0.nii.gz"}
    cohort.write_cohort(f"{folder}/cohort.csv", [row])
    assert [case.case_id for case in cohort.open_cohort(str(folder), root=str(folder)).cases] == ["c0"]
    (folder / "cohort.csv").unlink()
    assert len(cohort.open_cohort(str(folder), table=f"{tmp_path}/table.csv").cases) == 4
    assert (tmp_path / "table.csv").is_file()
    with open_scans(str(folder), key=f"{tmp_path}/key") as scans:
        assert len(scans.cases) == 4
    (tmp_path / "covariates.csv").write_text("source,sex\nc0,F\n")
    assert len(read_covariates(f"{tmp_path}/covariates.csv", vocabulary=cohort.Vocabulary()).rows) == 1
    (tmp_path / "exclusions.csv").write_text("reason,count\nno portal venous phase,3\n")
    assert read_exclusions(f"{tmp_path}/exclusions.csv").reasons == (("no portal venous phase", 3),)


def test_label_maps_are_measured_and_reported(box_cohort: Callable[..., Path], tmp_path: Path) -> None:
    folder = box_cohort(dataset=["test1"] * 4).parent
    found = cohort.read_cohort(f"{folder}/cohort.csv")
    for name in ("drawn", "reference"):
        for case in found.cases:
            imaging.write_label_map(f"{tmp_path}/{name}/{case.case_id}.nii.gz", imaging.read_label_map(str(case.label)))
    measured = evaluation.measure_folder(f"{tmp_path}/drawn", reference=f"{tmp_path}/reference", cohort=found)
    assert {issue.code for issue in measured.issues} <= {"LS-LAB-011"}  # the organs have few voxels
    evaluation.write_measurements(f"{tmp_path}/m.csv", measured.rows)
    evaluation.write_volumes(f"{tmp_path}/v.csv", measured.rows)
    measurements = evaluation.read_measurements(f"{tmp_path}/m.csv")
    study = evaluation.Study(found, labels=f"{tmp_path}/drawn")
    report = evaluation.write_report(measurements, f"{tmp_path}/report", study=study)
    assert report.table("table2")["total"]["liver"].n == 4
    assert (tmp_path / "report/figures/overlay.png").is_file()


def test_readers_are_compared_and_known_rc_read(tmp_path: Path) -> None:
    root = Path(__file__).parents[1] / "experiments/kjr2020"
    table = evaluation.read_measurements(f"{root}/measurements.csv").table
    others = table[table["reader"] == "dla"].assign(reader="other", volume_cm3=table["volume_cm3"] * 1.01)
    measurements = evaluation.Measurements(importlib.import_module("pandas").concat([table, others]))
    comparison = evaluation.compare_readers(measurements, datasets=["test1"])
    assert "compare.json" in evaluation.write_comparison(comparison, f"{tmp_path}/compare")
    cells = f'{{"format": {REPORT.number}, '
    cells += '"cells": [{"table": "reproducibility", "row": "liver", "column": "dla", "n": 9, "values": '
    cells += '{"rc_pct": 3.5, "ci_lower": 3.0, "ci_upper": 4.0}}]}'
    (tmp_path / "report.json").write_text(cells)
    assert evaluation.read_rc_table(f"{tmp_path}/report.json")["liver", "dla"].rc_pct == 3.5


def test_published_numbers_are_audited(tmp_path: Path) -> None:
    root = Path(__file__).parents[1] / "experiments/kjr2020"
    numbers = audit.read_published(f"{root}/published.csv").numbers
    claims = audit.read_claims(f"{root}/claims.yaml", numbers).claims
    assert claims
    audit.write_audit(audit.audit(numbers.values(), claims[:3]), f"{tmp_path}/audit")
    assert (tmp_path / "audit/audit.html").is_file()


def test_a_phantom_cohort_is_written(phantoms: Path) -> None:
    request = {"development": 5, "test1": 0, "pairs": 0, "seed": 11, "matrix": 64}  # that of the fixture: all is there
    assert write_phantom_cohort(str(phantoms.parent), **request, workers=1) == phantoms


def test_a_case_is_stored(box_cohort: Callable[..., Path], tmp_path: Path) -> None:
    case = cohort.read_cohort(str(box_cohort())).cases[0]
    assert open_case(case, f"{tmp_path}/cache") is None
    data.cache_case(case, f"{tmp_path}/cache")
    assert open_case(case, f"{tmp_path}/cache") is not None


@pytest.mark.parametrize("package", ["networks", "data", "training"])
def test_packages_export_their_names_and_no_others(package: str) -> None:
    module = importlib.import_module(f"liverspleen.{package}")
    assert 3 <= len(module.__all__) <= 5
    assert set(module.__all__) <= set(dir(module))
    assert all(getattr(module, name).__name__ == name for name in module.__all__)
    with pytest.raises(AttributeError, match="nothing_of_the_kind"):
        module.nothing_of_the_kind  # noqa: B018
