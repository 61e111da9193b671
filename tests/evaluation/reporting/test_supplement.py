"""Additional tables: cases, statistics, and reasons of undefined values."""

from __future__ import annotations

import itertools
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from liverspleen.evaluation.measurements.table import Measurement, read_measurements, write_measurements
from liverspleen.evaluation.reporting.cells import Cell
from liverspleen.evaluation.reporting.paper_tables import StatisticalReport, statistical_report
from liverspleen.evaluation.reporting.table_layout import layouts

CONDITIONS = ("healthy", "fatty", "cirrhosis")
TABLES = {
    *(
        "means",
        "surfaces",
        "limits_percent",
        "limits_absolute",
        "limits_log",
        "advice",
        "limit_intervals",
        "subgroups",
        "sites",
    ),
    *("rc_methods", "rc_readers", "repeatability", "equivalence", "reliability", "failures"),
}


def case_rows(case: str, patient: str, about: tuple[str, str, str], rng: np.random.Generator) -> list[Measurement]:
    rows = []
    for structure, volume in (("liver", rng.uniform(900, 1900)), ("spleen", rng.uniform(100, 400))):
        manual = Measurement(case, patient, *about, structure, "manual", float(volume))
        dss = float(rng.uniform(0.9, 0.99))
        scored = {"dss": dss, "hd95_mm": float(rng.uniform(1, 5)), "assd_mm": float(rng.uniform(0.2, 1)), "nsd": dss}
        predicted = float(volume * rng.uniform(0.97, 1.04))
        test = Measurement(
            *(case, patient, *about, structure, "dla", predicted),
            reference="manual",
            nsd_tolerance_mm=3.0,
            surface="voxel",
            **scored,
        )
        rows += [manual, test]
    return rows


@pytest.fixture(scope="module")
def study() -> list[Measurement]:
    rng = np.random.default_rng(7)
    rows: list[Measurement] = []
    for number in range(36):
        about = ("test1", CONDITIONS[number % 3], "internal")
        # two CT scans of one patient in Tables 2 and 3: p00 again as p01
        rows += case_rows(f"a{number:02d}", "p00" if number == 1 else f"p{number:02d}", about, rng)
    for number, site in itertools.product(range(8), ("external", "internal")):
        rows += case_rows(f"b{number}-{site}", f"q{number}", ("test2", "healthy", site), rng)
    return rows


def reported(folder: Path, rows: list[Measurement]) -> StatisticalReport:
    write_measurements(folder / "m.csv", rows)
    return statistical_report(read_measurements(folder / "m.csv"))


@pytest.fixture(scope="module")
def report(study: list[Measurement], tmp_path_factory: pytest.TempPathFactory) -> StatisticalReport:
    return reported(tmp_path_factory.mktemp("additional"), study)


def cell(report: StatisticalReport, table: str, row: str, column: str) -> Cell:
    return report.table(table)[row][column]


def values(study: list[Measurement], name: str, **where: str) -> list[float]:
    return [getattr(row, name) for row in study if all(getattr(row, key) == value for key, value in where.items())]


def test_all_tables_follow_those_of_the_paper(report: StatisticalReport) -> None:
    assert {layout.name for layout in layouts(report) if layout.part == "additional"} == TABLES
    parts = [layout.part for layout in layouts(report)]
    assert parts == sorted(parts, key=["paper", "additional"].index)


def test_means_have_t_and_bca_intervals_over_patients(report: StatisticalReport, study: list[Measurement]) -> None:
    fatty = cell(report, "means", "dss:fatty", "liver")
    dss = values(study, "dss", dataset="test1", condition="fatty", structure="liver", reader="dla")
    mean = np.mean(dss)  # the interval is that of the logit, by the delta method
    logit = stats.t.interval(0.95, 11, math.log(mean / (1 - mean)), stats.sem(dss) / (mean * (1 - mean)))
    expected = tuple(1 / (1 + np.exp(-bound)) for bound in logit)
    assert fatty.values["mean"] == pytest.approx(np.mean(dss))
    assert (fatty.values["t_lower"], fatty.values["t_upper"]) == pytest.approx(expected)
    bca = stats.bootstrap((dss,), np.mean, n_resamples=40_000, method="BCa", rng=1).confidence_interval
    assert (fatty.values["bca_lower"], fatty.values["bca_upper"]) == pytest.approx((bca.low, bca.high), abs=1e-3)
    assert (fatty.n, fatty.values["n_patients"]) == (12, 12)
    total = cell(report, "means", "dss:total", "liver")
    assert (total.n, total.values["n_patients"]) == (36, 35)


def test_surfaces_are_described_with_their_definition(report: StatisticalReport, study: list[Measurement]) -> None:
    found = cell(report, "surfaces", "hd95:total", "spleen")
    distances = values(study, "hd95_mm", dataset="test1", structure="spleen", reader="dla")
    assert found.values["mean"] == pytest.approx(np.mean(distances))
    assert found.values["sd"] == pytest.approx(np.std(distances, ddof=1))
    assert found.units == "mm"
    assert "surface voxel, NSD tolerance 3 mm" in found.method


