"""Cases that match the numbers of the paper; the report on them is compared with the printed tables."""

from __future__ import annotations

import ast
import doctest
import importlib
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from liverspleen import audit
from liverspleen.errors import InputError
from liverspleen.evaluation import (
    Measurement,
    StatisticalReport,
    read_measurements,
    statistical_report,
    write_measurements,
)

STUDY = Path(__file__).parents[2] / "experiments" / "kjr2020"
SOURCE = Path(__file__).parents[2] / "src" / "liverspleen"
MODULES = (
    *("addresses", "cases", "comparison", "projection", "relations", "rules"),
    *("run", "samples", "transcription", "verdicts", "volumes"),
)

# numbers of the paper that contradict the cells around them, by hand
IMPOSSIBLE = {
    "table2.healthy.liver.sd",  # 0.017 with mean 0.975 and range 0.974 to 0.999
    "table4.internal.ratio.bias",  # 0.50 with -0.03 of the liver and -0.33 of the spleen
    "rc.dla.liver.rc_lower",  # 13.1 to 19.8 around 16.7: no χ² interval
    "rc.dla.liver.rc_upper",
}
P_OF_TABLE_3 = {
    "total": ("0.19", "0.001", "0.06"),
    "healthy": ("0.08", "0.02", "0.28"),
    "fatty": ("0.12", "0.007", "0.13"),
    "cld": ("0.64", "0.74", "0.59"),
    "cirrhosis": ("0.03", "0.88", "0.10"),
    "post_hepatectomy": ("0.11", "0.001", "0.002"),
}


@pytest.fixture(scope="module")
def study() -> Iterator[SimpleNamespace]:
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(STUDY))
        yield SimpleNamespace(**{name: importlib.import_module(name) for name in MODULES})


@pytest.fixture(scope="module")
def numbers(study: SimpleNamespace) -> Sequence[Any]:
    return study.transcription.read_published()


@pytest.fixture(scope="module")
def rules(study: SimpleNamespace, numbers: Sequence[Any]) -> Sequence[Any]:
    return study.relations.read_rules(numbers)


@pytest.fixture(scope="module")
def rows(study: SimpleNamespace, numbers: Sequence[Any], rules: Sequence[Any]) -> list[Measurement]:
    return [row for case in study.cases.examinations(study.run.targets_of(numbers, rules)) for row in case.rows()]


@pytest.fixture(scope="module")
def report(rows: list[Measurement], tmp_path_factory: pytest.TempPathFactory) -> StatisticalReport:
    return report_of(rows, tmp_path_factory.mktemp("paper"))


@pytest.fixture(scope="module")
def verdicts_of(study: SimpleNamespace, numbers: Sequence[Any], rules: Sequence[Any]) -> Callable[..., dict[str, Any]]:
    findings = study.relations.audit_findings()

    def verdicts_of(report: StatisticalReport, printed: Mapping[str, str] = {}) -> dict[str, Any]:
        reported = {"cells": [cell.to_dict() for cell in report.cells], "flow": {"assessed": None, "branches": []}}
        changed = [replace(number, printed=printed.get(number.id, number.printed)) for number in numbers]
        values = study.addresses.reproduced(changed, study.addresses.values_of(reported))
        found = study.verdicts.verdicts(changed, study.relations.with_derived(values, rules), rules, findings)
        return {verdict.number.id: verdict for verdict in found}

    return verdicts_of


def report_of(rows: Sequence[Measurement], folder: Path) -> StatisticalReport:
    write_measurements(folder / "measurements.csv", rows)
    return statistical_report(read_measurements(folder / "measurements.csv"))


def check_tables_2_to_4_and_rc(verdicts: Mapping[str, Any]) -> None:
    found = {name: v for name, v in verdicts.items() if name.startswith(("table2", "table3", "table4", "rc."))}
    assert len(found) == 50 + 54 + 30 + 18
    assert {name for name, verdict in found.items() if verdict.verdict == "impossible"} == IMPOSSIBLE
    assert {verdict.verdict for verdict in found.values()} == {"impossible", "equal as printed"}


