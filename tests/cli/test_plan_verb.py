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
        (["question=power"], "LS-CFG-006: question=power is not one of the choices; use loa, rc or tost"),
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