def volumes(study: list[Measurement], structure: str, **where: str) -> tuple[np.ndarray, np.ndarray]:
    test, manual = (values(study, "volume_cm3", structure=structure, reader=r, **where) for r in ("dla", "manual"))
    return np.array(test), np.array(manual)


def test_limits_have_exact_intervals_on_three_scales(report: StatisticalReport, study: list[Measurement]) -> None:
    test, manual = volumes(study, "liver", dataset="test1", condition="healthy")
    for scale, differences in (
        ("absolute", test - manual),
        ("percent", 200 * (test - manual) / (test + manual)),
        ("log", np.log(test / manual)),
    ):
        mean, sd, n = differences.mean(), differences.std(ddof=1), 12
        transform = np.exp if scale == "log" else np.asarray
        upper = cell(report, f"limits_{scale}", "liver:healthy", "upper")
        assert upper.values["value"] == pytest.approx(transform(mean + 1.96 * sd))
        # t quantiles of the noncentral t at the noncentrality of the limit, from scipy
        factors = stats.nct.ppf([0.025, 0.975], n - 1, 1.96 * math.sqrt(n)) / math.sqrt(n)
        expected = transform(mean + factors * sd)
        assert [upper.values["ci_lower"], upper.values["ci_upper"]] == pytest.approx(expected, rel=1e-4)
        normal = cell(report, f"limits_{scale}", "liver:healthy", "normal")
        assert normal.values["p"] == pytest.approx(stats.shapiro(differences).pvalue, rel=1e-6)
        dz = cell(report, f"limits_{scale}", "liver:healthy", "d_z")
        assert dz.values["value"] == pytest.approx(mean / sd)
        slope = stats.linregress((test + manual) / 2, differences)
        proportional = cell(report, f"limits_{scale}", "liver:healthy", "proportional")
        assert proportional.values["p"] == pytest.approx(slope.pvalue, rel=1e-6)


def test_pairs_of_conditions_have_adjusted_p_and_effects(report: StatisticalReport, study: list[Measurement]) -> None:
    dss = [values(study, "dss", dataset="test1", condition=c, structure="liver", reader="dla") for c in CONDITIONS]
    h = stats.kruskal(*dss).statistic
    all_conditions = cell(report, "subgroups", "liver:all", "effect")
    assert all_conditions.values["value"] == pytest.approx(h / 35)
    pair = cell(report, "subgroups", "liver:healthy vs fatty", "effect")
    u = stats.mannwhitneyu(dss[0], dss[1]).statistic
    assert pair.values["value"] == pytest.approx(2 * u / 144 - 1)
    assert (pair.n, len(pair.rows)) == (24, 24)
    shift = cell(report, "subgroups", "liver:healthy vs fatty", "shift").values["value"]
    assert shift == pytest.approx(np.median(np.subtract.outer(dss[0], dss[1])))
    z = cell(report, "subgroups", "liver:healthy vs fatty", "statistic").values["value"]
    ranks = stats.rankdata(np.concatenate(dss))
    by_hand = (ranks[:12].mean() - ranks[12:24].mean()) / math.sqrt(36 * 37 / 12 * (2 / 12))
    assert z == pytest.approx(by_hand)


def test_equivalence_gives_the_smallest_margin(report: StatisticalReport, study: list[Measurement]) -> None:
    test, manual = volumes(study, "spleen", dataset="test1")
    scans = 200 * (test - manual) / (test + manual)
    differences = np.array([scans[:2].mean(), *scans[2:]])  # by patient: the first two CT scans are of one patient
    low, high = stats.t.interval(0.9, 34, differences.mean(), stats.sem(differences))
    smallest = cell(report, "equivalence", "spleen", "smallest")
    assert smallest.values["value"] == pytest.approx(max(-low, high))
    assert cell(report, "equivalence", "spleen", "verdict").text == "equivalent"
    p = stats.ttest_1samp(differences, 5, alternative="less").pvalue
    assert cell(report, "equivalence", "spleen", "p").values["p"] == pytest.approx(p)


