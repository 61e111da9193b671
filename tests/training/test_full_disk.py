"""A disk that fills or cannot be written: one line, an exit code, and the previous checkpoint intact."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from tiny import train, words

pytestmark = pytest.mark.slow


def lines(err: str) -> list[str]:
    """Lines of errors, without those of warnings."""
    return [line for line in err.splitlines() if "LS-" in line and not line.startswith("warning: ")]


@pytest.mark.parametrize("seen", [True, False])
def test_full_disk_ends_the_training_and_keeps_the_checkpoint(
    seen: bool,
    box_cohort: Callable[..., Path],
    tmp_path: Path,
    small_disk: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Also if the disk is found to be full only during writing (a quota, another process)."""
    from liverspleen.training import checkpoint_files

    cohort, run, cache = box_cohort(), small_disk / "run", f"cache={tmp_path / 'cache'}"
    assert train(cohort, run, cache, steps=2) == 0
    before = (run / "last.ckpt").read_bytes()
    room = os.statvfs(run).f_bavail * os.statvfs(run).f_frsize
    (small_disk / "other").write_bytes(bytes(max(room - 100_000, 0)))
    if not seen:
        monkeypatch.setattr(checkpoint_files, "tensors", lambda _: iter(()))
        monkeypatch.setattr(checkpoint_files, "_OVERHEAD_BYTES", 0)
    capsys.readouterr()
    assert train(cohort, run, cache, steps=4) == 2  # unseen: no space for run.json either
    (line,) = lines(capsys.readouterr().err)
    assert line.startswith("LS-TRN-007" if seen else "LS-TRN-008")
    assert (run / "last.ckpt").read_bytes() == before
    (small_disk / "other").unlink()
    monkeypatch.undo()
    assert train(cohort, run, cache, steps=4) == 0


def test_disk_that_cannot_be_written_is_one_line(
    box_cohort: Callable[..., Path], tmp_path: Path, small_disk: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    cohort, run, cache = box_cohort(), small_disk / "run", f"cache={tmp_path / 'cache'}"
    assert train(cohort, run, cache, steps=2) == 0
    before = (run / "last.ckpt").read_bytes()
    subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)
    capsys.readouterr()
    assert train(cohort, run, cache, steps=4) == 2
    (line,) = lines(capsys.readouterr().err)
    assert line.startswith(f"LS-RUN-007 file '{run}': the folder cannot be written (Read-only file system)")
    assert (run / "last.ckpt").read_bytes() == before


def test_full_disk_of_weights_and_biases_does_not_affect_the_training(
    box_cohort: Callable[..., Path], tmp_path: Path, small_disk: Path
) -> None:
    """Its files are on another disk than those of the training."""
    pytest.importorskip("wandb")
    room = os.statvfs(small_disk).f_bavail * os.statvfs(small_disk).f_frsize
    (small_disk / "other").write_bytes(bytes(room))
    assert os.statvfs(small_disk).f_bavail == 0
    run = tmp_path / "run"
    run.mkdir()
    (run / "wandb").symlink_to(small_disk, target_is_directory=True)
    command = [sys.executable, "-m", "liverspleen", *words(box_cohort(), run, "logger=wandb", steps=2)]
    known = os.environ | {"CUDA_VISIBLE_DEVICES": "", "WANDB_MODE": "offline", "HOME": str(tmp_path)}
    done = subprocess.run(command, env=known, capture_output=True, text=True, timeout=240)
    assert done.returncode == 0, done.stderr[-3000:]
    written = [file for file in small_disk.rglob("*") if file.is_file() and file.name != "other"]
    assert written  # W&B has started to write there
    sizes = {str(file.relative_to(small_disk)): file.lstat().st_size for file in written if not file.is_symlink()}
    assert sum(sizes.values()) == 0, sizes  # and had no space
    assert len((run / "metrics.csv").read_text().splitlines()) > 1
    assert (run / "last.ckpt").exists()
    assert [line for line in lines(done.stderr) if "LS-TRN-010" not in line] == []
