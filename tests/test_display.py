"""Progress over cases: a bar on a terminal, elsewhere lines with the time."""

from __future__ import annotations

import re

import pytest
from terminals import on_terminal

import liverspleen.display as display_module
from liverspleen.processes import progress, say


def work(total: int | None = 3) -> None:
    with progress("predict", total) as advance:
        say("predict: 3 cases")
        for name in ("a", "b\n\x1b[A", "c"):
            advance(name)


@pytest.mark.parametrize("columns", [100, 0])
def test_a_terminal_shows_one_bar_and_lines_above_it(columns: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(display_module, "BAR_S", 0.0)
    written = on_terminal(work, monkeypatch, columns=columns)
    assert "\x1b" not in written
    states = [re.sub(r" *\|.*", "", part) for part in re.split("[\r\n]+", written) if part.strip()]
    assert list(dict.fromkeys(states)) == [
        "predict: 0 of 3 cases",
        "predict: 3 cases",
        "predict: 1 of 3 cases, 0 s left, a",
        "predict: 2 of 3 cases, 0 s left, b\\n\\x1b[A",
        "predict: 3 of 3 cases, 0 s left, c",
        "predict: 3 cases in 0 s",
    ]


@pytest.mark.parametrize(("pause_s", "lines"), [(60.0, 1), (0.0, 4)])
def test_a_file_gets_lines_with_the_time(
    pause_s: float, lines: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(display_module, "LINE_S", pause_s)
    work()
    out, err = capsys.readouterr()
    assert out == "predict: 3 cases\n"
    assert not {"\r", "\x1b"} & set(err)
    stamp = r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d "
    assert len(err.splitlines()) == lines
    assert all(re.match(stamp + "predict: [0-3] (of 3 )?cases", line) for line in err.splitlines())
    assert re.fullmatch(stamp + "predict: 3 cases in 0 s", err.splitlines()[-1])


def test_an_unknown_number_of_cases_is_not_stated(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(display_module, "LINE_S", 0.0)
    work(None)
    assert "predict: 2 cases, b" in capsys.readouterr().err
