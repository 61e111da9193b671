"""What a training shows and records while it runs: the screen, log files, metrics.csv and curves.png."""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image
from terminals import on_terminal
from tiny import train

import liverspleen.display as display_module
import liverspleen.training.curves as curves_module
import liverspleen.training.progress as progress_module
from liverspleen.training.gauges import Gauges
from liverspleen.training.metrics import MetricsFile
from liverspleen.training.pace import Pace

STAMP = r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d "


def rows(output: Path) -> list[dict[str, str]]:
    with (output / "metrics.csv").open(encoding="utf-8", newline="") as handle:
        return list(csv.DictReader(handle))


def test_a_terminal_has_one_bar_that_starts_at_the_resumed_step(
    box_cohort: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(display_module, "BAR_S", 0.0)
    cohort = box_cohort()
    train(cohort, tmp_path / "run", steps=2)
    written = on_terminal(lambda: train(cohort, tmp_path / "run", steps=4), monkeypatch, columns=160)
    assert "\x1b" not in written
    assert "train: steps: 2 of 4 done, 2 to do" in written
    bars = [part for part in re.split("[\r\n]+", written) if "|" in part]
    numbers = [int(found[1]) for bar in bars if (found := re.match(r"train: step (\d) of 4", bar))]
    assert len(numbers) == len(bars)  # a validation has no bar of its own
    assert (numbers[0], numbers[-1]) == (2, 4)
    assert numbers == sorted(numbers)
    assert any("validation batch 1 of " in bar for bar in bars)
    assert re.search(r"loss [\d.]+, learning rate [\de.-]+, DSS liver [\d.]+, spleen [\d.]+", bars[-1])


def test_a_log_file_has_readable_lines_and_a_long_training_is_a_warning(
    box_cohort: Callable[..., Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    curves: None,
) -> None:
    monkeypatch.setattr(progress_module, "LONG_S", 0.0)
    cohort = box_cohort()
    run = tmp_path / "run"
    rate = ("optimizer.lr=0.004", "scheduler=constant", "optimizer=paper")
    assert train(cohort, run, *rate, steps=2) == 0
    capsys.readouterr()
    assert train(cohort, run, *rate, steps=14, every=14) == 0
    out, err = capsys.readouterr()
    assert not {"\r", "\x1b"} & set(out + err)
    lines = out.splitlines()
    assert re.match(r"train: device: CPU .+ with \d+ threads?; precision 32-true$", lines[0])
    assert re.match(r"train: network: deeplab with [\d,]+ parameters$", lines[1])
    assert re.match(r"train: training: \d case.*, \d+ slices; validation: \d case.*, \d+ slices$", lines[2])
    assert lines[3] == "train: steps: 2 of 14 done, 12 to do"
    measured = (
        r"train: \S+ s per step, measured over steps 5 to 12; expected end \d{4}-\d\d-\d\d \d\d:\d\d, "
        r"in \d+ s, 1 validation included$"
    )
    assert re.match(measured, lines[4])
    assert lines[5].startswith("warning: LS-TRN-029: the remaining steps take about ")
    assert re.match(STAMP + "train: step 14 of 14, loss .*, learning rate 0.004, DSS liver ", lines[6])
    assert len(lines) == 7
    assert any("LS-TRN-029" in issue for issue in json.loads((run / "run.json").read_text())["issues"])
    # metrics.csv
    found = rows(run)
    assert list(found[0]) == ["step", "metric", "value", "learning_rate", "time_s", "peak_memory_mb"]
    assert {float(row["learning_rate"]) for row in found} == {0.004}
    seconds = [float(row["time_s"]) for row in found]
    assert seconds == sorted(seconds)
    assert 0 < seconds[0] < seconds[-1]
    assert {row["step"] for row in found if row["metric"] == "train/loss"} == {str(step) for step in range(14)}
    assert all(50 < float(row["peak_memory_mb"]) < 100_000 for row in found)
    # curves.png
    with Image.open(run / "curves.png") as picture:
        assert picture.size == (900, 900)
    assert "curves.png" in json.loads((run / "run.json").read_text())["outputs"]


def test_curves_that_cannot_be_drawn_are_one_warning(
    box_cohort: Callable[..., Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    curves: None,
) -> None:
    def fails(*_: Path) -> None:
        raise OSError("no space")

    monkeypatch.setattr(curves_module, "draw", fails)
    assert train(box_cohort(), tmp_path / "run", steps=4, every=2) == 0
    assert capsys.readouterr().err.count("LS-TRN-030") == 1


def test_learning_rate_is_that_of_the_step(box_cohort: Callable[..., Path], tmp_path: Path) -> None:
    train(box_cohort(), tmp_path / "run", "scheduler=polynomial", "scheduler.power=2", "optimizer.lr=0.008", steps=4)
    rates = {int(row["step"]): float(row["learning_rate"]) for row in rows(tmp_path / "run")}
    assert rates == pytest.approx({0: 0.008, 1: 0.0045, 2: 0.002, 3: 0.0005})  # 0.008 (1 - step / 4)²


def test_a_resumed_file_has_one_table_and_no_incomplete_row(tmp_path: Path) -> None:
    file = tmp_path / "metrics.csv"
    file.write_text("step,metric,value\n0,train/loss,1.5\n7,train/loss,1.0\n")
    MetricsFile(file, start=5, gauges=Gauges()).log_metrics({"train/loss": 0.5}, 9)
    header, first, second = file.read_text().splitlines()
    assert first == "0,train/loss,1.5,,,"  # of an earlier version
    assert second.startswith("9,train/loss,0.5,,0.00,")
    file.write_text(f"{header}\n{first}\n4,train/loss,0.25\n")
    MetricsFile(file, start=5, gauges=Gauges()).log_metrics({"train/loss": 0.5}, 9)
    assert [line.split(",")[0] for line in file.read_text().splitlines()] == ["step", "0", "9"]


def test_slow_steps_are_measured_for_a_minute_and_validations_when_they_were() -> None:
    pace = Pace(steps=1000, every=100, validation_steps=30)
    pace.add_step(25.0)  # longer than 20 s: no second step of warm-up
    for _ in range(2):
        pace.add_step(20.0)
    assert not pace.measured
    pace.add_step(26.0)
    assert pace.measured
    assert (pace.window, pace.step_s) == ((2, 4), 22.0)
    assert pace.left_s(4) == 996 * 22.0 + 10 * 30 * 22.0 / 3  # estimated
    pace.validations_s.append(100.0)
    assert pace.left_s(100) == 900 * 22.0 + 9 * 100.0
    assert pace.left_s(1000) == 0
    assert Pace(steps=10, every=None, validation_steps=0).validations_left(0) == 0
