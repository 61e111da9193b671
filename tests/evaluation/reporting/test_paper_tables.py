"""Cells of the paper's tables from measurements small enough to be computed by hand."""

from __future__ import annotations

import csv
import io
import json
import random
from pathlib import Path

import pytest
from scipy import stats

from liverspleen.errors import InputError
from liverspleen.evaluation.measurements.table import read_measurements
from liverspleen.evaluation.reporting.cells import Cell
from liverspleen.evaluation.reporting.formatting import dss_text, fixed, loa_text, p_text, rc_text
from liverspleen.evaluation.reporting.paper_tables import StatisticalReport, statistical_report
from liverspleen.evaluation.reporting.table_layout import layouts
from liverspleen.evaluation.reporting.writers.csv_markdown import csv_text, markdown_text

HEADER = "case_id,patient_id,dataset,condition,site,structure,reader,volume_cm3,volume_status,reference,dss"


def rows_of(
    case: str,
    *,
    liver: tuple[float, float],
    spleen: tuple[float, float],
    dss: tuple[float, float] = (0.97, 0.95),
    about: str = "{case},test1,,",
    reader: str = "dla",
) -> list[str]:
    """Rows of both readers; volumes as (reader, manual). `about` is patient_id, dataset, condition, site."""
    start = f"{case},{about.format(case=case)}"
    rows = []
    for structure, (test, reference), score in zip(("liver", "spleen"), (liver, spleen), dss, strict=True):
        rows.append(f"{start},{structure},manual,{reference},,,")
        rows.append(f"{start},{structure},{reader},{test},ok,manual,{score}")
    return rows


def report_of(tmp_path: Path, rows: list[str], header: str = HEADER, **choice: str) -> StatisticalReport:
    path = tmp_path / "m.csv"
    path.write_text("\n".join([header, *rows]) + "\n", encoding="utf-8")
    return statistical_report(read_measurements(path), **choice)


def cell(report: StatisticalReport, table: str, row: str, column: str) -> Cell:
    return report.table(table)[row][column]


def note_cases(report: StatisticalReport, code: str) -> list[tuple[str, ...]]:
    return [note.cases for note in report.notes if note.code == code]


def four_cases() -> list[str]:
    healthy, odd = "{case},test1,healthy,", "{case},test1,budd_chiari,"
    return [
        *rows_of("B", about=odd, liver=(1000, 1000), spleen=(100, 100), dss=(0.90, 0.91)),
        *rows_of("A", about=healthy, liver=(1010, 990), spleen=(101, 99), dss=(0.98, 0.94)),
        *rows_of("C", about=healthy, liver=(1030, 970), spleen=(103, 97), dss=(0.96, 0.95)),
        *rows_of("D", about="{case},test1,,", liver=(1000, 1000), spleen=(0, 0), dss=(0.99, 0.99)),
    ]


def test_table_2_describes_dss_by_condition(tmp_path: Path) -> None:
    report = report_of(tmp_path, four_cases())
    assert list(report.table("table2")) == ["total", "healthy", "budd_chiari", "p"]
    healthy = cell(report, "table2", "healthy", "liver")
    # 0.98 and 0.96: mean 0.97, SD 0.01·√2.
    assert healthy.values == pytest.approx({"mean": 0.97, "sd": 0.01 * 2**0.5, "minimum": 0.96, "maximum": 0.98})
    assert (healthy.text, healthy.n, healthy.rows) == ("0.970 ± 0.014 (0.960–0.980)", 2, ("A", "C"))
    alone = cell(report, "table2", "budd_chiari", "liver")
    assert (alone.text, alone.n, alone.values["sd"]) == ("0.900 ± – (0.900–0.900)", 1, None)
    assert alone.reason == "only 1 value: the SD is undefined"
    assert cell(report, "table2", "total", "liver").rows == ("A", "B", "C", "D")


def test_p_of_table_2_is_kruskal_wallis_over_cases_with_a_condition(tmp_path: Path) -> None:
    p = cell(report_of(tmp_path, four_cases()), "table2", "p", "liver")
    expected = stats.kruskal([0.98, 0.96], [0.90])
    assert p.values["p"] == pytest.approx(expected.pvalue)
    assert p.values["statistic"] == pytest.approx(expected.statistic)
    assert (p.n, sorted(p.rows), p.values["df"]) == (3, ["A", "B", "C"], 1)