def test_tables_2_to_4_and_rc_are_equal_as_printed_or_impossible(
    report: StatisticalReport, verdicts_of: Callable[..., dict[str, Any]]
) -> None:
    check_tables_2_to_4_and_rc(verdicts_of(report))


def test_report_prints_the_p_values_of_the_paper(report: StatisticalReport) -> None:
    table3 = report.table("table3")
    columns = ("liver_p", "spleen_p", "ratio_p")
    assert {row: tuple(cells[c].text for c in columns) for row, cells in table3.items()} == P_OF_TABLE_3
    assert [report.table("table2")["p"][organ].text for organ in ("liver", "spleen")] == ["0.60", "0.26"]
    assert [report.table("table4")[f"dss_{organ}"]["p"].text for organ in ("liver", "spleen")] == ["0.28", "0.41"]


def test_report_prints_the_cells_of_the_paper(report: StatisticalReport) -> None:
    assert report.table("table2")["total"]["liver"].text == "0.973 ± 0.019 (0.907–0.999)"
    assert report.table("table2")["cirrhosis"]["spleen"].text == "0.978 ± 0.018 (0.940–0.999)"
    assert report.table("table3")["total"]["ratio"].text == "0.39 ± 4.89"
    assert report.table("table4")["loa_ratio"]["external"].text == "0.30 ± 5.22"
    assert report.table("reproducibility")["ratio"]["dla"].text == "22.5 (18.8–27.9)"


def test_no_volume_differs_by_more_than_its_dss_allows(rows: list[Measurement]) -> None:
    volumes = {(row.case_id, row.structure, row.reader): row.volume_cm3 for row in rows}
    scored = [row for row in rows if row.dss is not None]
    assert len(scored) == 500
    for row in scored:
        test, reference = (volumes[row.case_id, row.structure, reader] for reader in ("dla", "manual"))
        assert 2 * min(test, reference) / (test + reference) >= row.dss  # TP is at most the smaller volume


def test_same_seed_gives_the_same_cases_and_another_gives_others(
    study: SimpleNamespace, numbers: Sequence[Any], rules: Sequence[Any], rows: list[Measurement]
) -> None:
    targets = study.run.targets_of(numbers, rules)
    assert [row for case in study.cases.examinations(targets) for row in case.rows()] == rows
    other = [row for case in study.cases.examinations(targets, seed=7) for row in case.rows()]
    assert [row.volume_cm3 for row in other] != [row.volume_cm3 for row in rows]


def test_committed_cases_have_the_numbers_of_the_paper(
    rows: list[Measurement], verdicts_of: Callable[..., dict[str, Any]]
) -> None:
    # values differ between processors: the search for them uses linear algebra that depends on their instructions
    measurements = read_measurements(STUDY / "measurements.csv")
    assert measurements.table["case_id"].tolist() == [row.case_id for row in rows]
    assert measurements.table["structure"].tolist() == [row.structure for row in rows]
    check_tables_2_to_4_and_rc(verdicts_of(statistical_report(measurements)))


def test_a_changed_printed_number_is_not_met(
    report: StatisticalReport, verdicts_of: Callable[..., dict[str, Any]]
) -> None:
    found = verdicts_of(report, {"table3.cirrhosis.liver.bias": "-0.76", "table2.cld.spleen.sd": "0.019"})
    for name in ("table3.cirrhosis.liver.bias", "table2.cld.spleen.sd"):
        assert found[name].verdict == "not met"
        assert found[name].is_failure
    assert found["table3.cld.liver.bias"].verdict == "equal as printed"


def test_changed_cases_are_not_met(
    rows: list[Measurement], verdicts_of: Callable[..., dict[str, Any]], tmp_path: Path
) -> None:
    changed = [
        replace(row, volume_cm3=row.volume_cm3 * 1.01)
        if (row.condition, row.structure, row.reader) == ("cirrhosis", "liver", "dla")
        else row
        for row in rows
    ]
    found = verdicts_of(report_of(changed, tmp_path))
    assert found["table3.cirrhosis.liver.bias"].reproduced in ("0.24", "0.25")  # -0.75 and 2 / 2.01
    failures = {name for name, verdict in found.items() if verdict.is_failure}
    assert failures >= {"table3.cirrhosis.liver.bias", "table3.cirrhosis.ratio.bias", "table3.total.liver.bias"}
    assert not any(name.startswith(("table2", "table4", "rc.")) for name in failures)


