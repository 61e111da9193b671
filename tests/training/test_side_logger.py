import socket
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from pytorch_lightning.loggers import Logger
from pytorch_lightning.loggers.logger import DummyLogger
from tiny import train, words

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
    (issue,) = issues  # that it did not finish follows from it
    assert "too slow" in issue.message


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


@pytest.mark.slow
def test_a_run_of_weights_and_biases_has_the_recipe_and_no_path_or_name_of_the_machine(
    box_cohort: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("wandb")
    cohort, run = box_cohort(), tmp_path / "Smith_John"
    monkeypatch.setattr("sys.argv", ["liverspleen", *words(cohort, run, "logger=wandb", steps=2)])
    for name in ("WANDB_HOST", "WANDB_PROGRAM"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("USER", "user-of-the-machine")
    assert train(cohort, run, "logger=wandb", "trainer.workers=0", steps=2) == 0
    (file,) = (run / "wandb").glob("offline-run-*/run-*.wandb")
    sent = {file.name: file.read_bytes()}
    sent |= {one.name: one.read_bytes() for one in (file.parent / "files").rglob("*") if one.is_file()}
    assert b"val/dss" in sent[file.name]
    assert b'"pyramid_channels":8' in sent[file.name].replace(b" ", b"")
    private = [str(tmp_path), tmp_path.name, "Smith_John", "cohort.csv", "cohort=", str(Path.home()), str(Path.cwd())]
    private += [socket.gethostname()] * (len(socket.gethostname()) > 3) + ["user-of-the-machine", sys.executable]
    assert [(name, word) for name, content in sent.items() for word in private if word.encode() in content] == []
    # a short name of a host can be a part of another text, so it is searched as a whole text of the protocol
    length = len(socket.gethostname()).to_bytes(1, "big")
    assert length + socket.gethostname().encode() not in sent[file.name]
