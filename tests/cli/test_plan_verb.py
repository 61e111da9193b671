"""`liverspleen plan`: the table, the file, and numbers that are missing or not used."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from liverspleen.cli.main import main


def test_a_plan_is_printed_and_written(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["question=loa", "sd=1", "half_width=0.34"]
    assert main(["plan", *words, f"output={tmp_path}"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "plan: loa, sd=1, half_width=0.34"
    assert lines[3].split() == ["exact,", "one", "limit,", "expected", "101", "0.3388", "0.525"]  # R: test_sample_size
    content = json.loads((tmp_path / "plan.json").read_text(encoding="utf-8"))
    assert content["given"] == {"sd": 1.0, "half_width": 0.34}
    assert [row["n"] for row in content["rows"]][:3] == [100, 101, 112]
    assert (tmp_path / "run.json").is_file()


def test_precision_and_power_of_given_cases_are_printed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["plan", "question=tost", "n=56", "sd=1", "margin=0.5", "bias=0.1"]) == 0
    assert capsys.readouterr().out.splitlines()[-1].split() == ["exact", "56", "0.9025"]  # R: test_sample_size
    assert main(["plan", "question=rc", "n=52", "rc_pct=10"]) == 0
    assert capsys.readouterr().out.splitlines()[-1].split() == ["chi-square", "52", "1.98", "–"]


def test_an_rc_too_large_for_its_interval_is_reported(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["plan", "question=rc", "rc_pct=30", "half_width=5", "repeats=3"]) == 0
    assert "note: LS-PLN-010: rc_pct=30" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (["question=power"], "LS-CFG-006: question=power is not one of the choices; use loa, rc, tost or cases"),
        (
            ["question=loa", "sd=1"],
            "LS-PLN-002: question=loa needs half_width=; give half_width=, or n= in place of half_width=",
        ),
        (["question=tost", "sd=1"], "LS-PLN-002: question=tost needs margin="),
        (
            ["question=loa", "sd=1", "half_width=1", "margin=2"],
            "LS-PLN-002: question=loa does not use margin=; remove margin=",
        ),
        (["question=loa", "sd=1", "half_width=1", "n=9"], "LS-PLN-002: question=loa with n= does not use half_width="),
        (["question=loa", "sd=-1", "half_width=1"], "LS-CFG-006: sd=-1 is not above 0"),
        (["question=tost", "sd=1", "margin=1", "bias=1"], "LS-PLN-003: bias 1.0 is not within the margin"),
        (["question=rc", "rc_pct=5", "half_width=1", "repeats=1"], "LS-CFG-006: repeats=1 is below 2"),
    ],
)
def test_an_invalid_plan_is_one_line(words: list[str], code: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["plan", *words]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(code)


def curve(file: Path, rows: list[str]) -> str:
    file.write_text("cases,seed,dss\n" + "".join(f"{row}\n" for row in rows), encoding="utf-8")
    return f"curve={file}"


def test_cases_of_a_learning_curve_are_printed_and_written(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """0.95 - 0.5 / n is 0.94 at 50 cases."""
    rows = [f"{n},{seed},{0.95 - 0.5 / n}" for seed in (0, 1) for n in (5, 10, 20, 40)] + ["80,0,"]
    words = ["question=cases", curve(tmp_path / "c.csv", rows), "dss=0.94", f"output={tmp_path / 'plan'}"]
    assert main(["plan", *words]) == 0
    printed = capsys.readouterr()
    assert printed.out.splitlines()[0] == "plan: cases, dss=0.94, 8 trainings with 5 to 40 cases"
    assert "a DSS of 0.94 needs 50 cases (95 % CI " in printed.out
    assert "LS-PLN-012" in printed.err
    content = json.loads((tmp_path / "plan" / "plan.json").read_text(encoding="utf-8"))
    assert (content["question"], content["curve"]["cases"]) == ("cases", 50)


@pytest.mark.parametrize(
    ("dss", "expected"),
    [  # the curve is 0.95 - 0.5 / sqrt(n): 2.04 cases, and 278 cases
        (0.6, "a DSS of 0.6 needs at most 10 cases, the smallest number tried"),
        (0.92, "this is more than the numbers tried: it holds only if the curve continues in the same way"),
    ],
)
def test_need_outside_of_the_numbers_tried_is_stated(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], dss: float, expected: str
) -> None:
    rows = [(n, 0.95 - 0.5 / n**0.5 + noise) for n in (10, 20, 40, 80) for noise in (-0.0005, 0.0005)]
    (tmp_path / "curve.csv").write_text("cases,dss\n" + "".join(f"{n},{one}\n" for n, one in rows))
    assert main(["plan", "question=cases", f"curve={tmp_path / 'curve.csv'}", f"dss={dss}"]) == 0
    assert expected in capsys.readouterr().out


def test_flat_curve_does_not_tell(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = [f"{n},{seed},{0.9 + 0.01 * (-1) ** (n + seed)}" for seed in (0, 1) for n in (5, 10, 21, 40)]
    assert main(["plan", "question=cases", curve(tmp_path / "c.csv", rows), "dss=0.95"]) == 0
    printed = capsys.readouterr()
    assert "the curve does not tell how many cases" in printed.out
    assert "LS-PLN-013" in printed.err


@pytest.mark.parametrize(
    ("rows", "code"),
    [(["5,0,0.8"], "LS-PLN-003"), (["5,0,good"], "LS-PLN-011"), ([], "LS-PLN-011")],
)
def test_table_that_cannot_be_used_is_one_line(
    rows: list[str], code: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["plan", "question=cases", curve(tmp_path / "c.csv", rows), "dss=0.95"]) == 2
    assert capsys.readouterr().err.startswith(code)
