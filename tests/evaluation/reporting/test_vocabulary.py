"""Datasets, conditions and sites of a vocabulary: their order and labels in tables, figures, flow and Table 1."""

from __future__ import annotations

import csv
import json
from collections.abc import Sequence
from pathlib import Path

import pytest
import yaml

from liverspleen.cli.main import main
from liverspleen.cohort import Vocabulary, write_cohort
from liverspleen.evaluation.measurements.readings import examinations_of, pairs_of, readings_of
from liverspleen.evaluation.measurements.table import Measurement, read_measurements, write_measurements
from liverspleen.evaluation.reporting.paper_tables import statistical_report

CASES = (
    ("z1", "hold_out", "zeta", "north"),
    ("z2", "hold_out", "zeta", "north"),
    ("a1", "hold_out", "alpha", "north"),
    ("a2", "hold_out", "alpha", "north"),
    ("b1", "hold_out", "beta", "north"),
    ("p1-north", "repeat", "alpha", "north"),
    ("p1-south", "repeat", "alpha", "south"),
    ("p2-north", "repeat", "zeta", "north"),
    ("p2-south", "repeat", "zeta", "south"),
)
VOCABULARY = """
datasets: [development, hold_out, repeat]
conditions: [zeta, alpha]
sites: [south, north]
labels: {zeta: Zeta disease, hold_out: Hold-out set}
"""


def patient(case: str) -> str:
    return case.partition("-")[0]


