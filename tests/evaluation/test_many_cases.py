"""Tables of very many CT scans: what replaces lists, vector points and sums of all pairs; limits; one measured run."""

from __future__ import annotations

import csv
import json
import pickle
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from liverspleen.cohort import Case, Cohort, folds_by_patient, read_cohort
from liverspleen.cohort import manifest as cohort_table
from liverspleen.errors import InputError, Issue
from liverspleen.evaluation import bland_altman, bootstrap_ci, dunn, read_rc_table
from liverspleen.evaluation.measurements import table as measurements_table
from liverspleen.evaluation.measurements.label_folder import LabelFolder
from liverspleen.evaluation.measurements.merge import merge_measurements
from liverspleen.evaluation.measurements.table import Measurement, read_measurements, write_measurements
from liverspleen.evaluation.reporting import case_lists, page, report
from liverspleen.evaluation.reporting.figures.bland_altman import (
    MOST_VECTOR_POINTS,
    bland_altman_figure,
    figure_bytes,
)
from liverspleen.evaluation.reporting.paper_tables import Agreement
from liverspleen.evaluation.statistics import bootstrap, pair_sums
from liverspleen.evaluation.statistics.hodges_lehmann import hodges_lehmann
from liverspleen.provenance import recorded
from liverspleen.records import read_runs

BENCHMARK = Path(__file__).parents[2] / "benchmarks/report/scale.py"


def rows(case: str, dataset: str, site: str = "", *, dss: float | None = 0.97) -> list[Measurement]:
    about = (case, case[:2], dataset, "", site, "liver")
    return [
        Measurement(*about, "manual", 1000.0 + len(case)),
        Measurement(*about, "dla", 1010.0 + 7 * int(case[1]) + 3 * len(case), "ok", "manual", dss),
    ]


def small_table(path: Path) -> Path:
    """Four CT scans of test1, one without a DSS, and three patients with two CT scans in test2."""
    found = [row for number in range(4) for row in rows(f"A{number}", "test1", dss=None if number == 2 else 0.97)]
    for number in range(3):
        found += rows(f"B{number}e", "test2", "external") + rows(f"B{number}in", "test2", "internal")
    write_measurements(path, found)
    return path


