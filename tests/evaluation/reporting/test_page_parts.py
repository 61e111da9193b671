"""Parts of the page of a report: NiiVue, the table of cases, links of notes, and the cases of the viewer."""

from __future__ import annotations

import base64
import gzip
import hashlib
import json
import math
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from box_study import NO_SPLEEN, SLICES, liver_dss, write_box_report, write_study

from liverspleen.cohort.split import Split
from liverspleen.evaluation.measurements.readings import Readings, readings_of
from liverspleen.evaluation.measurements.table import Measurement, read_measurements, write_measurements
from liverspleen.evaluation.reporting import case_table as case_tables
from liverspleen.evaluation.reporting import report, viewer
from liverspleen.evaluation.reporting.case_table import CaseTable, case_table
from liverspleen.evaluation.reporting.overlay import CaseMaps
from liverspleen.evaluation.reporting.page import viewer_json
from liverspleen.evaluation.reporting.study import Study
from liverspleen.evaluation.reporting.viewer import viewer_case, viewer_cases, worst_cases
from liverspleen.imaging.geometry import Geometry
from liverspleen.imaging.volume import CTVolume
from liverspleen.organs import Structure
from liverspleen.pages import part

NIIVUE = ("0.69.0", "47b896b77ec4a5be3ef1949c33ad393b6f45629921f326c279000bcf51bdb4af")
"""Version and SHA-256 of dist/niivue.umd.js in the package @niivue/niivue of npm."""


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Study:
    return write_study(tmp_path_factory.mktemp("study"))