def test_reproducibility_compares_readers_and_methods(report: StatisticalReport, study: list[Measurement]) -> None:
    by_reader = {}
    for reader in ("dla", "manual"):
        external, internal = (
            np.array(values(study, "volume_cm3", dataset="test2", structure="liver", reader=reader, site=site))
            for site in ("external", "internal")
        )
        by_reader[reader] = math.sqrt(np.mean(2 * ((external - internal) / (external + internal)) ** 2))
    ratio = cell(report, "rc_readers", "liver", "ratio")
    assert ratio.values["ratio"] == pytest.approx(by_reader["dla"] / by_reader["manual"])
    paper = cell(report, "rc_methods", "liver:rms", "dla")
    assert paper.values["rc_pct"] == pytest.approx(1.96 * math.sqrt(2) * 100 * by_reader["dla"])
    assert paper.values["rc_pct"] == cell(report, "reproducibility", "liver", "dla").values["rc_pct"]
    assert (paper.n, len(paper.rows)) == (8, 16)
    wsd = cell(report, "rc_methods", "liver:wsd", "manual").values
    assert wsd["chi_square_upper"] / wsd["rc_pct"] == pytest.approx(math.sqrt(8 / stats.chi2.ppf(0.025, 8)))


def test_a_single_case_gives_dashes_with_reasons(tmp_path: Path) -> None:
    alone = case_rows("A", "P", ("test1", "healthy", ""), np.random.default_rng(1))
    report = reported(tmp_path, alone)
    upper = cell(report, "limits_percent", "liver:total", "upper")
    assert (upper.text, upper.values["value"], upper.n) == ("–", None, 1)
    assert upper.reason
    for made in report.cells:
        assert made.text
        if None in made.values.values():
            assert made.reason, made.address
    assert not report.table("rc_readers")


def test_a_case_without_prediction_is_listed(study: list[Measurement], tmp_path: Path) -> None:
    rows = [row for row in study if not (row.case_id == "a00" and row.reader == "dla" and row.structure == "liver")]
    report = reported(tmp_path, rows)
    for table, row, column in (
        ("means", "dss:total", "liver"),
        ("limits_log", "liver:total", "bias"),
        ("reliability", "liver", "ccc"),
        ("equivalence", "ratio", "p"),
    ):
        found = cell(report, table, row, column)
        assert (found.n, found.excluded) == (35, ("a00",)), table


def test_other_readers_change_nothing_between_the_two_compared(study: list[Measurement], tmp_path: Path) -> None:
    alone = reported(tmp_path, study)
    third = [replace(row, reader="second", reference="", dss=None) for row in study if row.reader == "manual"]
    scored = ("hd95_mm", "assd_mm", "nsd", "nsd_tolerance_mm", "surface")
    third = [replace(row, **{name: "" if name == "surface" else None for name in scored}) for row in third][:6]
    together = reported(tmp_path, [*study, *third])
    for column in ("icc_a1", "icc_c1", "ccc"):
        assert cell(together, "reliability", "liver", column) == cell(alone, "reliability", "liver", column)
    assert cell(together, "reliability", "liver:everyone", "icc_a1").n == 3
    assert "liver:everyone" not in alone.table("reliability")
    for report, has_others in ((alone, False), (together, True)):
        (footnote,) = [table.footnote for table in layouts(report) if table.name == "reliability"]
        assert ("all readers" in footnote) is has_others


def test_surfaces_of_two_definitions_are_not_pooled(study: list[Measurement], tmp_path: Path) -> None:
    mixed = [replace(r, surface="area") if r.surface and r.case_id < "a05" else r for r in study]
    report = reported(tmp_path, mixed)
    assert not report.table("surfaces")
    assert not [row for row in report.table("means") if row.startswith("nsd")]
    assert [note.code for note in report.notes if "definitions" in note.message] == ["LS-REP-017"]


def test_the_nsd_is_printed_with_its_tolerance_if_it_is_known(study: list[Measurement], tmp_path: Path) -> None:
    def footnotes(rows: list[Measurement]) -> dict[str, str]:
        return {table.name: table.footnote for table in layouts(reported(tmp_path, rows))}

    known = footnotes([replace(r, nsd_tolerance_mm=2.5) if r.surface else r for r in study])
    unknown = footnotes([replace(r, nsd_tolerance_mm=None) for r in study])
    for table in ("means", "surfaces"):
        assert "NSD: normalised surface Dice at a tolerance of 2.5 mm." in known[table]
        assert "NSD: normalised surface Dice." in unknown[table]
    bare = {"dss": 0.9, "hd95_mm": None, "assd_mm": None, "nsd": None, "nsd_tolerance_mm": None, "surface": ""}
    assert "NSD" not in footnotes([replace(r, **bare) if r.reference else r for r in study])["means"]


def test_undefined_distances_are_counted_in_a_note(study: list[Measurement], tmp_path: Path) -> None:
    lost = {"dss": 0.0, "nsd": 0.0, "hd95_mm": None, "assd_mm": None}
    rows = [replace(r, **lost) if (r.case_id, r.structure, r.reader) == ("a03", "spleen", "dla") else r for r in study]
    report = reported(tmp_path, rows)
    assert [note.cases for note in report.notes if note.code == "LS-REP-018"] == [("a03",)]
    assert cell(report, "surfaces", "hd95:total", "spleen").n == 35
    assert cell(report, "surfaces", "nsd:total", "spleen").n == 36