def test_table_3_gives_bias_and_limits_in_percent(tmp_path: Path) -> None:
    report = report_of(tmp_path, four_cases())
    healthy = cell(report, "table3", "healthy", "liver")
    # Percent differences 2 and 6: bias 4, SD 2√2, half-width 5.5437.
    assert healthy.values["bias"] == pytest.approx(4.0)
    assert healthy.values["half_width"] == pytest.approx(1.96 * 8**0.5)
    assert healthy.text == "4.00 ± 5.54"
    # t = 4 / (2√2/√2) = 2 with df 1: p = 1 - 2 atan(2)/π.
    assert cell(report, "table3", "healthy", "liver_p").values["p"] == pytest.approx(0.2951672353)
    assert cell(report, "table3", "healthy", "liver_p").text == "0.30"


def test_ratio_is_derived_and_undefined_over_a_zero_spleen(tmp_path: Path) -> None:
    report = report_of(tmp_path, four_cases())
    ratio = cell(report, "table3", "total", "ratio")
    assert (ratio.n, ratio.excluded) == (3, ("D",))
    assert ratio.values["bias"] == pytest.approx(0.0, abs=1e-12)  # 1010/101 = 990/99 and so on
    assert cell(report, "table3", "total", "spleen").excluded == ("D",)  # a pair of zeros has no percent difference
    assert note_cases(report, "LS-REP-013") == [("D",), ("D",)]


def test_conditions_stand_in_the_paper_s_order(tmp_path: Path) -> None:
    names = ["zebra", "cirrhosis", "post_hepatectomy", "alpha", "fatty", "healthy", "cld"]
    rows = [r for name in names for r in rows_of(name, about=f"{{case}},test1,{name},", liver=(2, 1), spleen=(1, 1))]
    table = report_of(tmp_path, rows).table("table3")
    assert list(table) == ["total", "healthy", "fatty", "cld", "cirrhosis", "post_hepatectomy", "alpha", "zebra"]


def pair(patient: str, external: tuple[float, float], internal: tuple[float, float]) -> list[str]:
    rows = []
    for site, liver, dss in (("external", external, 0.98), ("internal", internal, 0.96)):
        about = f"{patient},test2,,{site}"
        rows += rows_of(f"{patient}{site[0]}", about=about, liver=liver, spleen=(100, 100), dss=(dss, dss))
    return rows


def test_table_4_and_reproducibility_use_pairs_of_one_patient(tmp_path: Path) -> None:
    rows = [
        *pair("P1", (90, 100), (110, 100)),
        *pair("P2", (100, 100), (100, 100)),
        *pair("P3", (100, 100), (100, 100)),
    ]
    rows += rows_of("P4e", about="P4,test2,,external", liver=(100, 100), spleen=(100, 100), dss=(0.94, 0.94))
    report = report_of(tmp_path, rows)
    assert list(report.table("table4")) == ["dss_liver", "dss_spleen", "loa_liver", "loa_spleen", "loa_ratio"]
    external = cell(report, "table4", "dss_liver", "external")
    assert (external.n, external.text) == (4, "0.970 ± 0.020 (0.940–0.980)")  # 0.98 ×3, 0.94: SD 0.02
    p = cell(report, "table4", "dss_liver", "p")
    # Three equal differences: ranks 2, 2, 2; W- = 0; z = -3/√(3·4·7/24 - (27-3)/48) = -√3.
    assert p.values == pytest.approx({"p": 0.0832645167, "statistic": 0.0, "z": -(3**0.5)})
    assert (p.n, p.text, p.rows) == (3, "0.08", ("P1e", "P1i", "P2e", "P2i", "P3e", "P3i"))
    assert cell(report, "table4", "loa_ratio", "p").text == "NA"
    rc = cell(report, "reproducibility", "liver", "dla")
    # One pair 90, 110 (CV² 0.02), two without difference: wCV = √(0.02/3).
    assert rc.values["wcv_pct"] == pytest.approx(100 * (0.02 / 3) ** 0.5)
    assert rc.values["rc_pct"] == pytest.approx(196 * (0.04 / 3) ** 0.5)
    assert rc.n == 3
    assert rc.rows == ("P1e", "P1i", "P2e", "P2i", "P3e", "P3i")
    assert cell(report, "reproducibility", "spleen", "manual").text == "0.0 (–)"
    assert list(report.table("reproducibility")["liver"]) == ["dla", "manual"]
    assert note_cases(report, "LS-REP-020") == [("P4e",)]