def test_a_number_is_not_impossible_by_a_rule_whose_other_numbers_are_not_met(
    report: StatisticalReport, verdicts_of: Callable[..., dict[str, Any]]
) -> None:
    found = verdicts_of(report, {"table2.healthy.liver.mean": "0.971"})
    assert found["table2.healthy.liver.mean"].verdict == "not met"
    assert found["table2.healthy.liver.sd"].verdict == "not met"


def test_without_a_finding_of_the_audit_nothing_is_impossible(
    study: SimpleNamespace, numbers: Sequence[Any], rules: Sequence[Any], report: StatisticalReport
) -> None:
    reported = {"cells": [cell.to_dict() for cell in report.cells], "flow": {"assessed": None, "branches": []}}
    values = study.addresses.reproduced(numbers, study.addresses.values_of(reported))
    found = study.verdicts.verdicts(numbers, values, rules, {})
    assert {verdict.number.id for verdict in found if verdict.is_failure} >= IMPOSSIBLE


def test_report_follows_the_cases_and_not_the_names_of_the_groups(
    rows: list[Measurement], report: StatisticalReport, tmp_path: Path
) -> None:
    other = {"healthy": "cirrhosis", "cirrhosis": "fatty", "fatty": "healthy"}
    moved = report_of([replace(row, condition=other.get(row.condition, row.condition)) for row in rows], tmp_path)
    for table in ("table2", "table3"):
        before, after = report.table(table), moved.table(table)
        for old, new in other.items():
            assert {c: cell.text for c, cell in after[new].items()} == {c: cell.text for c, cell in before[old].items()}
        assert after["total"]["liver"].text == before["total"]["liver"].text


def test_report_follows_the_readers(rows: list[Measurement], report: StatisticalReport, tmp_path: Path) -> None:
    volumes = {(row.case_id, row.structure, row.reader): row.volume_cm3 for row in rows}
    swap = {"dla": "manual", "manual": "dla"}
    swapped = [replace(row, volume_cm3=volumes[row.case_id, row.structure, swap[row.reader]]) for row in rows]
    moved = report_of(swapped, tmp_path)
    for row, cells in report.table("table3").items():
        for index in ("liver", "spleen", "ratio"):
            assert moved.table("table3")[row][index].values["bias"] == pytest.approx(-cells[index].values["bias"])
    rc = moved.table("reproducibility")["liver"]
    assert (rc["dla"].text, rc["manual"].text) == tuple(
        report.table("reproducibility")["liver"][reader].text for reader in ("manual", "dla")
    )


def test_the_code_between_cases_and_cells_contains_no_published_number(numbers: Sequence[Any]) -> None:
    """No constant with three digits or more is printed in Tables 2 to 4 or for %RC."""
    tables = ("table2", "table3", "table4", "rc")
    printed = {n.printed.lstrip("-") for n in numbers if n.id.split(".")[0] in tables}
    specific = {text for text in printed if len(text.replace(".", "").lstrip("0")) >= 3} - {"0.975"}  # a quantile too
    assert len(specific) > 60
    files = [*(SOURCE / "evaluation").rglob("*.py"), SOURCE / "cli" / "report.py", SOURCE / "cohort" / "manifest.py"]
    for file in files:
        text = file.read_text(encoding="utf-8")
        assert "kjr2020" not in text
        assert "liverspleen.audit" not in text
        for constant in constants(ast.parse(text)):
            assert str(constant).lstrip("-") not in specific, f"{file.name}: {constant}"


