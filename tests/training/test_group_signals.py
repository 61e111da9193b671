"""Signals that reach all processes of a training, as terminals, `timeout` and SLURM send them."""

import json
import multiprocessing
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from group_signal import Case
from test_resuming import at_step
from tiny import assert_same_result, train, words

DRIVER = Path(__file__).with_name("group_signal.py")


def test_ctrl_c_that_reaches_the_loader_processes_saves_the_step(
    box_cohort: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupt() -> None:
        loaders = multiprocessing.active_children()
        assert len(loaders) >= 2
        for pid in [*(one.pid for one in loaders), os.getpid()]:
            os.kill(pid, signal.SIGINT)

    cohort, whole, cut = box_cohort(), tmp_path / "whole", tmp_path / "cut"
    with monkeypatch.context() as patch:
        at_step(patch, 4, interrupt)
        assert train(cohort, cut, "trainer.workers=2", steps=7, every=3) == 1
    (line,) = [line for line in capsys.readouterr().err.splitlines() if line.startswith("LS-")]
    assert line == "LS-RUN-002: interrupted, step 5 is saved; run the same command again to resume"
    assert train(cohort, cut, "trainer.workers=1", steps=7, every=3) == 0
    assert train(cohort, whole, steps=7, every=3) == 0
    assert_same_result(whole, cut)


STEPS = [
    ("step", 4, number, workers, 5)
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1)
    for workers in (0, 1, 2, 4)
]
OTHER_PLACES = [  # place, call, signal, workers, saved step; None: the training has not started
    ("step", 4, signal.SIGHUP, 2, 5),
    ("validation", 1, signal.SIGTERM, 2, 6),
    ("checkpoint", 0, signal.SIGINT, 2, 3),
    ("start", 0, signal.SIGUSR1, 2, 0),
    ("setup", 0, signal.SIGTERM, 2, None),
    ("parts", 0, signal.SIGUSR1, 2, None),
]


@pytest.mark.slow
def test_each_signal_to_the_group_interrupts_and_the_same_command_resumes_exactly(
    box_cohort: Callable[..., Path], tmp_path: Path
) -> None:
    cohort, whole, table = box_cohort(), tmp_path / "whole", tmp_path / "cases.json"
    cache = f"cache={tmp_path / 'cache'}"
    assert train(cohort, whole, cache, steps=7, every=3) == 0
    expected = [*STEPS, *OTHER_PLACES]
    cases = []
    for index, (place, call, number, workers, _) in enumerate(expected):
        more = (cache, f"trainer.workers={workers}")
        arguments = words(cohort, tmp_path / str(index), *more, steps=7, every=3)
        cases.append(Case(place, call, number, arguments, str(tmp_path / f"{index}.txt")))
    table.write_text(json.dumps(cases))
    run = subprocess.run([sys.executable, str(DRIVER), str(table)], capture_output=True, text=True, timeout=500)
    assert run.returncode == 0, run.stderr
    assert json.loads(run.stdout[run.stdout.rindex("[") :]) == [1] * len(cases)
    for index, (*_, saved) in enumerate(expected):
        text, folder = (tmp_path / f"{index}.txt").read_text(), tmp_path / str(index)
        added = "" if saved is None else f", step {saved} is saved"
        assert text.count("LS-") == 1, text
        assert f"LS-RUN-002: interrupted{added}; run the same command again to resume" in text, text
        assert "Traceback" not in text
        assert (folder / "last.ckpt").exists() == (saved is not None)
        if saved is not None:
            assert torch.load(folder / "last.ckpt", weights_only=True)["global_step"] == saved
        if index % 4 == 2 or saved != 5:
            assert train(cohort, folder, cache, steps=7, every=3) == 0
            assert_same_result(whole, folder)
