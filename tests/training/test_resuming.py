"""A training that was stopped, damaged or extended resumes, or reports why it cannot."""

import json
import os
import shutil
import signal
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from pytorch_lightning.trainer.connectors.signal_connector import _SignalConnector
from safetensors import safe_open
from tiny import assert_equal_weights, assert_same_result, split_file, train, weights

from liverspleen.training import checkpoint_files
from liverspleen.training.module import SegmentationModule
from liverspleen.training.resumption import replan


def at_step(monkeypatch: pytest.MonkeyPatch, step: int, act: Callable[[], object]) -> None:
    """Call `act` in the middle of that step."""
    whole = SegmentationModule.training_step

    def disturbed(self: SegmentationModule, batch: object, index: int) -> torch.Tensor:
        loss = whole(self, batch, index)  # type: ignore[arg-type]
        if self.global_step == step:
            act()
        return loss

    monkeypatch.setattr(SegmentationModule, "training_step", disturbed)


@pytest.mark.parametrize(
    "number",
    [
        signal.SIGTERM,
        pytest.param(signal.SIGINT, marks=pytest.mark.slow),
        pytest.param(signal.SIGUSR1, marks=pytest.mark.slow),
    ],
)
def test_after_a_signal_the_same_command_resumes_to_the_uninterrupted_result(
    number: int, box_cohort: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cohort, whole, cut = box_cohort(), tmp_path / "whole", tmp_path / "cut"
    assert train(cohort, whole, steps=7, every=3) == 0
    with monkeypatch.context() as patch:
        at_step(patch, 4, lambda: os.kill(os.getpid(), number))
        assert train(cohort, cut, steps=7, every=3) == 1
    assert torch.load(cut / "last.ckpt", weights_only=True)["global_step"] == 5  # not a multiple of 3
    assert train(cohort, cut, steps=7, every=3) == 0
    assert_same_result(whole, cut)
    assert signal.getsignal(signal.SIGTERM) == signal.SIG_DFL


def test_a_second_sigterm_does_not_prevent_the_run_record(
    box_cohort: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ended, over = [], _SignalConnector.teardown

    def again(self: _SignalConnector) -> None:
        over(self)  # Lightning restores the signal handlers
        os.kill(os.getpid(), signal.SIGTERM)

    monkeypatch.setattr(_SignalConnector, "teardown", again)
    before = signal.signal(signal.SIGTERM, lambda *_: ended.append(1))  # instead of the end of the process
    try:
        at_step(monkeypatch, 2, lambda: os.kill(os.getpid(), signal.SIGTERM))
        assert train(box_cohort(), tmp_path / "run", steps=4) == 1
        os.kill(os.getpid(), signal.SIGTERM)
    finally:
        signal.signal(signal.SIGTERM, before)
    assert ended == [1]  # the last one, after the training
    assert json.loads((tmp_path / "run/run.json").read_text())["status"] == "failed"


@pytest.mark.slow
def test_dropout_and_average_resume_exactly(
    box_cohort: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cohort, whole, cut = box_cohort(), tmp_path / "whole", tmp_path / "cut"
    recipe = ("network.dropout=0.5", "trainer.ema_decay=0.9", "trainer.accumulate=2", "trainer.batch_size=2")
    assert train(cohort, whole, *recipe, steps=5) == 0
    with monkeypatch.context() as patch:
        at_step(patch, 2, lambda: os.kill(os.getpid(), signal.SIGTERM))
        assert train(cohort, cut, *recipe, steps=5) == 1
    assert train(cohort, cut, *recipe, steps=5) == 0
    assert_same_result(whole, cut)


@pytest.mark.slow
def test_damaged_last_checkpoint_falls_back_to_the_best_one_with_a_warning(
    box_cohort: Callable[..., Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    cohort, run = box_cohort(), tmp_path / "run"
    assert train(cohort, run, steps=2) == 0
    shutil.copytree(run, tmp_path / "whole")
    content = bytearray((run / "last.ckpt").read_bytes())
    content[len(content) // 2] ^= 1  # one bit, among the weights
    (run / "last.ckpt").write_bytes(content)
    assert train(cohort, run, steps=4) == 0
    assert train(cohort, tmp_path / "whole", steps=4) == 0
    warned = [line for line in capsys.readouterr().err.splitlines() if "LS-TRN-005" in line]
    assert len(warned) == 1
    assert warned[0].startswith("warning: LS-TRN-005")
    assert_same_result(tmp_path / "whole", run)


def test_folder_without_a_readable_checkpoint_is_rejected(
    box_cohort: Callable[..., Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    cohort, run = box_cohort(), tmp_path / "run"
    assert train(cohort, run, steps=2) == 0
    for name in ("last.ckpt", "best.ckpt"):
        (run / name).write_bytes((run / name).read_bytes()[:-200])
    assert train(cohort, run, steps=4) == 2
    assert [line[:10] for line in capsys.readouterr().err.splitlines() if line.startswith("LS-")] == ["LS-TRN-005"]


@pytest.mark.slow
def test_more_steps_at_a_constant_rate_equal_a_training_planned_for_them(
    box_cohort: Callable[..., Path], tmp_path: Path
) -> None:
    cohort = box_cohort()
    assert train(cohort, tmp_path / "whole", "scheduler=constant", steps=6) == 0
    assert train(cohort, tmp_path / "more", "scheduler=constant", steps=2) == 0
    assert train(cohort, tmp_path / "more", "scheduler=constant", steps=6) == 0
    for name in ("last.ckpt", "best.ckpt"):
        assert_equal_weights(weights(tmp_path / "whole", name), weights(tmp_path / "more", name))


def test_more_steps_at_a_decaying_rate_are_trained_with_a_warning(
    box_cohort: Callable[..., Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    cohort, run = box_cohort(), tmp_path / "run"
    assert train(cohort, run, steps=2) == 0
    assert train(cohort, run, steps=4) == 0
    assert "warning: LS-TRN-011" in capsys.readouterr().err
    rate = torch.load(run / "last.ckpt", weights_only=True)["optimizer_states"][0]["param_groups"][0]["lr"]
    assert rate == 0.0  # after the last step of the new plan


def test_replanned_rate_is_that_of_the_new_number_of_steps() -> None:
    schedule = {"total_iters": 10, "power": 2, "last_epoch": 10, "base_lrs": [0.4], "_last_lr": [0.0]}
    checkpoint = {"lr_schedulers": [schedule], "optimizer_states": [{"param_groups": [{"lr": 0.0}]}]}
    replan(checkpoint, 20)
    assert checkpoint["optimizer_states"][0]["param_groups"][0]["lr"] == pytest.approx(0.1)  # 0.4 (1 - 10/20)^2


def test_nan_loss_stops_with_cases_and_slices_and_keeps_the_last_checkpoint(
    box_cohort: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    whole = SegmentationModule.training_step

    def broken(self: SegmentationModule, batch: object, index: int) -> torch.Tensor:
        loss = whole(self, batch, index)  # type: ignore[arg-type]
        return loss * torch.nan if self.global_step == 3 else loss

    cohort, run = box_cohort(), tmp_path / "run"
    assert train(cohort, tmp_path / "good", steps=2) == 0
    monkeypatch.setattr(SegmentationModule, "training_step", broken)
    assert train(cohort, run, "scheduler=constant", steps=6) == 2
    (line,) = [line for line in capsys.readouterr().err.splitlines() if "LS-TRN" in line]
    assert line.startswith("LS-TRN-006: loss or gradient of step 4 is NaN or inf, at 'c")
    assert line.count("slice") == 4 + 1  # a batch of four, and the hint
    assert torch.load(run / "last.ckpt", weights_only=True)["global_step"] == 2
    assert all(torch.isfinite(value).all() for value in weights(run).values())


@pytest.mark.parametrize("message", [None, "CUDA error: out of memory", "CUBLAS_STATUS_ALLOC_FAILED when calling it"])
def test_out_of_memory_is_one_line_with_a_hint(
    message: str | None,
    box_cohort: Callable[..., Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def hungry() -> None:
        if message:
            raise RuntimeError(message)
        torch.empty(1 << 55)

    at_step(monkeypatch, 1, hungry)
    assert train(box_cohort(), tmp_path / "run") == 2
    (line,) = [line for line in capsys.readouterr().err.splitlines() if line.startswith("LS-")]
    assert line.startswith("LS-TRN-009: out of memory at step 2 with trainer.batch_size=4")


def test_full_disk_keeps_the_previous_checkpoint(
    box_cohort: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    cohort, run = box_cohort(), tmp_path / "run"
    assert train(cohort, run, steps=2) == 0
    before = (run / "last.ckpt").read_bytes()
    small = shutil._ntuple_diskusage(10**9, 10**9, 0)
    monkeypatch.setattr(checkpoint_files.shutil, "disk_usage", lambda _: small)
    assert train(cohort, run, steps=4) == 2
    assert "LS-TRN-007" in capsys.readouterr().err
    assert (run / "last.ckpt").read_bytes() == before
    assert not list(run.glob(".part-*"))


def test_training_ends_when_dss_has_not_risen_for_the_patience(
    box_cohort: Callable[..., Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    cohort, run = box_cohort(), tmp_path / "run"
    still = ("optimizer.lr=1e-30", "trainer.patience=1", "augmentation=none")
    assert train(cohort, run, *still, steps=9, every=1) == 0
    done = torch.load(run / "last.ckpt", weights_only=True)
    assert done["stale"] == 1
    assert done["global_step"] < 9
    assert train(cohort, run, *still, steps=9, every=1) == 0
    assert "nothing to do" in capsys.readouterr().out


def test_validation_does_not_change_the_training(box_cohort: Callable[..., Path], tmp_path: Path) -> None:
    cohort = box_cohort()
    for name, validation in (("with", ("p2", "p3")), ("without", ())):
        split = split_file(cohort, tmp_path / f"{name}.csv", ("p0", "p1"), validation)
        assert train(cohort, tmp_path / name, f"split={split}", "network.dropout=0.5", steps=5) == 0
    assert_equal_weights(weights(tmp_path / "with"), weights(tmp_path / "without"))


def test_safetensors_have_the_best_weights_and_the_description(box_cohort: Callable[..., Path], tmp_path: Path) -> None:
    cohort = box_cohort(condition=["fatty", "", "fatty", "cld"], origin=["phantom", "phantom", "", "phantom"])
    split = split_file(cohort, tmp_path / "split.csv", ("p0", "p1", "p2"), ("p3",))
    assert train(cohort, tmp_path / "run", f"split={split}") == 0
    best = weights(tmp_path / "run", "best.ckpt")
    with safe_open(tmp_path / "run" / "model.safetensors", "pt") as file:
        assert {f"network.{name}" for name in file.keys()} == set(best)  # noqa: SIM118 - no mapping
        assert all(torch.equal(file.get_tensor(name.removeprefix("network.")), value) for name, value in best.items())
        about = json.loads(file.metadata()["liverspleen"])
    assert about["structures"] == {"background": 0, "liver": 1, "spleen": 2}
    assert about["origins"] == {"": 1, "phantom": 2}
    assert about["training"] == {
        "cases": 3,
        "patients": 3,
        "organs": {"liver": 3, "spleen": 3},
        "conditions": {"": 1, "fatty": 2},
        "origins": {"": 1, "phantom": 2},
        "corrections": {},
    }
    assert about["validation"] == {
        "cases": 1,
        "patients": 1,
        "organs": {"liver": 1, "spleen": 1},
        "conditions": {"cld": 1},
        "origins": {"phantom": 1},
        "corrections": {},
    }
    assert about["taught_organs"] == ["liver", "spleen"]


@pytest.mark.slow
def test_average_is_used_for_prediction(box_cohort: Callable[..., Path], tmp_path: Path) -> None:
    cohort = box_cohort()
    assert train(cohort, tmp_path / "plain", steps=1) == 0
    assert train(cohort, tmp_path / "mean", "trainer.ema_decay=0.999", steps=1) == 0
    content = torch.load(tmp_path / "mean" / "last.ckpt", weights_only=True)
    assert_equal_weights(content["trained_state_dict"], weights(tmp_path / "plain"))
    name = "network.head.weight"
    assert not torch.equal(content["state_dict"][name], content["trained_state_dict"][name])