@pytest.fixture(scope="module")
def report_of_many(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A report in which four cases are many."""
    folder = tmp_path_factory.mktemp("many")
    measurements = read_measurements(small_table(folder / "m.csv"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(case_lists, "MOST_LISTED", 3)
        patch.setattr(page, "MOST_LISTED", 2)
        report.write_report(measurements, folder / "out")
    return folder


def test_long_lists_of_cases_are_columns_of_one_file(report_of_many: Path) -> None:
    content = json.loads((report_of_many / "out/report.json").read_text(encoding="utf-8"))
    cells = {(cell["table"], cell["row"], cell["column"]): cell for cell in content["cells"]}
    total = cells["table2", "total", "liver"]
    assert (total["rows"], total["excluded"], total["n"]) == (None, None, 3)
    with (report_of_many / "out/cases.csv").open(newline="", encoding="utf-8") as handle:
        listed = {row["case_id"]: row[total["cases"]] for row in csv.DictReader(handle)}
    assert {case: found for case, found in listed.items() if found} == {"A0": "1", "A1": "1", "A2": "0", "A3": "1"}
    assert cells["table4", "dss_liver", "external"]["rows"] == ["B0e", "B1e", "B2e"]
    assert "cases" not in cells["table4", "dss_liver", "external"]
    assert "cases.csv" in content["files"]
    assert read_rc_table(report_of_many / "out/report.json")["liver", "dla"].n == 3


def test_cells_with_the_same_cases_share_a_column(report_of_many: Path) -> None:
    content = json.loads((report_of_many / "out/report.json").read_text(encoding="utf-8"))
    names = [cell["cases"] for cell in content["cells"] if "cases" in cell]
    header = (report_of_many / "out/cases.csv").read_text(encoding="utf-8").splitlines()[0].split(",")
    assert sorted(header) == sorted({"case_id", *names})
    assert len(header) - 1 < len(names)


def test_a_note_on_the_page_lists_some_cases_and_the_number_of_the_others(report_of_many: Path) -> None:
    page = (report_of_many / "out/report.html").read_text(encoding="utf-8")
    notes = re.findall(r"<summary>4 CT scans</summary>(.*?)</details>", page)
    shown = {re.sub(r"<[^>]*>", "", note) for note in notes}
    assert shown == {"A0, A1, and 2 more; report.json lists all"}
    assert all(note.count('<a href="#case-') == 2 for note in notes)


def test_the_file_of_cases_is_removed_when_no_list_is_long(report_of_many: Path, tmp_path: Path) -> None:
    (tmp_path / "cases.csv").write_text("case_id\n")
    report.write_report(read_measurements(report_of_many / "m.csv"), tmp_path)
    assert not (tmp_path / "cases.csv").exists()


def agreement(points: int) -> Agreement:
    averages = np.linspace(500, 2500, points)
    result = bland_altman(averages + np.sin(averages), averages)
    return Agreement("liver", result, ("",) * points, ("fatty",) * points)


@pytest.mark.parametrize(("points", "images"), [(MOST_VECTOR_POINTS, 0), (MOST_VECTOR_POINTS + 1, 1)])
def test_very_many_points_are_one_image_in_a_vector_figure(points: int, images: int) -> None:
    figure = bland_altman_figure(agreement(points), "dla", "manual")
    svg, pdf = figure_bytes(figure, "svg"), figure_bytes(figure, "pdf")
    assert svg.count(b"<image") == images
    assert (b"/Subtype /Image" in pdf) == bool(images)
    assert svg.count(b">Mean<") == 1  # text and lines are drawn, not part of the image
    assert not images or len(svg) < 500_000


@pytest.fixture
def always_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pair_sums, "SORTED_UP_TO", 0)


@pytest.mark.usefixtures("always_counted")
@pytest.mark.parametrize("decimals", [0, 1, 15])
@pytest.mark.parametrize("scale", [1.0, 1e-300, 1e300])
def test_counted_order_statistics_are_those_of_all_sorted_sums(decimals: int, scale: float) -> None:
    rng = np.random.default_rng(decimals)
    first, second = (scale * np.round(rng.normal(0, 2, size), decimals) for size in (13, 8))
    sums = sorted(float(x + y) for x in first for y in second)
    assert pair_sums.smallest_sums(first, second, range(1, 105, 9)) == sums[::9]
    own = sorted(float(x + y) for i, x in enumerate(first) for y in first[i:])
    assert pair_sums.smallest_own_sums(first, range(1, 92, 9)) == own[::9]


def test_hodges_lehmann_of_many_symmetric_differences() -> None:
    shift, interval = hodges_lehmann(np.arange(3001.0))  # 4.5 million Walsh averages
    assert shift == 1500
    assert interval is not None
    assert interval.lower + interval.upper == 3000
    assert 1450 < interval.lower < 1480  # the SD of the mean is 15.8


def test_dunn_of_many_cases_has_the_median_difference_and_u() -> None:
    (pair,) = dunn({"a": np.arange(1500.0) + 0.25, "b": np.arange(1500.0)}).pairs
    assert pair.hl_shift == 0.25
    assert pair.mann_whitney_u == 1500 * 1501 / 2  # i + 0.25 is above the i + 1 numbers from 0 to i


def test_more_clusters_have_fewer_resamples(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bootstrap, "DRAWS", 150_000)
    assert [bootstrap_ci(np.arange(n) / n).resamples for n in (3, 50, 100)] == [40_000, 3000, 2000]
    assert "3000 resamples" in bootstrap_ci(np.arange(50) / 50).method


def rejected(call: Callable[[], object]) -> str:
    with pytest.raises(InputError) as caught:
        call()
    return str(caught.value)


def test_measurements_with_too_many_rows_are_rejected(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = small_table(tmp_path / "m.csv")
    monkeypatch.setattr(measurements_table, "MOST_ROWS", 20)
    assert len(read_measurements(file).table) == 20
    monkeypatch.setattr(measurements_table, "MOST_ROWS", 19)
    assert rejected(lambda: read_measurements(file)) == (
        f"LS-REP-053 file '{file}': the table has more than 19 rows; "
        "divide the cases over several tables and output folders"
    )


def test_merged_measurements_with_too_many_rows_are_rejected(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    table = read_measurements(small_table(tmp_path / "m.csv"))
    monkeypatch.setattr("liverspleen.evaluation.measurements.merge.MOST_ROWS", 39)
    assert "LS-REP-053" in (found := rejected(lambda: merge_measurements([table, table])))
    assert "the tables have 40 rows together, expected at most 39" in found
    monkeypatch.setattr("liverspleen.evaluation.measurements.merge.MOST_ROWS", 40)
    assert len(merge_measurements([table, table]).table) == 20


def test_a_cohort_with_too_many_rows_is_rejected(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "cohort.csv"
    file.write_text("case_id,patient_id,image\n" + "".join(f"C{n},P{n},{n}.nii.gz\n" for n in range(5)))
    monkeypatch.setattr(cohort_table, "MOST_ROWS", 5)
    assert len(read_cohort(file).cases) == 5
    monkeypatch.setattr(cohort_table, "MOST_ROWS", 4)
    assert rejected(lambda: read_cohort(file)) == (
        f"LS-COH-042 file '{file}': table has more than 4 rows; divide it over several tables and output folders"
    )


def test_folds_with_too_many_rows_are_rejected_and_the_hint_can_be_followed(monkeypatch: pytest.MonkeyPatch) -> None:
    cases = tuple(Case(f"C{n}", f"P{n}", Path("ct.nii.gz"), Path("label.nii.gz")) for n in range(10))
    cohort = Cohort(cases, (), Path("cohort.csv"), Path(), "0" * 64)
    monkeypatch.setattr("liverspleen.cohort.stratified.MOST_ROWS", 45)
    assert rejected(lambda: folds_by_patient(cohort, folds=5)) == (
        "LS-SPL-013: 5 folds of 10 patients are files with 50 rows, expected at most 45; use folds=4 or fewer"
    )
    assert len(folds_by_patient(cohort, folds=4)) == 4


def test_a_worker_gets_the_label_maps_of_its_case_only(tmp_path: Path) -> None:
    for number in range(100):
        (tmp_path / f"C{number:02}.nii.gz").touch()
    folder = LabelFolder.of(tmp_path)
    assert len(folder.files) == 100
    assert folder.of_case("C07").files == {"C07": (tmp_path / "C07.nii.gz",)}
    assert folder.of_case("unknown").files == {}
    assert len(pickle.dumps(folder)) > 10 * len(pickle.dumps(folder.of_case("C07")))


def test_the_record_of_an_earlier_run_keeps_its_first_issues(tmp_path: Path) -> None:
    for number in range(3):
        with recorded("check", {}, tmp_path) as run:
            run.issues += [Issue("LS-IMG-001", f"run {number}, file {n} is missing", "add it") for n in range(1500)]
    *earlier, last = read_runs(tmp_path / "run.json")
    assert len(last["issues"]) == 1500
    for number, record in enumerate(earlier):
        assert len(record["issues"]) == 1001
        assert record["issues"][999] == f"LS-IMG-001: run {number}, file 999 is missing; add it"
        assert record["issues"][-1] == "500 more issues"


def test_issues_of_a_rejected_input_are_recorded_once(tmp_path: Path) -> None:
    one, other = (Issue("LS-COH-010", f"cell {n} is empty", "fill it") for n in range(2))

    def reject() -> None:
        with recorded("split", {}, tmp_path) as run:
            run.issues.append(one)
            raise InputError([other, one, other])

    with pytest.raises(InputError) as caught:
        reject()
    assert caught.value.issues == (one, other)


@pytest.mark.slow
def test_a_report_and_splits_of_many_cases_need_bounded_memory_and_files() -> None:
    """12 000 CT scans in a report and in splits; benchmarks/report/README.md has the figures of 100 000."""
    ran = subprocess.run([sys.executable, str(BENCHMARK), "12000"], capture_output=True, text=True, check=True)
    found = json.loads(ran.stdout)
    assert found["report"]["peak_mb"] < 1200
    assert found["split"]["peak_mb"] < 300
    assert found["report_html_mb"] < 5
    assert found["report_json_mb"] < 20
    assert found["largest_figure_mb"] < 2