def test_development_rows_enter_no_table(tmp_path: Path) -> None:
    rows = [*four_cases(), *rows_of("T", about="T,development,healthy,", liver=(5, 1), spleen=(5, 1))]
    report = report_of(tmp_path, rows)
    assert cell(report, "table3", "total", "liver").n == 4
    assert note_cases(report, "LS-REP-058") == [("T",)]


def test_a_hand_written_file_without_dataset_still_gets_every_table(tmp_path: Path) -> None:
    header = "case_id,patient_id,site,structure,reader,volume_cm3,reference,dss"
    rows = []
    for case, patient, site in (("a", "P", "external"), ("b", "P", "internal"), ("c", "Q", "")):
        for structure in ("liver", "spleen"):
            rows.append(f"{case},{patient},{site},{structure},manual,100,,")
            rows.append(f"{case},{patient},{site},{structure},nnunet,{100 + len(rows)},manual,0.9")
    report = report_of(tmp_path, rows, header)
    assert (report.reader, report.reference) == ("nnunet", "manual")
    assert cell(report, "table2", "total", "liver").n == 3
    assert cell(report, "table4", "loa_liver", "external").n == 1
    assert cell(report, "reproducibility", "liver", "nnunet").n == 1
    assert note_cases(report, "LS-REP-022") == [("a", "b")]


def test_every_case_that_lacks_something_is_named(tmp_path: Path) -> None:
    rows = [r for r in four_cases() if not r.startswith(("A,A,test1,healthy,,spleen", "C,C,test1,healthy,,liver,dla"))]
    rows = [
        r.replace("liver,dla,1000,ok,manual,0.9", "liver,dla,,truncated,manual,") if r[0] == "B" else r for r in rows
    ]
    report = report_of(tmp_path, rows)
    notes = {(note.code, note.message.split(" in ")[0]): note.cases for note in report.notes}
    assert notes["LS-REP-011", "reader 'dla' has no liver row"] == ("C",)
    assert notes["LS-REP-011", "reader 'dla' has no spleen row"] == ("A",)
    assert notes["LS-REP-011", "reader 'manual' has no spleen row"] == ("A",)
    assert notes["LS-REP-012", "liver volume of reader 'dla' is undefined"] == ("B",)
    assert notes["LS-REP-014", "liver DSS of 'dla' against 'manual' is undefined"] == ("B",)
    assert notes["LS-REP-015", "liver volume of reader 'dla' has a status other than ok"] == ("B",)
    liver = cell(report, "table2", "total", "liver")
    assert (liver.n, liver.rows, liver.excluded) == (2, ("A", "D"), ("B", "C"))


def test_a_status_removes_no_volume(tmp_path: Path) -> None:
    rows = [row.replace(",ok,", ",truncated,") for row in four_cases()]
    rows = [row.replace("truncated", "truncated;implausible") if row.startswith("B") else row for row in rows]
    report = report_of(tmp_path, rows)
    assert cell(report, "table3", "total", "liver").n == 4
    message = "spleen volume of reader 'dla' has a status other than ok in 4 of 4 CT scans (truncated 4, implausible 1)"
    assert message in [note.message for note in report.notes]


def test_tables_without_data_are_omitted_and_noted(tmp_path: Path) -> None:
    report = report_of(tmp_path, four_cases())
    assert report.table("table4") == report.table("reproducibility") == {}
    assert [note.message.split(" is not included: ")[0] for note in report.notes if note.code == "LS-REP-030"] == [
        "Table 4",
        "the table of reproducibility",
    ]


def test_volumes_of_one_reader_alone_still_give_a_report(tmp_path: Path) -> None:
    header = "case_id,patient_id,site,structure,reader,volume_cm3"
    rows = [f"{p}{s[0]},{p},{s},liver,me,{v}" for p in "PQ" for s, v in (("external", 90), ("internal", 110))]
    report = report_of(tmp_path, rows, header)
    assert (report.reader, list(report.table("reproducibility"))) == (None, ["liver", "spleen", "ratio"])
    assert cell(report, "reproducibility", "liver", "me").values["rc_pct"] == pytest.approx(39.2)
    assert cell(report, "reproducibility", "ratio", "me").text == "–"
    assert [note.code for note in report.notes].count("LS-REP-021") == 1


def two_readers() -> list[str]:
    rows = [*four_cases(), *(r for r in rows_of("A", liver=(1, 990), spleen=(1, 99), reader="v2") if ",v2," in r)]
    return [r.replace("A,A,test1,,", "A,A,test1,healthy,") for r in rows]


