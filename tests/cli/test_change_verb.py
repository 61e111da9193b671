"""`liverspleen change`: values or two rows of a table, with a given RC or that of a report."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from liverspleen.cli.main import main

HEADER = "case_id,patient_id,dataset,site,structure,reader,volume_cm3,volume_status\n"


@pytest.fixture
def table(tmp_path: Path) -> Path:
    """Two patients of one reader: the first grew by a fifth, its second spleen is truncated."""
    path = tmp_path / "measurements.csv"
    path.write_text(
        HEADER
        + "a1,a,,,liver,dla,1000,ok\na2,a,,,liver,dla,1200,multi_part\n"
        + "a1,a,,,spleen,dla,200,ok\na2,a,,,spleen,dla,150,truncated\n"
        + "b1,b,,,liver,dla,1000,ok\n"
    )
    return path


@pytest.fixture
def report(tmp_path: Path) -> Path:
    """report.json of four patients with two CT scans each."""
    rows = [HEADER]
    for number, (first, second) in enumerate([(1000, 1050), (1300, 1260), (1500, 1520), (900, 940)]):
        for site, liver in (("external", first), ("internal", second)):
            about = f"{number}{site},p{number},test2,{site}"
            rows += [f"{about},liver,dla,{liver},ok\n", f"{about},spleen,dla,{liver / 5},ok\n"]
    path = tmp_path / "two.csv"
    path.write_text("".join(rows))
    assert main(["report", f"measurements={path}", f"output={tmp_path / 'report'}"]) == 0
    return tmp_path / "report" / "report.json"


def change(*words: str) -> int:
    return main(["change", *words])


def test_patients_with_the_ids_of_their_cases_are_different_patients(
    table: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with table.open("a") as handle:
        handle.write("c,c,,,liver,dla,1000,ok\nd,d,,,liver,dla,1000,ok\n")
    assert change(f"measurements={table}", "first=c", "second=d", "structure=liver", "rc_pct=10") == 2
    assert "LS-CHG-003" in capsys.readouterr().err


def test_two_volumes_and_a_published_rc(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    words = ["before=1500", "after=1230", "rc_pct=16.7", "rc_ci_pct=[13.1,19.8]"]
    assert change(*words, f"output={tmp_path / 'out'}") == 0
    assert capsys.readouterr().out.splitlines() == [
        "volume: 1500.0 cm³ to 1230.0 cm³, change -19.8 % of the mean, -18.0 % of the first",
        "  %RC 16.7 (13.1–19.8): between: the change is within the interval of the RC",
    ]
    content = json.loads((tmp_path / "out/change.json").read_text(encoding="utf-8"))
    assert content["changes"]["volume"]["change_pct"] == pytest.approx(-540 / 27.3)
    assert content["changes"]["volume"]["verdict"] == "between"
    assert (tmp_path / "out/run.json").is_file()


def test_two_rows_of_a_table_are_compared_with_the_rc_of_a_report(
    table: Path, report: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    # squared CV of a pair: 2 ((x - y) / (x + y))²; %RC = 196 √(2 mean)
    ratios = [50 / 2050, 40 / 2560, 20 / 3020, 40 / 1840]
    rc = 196 * (2 * sum(2 * r * r for r in ratios) / 4) ** 0.5
    assert change(f"measurements={table}", "first=a1", "second=a2", f"report={report}") == 0
    out, err = capsys.readouterr()
    lines = out.splitlines()
    assert lines[0] == "liver: 1000.0 cm³ to 1200.0 cm³ (multi_part), change 18.2 % of the mean, 20.0 % of the first"
    assert lines[1].startswith(f"  %RC {rc:.1f} (")
    assert "undefined because the second volume is truncated" in lines[3]
    assert "undefined because the second volume is truncated" in lines[5]  # the ratio rests on the spleen
    assert "LS-CHG-010: spleen: no verdict" in err
    assert "LS-CHG-011: liver: the second label map has several parts" in err


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (["first=a1", "second=b1"], "LS-CHG-003"),
        (["first=a1", "second=zz"], "LS-CHG-002.*'zz'"),
        (["first=a1", "second=a1"], "LS-CHG-002"),
        (["first=a1", "second=a2", "reader=manual"], "LS-CHG-004"),
        (["first=a1"], "LS-CHG-001: missing options: second="),
        (["first=a1", "second=a2", "before=3"], "LS-CHG-001: before= cannot be used with measurements="),
    ],
)
def test_examinations_that_are_not_a_pair_are_rejected(
    table: Path, words: list[str], code: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert change(f"measurements={table}", "structure=liver", "rc_pct=10", *words) == 2
    assert re.match(code, capsys.readouterr().err)


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (["before=1"], "LS-CHG-001: missing options: after="),
        (["before=1", "after=2"], "LS-CHG-001: no RC"),
        (["before=1", "after=2", "rc_pct=3", "rc_ci_pct=[1]"], "LS-CHG-001: rc_ci_pct="),
        (
            ["before=1", "after=2", "rc_pct=3", "structure=gut"],
            "LS-CFG-006: structure=gut is not one",
        ),
        (["before=1", "after=2", "rc_pct=-3"], "LS-CFG-006: rc_pct=-3"),
        (["before=-1", "after=2", "rc_pct=3"], "LS-CFG-006: before=-1"),
        (["before=1", "after=2", "report=r"], "LS-CHG-001: report= has the RC of several indices"),
    ],
)
def test_options_that_contradict_each_other_are_rejected(
    words: list[str], code: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert change(*words) == 2
    assert capsys.readouterr().err.startswith(code)


@pytest.mark.parametrize(
    ("content", "code"),
    [
        ("", "LS-CHG-005"),
        ("[]", "LS-CHG-005"),
        ("{}", "LS-CHG-005"),
        ('{"format": 2, "cells": [{"table": "reproducibility"}]}', "LS-CHG-005"),
        ('{"format": 2, "cells": []}', "LS-CHG-008"),
    ],
)
def test_a_report_that_cannot_be_used_is_rejected(
    tmp_path: Path, content: str, code: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "r.json").write_text(content)
    assert change("before=1", "after=2", "structure=liver", f"report={tmp_path / 'r.json'}") == 2
    assert capsys.readouterr().err.startswith(code)


@pytest.mark.parametrize(
    "content", ['{"cells": []}', '{"format": 1}', '{"format": "2", "cells": []}', '{"format": true}']
)
def test_a_report_of_another_format_is_rejected(
    tmp_path: Path, content: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "r.json").write_text(content)
    assert change("before=1", "after=2", "structure=liver", f"report={tmp_path / 'r.json'}") == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"LS-FMT-001 file '{tmp_path / 'r.json'}': report.json ")
    assert "expected 2; " in line


def test_the_rc_of_another_reader_is_not_used(table: Path, report: Path, capsys: pytest.CaptureFixture[str]) -> None:
    table.write_text(table.read_text().replace("dla", "nnunet"))
    assert change(f"measurements={table}", "first=a1", "second=a2", f"report={report}") == 2
    assert capsys.readouterr().err.startswith("LS-CHG-006")


def test_a_table_without_patients_is_used_with_a_note(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "m.csv"
    path.write_text("case_id,structure,reader,volume_cm3\nx,liver,dla,100\ny,liver,dla,101\n")
    words = [f"measurements={path}", "first=x", "second=y", "structure=liver", "rc_pct=5"]
    assert change(*words) == 0
    out, err = capsys.readouterr()
    assert "within measurement error" in out
    assert "LS-CHG-012" in err


@pytest.fixture
def course(tmp_path: Path) -> Path:
    """Four CT scans of a patient: the liver grows, the spleen is truncated once."""
    path = tmp_path / "course.csv"
    scans = [("t0", 1000, 200, "ok"), ("t1", 1100, 190, "ok"), ("t2", 1400, 150, "truncated"), ("t3", 1500, 210, "ok")]
    path.write_text(
        HEADER
        + "".join(
            f"{case},p,,,liver,dla,{liver},ok\n{case},p,,,spleen,dla,{spleen},{status}\n"
            for case, liver, spleen, status in scans
        )
    )
    return path


def test_a_course_compares_each_scan_with_the_first(
    course: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = [f"measurements={course}", "cases=[t0,t1,t2,t3]", "structure=liver", "rc_pct=20", "rc_ci_pct=[15,25]"]
    assert change(*words, f"output={tmp_path / 'out'}") == 0
    printed = capsys.readouterr()
    lines = printed.out.splitlines()
    # 200 · 100/2100 = 9.5 %, 200 · 400/2400 = 33.3 %, 200 · 500/2500 = 40 %
    assert lines[0] == "liver, t0 to t1: 1000.0 cm³ to 1100.0 cm³, change 9.5 % of the mean, 10.0 % of the first"
    assert [line.split(": ")[1] for line in lines[1::2]] == [
        "within measurement error",
        "beyond measurement error",
        "beyond measurement error",
    ]
    assert "LS-CHG-013: 3 CT scans are compared with the first one" in printed.err
    assert "is 12.5 %, not 5 %" in printed.err
    content = json.loads((tmp_path / "out" / "change.json").read_text())
    assert content["cases"] == ["t0", "t1", "t2", "t3"]
    last = content["course"]["liver"][-1]
    assert (last["case_id"], last["against_first"]["change_pct"]) == ("t3", pytest.approx(40))
    assert last["against_previous"]["change_pct"] == pytest.approx(200 * 100 / 2900)
    assert last["against_previous"]["verdict"] == "within"
    assert {path.name for path in (tmp_path / "out").glob("course.*")} == {"course.svg", "course.pdf", "course.png"}
    assert "first CT scan ± %RC" in (tmp_path / "out" / "course.svg").read_text()
    assert change(*words[:1], "first=t0", "second=t1", *words[2:], f"output={tmp_path / 'out'}") == 0
    assert not list((tmp_path / "out").glob("course.*"))  # the figure of the earlier run


def test_an_undefined_volume_of_a_course_has_its_reason(course: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert change(f"measurements={course}", "cases=[t0,t1,t2,t3]", "structure=spleen", "rc_pct=20") == 0
    printed = capsys.readouterr()
    assert "LS-CHG-010 case 't2': spleen: no verdict, because the second volume is truncated" in printed.err
    assert printed.out.count("within measurement error") == 2
    words = [f"measurements={course}", "cases=[t2,t0,t1]", "structure=spleen", "rc_pct=20"]
    assert change(*words, f"output={course.parent / 'out'}") == 0
    figure = (course.parent / "out" / "course.svg").read_text()
    assert "no verdict" in figure
    assert "± %RC" not in figure  # no band around a truncated volume


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["cases=[t0]"], "LS-CHG-001: cases= has one CT scan"),
        (["cases=[t0,t1]", "first=t0"], "LS-CHG-001: first= cannot be used with cases="),
        (["cases=[t0,t1,t0]"], "LS-CHG-002 .*case 't0' is given twice"),
        (["cases=[t0,zz,t1]"], "LS-CHG-002 .*no case 'zz'"),
    ],
)
def test_cases_that_are_no_course_are_rejected(
    words: list[str], expected: str, course: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert change(f"measurements={course}", *words, "structure=liver", "rc_pct=20") == 2
    assert re.search(expected, capsys.readouterr().err)
