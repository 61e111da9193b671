"""The scripts and commands of docs/clusters.md run on a real SLURM."""

from __future__ import annotations

import csv
import json
import re
import shlex
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch
from cluster import Cluster, absent, slurm, until

from liverspleen.cli.main import main
from liverspleen.inference.sharding import Shard

pytestmark = [pytest.mark.slurm, pytest.mark.slow]
PAGE = (Path(__file__).parents[2] / "docs" / "clusters.md").read_text(encoding="utf-8")
SCRIPTS = {re.search(r"--job-name=(\w+)", text)[1]: text for text in re.findall(r"```bash\n(.*?)```", PAGE, re.S)}  # type: ignore[index]
COMMANDS = [line.strip() for line in PAGE.splitlines() if re.match(r"    (liverspleen|torchrun) ", line)]
TINY = ("experiment=phantom", "network=unet_2d", "network.width=4", "network.output_stride=8", "trainer.workers=0")
STILL = ("augmentation=none", "optimizer.lr=1e-30", "optimizer.weight_decay=0", "trainer.validate_every=2")
SHORT = ("trainer.accelerator=cpu", "trainer.steps=2")


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    if reason := absent():
        pytest.skip(reason)
    with slurm() as found:
        yield found


@pytest.fixture
def folder(box_cohort: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder that the page assumes after its first two commands."""
    monkeypatch.chdir(box_cohort((7, 6, 3, 9, 4)).parent)
    assert [shlex.split(command)[:2] for command in COMMANDS[:2]] == [
        ["liverspleen", "split"],
        ["liverspleen", "prepare"],
    ]
    for command in COMMANDS[:2]:
        assert main(shlex.split(command)[1:]) == 0
    return tmp_path / "cohort"


def train(folder: Path, output: str, *more: str) -> None:
    """Train in one process on this machine."""
    given = ("cohort=cohort.csv", "split=split/split.csv", "cache=cache", f"output={output}", "trainer=ddp")
    assert main(["train", *given, "trainer.devices=1", "trainer.nodes=1", *TINY, *more]) == 0


def printed(folder: Path, job: str) -> str:
    return "\n".join(file.read_text(errors="replace") for file in folder.glob(f"*-{job}*.out"))


def assert_same_training(one: Path, other: Path) -> None:
    """Compare weights, metrics and tables, bit for bit."""
    for name in ("last.ckpt", "best.ckpt"):
        first, second = (torch.load(run / name, weights_only=True)["state_dict"] for run in (one, other))
        assert first.keys() == second.keys()
        assert all(torch.equal(value, second[key]) for key, value in first.items()), name
    tables = [[line.split(",")[:4] for line in (run / "metrics.csv").read_text().splitlines()] for run in (one, other)]
    assert tables[0] == tables[1]  # without time and memory
    assert (one / "validation.csv").read_bytes() == (other / "validation.csv").read_bytes()


@pytest.mark.parametrize("layout", [(1, 2), (2, 1)], ids=["1 node, 2 tasks", "2 nodes, 1 task each"])
def test_two_tasks_give_the_result_of_one_process(layout: tuple[int, int], cluster: Cluster, folder: Path) -> None:
    nodes, tasks = layout
    options = (f"--nodes={nodes}", f"--ntasks-per-node={tasks}", f"--gpus-per-node={tasks}")
    words = (*TINY, *STILL, *SHORT)
    job = cluster.submit(SCRIPTS["train"], folder, *options, words=(*words, "trainer.batch_size=4"))
    train(folder, "one", *words, "trainer.batch_size=8")
    assert cluster.wait(job) == "COMPLETED", printed(folder, job)
    assert printed(folder, job).count("train: device: ") == 1  # only the first rank prints
    run = json.loads((folder / "outputs/model/run.json").read_text())
    assert (run["status"], run["earlier"]) == ("done", [])
    tables = [(folder / name / "validation.csv").read_text() for name in ("one", "outputs/model")]
    assert len(tables[0].splitlines()) == 1 + 2
    assert tables[0] == tables[1]


def test_tasks_that_do_not_match_are_one_issue(cluster: Cluster, folder: Path) -> None:
    job = cluster.submit(SCRIPTS["train"], folder, "--ntasks-per-node=1", words=(*TINY, *SHORT, "trainer.devices=2"))
    assert cluster.wait(job) == "FAILED"
    (line,) = [line for line in printed(folder, job).splitlines() if line.startswith("LS-")]
    assert line.startswith("LS-TRN-014: SLURM has 1 task per node on 1 node")


def test_training_requeued_by_usr1_and_by_preemption_gives_the_uninterrupted_result(
    cluster: Cluster, folder: Path
) -> None:
    """Checkpoints are saved only after signals, so each one has the step of the signal."""
    words = (*TINY, "trainer.accelerator=cpu", "trainer.steps=600", "trainer.validate_every=600")
    output = folder / "outputs/model"
    job = cluster.submit(SCRIPTS["train"], folder, "--ntasks-per-node=1", "--exclusive", words=words)
    until(lambda: logged(output) > 0, "a row of metrics.csv")
    cluster.output_of("scancel", "--signal=USR1", job)
    until(lambda: cluster.field(job, "Restarts") == "1", "the job in the queue")
    first = steps(output)
    until(lambda: logged(output) > first, "the job at work again")
    urgent = cluster.submit("#!/bin/bash\n", folder, "--partition=first", "--nodes=2", "--exclusive")
    until(lambda: cluster.field(job, "Restarts") == "2", "the job pushed out")
    assert cluster.wait(urgent) == "COMPLETED"
    second = steps(output)
    assert cluster.wait(job) == "COMPLETED", printed(folder, job)
    assert 0 < first < second < 600
    assert len(json.loads((output / "run.json").read_text())["earlier"]) == 2
    assert not list(output.glob("hpc_ckpt_*"))
    train(folder, "undisturbed", *words)
    assert_same_training(folder / "undisturbed", output)


def logged(output: Path) -> int:
    """Return the last step in metrics.csv, which has at least every fiftieth step."""
    file = output / "metrics.csv"
    rows = file.read_text().splitlines()[1:] if file.exists() else []
    return int(rows[-1].partition(",")[0]) if rows else 0


def steps(output: Path) -> int:
    return int(torch.load(output / "last.ckpt", weights_only=True)["global_step"])


def test_array_of_predictions_is_the_prediction_of_one_process(cluster: Cluster, folder: Path) -> None:
    train(folder, "outputs/model", *TINY, *SHORT, "trainer.validate_every=2")
    words = ("accelerator=cpu", "batch_size=4", "workers=1")
    killed = next(number for number in (1, 2, 3) if Shard.of(f"{number}/3").includes("c0"))
    job = cluster.submit(SCRIPTS["predict"], folder, words=words)
    cluster.wait(f"{job}_{killed}", "RUNNING")
    cluster.output_of("scancel", "--signal=KILL", f"{job}_{killed}")
    given = ("model=outputs/model/best.ckpt", "input=cohort.csv", "output=one")
    assert main(["predict", *given, *words]) == 0
    until(lambda: not cluster.output_of("squeue", "--noheader", f"--jobs={job}"), "the end of the array")
    shards = folder / "outputs/predictions"
    assert not (shards / "measurements.csv").exists()
    again = cluster.submit(SCRIPTS["predict"], folder, f"--array={killed}", words=words)
    until(lambda: not cluster.output_of("squeue", "--noheader", f"--jobs={again}"), "the end of the shard")
    assert contents(shards) == contents(folder / "one"), printed(folder, again)


def contents(folder: Path) -> dict[str, bytes]:
    """Return all files except run records, which have times."""
    files = [file for file in folder.rglob("*") if file.is_file() and not file.name.startswith(("run", ".run"))]
    assert len(files) > 10
    return {str(file.relative_to(folder)): file.read_bytes() for file in files}


def test_sweep_of_three_trials_resumes_the_trial_of_a_requeued_job(cluster: Cluster, folder: Path) -> None:
    submitted, _ = [command for command in COMMANDS if command.startswith("liverspleen sweep")]
    more = (*TINY, "trainer.accelerator=cpu", "trainer.steps=300", "trainer.validate_every=50")
    said = cluster.output_of(*shlex.split(submitted), *more)
    jobs = re.search(r"sweep: 2 jobs submitted: (\S+) (\S+);", said)
    assert jobs, said
    output = folder / "outputs/sweep"
    until((output / "trials/0000/last.ckpt").exists, "a trial under way")
    at_work = [job for job in jobs.groups() if cluster.field(job, "JobState") == "RUNNING"]
    cluster.output_of("scancel", "--signal=USR1", at_work[0])
    until(lambda: cluster.field(at_work[0], "Restarts") == "1", "the job in the queue")
    for job in jobs.groups():
        log = "\n".join(file.read_text() for file in (output / "submitit").glob(f"{job}*.out"))
        assert cluster.wait(job) == "COMPLETED", log
    with (output / "trials.csv").open(newline="") as handle:
        trials = list(csv.DictReader(handle))
    assert [row["number"] for row in trials] == ["0", "1", "2"]
    assert {row["state"] for row in trials} == {"complete"}
    records = [json.loads((output / f"trials/{number:04d}/run.json").read_text()) for number in range(3)]
    assert sum(len(record["earlier"]) for record in records) == 1
    assert {steps(output / f"trials/{number:04d}") for number in range(3)} == {300}
    for record in (output / "run.json", *output.glob("trials/*/run.json")):
        command = json.loads(record.read_text())["command"]
        assert Path(command[0]).name in {"liverspleen", "__main__.py"}
        assert command[1] in {"sweep", "train"}


def test_torchrun_on_one_machine_and_on_two(cluster: Cluster, folder: Path) -> None:
    """Two launchers on this machine represent two machines."""
    launched = [command for command in COMMANDS if command.startswith("torchrun")]
    assert len(launched) == 3
    words = (*TINY, *STILL, *SHORT, "trainer.batch_size=4")
    train(folder, "one", *words, "trainer.batch_size=8")
    for number, commands in enumerate((launched[:1], launched[1:])):
        parts = [[*shlex.split(command), *words, f"output={number}"] for command in commands]
        processes = [
            subprocess.Popen(part, env=cluster.environment, stderr=subprocess.PIPE, text=True) for part in parts
        ]
        ends = [(process.communicate(timeout=480)[1], process.returncode) for process in processes]
        assert [code for _, code in ends] == [0] * len(parts), ends[0][0][-3000:]
        assert (folder / str(number) / "validation.csv").read_text() == (folder / "one/validation.csv").read_text()