def test_dla_against_manual_is_preferred_and_any_other_can_be_asked_for(tmp_path: Path) -> None:
    assert report_of(tmp_path, two_readers()).reader == "dla"
    asked = report_of(tmp_path, two_readers(), reader="v2")
    assert (asked.reader, asked.reference, cell(asked, "table3", "total", "liver").rows) == ("v2", "manual", ("A",))
    with pytest.raises(InputError, match=r"LS-REP-001.*no reader 'v3'; the readers are 'dla', 'manual', 'v2'"):
        report_of(tmp_path, two_readers(), reader="v3")


def test_several_pairs_of_readers_are_listed_and_rejected(tmp_path: Path) -> None:
    rows = [row.replace("dla", "v1") for row in two_readers()]
    with pytest.raises(InputError, match=r"LS-REP-002.*'v1' against 'manual', 'v2' against 'manual'.*reader="):
        report_of(tmp_path, rows)


def test_a_condition_named_like_another_row_is_rejected(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="LS-REP-003"):
        report_of(tmp_path, rows_of("A", about="A,test1,total,", liver=(1, 1), spleen=(1, 1)))


def test_the_order_of_the_rows_changes_no_number(tmp_path: Path) -> None:
    rows = four_cases()
    ordered = report_of(tmp_path, rows)
    random.Random(5).shuffle(rows)
    assert report_of(tmp_path, rows) == ordered


def test_cells_are_plain_json(tmp_path: Path) -> None:
    for item in report_of(tmp_path, four_cases()).cells:
        plain = item.to_dict()
        assert json.loads(json.dumps(plain, allow_nan=False)) == plain
        assert {"table", "row", "column", "values", "units", "text", "n", "method", "rows"} <= set(plain)


@pytest.mark.parametrize(
    ("value", "digits", "text"),
    [
        (-0.0004, 2, "0.00"),
        (-0.0, 3, "0.000"),
        (0.9725, 3, "0.973"),
        (0.1 + 0.2 - 0.255, 2, "0.05"),
        (2.675, 2, "2.68"),
        (-2.675, 2, "-2.68"),
        (1e-20, 3, "0.000"),
        (12345.6, 1, "12345.6"),
    ],
)
def test_numbers_round_half_away_from_zero_and_are_never_minus_zero(value: float, digits: int, text: str) -> None:
    assert fixed(value, digits) == text


@pytest.mark.parametrize(
    ("p", "text"),
    [
        (1.0, "1.00"),
        (0.6, "0.60"),
        (0.01, "0.01"),
        (0.00999, "0.010"),
        (0.0071, "0.007"),
        (0.0005, "0.001"),
        (0.00049, "< 0.001"),
        (0.0, "< 0.001"),
        (None, "–"),
    ],
)
def test_p_is_printed_as_in_the_paper(p: float | None, text: str) -> None:
    assert p_text(p) == text


def test_undefined_statistics_are_printed_as_a_dash() -> None:
    assert dss_text(None, None, None, None) == loa_text(None, None) == rc_text(None, None) == "–"
    assert (loa_text(1.0, None), rc_text(0.0, None)) == ("1.00 ± –", "0.0 (–)")


def test_csv_holds_text_and_n_and_markdown_the_labels(tmp_path: Path) -> None:
    layout = layouts(report_of(tmp_path, four_cases()))[1]
    rows = list(csv.DictReader(io.StringIO(csv_text(layout))))
    assert rows[1]["row"] == "healthy"
    assert (rows[1]["liver"], rows[1]["liver_n"]) == ("4.00 ± 5.54", "2")
    assert (rows[0]["ratio"], rows[0]["ratio_n"]) == ("0.00 ± 0.00", "3")
    assert "| Healthy liver | 4.00 ± 5.54 | 0.30 |" in markdown_text(layout)
    assert r"| budd\_chiari |" in markdown_text(layout)


def test_names_from_the_measurements_are_inert_in_csv_and_markdown(tmp_path: Path) -> None:
    rows = [row.replace("healthy", "=cmd|' /C calc'!A0").replace("budd_chiari", "<b>|x") for row in four_cases()]
    layout = layouts(report_of(tmp_path, rows))[0]
    written = list(csv.reader(io.StringIO(csv_text(layout))))
    assert [row[0] for row in written] == ["row", "total", "<b>|x", "'=cmd|' /C calc'!A0", "p"]
    assert r"| \<b\>\|x |" in markdown_text(layout)