def measured(file: Path, cases: Sequence[tuple[str, str, str, str]] = CASES) -> Path:
    rows = [
        Measurement(
            *(case, patient(case), dataset, condition, site, organ, reader),
            volume_cm3=size + number + (3.0 * number if reader == "dla" else 0.0),
            reference="manual" if reader == "dla" else "",
            dss=0.9 + number / 200 if reader == "dla" else None,
        )
        for number, (case, dataset, condition, site) in enumerate(cases)
        for organ, size in (("liver", 1500.0), ("spleen", 200.0))
        for reader in ("manual", "dla")
    ]
    write_measurements(file, rows)
    return file


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A report by the vocabulary of a config folder."""
    folder = tmp_path_factory.mktemp("vocabulary")
    (folder / "mine" / "vocabulary").mkdir(parents=True)
    (folder / "mine" / "vocabulary" / "ours.yaml").write_text(
        f"# A vocabulary of a user.{VOCABULARY}", encoding="utf-8"
    )
    known = [case for case in CASES if case[2] != "beta"]  # a cohort rejects what its vocabulary lacks
    about = [
        {"case_id": c, "patient_id": patient(c), "image": f"{c}.nii", "dataset": d, "condition": k, "site": s}
        for c, d, k, s in known
    ]
    write_cohort(folder / "cohort.csv", about)
    data = [f"measurements={measured(folder / 'm.csv')}", f"cohort={folder / 'cohort.csv'}"]
    assert main(["report", *data, f"output={folder / 'out'}", f"conf={folder / 'mine'}", "vocabulary=ours"]) == 0
    return folder / "out"


def table(report: Path, name: str) -> list[list[str]]:
    with (report / "tables" / f"{name}.csv").open(encoding="utf-8", newline="") as handle:
        return list(csv.reader(handle))


@pytest.mark.parametrize("name", ["table2", "table3"])
def test_conditions_are_in_the_order_of_the_vocabulary_and_others_follow(report: Path, name: str) -> None:
    assert [row[0] for row in table(report, name)[1:] if row[0] != "p"] == ["total", "zeta", "alpha", "beta"]


def test_a_condition_is_printed_by_its_label_or_as_it_is(report: Path) -> None:
    text = (report / "tables" / "table2.md").read_text(encoding="utf-8")
    assert "Zeta disease" in text
    assert "| alpha |" in text


def test_sites_are_the_columns_of_table_4_in_the_order_of_the_vocabulary(report: Path) -> None:
    assert [name for name in table(report, "table4")[0] if not name.endswith("_n")] == ["row", "south", "north", "p"]
    text = (report / "tables" / "table4.md").read_text(encoding="utf-8")
    assert "in south and north CT" in text
    assert "South CT" in text


def test_a_pair_is_the_first_site_minus_the_second(report: Path) -> None:
    cells = json.loads((report / "report.json").read_text(encoding="utf-8"))["cells"]
    (cell,) = [c for c in cells if (c["table"], c["row"], c["column"]) == ("reproducibility", "liver", "dla")]
    assert cell["n"] == 2
    shift = [c for c in cells if (c["table"], c["row"], c["column"]) == ("sites", "liver", "shift")]
    assert shift[0]["values"]["hodges_lehmann"] == pytest.approx(1 / 200)  # south is one case later


def test_datasets_of_table_1_stand_in_the_order_of_the_vocabulary(report: Path) -> None:
    columns = [name for name in table(report, "table1")[0] if not name.endswith("_n")]
    assert columns == ["row", "hold_out", "repeat", "repeat_south", "repeat_north"]
    rows = [row[0] for row in table(report, "table1")]
    assert [row for row in rows if row.startswith("condition:")] == ["condition:zeta", "condition:alpha"]
    assert "Hold-out set" in (report / "tables" / "table1.md").read_text(encoding="utf-8")


def test_the_flow_follows_the_vocabulary(report: Path) -> None:
    flow = json.loads((report / "report.json").read_text(encoding="utf-8"))["flow"]
    assert [branch["dataset"] for branch in flow["branches"]] == ["hold_out", "repeat"]
    parts = [[part["label"] for part in branch["parts"]] for branch in flow["branches"]]
    assert parts == [["Zeta disease", "alpha"], ["South CT", "North CT"]]


def test_the_legend_of_a_figure_follows_the_vocabulary(report: Path) -> None:
    svg = (report / "figures" / "bland_altman_liver.svg").read_text(encoding="utf-8")
    places = [svg.index(f">{label}<") for label in ("Zeta disease", "alpha", "beta")]
    assert places == sorted(places)


def test_no_row_of_either_test_dataset_is_missing(report: Path) -> None:
    notes = json.loads((report / "report.json").read_text(encoding="utf-8"))["notes"]
    assert not {"LS-REP-010", "LS-REP-016", "LS-REP-020"} & {note["code"] for note in notes}


def test_conditions_given_on_the_command_line_are_the_order_of_the_tables(tmp_path: Path) -> None:
    for conditions, expected in (
        ("[zeta,alpha]", ["zeta", "alpha", "beta"]),
        ("[beta,zeta]", ["beta", "zeta", "alpha"]),
    ):
        out = tmp_path / expected[0]
        data = [f"measurements={measured(tmp_path / 'm.csv')}", f"output={out}"]
        assert main(["report", *data, f"vocabulary.conditions={conditions}"]) == 0
        assert [row[0] for row in table(out, "table2")[2:-1]] == expected


def test_compare_follows_the_vocabulary(tmp_path: Path) -> None:
    first, second = measured(tmp_path / "a.csv"), tmp_path / "b.csv"
    second.write_text(first.read_text(encoding="utf-8").replace(",dla,", ",other,"), encoding="utf-8")
    overrides = [f"measurements={first},{second}", f"output={tmp_path / 'out'}", "vocabulary.conditions=[zeta,alpha]"]
    assert main(["compare", *overrides]) == 0
    rows = [row[0] for row in table(tmp_path / "out", "scores") if row[0].startswith("liver:")]
    assert rows == ["liver:total", "liver:zeta", "liver:alpha", "liver:beta"]


def test_the_vocabulary_of_the_config_is_that_of_the_package() -> None:
    stated = yaml.safe_load((Path(__file__).parents[3] / "conf/vocabulary/paper.yaml").read_text(encoding="utf-8"))
    paper = Vocabulary()
    assert stated == {
        **{name: list(getattr(paper, name)) for name in ("datasets", "conditions", "sites")},
        "labels": dict(paper.labels),
    }


@pytest.mark.parametrize(
    ("datasets", "tests"),
    [
        (("development", "only"), ("only", "only")),
        (("first", "development", "second", "third"), ("first", "second")),
    ],
)
def test_the_first_datasets_that_are_not_trained_on_are_those_of_the_tables(
    datasets: tuple[str, ...], tests: tuple[str, str]
) -> None:
    assert Vocabulary(datasets=datasets).tests == tests


@pytest.mark.parametrize("sites", [(), ("north",)])
def test_without_two_sites_there_is_no_pair(tmp_path: Path, sites: tuple[str, ...]) -> None:
    vocabulary = Vocabulary(datasets=("development", "hold_out", "repeat"), sites=sites)
    measurements = read_measurements(measured(tmp_path / "m.csv"), vocabulary=vocabulary)
    examinations, _ = examinations_of(readings_of(measurements), 1)
    assert pairs_of(examinations, vocabulary)[0] == ()
    assert not statistical_report(measurements).table("reproducibility")


def test_three_sites_have_a_column_each_and_the_first_two_are_paired(tmp_path: Path) -> None:
    vocabulary = Vocabulary(datasets=("development", "hold_out", "repeat"), sites=("north", "south", "east"))
    cases = (*CASES, ("p1-east", "repeat", "alpha", "east"))
    report = statistical_report(read_measurements(measured(tmp_path / "m.csv", cases), vocabulary=vocabulary))
    row = report.table("table4")["dss_liver"]
    assert [*row] == ["north", "south", "east", "p"]
    assert row["east"].n == 1
    assert set(row["p"].rows) == {case for case, dataset, _, _ in CASES if dataset == "repeat"}
