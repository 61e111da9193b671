"""TensorBoard and MLflow: what they hold, also after a resumed training, and that no failure stops a training."""

from __future__ import annotations

import os
import socket
import sqlite3
import struct
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tiny import metrics, train

from liverspleen.errors import Issue
from liverspleen.training import side_logger
from liverspleen.training.loggers import side_loggers
from liverspleen.training.overlays import BOTH, PREDICTION, REFERENCE, overlay
from liverspleen.training.side_logger import SideLogger

SECRET = "geheim-word"


def events(folder: Path) -> Iterator[Any]:
    """Events of all files of a folder, in the order of TensorBoard; a record is length, checksum, data, checksum."""
    event_pb2 = pytest.importorskip("tensorboardX.proto.event_pb2")
    for file in sorted(folder.iterdir()):
        content = file.read_bytes()
        while content:
            (length,) = struct.unpack("<Q", content[:8])
            yield event_pb2.Event.FromString(content[12 : 12 + length])
            content = content[16 + length :]


def scalars(found: list[Any]) -> list[str]:
    """Rows of `metrics.csv` from events, in their order there, without rows that a resumed run replaced."""
    kept: list[Any] = []
    for event in found:
        if event.WhichOneof("what") == "session_log":
            kept = [one for one in kept if one.step < event.step]
        elif event.summary.value and event.summary.value[0].WhichOneof("value") == "simple_value":
            kept.append(event)
    return [f"{event.step},{one.tag},{one.simple_value:.6g}" for event in kept for one in event.summary.value]


def rows(output: Path) -> list[str]:
    cells = [line.split(",") for line in metrics(output)[1:]]
    return [f"{step},{name},{float(value):.6g}" for step, name, value, _ in cells]


def failing(words: str, folder: Path, **more: Any) -> tuple[SideLogger, list[Issue]]:
    choice = {"tensorboard": False, "mlflow": False, "wandb": False, "mlflow_uri": None, "mlflow_experiment": "test"}
    issues: list[Issue] = []
    (logger,) = side_loggers(choice | {words: True} | more, folder, {"seed": 1}, issues, start=0)
    return logger, issues


def log(logger: SideLogger) -> None:
    noise = np.random.default_rng(0).integers(256, size=(64, 64, 3), dtype=np.uint8)  # a large PNG
    for step in range(3):
        logger.log_metrics({"loss": 1.0}, step)
        logger.log_image("validation/1", noise, step)
    logger.finalize("success")


@pytest.fixture
def silent_server() -> Iterator[str]:
    """URL of a server that accepts connections and never answers."""
    with closing(socket.create_server(("127.0.0.1", 0))) as server:
        yield f"http://127.0.0.1:{server.getsockname()[1]}"


@pytest.fixture
def absent_server() -> str:
    with closing(socket.create_server(("127.0.0.1", 0))) as server:
        return f"http://127.0.0.1:{server.getsockname()[1]}"


