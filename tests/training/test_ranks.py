"""Training in several processes on the CPU, compared with one process."""

import csv
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch
from tiny import metrics, split_file, train, words

from liverspleen.data.module import cases_by_rank

pytestmark = [pytest.mark.ddp, pytest.mark.slow]
FROZEN = Path(__file__).with_name("frozen.py")
SEVEN = (3, 9, 4, 5, 2, 6, 8)  # slices of the validation cases
STILL = (
    "augmentation=none",
    "loss.dice_weight=0",
    "optimizer.lr=1e-30",
    "optimizer.weight_decay=0",
    "trainer.workers=0",
)


_STARTED: list["subprocess.Popen[str]"] = []


@pytest.fixture(autouse=True)
def no_running_processes() -> Iterator[None]:
    """End the processes of a failed test, which would disturb later tests."""
    yield
    for process in _STARTED:
        if process.poll() is None:
            process.kill()
            process.communicate()
    _STARTED.clear()


def started(command: list[str], **environment: str) -> "subprocess.Popen[str]":
    known = os.environ | {"CUDA_VISIBLE_DEVICES": "", "OMP_NUM_THREADS": "1", **environment}
    _STARTED.append(subprocess.Popen(command, env=known, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True))
    return _STARTED[-1]


def finished(command: list[str], **environment: str) -> "subprocess.CompletedProcess[str]":
    process = started(command, **environment)
    out, err = process.communicate(timeout=240)
    return subprocess.CompletedProcess(command, process.returncode, out, err)


_DONE: dict[int, Path] = {}


@pytest.fixture
def outcomes(box_cohort: Callable[..., Path], tmp_path: Path) -> dict[int, Path]:
    """Output folders of the same training on 1, 2 and 3 ranks, 12 slices a step each; weights stay at the start."""
    if _DONE:  # trained once for all tests
        return _DONE
    cohort = box_cohort((7, 6, *SEVEN))
    names = tuple(f"p{index}" for index in range(2 + len(SEVEN)))
    split = split_file(cohort, tmp_path / "split.csv", names[:2], names[2:])
    for ranks in (1, 2, 3):
        output = tmp_path / str(ranks)
        more = (f"split={split}", f"cache={tmp_path / 'cache'}", "trainer=ddp", "trainer.accelerator=cpu", *STILL)
        size = (f"trainer.devices={ranks}", f"trainer.batch_size={12 // ranks}")
        command = [sys.executable, str(FROZEN), *words(cohort, output, *more, steps=2), *size]
        run = finished(command, GRADIENTS=str(tmp_path / f"{ranks}.pt"))
        assert run.returncode == 0, run.stderr[-3000:]
    _DONE.update({ranks: tmp_path / str(ranks) for ranks in (1, 2, 3)})
    return _DONE


def test_validation_rows_are_the_same_on_1_2_and_3_ranks(outcomes: dict[int, Path]) -> None:
    tables = {ranks: (folder / "validation.csv").read_text() for ranks, folder in outcomes.items()}
    assert len(tables[1].splitlines()) == 1 + 2 * len(SEVEN)
    assert tables[1] == tables[2] == tables[3]
    scores = [row["dss"] for row in csv.DictReader(tables[1].splitlines())]
    assert scores.count("") == 1  # two slices have no spleen
    assert len(set(scores)) > len(SEVEN)  # the scores distinguish the cases
    assert all(0.3 < float(score) < 0.9 for score in scores if score)
    rows = {ranks: [row for row in metrics(folder) if "val/" in row] for ranks, folder in outcomes.items()}
    assert len(rows[1]) == 3
    assert rows[1] == rows[2] == rows[3]


def test_gradients_of_2_and_3_ranks_are_those_of_one(outcomes: dict[int, Path]) -> None:
    gradients = {ranks: torch.load(folder.parent / f"{ranks}.pt") for ranks, folder in outcomes.items()}
    largest = max(value.abs().max() for value in gradients[1].values())
    assert largest > 1e-3
    for ranks in (2, 3):
        for name, value in gradients[1].items():
            assert torch.allclose(value, gradients[ranks][name], rtol=0, atol=1e-5), (ranks, name)


def test_only_one_rank_writes(outcomes: dict[int, Path]) -> None:
    names = [{file.name for file in folder.iterdir()} for folder in outcomes.values()]
    assert names[0] == names[1] == names[2]
    assert [json.loads((folder / "run.json").read_text())["earlier"] for folder in outcomes.values()] == [[], [], []]
    lines = [(folder / "metrics.csv").read_text().splitlines() for folder in outcomes.values()]
    assert len({len(rows) for rows in lines}) == 1