@pytest.fixture(scope="module")
def written(study: Study, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A report that tests only read."""
    return write_box_report(study, tmp_path_factory.mktemp("written")).parent


def test_niivue_is_the_published_file() -> None:
    assert hashlib.sha256(part("niivue/niivue.umd.js").encode()).hexdigest() == NIIVUE[1]
    assert f'"{NIIVUE[0]}"' in part("niivue/niivue.umd.js")
    assert "</script" not in part("niivue/niivue.umd.js")


def test_niivue_comes_with_its_licenses() -> None:
    text = part("niivue/LICENSE.txt")
    assert "BSD 2-Clause License" in text
    for package in ("fflate", "gl-matrix", "nifti-reader-js", "numcodecs", "zarrita"):
        assert re.search(rf"^{package} [\d.]+ \(MIT\)$", text, re.MULTILINE)


def readings(folder: Path, rows: list[Measurement]) -> Readings:
    write_measurements(folder / "m.csv", rows)
    return readings_of(read_measurements(folder / "m.csv"))


def liver_rows(case: str, manual: float, dla: float | None, dss: float | None) -> list[Measurement]:
    about = (case, case, "test1", "cld", "", "liver")
    return [Measurement(*about, "manual", manual), Measurement(*about, "dla", dla, "ok", "manual", dss, hd95_mm=2.5)]


def values(table: CaseTable) -> dict[tuple[str, str], list[str]]:
    return {(column.group, column.label): [cell.text for cell in column.cells] for column in table.columns}


def test_the_table_of_cases_has_scores_volumes_and_differences(tmp_path: Path) -> None:
    # 200 (900 - 1100) / 2000 = -20; an undefined volume and DSS are empty; no spleen, site or ratio: no columns
    found = readings(tmp_path, liver_rows("a", 1100.0, 900.0, 0.91234) + liver_rows("b", 1000.0, None, None))
    assert values(case_table(found, found.examinations, ["dla"], "manual", folds={"b": "fold1"})) == {
        ("", "Dataset"): ["test1", "test1"],
        ("", "Fold"): ["", "fold1"],
        ("", "Condition"): ["cld", "cld"],
        ("Liver: dla", "DSS"): ["0.912", ""],
        ("Liver: dla", "Volume, cm³"): ["900.0", ""],
        ("Liver: dla", "Difference, cm³"): ["-200.0", ""],
        ("Liver: dla", "Difference, %"): ["-20.00", ""],
        ("Liver: dla", "HD95, mm"): ["2.50", "2.50"],
        ("Liver: dla", "Status"): ["ok", "ok"],
        ("Liver: manual", "Volume, cm³"): ["1100.0", "1000.0"],
        ("Liver: manual", "Status"): ["ok", "ok"],
    }


def test_the_table_of_very_many_cases_has_the_worst(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(case_tables, "MOST_ROWS", 2)
    scores = {"a": 0.9, "b": 0.7, "c": None, "d": 0.8}
    found = readings(tmp_path, [row for case, dss in scores.items() for row in liver_rows(case, 1000.0, 990.0, dss)])
    table = case_table(found, found.examinations, ["dla"], "manual")
    assert (list(table.anchors), table.n_cases) == (["b", "d"], 4)


def test_the_fold_of_a_development_case_is_that_of_its_patient(study: Study) -> None:
    (first, second, *others) = study.cohort.cases
    cases = (replace(first, dataset="development"), replace(second, dataset="development"), *others)
    sides = {"fold0": ("p1",), "fold1": ("p0", "p4")}
    splits = {name: Split((), patients, 0, 0.5, "hash") for name, patients in sides.items()}
    folds = replace(study, cohort=replace(study.cohort, cases=cases), splits=splits)
    assert folds.folds == {"c0": "fold1", "c1": "fold0"}  # p4 is a patient of a test dataset
    assert replace(folds, splits={"split": splits["fold0"]}).folds == {}


def test_the_worst_cases_have_the_lowest_dss_of_an_organ(written: Path) -> None:
    found = readings_of(read_measurements(written / "m.csv"))
    worst = worst_cases(found, found.examinations, "dla", "manual", 3)
    assert list(worst) == [f"c{NO_SPLEEN}", "c5", "c4"]
    assert list(worst.values()) == pytest.approx([0, liver_dss(5), liver_dss(4)])
    assert worst_cases(found, found.examinations, "dla", "manual", 0) == {}


def test_points_and_notes_link_to_the_rows_of_their_cases(written: Path) -> None:
    text = (written / "report.html").read_text(encoding="utf-8")
    assert re.findall(r'<tr id="(case-\d)"><th.*?<bdi>(.*?)</bdi>', text) == [
        (f"case-{number + 1}", f"c{number}") for number in range(6)
    ]
    figure = text.split('<svg id="bland_altman_liver"')[1].split("</svg>")[0]
    assert sorted(re.findall(r'<a href="#(.*?)"><title>(.*?)</title>', figure)) == [
        (f"case-{number + 1}", f"c{number}") for number in range(6)
    ]
    notes = text.split('id="notes"')[1]
    assert f'<a href="#case-{NO_SPLEEN + 1}"><bdi>c{NO_SPLEEN}</bdi></a>' in notes


def test_the_viewer_has_the_ct_and_both_maps(study: Study) -> None:
    case = next(case for case in study.cohort.cases if case.case_id == "c5")
    found = viewer_case("c5", CaseMaps.read(case, Path(str(study.labels))))
    # the margin of 20 mm is 10 pixels of 2 mm, or 4 slices of 5 mm: all of the CT but nothing of the 32 columns is cut
    assert (found.shape, found.spacing_mm, found.first, found.slices) == ((SLICES, 32, 32), (5, 2, 2), 1, SLICES)
    ct, maps = np.frombuffer(gzip.decompress(base64.b64decode(found.data)), np.uint8).reshape(2, SLICES, 32, 32)
    assert ct[1, 12, 8] == round((110 + 110) / 300 * 255)
    assert ct[1, 0, 0] == 0
    assert maps[1, 12, 4] == Structure.LIVER  # reference only
    assert maps[1, 12, 9] == Structure.LIVER + 16 * Structure.LIVER
    assert maps[1, 20, 22] == Structure.SPLEEN + 16 * Structure.SPLEEN
    assert found.start[0] == 1


def test_large_slices_and_long_scans_are_reduced() -> None:
    labels = np.zeros((600, 600, 40), np.uint8)
    labels[100:500, 20:580, 20] = Structure.LIVER
    ct = CTVolume(np.zeros(labels.shape, np.int16), Geometry((40, 600, 600), np.diag([-1.0, -1.0, 1.0, 1.0])))
    found = viewer_case("a", CaseMaps(ct, labels, labels, (Structure.LIVER,)))
    # slices 80 to 519: 440, every third; rows 0 to 599: every third; columns 0 to 39
    assert (found.shape, found.spacing_mm) == ((147, 200, 40), (3, 3, 1))
    assert (found.first, found.step, found.slices) == (81, 3, 600)


def test_cases_that_cannot_be_read_are_named_on_the_page(tmp_path: Path, written: Path) -> None:
    study = write_study(tmp_path)
    (tmp_path / "labels/c5.nii.gz").unlink()
    found = report.write_report(read_measurements(written / "m.csv"), tmp_path / "out", study=study)
    (note,) = [note for note in found.notes if note.code == "LS-REP-070"]
    assert note.cases == ("c5",)
    assert note.message.startswith("the viewer does not show 1 CT scan: ")
    text = (tmp_path / "out/report.html").read_text(encoding="utf-8")
    assert len(re.findall(r"The viewer does not show 1 CT scan: [^<]*: c5\.", text)) == 1
    assert [case["name"] for case in viewer_data(text)["cases"]] == ["c2", "c4"]


def viewer_data(text: str) -> dict[str, list[dict[str, str]]]:
    data: dict[str, list[dict[str, str]]] = json.loads(text.split('id="viewer-data">')[1].split("</script>")[0])
    return data


def test_cases_beyond_the_size_of_the_page_are_named(study: Study) -> None:
    cases = dict.fromkeys(["c2", "c5", "c4"], 0.5)
    size = len(viewer_cases(study.cohort, Path(str(study.labels)), {"c2": 0.5}, most_bytes=10**6).shown[0].data)
    found = viewer_cases(study.cohort, Path(str(study.labels)), cases, most_bytes=int(1.5 * size))
    assert [case.case_id for case in found.shown] == ["c2"]
    (note,) = found.notes
    assert (note.cases, note.message.endswith("because the page would be too large")) == (("c5", "c4"), True)


def test_zero_viewer_cases_give_a_page_without_viewer(study: Study, tmp_path: Path) -> None:
    text = write_box_report(replace(study, viewer_cases=0), tmp_path / "out").read_text(encoding="utf-8")
    assert 'id="slices"' not in text
    assert "niivue" not in text


def test_a_name_cannot_end_the_data_of_the_viewer(study: Study) -> None:
    made = viewer_cases(study.cohort, Path(str(study.labels)), {"c2": math.nan}, most_bytes=10**6).shown[0]
    name = "</script><script>alert(1)</script>"
    written = viewer_json(viewer.ViewerCases((replace(made, case_id=name),)), {name: "case-1"})
    assert "<" not in written
    assert json.loads(written)["cases"][0]["name"] == name