@pytest.mark.slow
def test_tensorboard_and_mlflow_hold_the_metrics_and_images_also_of_a_resumed_training(
    box_cohort: Callable[..., Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("tensorboardX")
    pytest.importorskip("mlflow")
    cohort, run = box_cohort(), tmp_path / "run"
    for steps in (2, 4):
        assert train(cohort, run, "logger=tensorboard", "logger.mlflow=true", steps=steps) == 0
    assert "LS-TRN-010" not in capsys.readouterr().err
    found = list(events(run / "tensorboard"))
    assert len(list((run / "tensorboard").iterdir())) == 2
    assert scalars(found) == rows(run)
    images = [(event.step, one.tag) for event in found for one in event.summary.value if one.HasField("image")]
    assert images == [(1, "validation/1"), (3, "validation/1")]  # one validation case, after steps 2 and 4
    with closing(sqlite3.connect(run / "mlflow" / "mlflow.db")) as database:
        logged = database.execute("SELECT step, key, value FROM metrics ORDER BY step, timestamp, key").fetchall()
        assert [f"{step},{name},{value:.6g}" for step, name, value in logged] == rows(run)
        assert database.execute("SELECT count(*), max(status) FROM runs").fetchone() == (1, "FINISHED")
        assert ("optimizer.lr",) in database.execute("SELECT key FROM params").fetchall()
        assert not [row for row in database.execute("SELECT * FROM tags").fetchall() if str(tmp_path) in str(row)]
    assert len(list((run / "mlflow" / "images").rglob("*.png"))) == 2


def test_later_session_of_tensorboard_starts_at_the_resumed_step(tmp_path: Path) -> None:
    """TensorBoard ignores the rows of the interrupted training from that step on."""
    pytest.importorskip("tensorboardX")
    from liverspleen.training.tensorboard import TensorBoardFile

    for start, value in ((0, 1.0), (2, 0.5)):
        writer = TensorBoardFile(tmp_path, start=start)
        for step in range(start, 4):
            writer.log_metrics({"loss": value, "epoch": 0}, step)
        writer.finalize("success")
    assert scalars(list(events(tmp_path))) == ["0,loss,1", "1,loss,1", "2,loss,0.5", "3,loss,0.5"]


def test_outlines_are_drawn_on_the_pixels_of_the_border() -> None:
    """Squares of 4 x 4 pixels have 12 border pixels; the prediction is moved by one column."""
    reference, prediction = np.zeros((2, 8, 8), np.uint8)
    reference[2:6, 1:5] = 1
    prediction[2:6, 2:6] = 1
    picture = overlay(torch.full((4, 4), 40, dtype=torch.int16), reference, prediction)
    kinds = {colour: int((picture == colour).all(axis=2).sum()) for colour in (REFERENCE, PREDICTION, BOTH)}
    assert kinds == {REFERENCE: 6, PREDICTION: 6, BOTH: 6}
    assert picture[0, 0].tolist() == [128, 128, 128]  # 40 HU is the centre of the window
    assert picture[2, 1].tolist() == [*REFERENCE]
    assert picture[2, 5].tolist() == [*PREDICTION]
    assert picture[2, 3].tolist() == [*BOTH]


def test_large_slices_are_shown_with_at_most_512_pixels() -> None:
    labels = np.zeros((600, 1100), np.uint8)
    assert overlay(torch.zeros(600, 1100), labels, labels).shape == (200, 367, 3)


def test_images_that_a_logger_does_not_receive_need_no_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(side_logger, "_WAIT_S", 0.01)
    release, image = threading.Event(), np.zeros((4, 4, 3), np.uint8)
    logger = SideLogger("service", release.wait, [])
    for step in range(100):
        logger.log_image("validation/1", image, step)
    assert logger._calls.qsize() <= 16
    logger.finalize("success")
    release.set()


def test_server_of_mlflow_that_never_answers_is_one_line(
    tmp_path: Path, silent_server: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("mlflow")
    monkeypatch.setattr(side_logger, "_WAIT_S", 2.0)
    logger, issues = failing("mlflow", tmp_path, mlflow_uri=silent_server)
    log(logger)
    assert [str(issue) for issue in issues] == [
        "LS-TRN-010: MLflow did not finish within 2 s; read metrics.csv, which is complete"
    ]


def test_absent_server_of_mlflow_is_one_line(
    tmp_path: Path, absent_server: str, capfd: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("mlflow")
    logger, issues = failing("mlflow", tmp_path, mlflow_uri=absent_server)
    log(logger)
    (issue,) = issues
    assert issue.message.startswith("MLflow failed (MlflowException: API request to ")
    assert "\n" not in issue.message
    assert capfd.readouterr().err == ""


def fill(disk: Path) -> None:
    """Write until the disk is full; the thread of the logger may write at the same time."""
    with suppress(OSError), (disk / "other").open("wb", buffering=0) as file:
        while True:
            file.write(bytes(os.statvfs(disk).f_frsize))


@pytest.mark.parametrize("logger", ["tensorboard", "mlflow"])
def test_disk_of_a_logger_that_fills_is_one_line(
    logger: str, tmp_path: Path, small_disk: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip({"tensorboard": "tensorboardX"}.get(logger, logger))
    (tmp_path / logger).symlink_to(small_disk, target_is_directory=True)
    failed, issues = failing(logger, tmp_path)
    failed.log_metrics({"loss": 1.0}, 0)
    until = time.monotonic() + 60
    while not any(small_disk.glob("[er][vu]*")) and time.monotonic() < until:  # the event file, or run_id
        time.sleep(0.01)
    assert issues == []
    fill(small_disk)
    log(failed)
    (issue,) = issues
    assert issue.code == "LS-TRN-010"
    assert "No space left on device" in issue.message or "disk is full" in issue.message
    assert capfd.readouterr().err == ""


@pytest.mark.slow
def test_training_ends_although_every_logger_fails_and_no_file_has_the_password(
    box_cohort: Callable[..., Path],
    tmp_path: Path,
    absent_server: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    pytest.importorskip("mlflow")
    pytest.importorskip("tensorboardX")
    release = threading.Event()
    monkeypatch.setattr("pytorch_lightning.loggers.WandbLogger", lambda **_: release.wait())
    monkeypatch.setattr(side_logger, "_WAIT_S", 10.0)
    cohort, run = box_cohort(), tmp_path / "run"
    run.mkdir()
    (run / "tensorboard").write_text("not a folder")
    uri = absent_server.replace("://", f"://me:{SECRET}@")
    given = ["logger=tensorboard", "logger.mlflow=true", f"logger.mlflow_uri={uri}", "logger.wandb=true"]
    monkeypatch.setattr("sys.argv", ["liverspleen", "train", *given])
    assert train(cohort, run, *given) == 0
    release.set()
    printed = "".join(capsys.readouterr())
    found = sorted(line for line in printed.splitlines() if "LS-TRN-010" in line)
    assert [line.split(" (")[0] for line in found] == [
        "warning: LS-TRN-010: MLflow failed",
        "warning: LS-TRN-010: TensorBoard failed",
        "warning: LS-TRN-010: Weights & Biases did not finish within 10 s; read metrics.csv, which is complete",
    ]
    assert SECRET not in printed
    assert '"mlflow_uri": "<not shown>"' in (run / "run.json").read_text()
    assert [file for file in tmp_path.rglob("*") if file.is_file() and SECRET.encode() in file.read_bytes()] == []


def test_url_that_is_none_of_a_server_is_rejected_and_not_repeated(capsys: pytest.CaptureFixture[str]) -> None:
    assert train(Path("cohort.csv"), Path("run"), f"logger.mlflow_uri=postgresql://me:{SECRET}@host/x") == 2
    err = capsys.readouterr().err
    assert "LS-CFG-006: logger.mlflow_uri= does not start with http:// or https://" in err
    assert SECRET not in err
