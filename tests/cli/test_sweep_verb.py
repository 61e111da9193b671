"""`liverspleen sweep`: rejected inputs, and short trainings that are finished or killed."""

from __future__ import annotations

import csv
import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from liverspleen.cli.main import main
from liverspleen.sweep.launch import worker_environment

Captured = pytest.CaptureFixture[str]
TINY = (
    *("experiment=phantom", "network.pyramid_channels=8", "network.skip_channels=8"),
    *("trainer.batch_size=4", "trainer.steps=4", "trainer.validate_every=2"),
)


def arguments(cohort: Path, output: Path, *more: str) -> list[str]:
    return ["sweep", f"cohort={cohort}", f"output={output}", *TINY, *more]


def rows(folder: Path, name: str = "trials.csv") -> list[dict[str, str]]:
    with (folder / name).open(newline="") as handle:
        return list(csv.DictReader(handle))


@pytest.mark.parametrize(
    ("more", "printed"),
    [
        (
            ["trainer=ddp", "trainer.accelerator=cpu"],
            "LS-SWP-001: trainer.devices=2 trainer.nodes=1 needs several devices, but a trial trains on one",
        ),
        (
            ["search.parameters={trainer.devices: [1, 2]}"],
            "LS-SWP-001: trainer.devices=2 needs several devices, but a trial",
        ),
        (["search=own", "search.parameters={}"], "LS-SWP-002: search: there is no parameter to search"),
        (
            ["search=own", "search.parameters={optimizer.lr: 1}"],
            "LS-SWP-002: search: optimizer.lr is neither a list of choices",
        ),
        (["search.sampler=grid"], "LS-SWP-002: a grid needs choices, or ranges with a step"),
        (
            ["search=own", "search.parameters={seed: [1, 2]}"],
            "LS-SWP-041: search: seed is searched with search.sampler=tpe; use",
        ),
        (
            ["search=own", "search.parameters={optimizer.rate: [1, 2]}"],
            "LS-SWP-003: search: optimizer.rate is not a key or group of",
        ),
        (["optimizer.lr=0.1"], "LS-SWP-005: optimizer.lr is searched, but optimizer.lr= is also given"),
        (
            ["search=own", "search.parameters={network: [small, larg]}"],
            "LS-CFG-004: network has no choice 'larg'; use one of figure2",
        ),
        (["search=own", "search.parameters={slices.count: [2, 3]}"], "slices.count=2"),
        (["search.pruner=median", "objectives=[volume_bias]"], "LS-CFG-016: search.pruner=median with objectives="),
        (
            ["objectives=[dice]"],
            "LS-CFG-006: objectives=[dice]: dice is not",
        ),
        (["search.sampler=tpe2"], "LS-CFG-006: search.sampler=tpe2 is not one of the choices; use tpe, random or grid"),
        (["search=recipes"], "LS-CFG-004: search has no choice 'recipes'"),
        (["seeds=-1"], "LS-CFG-006: seeds=-1 is below 0; use a whole number from 0 to 1000"),
    ],
)
def test_an_invalid_search_is_rejected_before_the_first_trial(
    box_cohort: Callable[..., Path], tmp_path: Path, capsys: Captured, more: list[str], printed: str
) -> None:
    assert main(arguments(box_cohort(), tmp_path / "s", "trials=2", *more)) == 2
    (line, *_) = (line for line in capsys.readouterr().err.splitlines() if printed in line)
    assert line.count("LS-") == 1
    assert not (tmp_path / "s/trials").exists()


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("postgresql+nothing://me:secret@host/db", "postgresql+nothing://me:***@host/db"),
        ("nothing://host/db?user=me&password=secret", "<database URL not stored>"),
        ("postgresql://me:secret", "<database URL not stored>"),
        ("nothing://me:sec,secret@host/db", "nothing://me:***@host/db"),
        ("'postgresql://me:secret@host/db'", "<database URL not stored>"),
        ("nothing://me@host:5432/db", "nothing://me@host:5432/db"),
    ],
)
def test_the_password_of_a_database_is_not_printed_or_recorded(
    box_cohort: Callable[..., Path],
    tmp_path: Path,
    capsys: Captured,
    monkeypatch: pytest.MonkeyPatch,
    url: str,
    shown: str,
) -> None:
    command = arguments(box_cohort(), tmp_path / "s", "trials=2", f"storage={url}")
    monkeypatch.setattr(sys, "argv", ["liverspleen", *command])
    assert main(command) == 2
    printed = capsys.readouterr().err + "".join(
        file.read_text() for file in (tmp_path / "s").rglob("*") if file.suffix in {".json", ".csv"}
    )
    assert "LS-SWP-006" in printed
    assert "secret" not in printed
    record = json.loads((tmp_path / "s/run.json").read_text())
    assert record["config"]["storage"] == shown
    assert record["command"][-1] == f"storage={shown}"


