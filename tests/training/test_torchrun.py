"""Ranks started by `torchrun` instead of the first rank."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from tiny import split_file, words

pytestmark = [pytest.mark.ddp, pytest.mark.slow]
STILL = ("augmentation=none", "optimizer.lr=1e-30", "optimizer.weight_decay=0", "trainer.workers=0")


def finished(command: list[str]) -> str:
    """Standard output of a successful command."""
    known = os.environ | {"CUDA_VISIBLE_DEVICES": "", "OMP_NUM_THREADS": "1"}
    done = subprocess.run([sys.executable, *command], env=known, capture_output=True, text=True, timeout=240)
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout


def test_torchrun_with_2_processes_writes_what_one_process_writes(
    box_cohort: Callable[..., Path], tmp_path: Path
) -> None:
    """Weights do not change, so that the rows of validation equal those of one process, bit for bit."""
    cohort = box_cohort((7, 6, 3, 9, 4))
    split = split_file(cohort, tmp_path / "split.csv", ("p0", "p1"), ("p2", "p3", "p4"))
    more = (f"split={split}", f"cache={tmp_path / 'cache'}", "trainer=ddp", "trainer.accelerator=cpu", *STILL)
    size = {ranks: (f"trainer.devices={ranks}", f"trainer.batch_size={8 // ranks}") for ranks in (1, 2)}
    finished(["-m", "liverspleen", *words(cohort, tmp_path / "1", *more, *size[1], steps=2)])
    launcher = ["-m", "torch.distributed.run", "--standalone", "--nproc_per_node=2", "-m", "liverspleen"]
    output = finished([*launcher, *words(cohort, tmp_path / "2", *more, *size[2], steps=2)])
    assert output.count("train: training: 2 cases") == 1  # the first rank speaks
    one, two = ({file.name for file in (tmp_path / ranks).iterdir()} for ranks in ("1", "2"))
    assert one == two
    run = json.loads((tmp_path / "2" / "run.json").read_text())
    assert (run["status"], run["earlier"]) == ("done", [])
    tables = [(tmp_path / ranks / "validation.csv").read_text() for ranks in ("1", "2")]
    assert len(tables[0].splitlines()) == 1 + 2 * 3
    assert tables[0] == tables[1]
