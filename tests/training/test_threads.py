"""Threads of a training: passive waiting, the default number, and the number of a resumed training."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from tiny import assert_equal_weights, train, weights

from liverspleen.processes import cores
from liverspleen.training.threads import default_threads, torch_threads


def printed(code: str, **variables: str) -> str:
    """Return what a new process prints, without the variables of this one about threads."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("OMP_")}
    command = [sys.executable, "-c", code]
    return subprocess.run(command, env=kept | variables, capture_output=True, text=True, check=True).stdout.strip()


@pytest.mark.parametrize("module", ["liverspleen", "liverspleen.cli.main", "liverspleen.training.fit"])
def test_threads_wait_passively_unless_the_user_chose_otherwise(module: str) -> None:
    code = f"""
import os, sys
class Watch:
    def find_spec(self, name, path=None, target=None):
        if name == "torch":
            print(os.environ.get("OMP_WAIT_POLICY"))
            sys.exit()
sys.meta_path.insert(0, Watch())
import {module}
import torch
"""
    assert printed(code) == "passive"
    assert printed(code, OMP_WAIT_POLICY="active") == "active"


def test_cores_are_those_of_the_affinity_and_of_the_limit_of_a_container(tmp_path: Path) -> None:
    allowed = len(os.sched_getaffinity(0))
    limit = tmp_path / "cpu.max"
    for text, expected in {
        "max 100000\n": allowed,
        "50000 100000\n": 1,
        "150000 100000\n": min(2, allowed),
        "9999900000 100000\n": allowed,
        "": allowed,
    }.items():
        limit.write_text(text)
        assert cores(limit) == expected
    assert cores(tmp_path / "absent") == allowed
    code = "import os; os.sched_setaffinity(0, {min(os.sched_getaffinity(0))}); " + (
        "from liverspleen.training.threads import default_threads; print(default_threads(1), default_threads(4))"
    )
    assert printed(code) == "1 1"
    assert printed(code, OMP_NUM_THREADS="3") == "3 3"


def test_the_variable_of_openmp_is_the_default(monkeypatch: pytest.MonkeyPatch) -> None:
    for text, expected in {"3": 3, "4,2": 4, "": cores(), "x": cores(), "0": cores(), "-2": cores()}.items():
        monkeypatch.setenv("OMP_NUM_THREADS", text)
        assert default_threads(1) == expected
    assert default_threads(10**6) == 1


def test_the_number_of_threads_ends_with_the_block(monkeypatch: pytest.MonkeyPatch) -> None:
    before = torch.get_num_threads()
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    with torch_threads(before + 2):
        assert torch.get_num_threads() == before + 2
        assert os.environ["OMP_NUM_THREADS"] == str(before + 2)
    assert torch.get_num_threads() == before
    assert "OMP_NUM_THREADS" not in os.environ


def recorded(run: Path) -> tuple[int, int]:
    """Threads in the checkpoint and in run.json."""
    found = torch.load(run / "last.ckpt", weights_only=True)["threads"]
    return found, json.loads((run / "run.json").read_text())["threads"]


def test_a_resumed_training_keeps_the_number_of_threads_unless_another_one_is_given(
    box_cohort: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    cohort, whole, cut = box_cohort(), tmp_path / "whole", tmp_path / "cut"
    plan = ("scheduler=constant",)
    monkeypatch.setenv("OMP_NUM_THREADS", "2")
    assert train(cohort, whole, *plan, steps=3, every=1) == 0
    assert train(cohort, cut, *plan, steps=1, every=1) == 0
    assert recorded(whole) == recorded(cut) == (2, 2)
    monkeypatch.setenv("OMP_NUM_THREADS", "1")  # a machine with other cores
    assert train(cohort, cut, *plan, steps=3, every=1) == 0
    assert recorded(cut) == (2, 2)
    assert_equal_weights(weights(whole), weights(cut))
    assert "LS-" not in capsys.readouterr().err
    assert train(cohort, cut, *plan, "trainer.threads=1", steps=4, every=1) == 0
    (line,) = [line for line in capsys.readouterr().err.splitlines() if "LS-" in line]
    assert line.startswith(f"warning: LS-TRN-027 file '{cut / 'last.ckpt'}': trainer.threads was 2, now 1: ")
    assert recorded(cut) == (1, 1)