def test_a_password_is_rejected_because_files_of_jobs_would_store_it(
    box_cohort: Callable[..., Path], tmp_path: Path, capsys: Captured
) -> None:
    more = ["trials=2", "launcher=slurm", "workers=1", "storage=postgresql://me:secret@host/db"]
    assert main(arguments(box_cohort(), tmp_path / "s", *more)) == 2
    printed = capsys.readouterr().err
    assert "LS-CFG-016: storage= contains a password, which the files of the jobs would store" in printed
    assert "secret" not in printed


@pytest.mark.parametrize("printed", ["", "3,1", None])
def test_workers_see_no_gpu_that_was_hidden(monkeypatch: pytest.MonkeyPatch, printed: str | None) -> None:
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    if printed is not None:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", printed)
    found = [worker_environment(index, 3, devices=2)["CUDA_VISIBLE_DEVICES"] for index in range(3)]
    assert found == {"": ["", "", ""], "3,1": ["3", "1", "3"], None: ["0", "1", "0"]}[printed]


@pytest.mark.slow
def test_the_folder_of_a_study_may_have_any_name_and_be_renamed(
    box_cohort: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    out, cohort = tmp_path / "a?b, (c)=%41 ${x} '", box_cohort()
    more = ["seeds=0", "search=own", "search.parameters={optimizer.lr: [0.003]}", "search.sampler=grid"]
    assert main(arguments(cohort, out, *more)) == 0
    assert (out / "study.db").stat().st_size > 0
    record = json.loads((out / "trials/0000/run.json").read_text())
    assert record["config"]["logger"]["wandb_group"].startswith("sweep-")
    before = rows(out)
    assert main(arguments(cohort, out.rename(tmp_path / "renamed"), *more)) == 0
    assert rows(tmp_path / "renamed") == before


def test_a_sampler_without_a_number_of_trials_is_rejected(
    box_cohort: Callable[..., Path], tmp_path: Path, capsys: Captured
) -> None:
    assert main(arguments(box_cohort(), tmp_path / "s")) == 2
    assert "LS-CFG-002: sweep needs trials=..." in capsys.readouterr().err


def test_a_split_without_validation_side_is_rejected(
    box_cohort: Callable[..., Path], tmp_path: Path, capsys: Captured
) -> None:
    assert main(arguments(box_cohort(), tmp_path / "s", "trials=2", "train_fraction=1.0")) == 2
    assert "LS-SWP-004" in capsys.readouterr().err


def test_a_sweep_searches_confirms_and_resumes_only_as_the_same_study(
    box_cohort: Callable[..., Path], tmp_path: Path, capsys: Captured, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    out = tmp_path / "s"
    command = arguments(
        box_cohort(),
        out,
        "search=own",
        "search.parameters={slices.count: [1, 3]}",
        "search.sampler=grid",
        "leaders=1",
    )
    assert main([*command, "seeds=1"]) == 0
    found = rows(out)
    assert [(row["phase"], row["state"], row["seed"]) for row in found] == [
        ("search", "complete", "0"),
        ("search", "complete", "1"),
        ("confirm", "complete", "100000"),
    ]
    assert [row["slices.count"] for row in found[:2]] == ["1", "3"]
    best = max(found[:2], key=lambda row: float(row["dss"]))
    assert found[2]["configuration"] == best["configuration"]
    for row in found:
        record = json.loads((out / f"trials/{int(row['number']):04d}/run.json").read_text())
        assert record["seeds"] == {"training": int(row["seed"])}
        assert record["config"]["slices"]["count"] == int(row["slices.count"])
        assert record["config"]["logger"]["wandb_group"] == "sweep-043a7187"
        assert record["command"][:2] == ["liverspleen", "train"]
    cases = rows(out, "trial_cases.csv")
    assert {row["case_id"] for row in cases} == {rows(out / "trials/0000", "validation.csv")[0]["case_id"]}
    before = {file: file.stat().st_mtime_ns for file in out.glob("trials/*/*")}
    assert main([*command, "seeds=1"]) == 0
    assert {file: file.stat().st_mtime_ns for file in out.glob("trials/*/*")} == before
    assert main([*command, "seeds=1", "optimizer.lr=0.1"]) == 2
    assert (
        "LS-SWP-007: the study 's' was started with other values: optimizer.lr was 0.005, now 0.1"
        in capsys.readouterr().err
    )


def start(command: list[str]) -> subprocess.Popen[bytes]:
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    return subprocess.Popen([sys.executable, "-m", "liverspleen", *command], env=environment)


def wait_for(condition: Callable[[], bool], seconds: float = 200.0) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "timed out"
        time.sleep(0.05)


def n_complete(folder: Path) -> int:
    return sum(row["state"] == "complete" for row in rows(folder)) if (folder / "trials.csv").exists() else 0


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_a_sweep_that_was_killed_twice_finishes_exactly_the_requested_number_of_trials(
    box_cohort: Callable[..., Path], tmp_path: Path, number: int
) -> None:
    out = tmp_path / "s"
    command = arguments(box_cohort(), out, "trials=8", "seeds=0", "search.sampler=random")
    for stop_after in (3, 6):
        process = start(command)
        wait_for(lambda stop_after=stop_after: n_complete(out) >= stop_after)  # type: ignore[misc]
        process.send_signal(number)
        process.wait(240)
        assert n_complete(out) < 8
    assert start(command).wait(300) == 0
    found = rows(out)
    assert [row["state"] for row in found] == ["complete"] * 8
    assert [int(row["number"]) for row in found] == list(range(8))
    assert sorted(folder.name for folder in (out / "trials").iterdir()) == [f"{trial:04d}" for trial in range(8)]


@pytest.mark.slow
def test_a_trial_whose_worker_was_killed_has_the_same_result(box_cohort: Callable[..., Path], tmp_path: Path) -> None:
    cohort = box_cohort()
    length = ["trainer.steps=60", "trainer.validate_every=10", "seeds=0"]
    search = ["search=own", "search.parameters={optimizer.lr: [0.003]}"]
    for name in ("undisturbed", "killed"):
        out = tmp_path / name
        command = arguments(cohort, out, *length, *search, "search.sampler=grid", "study=one")
        process = start(command)
        if name == "killed":
            wait_for((out / "trials/0000/last.ckpt").exists)
            process.kill()
            process.wait()
            assert start(command).wait(300) == 0
        assert process.wait(300) in {0, -signal.SIGKILL}
    undisturbed, killed = (tmp_path / name / "trials/0000" for name in ("undisturbed", "killed"))
    runs = [(run / "metrics.csv").read_text().splitlines() for run in (undisturbed, killed)]
    without_time = [[line.split(",")[:4] for line in lines] for lines in runs]
    assert without_time[0] == without_time[1]
    assert (undisturbed / "validation.csv").read_bytes() == (killed / "validation.csv").read_bytes()
    assert len(json.loads((killed / "run.json").read_text())["earlier"]) == 1


@pytest.mark.slow
def test_two_workers_of_one_command_share_the_trials_and_one_continues_if_the_other_is_killed(
    box_cohort: Callable[..., Path], tmp_path: Path
) -> None:
    out = tmp_path / "s"
    process = start(arguments(box_cohort(), out, "trials=6", "seeds=0", "workers=2", "search.sampler=random"))
    wait_for(lambda: len(list(out.glob("trials/*/metrics.csv"))) >= 2)
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    assert len(children) == 2
    os.kill(int(children[0]), signal.SIGKILL)
    assert process.wait(300) == 0
    assert Counter(row["state"] for row in rows(out)) == {"complete": 6}


@pytest.mark.parametrize(
    ("more", "code"),
    [
        (("seeds=3",), "LS-SWP-042"),
        (("search.sampler=tpe", "trials=3"), "LS-SWP-041"),
        (("trainer.patience=2",), "LS-SWP-043"),
        (("search.pruner=median",), "LS-SWP-043"),
    ],
)
def test_learning_curve_with_unequal_trainings_is_rejected(
    more: tuple[str, ...], code: str, tmp_path: Path, capsys: Captured
) -> None:
    assert main(arguments(tmp_path / "cohort.csv", tmp_path / "sweep", "search=cases", *more)) == 2
    assert capsys.readouterr().err.startswith(code)
