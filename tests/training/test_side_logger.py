import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from pytorch_lightning.loggers import Logger
from pytorch_lightning.loggers.logger import DummyLogger
from tiny import train

from liverspleen.errors import Issue
from liverspleen.training import side_logger
from liverspleen.training.side_logger import SideLogger


class Kept(DummyLogger):
    def __init__(self) -> None:
        super().__init__()
        self.rows: list[tuple[dict[str, float], int | None]] = []

    def log_metrics(self, metrics: dict[str, float], step: int | None = None) -> None:  # type: ignore[override]
        self.rows.append((metrics, step))


def test_rows_are_logged_in_order() -> None:
    kept, issues = Kept(), list[Issue]()
    logger = SideLogger("service", lambda: kept, issues)
    for step in range(20):
        logger.log_metrics({"loss": step / 2}, step)
    logger.finalize("success")
    assert kept.rows == [({"loss": step / 2}, step) for step in range(20)]
    assert issues == []


def test_service_that_is_not_installed_gives_one_warning() -> None:
    def absent() -> Logger:
        raise ModuleNotFoundError("no module named 'service'")

    issues: list[Issue] = []
    logger = SideLogger("service", absent, issues)
    for step in range(3):
        logger.log_metrics({"loss": 1.0}, step)
    logger.finalize("success")
    assert [(issue.code, issue.severity) for issue in issues] == [("LS-TRN-010", "warning")]


def test_service_that_hangs_does_not_delay_the_caller(monkeypatch: pytest.MonkeyPatch) -> None:
    release, issues = threading.Event(), list[Issue]()

    def hung() -> Logger:
        release.wait()
        return Kept()

    monkeypatch.setattr(side_logger, "_WAIT_S", 0.2)
    monkeypatch.setattr(side_logger, "_MAX_PENDING", 5)
    logger = SideLogger("service", hung, issues)
    began = time.monotonic()
    for step in range(50):
        logger.log_metrics({"loss": 1.0}, step)
    logger.finalize("success")
    assert time.monotonic() - began < 50 * 0.2  # it waits at the end, not at each step
    release.set()
    assert ["too slow" in issue.message for issue in issues] == [True, False]
    assert "did not finish" in issues[1].message


def test_hung_weights_and_biases_does_not_delay_a_training(
    box_cohort: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    release = threading.Event()

    def hung(**_: object) -> Logger:
        release.wait()
        return Kept()

    monkeypatch.setattr("pytorch_lightning.loggers.WandbLogger", hung)
    monkeypatch.setattr(side_logger, "_WAIT_S", 0.2)
    assert train(box_cohort(), tmp_path / "run", "logger=wandb", steps=2) == 0
    release.set()
    (line,) = (line for line in capsys.readouterr().err.splitlines() if "LS-" in line)
    assert line.startswith("warning: LS-TRN-010: Weights & Biases did not finish")
    assert (tmp_path / "run" / "last.ckpt").exists()
