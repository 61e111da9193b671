"""`liverspleen predict` by many tasks and processes, killed and started again: the bytes of one uninterrupted run."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from predicting import TABLES, predict, results, rows, scan

from liverspleen.inference.sharding import Shard

CASES = [f"case {number}" for number in range(7)]


@pytest.fixture(scope="module")
def scans(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("scans")
    for seed, name in enumerate(CASES):
        scan(folder / f"{name}.nii.gz", seed=seed, slices=3 + seed)
    (folder / "bad.nii.gz").write_bytes(b"none")
    return folder


@pytest.fixture(scope="module")
def uninterrupted(model: Path, scans: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    out = tmp_path_factory.mktemp("uninterrupted")
    assert predict(model, scans, out) == 2
    return results(out)


def start(model: Path, scans: Path, out: Path, *more: str) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "liverspleen", "predict", f"model={model}", f"input={scans}", f"output={out}"]
    with (out.parent / "printed.txt").open("wb") as printed:
        environment = {**os.environ, "OMP_NUM_THREADS": "1"}
        return subprocess.Popen([*command, *more], env=environment, stdout=subprocess.DEVNULL, stderr=printed)


def test_each_case_is_in_one_shard_and_tasks_may_count_from_0_or_from_1() -> None:
    names = [*CASES, "é", "x" * 128]
    for count in (1, 2, 3, 8, 100):
        for numbers in (range(1, count + 1), range(count)):
            shards = [Shard.of(f"{number}/{count}") for number in numbers]
            assert all(sum(shard.includes(name) for shard in shards) == 1 for name in names)
    assert [name for name in names if Shard().includes(name)] == names


@pytest.mark.parametrize("words", ["9/8", "/", "2/", "1/0", "-1/8", "2", "0.5/2", "two/8"])
def test_invalid_shards_are_rejected(words: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert predict(tmp_path / "none", tmp_path, tmp_path / "out", f"shard={words}") == 2
    assert "LS-PRD-030" in capsys.readouterr().err


@pytest.mark.parametrize("order", ["123", "312", "210"])
def test_shards_in_any_order_write_the_bytes_of_one_process(
    model: Path,
    scans: Path,
    uninterrupted: dict[str, bytes],
    tmp_path: Path,
    order: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    for turn, number in enumerate(order):
        capsys.readouterr()
        predict(model, scans, tmp_path, f"shard={number}/3")
        printed = capsys.readouterr().err
        assert (tmp_path / "measurements.csv").exists() == ("LS-PRD-032" not in printed) == (turn == 2)
    assert results(tmp_path) == uninterrupted
    assert {file.name for file in tmp_path.glob("run*")} == {f"run_{number}of3.json" for number in (1, 2, 3)}


def test_a_shard_that_is_not_last_reports_the_missing_cases(
    model: Path, scans: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    predict(model, scans, tmp_path, "shard=1/3")
    missing = sum(not Shard(1, 3).includes(name) for name in [*CASES, "bad"])
    assert f"note: LS-PRD-032: {missing} of 8 cases not finished" in capsys.readouterr().err


@pytest.mark.slow
def test_simultaneous_shards_write_the_bytes_of_one_process(
    model: Path, scans: Path, uninterrupted: dict[str, bytes], tmp_path: Path
) -> None:
    out = tmp_path / "out"
    tasks = [start(model, scans, out, f"shard={number}/3") for number in (1, 2, 3, 3)]  # one of them twice
    assert {task.wait() for task in tasks} <= {0, 2}
    assert results(out) == uninterrupted


@pytest.mark.slow
def test_two_processes_write_the_bytes_of_one(
    model: Path, scans: Path, uninterrupted: dict[str, bytes], tmp_path: Path
) -> None:
    assert predict(model, scans, tmp_path, "workers=2") == 2
    assert results(tmp_path) == uninterrupted
    assert json.loads((tmp_path / "run.json").read_text())["status"] == "done"


def test_a_folder_of_another_model_gets_its_tables_after_all_cases_are_repeated(
    model: Path, scans: Path, tmp_path: Path
) -> None:
    predict(model, scans, tmp_path, "flips=true")
    predict(model, scans, tmp_path, "shard=1/2")
    assert not any((tmp_path / name).exists() for name in TABLES)
    predict(model, scans, tmp_path, "shard=2/2")
    assert len(rows(tmp_path / "review.csv")) == 8


@pytest.mark.slow
def test_after_a_kill_the_same_command_resumes_to_the_same_bytes(
    model: Path, scans: Path, uninterrupted: dict[str, bytes], tmp_path: Path
) -> None:
    out, draw, kills, starts = tmp_path / "out", random.Random(0), 0, 0
    while kills < 5:  # whether a process is still running then depends on the machine
        starts += 1
        assert starts < 40
        task = start(model, scans, out, *(["shard=1/1"] if draw.random() < 0.5 else []))
        finished = len(results(out)) if out.exists() else 0
        while task.poll() is None and (not out.exists() or len(results(out)) == finished):
            time.sleep(0.002)  # until it writes its first file; a case takes some 50 ms
        time.sleep(draw.uniform(0, 0.4))
        kills += task.poll() is None
        task.kill()
        task.wait()
        for name, content in results(out).items():  # no file is incomplete
            assert content == uninterrupted[name], name
        images = [*sorted(out.glob("*_dseg.nii.gz")), *sorted(out.glob("*_dseg.png"))]
        for file in draw.sample(images, min(4, len(images))):  # so that the next process has cases to segment
            file.unlink()
    assert start(model, scans, out).wait() == 2
    assert results(out) == uninterrupted


@pytest.mark.slow
def test_a_killed_worker_is_one_line(model: Path, scans: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    task = start(model, scans, out, "workers=2")
    while task.poll() is None:
        children = Path(f"/proc/{task.pid}/task/{task.pid}/children").read_text().split()
        spawned = [child for child in children if b"spawn_main" in Path(f"/proc/{child}/cmdline").read_bytes()]
        if spawned:
            break
        time.sleep(0.05)
    os.kill(int(spawned[0]), signal.SIGKILL)
    assert task.wait() == 2
    assert (tmp_path / "printed.txt").read_text().count("LS-PRD-031") == 1
    assert not (out / "measurements.csv").exists()
    assert start(model, scans, out).wait() == 2
    assert len(rows(out / "review.csv")) == 8
