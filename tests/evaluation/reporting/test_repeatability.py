"""%RC of repeated CT scans at one site, and of more than two CT scans of a patient."""

from __future__ import annotations

from pathlib import Path

import pytest
from test_paper_tables import cell, note_cases, report_of, rows_of

from liverspleen.evaluation.reporting.paper_tables import StatisticalReport

# R: m <- ave(x, p); w <- 100 * sqrt(sum(((x - m) / m)^2) / 3); rc <- 1.96 * sqrt(2) * w
#    rc * sqrt(3 / qchisq(c(.975, .025), 3)), x <- c(90, 110, 100, 50, 50), p <- c(1, 1, 1, 2, 2)
WCV, RC, LOWER, UPPER = 8.16496580928, 22.63213055223, 12.82086537518, 84.38496871671


def scans(*found: tuple[str, str, float]) -> list[str]:
    return [
        line
        for number, (patient, site, liver) in enumerate(found)
        for line in rows_of(f"c{number}", about=f"{patient},test2,healthy,{site}", liver=(liver, 70), spleen=(10, 10))
    ]


def made(tmp_path: Path, *found: tuple[str, str, float]) -> StatisticalReport:
    return report_of(tmp_path, scans(*found))


def test_three_and_two_scans_at_one_site_as_in_r(tmp_path: Path) -> None:
    site = "internal"
    report = made(
        tmp_path, *(("P", site, x) for x in (90, 110, 100)), *(("Q", site, x) for x in (50, 50)), ("S", site, 7)
    )
    found = cell(report, "repeatability", "liver:internal", "dla")
    assert found.values == pytest.approx({"rc_pct": RC, "ci_lower": LOWER, "ci_upper": UPPER, "wcv_pct": WCV, "df": 3})
    assert (found.n, found.rows) == (2, ("c0", "c1", "c2", "c3", "c4"))
    assert cell(report, "repeatability", "liver:any_site", "dla").values == found.values
    assert not report.table("reproducibility")  # needs one CT scan at each site


def test_scans_at_several_sites(tmp_path: Path) -> None:
    report = made(
        tmp_path,
        ("P", "external", 90),
        ("P", "internal", 110),
        ("P", "internal", 100),
        ("Q", "external", 50),
        ("Q", "internal", 50),
    )
    assert cell(report, "repeatability", "liver:any_site", "dla").values["rc_pct"] == pytest.approx(RC)
    one_site = cell(report, "repeatability", "liver:internal", "dla")
    assert one_site.values["wcv_pct"] == pytest.approx(100 * (10**2 / 2) ** 0.5 / 105)
    assert one_site.rows == ("c1", "c2")
    assert "liver:external" not in report.table("repeatability")
    assert cell(report, "reproducibility", "liver", "dla").n == 1
    assert note_cases(report, "LS-REP-020") == [("c0", "c1", "c2")]


def test_a_missing_volume_leaves_the_other_repeats(tmp_path: Path) -> None:
    rows = scans(("P", "internal", 90), ("P", "internal", 110), ("P", "internal", 100), ("Q", "internal", 50))
    rows = [line.replace(",100,ok", ",,absent") for line in rows]
    found = cell(report_of(tmp_path, rows), "repeatability", "liver:internal", "dla")
    assert found.values["wcv_pct"] == pytest.approx(100 * 200**0.5 / 100)
    assert (found.rows, found.excluded) == (("c0", "c1"), ("c2", "c3"))


def test_plain_pairs_have_no_table_of_repeatability(tmp_path: Path) -> None:
    report = made(tmp_path, ("P", "external", 90), ("P", "internal", 110))
    assert cell(report, "reproducibility", "liver", "dla").n == 1
    assert not report.table("repeatability")


def test_one_reader_without_a_reference_and_repeats_in_the_first_test_dataset(tmp_path: Path) -> None:
    header = "case_id,patient_id,dataset,structure,reader,volume_cm3"
    volumes = (("P", 90), ("P", 110), ("P", 100), ("Q", 50), ("Q", 50), ("S", 7))
    rows = [f"c{number},{patient},test1,liver,dla,{liver}" for number, (patient, liver) in enumerate(volumes)]
    report = report_of(tmp_path, rows, header)
    found = report.table("repeatability")
    assert found["liver:any_site"]["dla"].values["rc_pct"] == pytest.approx(RC)
    assert found["liver:any_site"]["dla"].excluded == ("c5",)
    assert [row for row in found if row.startswith("liver")] == ["liver:any_site"]  # no site is stated
    assert note_cases(report, "LS-REP-065") == [("c5",)]