def test_ranks_that_torchrun_starts_train_together(box_cohort: Callable[..., Path], tmp_path: Path) -> None:
    run, torchrun = tmp_path / "run", ("-m", "torch.distributed.run", "--standalone", "--nproc_per_node=2")
    more = ("trainer=ddp", "trainer.devices=2", "trainer.accelerator=cpu", "trainer.workers=0")
    done = finished([sys.executable, *torchrun, "-m", "liverspleen", *words(box_cohort(), run, *more, steps=2)])
    assert done.returncode == 0, done.stderr[-3000:]
    assert done.stdout.count("train: training: 3 cases") == 1
    assert torch.load(run / "last.ckpt", weights_only=True)["global_step"] == 2


def test_module_started_with_python_m_starts_its_ranks_and_resumes(
    box_cohort: Callable[..., Path], tmp_path: Path
) -> None:
    cohort, run = box_cohort(), tmp_path / "run"
    more = ("trainer=ddp", "trainer.devices=2", "trainer.accelerator=cpu", "trainer.workers=0", "scheduler=constant")
    for steps in (2, 4):
        done = finished([sys.executable, "-m", "liverspleen", *words(cohort, run, *more, steps=steps)])
        assert done.returncode == 0, done.stderr[-3000:]
        assert done.stdout.count("train: training: 3 cases") == 1
    assert torch.load(run / "last.ckpt", weights_only=True)["global_step"] == 4


@pytest.mark.parametrize("rank", ["0", "1"])
def test_dead_rank_ends_the_job_within_60_seconds(rank: str, box_cohort: Callable[..., Path], tmp_path: Path) -> None:
    more = ("trainer=ddp", "trainer.devices=2", "trainer.accelerator=cpu", "trainer.workers=0")
    process = started(
        [sys.executable, str(FROZEN), *words(box_cohort(), tmp_path / "run", *more, steps=2000)],
        DIE=rank,
        GRADIENTS=str(tmp_path / "g.pt"),
    )
    process.communicate(timeout=400)  # ends only when all that hold its pipes have ended
    assert process.returncode != 0
    assert time.time() - (tmp_path / "g.pt").stat().st_mtime < 60


def test_signal_to_the_first_rank_stops_all_after_the_same_step(
    box_cohort: Callable[..., Path], tmp_path: Path
) -> None:
    run = tmp_path / "run"
    more = ("trainer=ddp", "trainer.devices=2", "trainer.accelerator=cpu", "trainer.workers=0")
    process = started([sys.executable, "-m", "liverspleen", *words(box_cohort(), run, *more, steps=100_000, every=5)])
    while not (run / "last.ckpt").exists():
        time.sleep(0.2)
        assert process.poll() is None
    process.send_signal(signal.SIGTERM)
    _, err = process.communicate(timeout=240)
    assert process.returncode == 1
    assert err.count("LS-RUN-002") == 1
    assert json.loads((run / "run.json").read_text())["status"] == "failed"


def test_each_case_is_validated_by_one_rank() -> None:
    for ranks in (1, 2, 3, 8):
        found = [case for cases in cases_by_rank(SEVEN, ranks) for case in cases]
        assert sorted(found) == list(range(len(SEVEN)))


@pytest.mark.filterwarnings("ignore:This DataLoader will create")  # on a machine with fewer cores
@pytest.mark.parametrize("workers", [2, 4])
def test_loader_processes_do_not_change_the_weights(
    workers: int, box_cohort: Callable[..., Path], tmp_path: Path
) -> None:
    cohort = box_cohort()
    assert train(cohort, tmp_path / "none", steps=6) == 0
    assert train(cohort, tmp_path / "some", f"trainer.workers={workers}", steps=6) == 0
    one, other = (torch.load(tmp_path / n / "last.ckpt", weights_only=True)["state_dict"] for n in ("none", "some"))
    assert all(torch.equal(one[name], other[name]) for name in one)


def test_slurm_signal_saves_the_step_and_requeues_the_job(box_cohort: Callable[..., Path], tmp_path: Path) -> None:
    run, called = tmp_path / "run", tmp_path / "called"
    tool = tmp_path / "bin" / "scontrol"
    tool.parent.mkdir()
    tool.write_text(f'#!/bin/sh\necho "$@" >> "{called}"\n')
    tool.chmod(0o755)
    names = ("PROCID", "LOCALID", "NODEID")
    job = {"JOB_ID": "7", "JOB_NAME": "training", "NTASKS": "1", "NODELIST": "localhost", **dict.fromkeys(names, "0")}
    process = started(
        [sys.executable, "-m", "liverspleen", *words(box_cohort(), run, steps=100_000, every=5)],
        PATH=f"{tool.parent}:{os.environ['PATH']}",
        **{f"SLURM_{name}": value for name, value in job.items()},
    )
    while not (run / "last.ckpt").exists():
        time.sleep(0.2)
        assert process.poll() is None
    process.send_signal(signal.SIGUSR1)
    _, err = process.communicate(timeout=240)
    assert process.returncode == 1, err[-2000:]
    assert called.read_text() == "requeue 7\n"
    assert not list(run.glob("hpc_ckpt_*"))