def constants(tree: ast.Module) -> Iterator[object]:
    """Yield numbers and strings of the code, without docstrings."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, int | float | str):
            if isinstance(node.value, str) and "\n" in node.value:
                continue  # a docstring, or text
            yield node.value


def test_audit_of_the_transcription_finds_the_same_numbers(
    report: StatisticalReport, verdicts_of: Callable[..., dict[str, Any]]
) -> None:
    """The audit is another implementation of the rules, which uses only the printed numbers."""
    known = audit.read_published(STUDY / "published.csv").numbers
    claims = audit.read_claims(STUDY / "claims.yaml", known)
    found = {f.number.id: f for f in audit.audit(known.values(), claims.claims).findings if f.severity != "note"}
    shown = {name for name, verdict in verdicts_of(report).items() if verdict.verdict == "impossible"}
    assert shown >= IMPOSSIBLE
    assert shown - {"discussion.dss", "figure4.liver.lower"} <= found.keys(), sorted(shown - found.keys())
    tables = {name for name in found if name.startswith(("table2", "table3", "table4", "rc."))}
    assert tables - IMPOSSIBLE <= {"table2.total.liver.sd"}  # possible without the SD of healthy livers


def test_pooled_sd_is_that_of_the_pooled_values(study: SimpleNamespace) -> None:
    groups = [np.random.default_rng(k).normal(k, 1 + k, 5 + k) for k in range(3)]
    given = [(v, v) for group in groups for v in (group.mean(), group.std(ddof=1))]
    found = study.rules.pooled_sd([group.size for group in groups])(given)
    assert found == pytest.approx((np.concatenate(groups).std(ddof=1),) * 2)


def test_intervals_contain_all_samples_that_round_to_the_given_numbers(study: SimpleNamespace) -> None:
    rng = np.random.default_rng(5)

    def rounded(value: float, half: float) -> tuple[float, float]:
        return round(value / half / 2) * half * 2 - half, round(value / half / 2) * half * 2 + half

    for _ in range(200):
        sample = rng.beta(*rng.uniform(0.2, 3, 2), size=12)
        given = [rounded(value, 0.005) for value in (sample.mean(), sample.min(), sample.max())]
        assert sample.std(ddof=1) <= study.rules.sd_within_range(12)(given)[1]
        a, b = rng.normal(rng.normal(0, 2, (2, 1)), rng.uniform(0.5, 4, (2, 1)), (2, 12))
        ratio = 200 * np.tanh(np.arctanh(a / 200) - np.arctanh(b / 200))
        given = [rounded(v, 0.05) for x in (a, b) for v in (x.mean(), 1.96 * x.std(ddof=1))]
        low, high = study.rules.bias_of_ratio(12)(given)
        assert low <= ratio.mean() <= high


def test_fewest_numbers_are_excluded(study: SimpleNamespace) -> None:
    rule, point = study.rules.Rule, {"a": (1.0, 1.0), "b": (2.0, 2.0), "c": (3.0, 3.0)}
    both = [rule("same", "a", ("b",), study.rules.same), rule("same", "c", ("b",), study.rules.same)]
    assert study.rules.fewest_excluded(both, point) == {"b"}
    every = [*both, rule("same", "c", ("a",), study.rules.same)]
    assert study.rules.fewest_excluded(every, point) == {"a", "c"}  # both are derived, b is not
    assert study.rules.fewest_excluded(both, dict.fromkeys("abc", (1.0, 2.0))) == frozenset()


def test_impossible_targets_are_rejected(study: SimpleNamespace) -> None:
    targets = {"only": study.samples.Spread(30, (0.9745, 0.9755), (0.0165, 0.0175), (0.974, 0.974), (0.999, 0.999))}
    with pytest.raises(InputError, match="LS-EXP-010"):
        study.samples.sample_groups(np.random.default_rng(1), targets)


def test_unreadable_transcription_is_rejected_with_all_its_issues(study: SimpleNamespace, tmp_path: Path) -> None:
    path = tmp_path / "published.csv"
    path.write_text("id,place,row,column,quantity,printed,unit,n,note\na,,,,mean,~1,,,\na,,,,mean,1.0,,,\n")
    with pytest.raises(InputError) as rejected:
        study.transcription.read_published(path)
    assert [issue.code for issue in rejected.value.issues] == ["LS-EXP-011", "LS-EXP-011"]


@pytest.mark.parametrize("name", MODULES)
def test_examples_in_the_code_are_right(study: SimpleNamespace, name: str) -> None:
    assert doctest.testmod(getattr(study, name)).failed == 0


def test_an_unknown_argument_is_rejected(study: SimpleNamespace, capsys: pytest.CaptureFixture[str]) -> None:
    assert study.run.main(["outptu=x"]) == 2
    assert "LS-EXP-014" in capsys.readouterr().err


@pytest.mark.parametrize("argument", ["output=", "output"])
def test_no_folder_is_rejected(study: SimpleNamespace, capsys: pytest.CaptureFixture[str], argument: str) -> None:
    assert study.run.main([argument]) == 2
    assert "LS-EXP-014" in capsys.readouterr().err


def test_a_folder_that_cannot_be_written_is_one_line(
    study: SimpleNamespace, capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setattr(study.run, "examinations", lambda _: [])
    assert study.run.main([f"output={tmp_path / 'file' / 'below'}"]) == 1
    assert len(capsys.readouterr().err.splitlines()) == 1


def test_help_is_no_issue(study: SimpleNamespace, capsys: pytest.CaptureFixture[str]) -> None:
    assert study.run.main(["--help"]) == 0
    assert "output=" in capsys.readouterr().out


def test_a_cell_that_is_not_in_the_report_is_not_met(
    report: StatisticalReport, verdicts_of: Callable[..., dict[str, Any]]
) -> None:
    kept = tuple(cell for cell in report.cells if cell.to_dict()["table"] != "table3")
    found = verdicts_of(replace(report, cells=kept))
    missing = [verdict for name, verdict in found.items() if name.startswith("table3.")]
    assert len(missing) == 54
    assert all(verdict.is_failure for verdict in missing)
    assert found["table1.development.disease.nafld.count"].verdict == "not part of the report"


@pytest.mark.parametrize(
    ("printed", "value", "text"),
    [("≤ 5", 5.0, "≤ 5"), ("< 5", 5.0, "5.0"), ("≥ 5", 5.0, "≥ 5"), ("> 5", 5.0, "5.0"), ("≤ 5", 6.0, "6.0")],
)
def test_a_bound_holds_by_its_own_sign(study: SimpleNamespace, printed: str, value: float, text: str) -> None:
    number = study.transcription.PrintedNumber("a", "Discussion", "", "", "bound", printed)
    assert number.prints(value) == text


def test_numbers_that_are_not_equal_are_first_in_the_comparison(study: SimpleNamespace, tmp_path: Path) -> None:
    number = study.transcription.PrintedNumber("a", "Table 2", "<b>|", "liver", "sd", "0.017")
    found = [
        study.verdicts.Verdict(number, "0.005", "impossible", "a rule"),
        study.verdicts.Verdict(number, "", "not part of the report"),
    ]
    study.comparison.write_comparison(tmp_path, found)
    page = (tmp_path / "comparison.html").read_text(encoding="utf-8")
    assert page.index("Not equal as printed") < page.index("<h2>Table 2")
    assert page.count("a rule") == 2
    assert "<b>" not in page
    assert r"| Table 2 | <b>\| | liver | sd | 0.017 | 0.005 | impossible | a rule |" in (
        tmp_path / "comparison.md"
    ).read_text(encoding="utf-8")


@pytest.mark.slow
def test_one_command_writes_all_files(study: SimpleNamespace, tmp_path: Path) -> None:
    assert study.run.main([f"output={tmp_path}"]) == 0
    for name in ("comparison.csv", "comparison.md", "comparison.html", "report/report.html", "report/figures/flow.svg"):
        assert (tmp_path / name).stat().st_size > 1000
    assert list((tmp_path / "report" / "figures").glob("bland_altman_*.svg"))
    text = (tmp_path / "comparison.md").read_text(encoding="utf-8")
    assert "| Table 3 | 54 | 54 | 0 | 0 | 0 |" in text
    flow = json.loads((tmp_path / "report" / "report.json").read_text(encoding="utf-8"))["flow"]
    assert flow["unexplained"] == 2315 - (980 + 44 + 36 + 8) - 1183
