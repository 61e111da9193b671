"""Workers with stub trainings: each trial is one row, and no kill loses or repeats a trial."""

from __future__ import annotations

import csv
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import stub_worker
from stub_worker import worker

import liverspleen.sweep.worker as worker_module
from liverspleen.sweep.plan import NextTrial, Outcome, Phase, State
from liverspleen.sweep.study import Study

GRID = {"sampler": "grid"}


def rows(folder: Path, name: str = "trials.csv") -> list[dict[str, str]]:
    with (folder / name).open(newline="") as handle:
        return list(csv.DictReader(handle))


def started(folder: Path) -> Counter[int]:
    """Return how often the training of each trial was started."""
    return Counter(
        {int(file.parent.name): len(file.read_text().splitlines()) for file in folder.glob("trials/*/starts")}
    )


def test_each_kind_of_failure_is_a_row_with_its_reason_and_the_sweep_continues(tmp_path: Path) -> None:
    ways = ["reject", "kill", "crash", "empty", "infinite", "good"]
    own = worker(tmp_path, parameters={"behave": ways}, trials=6, **GRID)
    issues = own.work()
    found = {row["behave"]: (row["state"], row["reason"]) for row in rows(tmp_path)}
    rejected = "LS-CFG-007: a network needs an odd number of slices, not 2; choose another network="
    assert found["reject"] == ("failed", rejected)
    assert found["kill"] == ("failed", "killed by SIGKILL, which the kernel sends when memory runs out")
    assert found["crash"] == ("failed", "ended with exit code 1: last line")
    for way in ("empty", "infinite"):
        assert found[way] == ("failed", "LS-SWP-008: dss is undefined on the validation cases")
    assert found["good"] == ("complete", "")
    assert [issue.code for issue in issues] == ["LS-SWP-010"] * 5
    assert {issue.severity for issue in issues} == {"warning"}


def test_tables_contain_objectives_volumes_and_seeds(tmp_path: Path) -> None:
    own = worker(tmp_path, parameters={"behave": ["good"], "dss": ["0.75", "0.5"]}, trials=2, seeds=2, **GRID)
    assert own.work() == []
    trials = rows(tmp_path)
    assert [(row["phase"], row["seed"], row["dss"]) for row in trials] == [
        ("search", "0", "0.75"),
        ("search", "1", "0.5"),
        ("confirm", "100000", "0.75"),
        ("confirm", "100001", "0.75"),
    ]
    # 200 (110 - 90) / (110 + 90); undefined for an empty spleen
    assert {row["volume_bias_pct"] for row in trials} == {"20.0"}
    assert {row["seconds_per_slice"] for row in trials} == {"0.25"}
    assert len({row["configuration"] for row in trials}) == 2
    cases = rows(tmp_path, "trial_cases.csv")
    assert len(cases) == 8
    assert {(row["case_id"], row["condition"]) for row in cases} == {("c0", "healthy")}


def test_each_trial_is_reported_with_its_position_and_its_parameters(tmp_path: Path) -> None:
    own = worker(tmp_path, parameters={"behave": ["good"], "dss": ["0.75", "0.5"]}, trials=2, **GRID)
    lines: list[str] = []
    own.sweep = replace(own.sweep, say=lines.append)
    own.work()
    stamp = r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d sweep: "
    expected = [
        r"trial 1 of 2 \(search\) started in trials/0000; behave=good, dss=0.75",
        r"trial 1 of 2 \(search\) complete in \d+ s, DSS 0.7500, about \d+ s left; behave=good, dss=0.75",
        r"trial 2 of 2 \(search\) started in trials/0001, about \d+ s left; behave=good, dss=0.5",
        r"trial 2 of 2 \(search\) complete in \d+ s, DSS 0.5000, about 0 s left; behave=good, dss=0.5",
    ]
    assert len(lines) == 4
    assert [bool(re.fullmatch(stamp + text, line)) for text, line in zip(expected, lines, strict=True)] == [True] * 4


def test_a_sweep_whose_trials_all_fail_stops_with_an_issue(tmp_path: Path) -> None:
    issues = worker(tmp_path, parameters={"behave": ["crash", "reject"]}, trials=4).work()
    assert [issue.code for issue in issues] == ["LS-SWP-010"] * 4 + ["LS-SWP-009"]
    assert len(rows(tmp_path)) == 4


def test_a_seed_gives_the_same_configurations_also_if_the_search_is_interrupted(tmp_path: Path) -> None:
    parameters = {"behave": ["good"], "steps": {"low": 1, "high": 3}, "score": {"low": 0.1, "high": 0.9}}
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    for folder, lengths in ((whole, [12]), (parts, [3, 7, 12])):
        for trials in lengths:
            worker(folder, parameters=parameters, trials=trials, sampler="tpe").work()
    chosen = [[(row["score"], row["steps"]) for row in rows(folder)] for folder in (whole, parts)]
    assert chosen[0] == chosen[1]
    assert len(set(chosen[0])) > 6


def test_median_pruner_stops_a_worse_trial_and_its_row_is_pruned(tmp_path: Path) -> None:
    scores = ["0.9", "0.8", "0.85", "0.7", "0.95", "0.1", "0.99"]
    own = worker(
        tmp_path,
        parameters={"behave": ["good"], "dss": scores},
        trials=7,
        pruner="median",
        overrides=("steps=5",),
        **GRID,
    )
    own.work()
    assert [row["state"] for row in rows(tmp_path)] == ["complete"] * 5 + ["pruned", "complete"]


def start(folder: Path, **arguments: Any) -> subprocess.Popen[bytes]:
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    return subprocess.Popen([sys.executable, stub_worker.__file__, str(folder), json.dumps(arguments)], env=environment)


def wait_for(condition: Any, seconds: float = 240.0) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "timed out"
        time.sleep(0.02)


def test_two_workers_share_one_sqlite_study_without_repeating_a_trial(tmp_path: Path) -> None:
    arguments = {
        "parameters": {"behave": ["good"], "dss": {"low": 0.1, "high": 0.9}},
        "trials": 7,
        "leaders": 2,
        "seeds": 2,
    }
    workers = [start(tmp_path, **arguments) for _ in range(2)]
    assert [process.wait(240) for process in workers] == [0, 0]
    assert Counter((row["phase"], row["state"]) for row in rows(tmp_path)) == {
        ("search", "complete"): 7,
        ("confirm", "complete"): 4,
    }
    assert set(started(tmp_path).values()) == {1}


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_a_trial_of_a_killed_worker_is_resumed(tmp_path: Path, number: int) -> None:
    arguments = {"parameters": {"behave": ["good"]}, "trials": 3, "overrides": ["steps=12"]}
    process = start(tmp_path, **arguments)
    wait_for(lambda: (tmp_path / "trials/0001/metrics.csv").exists())
    process.send_signal(number)
    assert process.wait(240) == (1 if number != signal.SIGKILL else -signal.SIGKILL)
    assert start(tmp_path, **arguments).wait(240) == 0
    found = rows(tmp_path)
    assert [(row["number"], row["state"]) for row in found] == [(str(n), "complete") for n in range(3)]
    assert started(tmp_path) == {0: 1, 1: 2, 2: 1}
    assert [len((tmp_path / f"trials/{n:04d}/metrics.csv").read_text().splitlines()) for n in range(3)] == [12] * 3


def test_a_training_ends_with_its_worker_and_is_adopted_only_after_its_end(tmp_path: Path) -> None:
    arguments = {"parameters": {"behave": ["good"]}, "trials": 1, "overrides": ["steps=40"]}
    first = start(tmp_path, **arguments)
    starts = tmp_path / "trials/0000/starts"
    wait_for(starts.exists)
    first.kill()
    assert first.wait() == -signal.SIGKILL
    second = start(tmp_path, **arguments)
    wait_for(lambda: len(starts.read_text().splitlines()) == 2)
    (old, new) = map(int, starts.read_text().split())
    assert not Path(f"/proc/{old}").exists() or Path(f"/proc/{old}/stat").read_text().split()[2] == "Z"
    assert new != old
    assert second.wait(240) == 0
    assert len((tmp_path / "trials/0000/metrics.csv").read_text().splitlines()) == 40


def test_another_worker_adopts_the_trial_of_a_killed_one(tmp_path: Path) -> None:
    arguments = {"parameters": {"behave": ["good"]}, "trials": 6, "overrides": ["steps=8"]}
    workers = [start(tmp_path, **arguments) for _ in range(2)]
    wait_for(lambda: len(started(tmp_path)) >= 2)
    workers[0].kill()
    assert workers[1].wait(240) == 0
    assert [row["state"] for row in rows(tmp_path)] == ["complete"] * 6
    assert workers[0].wait() == -signal.SIGKILL


def test_workers_with_separate_folders_share_a_study_and_end_a_stale_trial(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'common.db'}"
    arguments: dict[str, Any] = {"parameters": {"behave": ["good"]}, "trials": 3, "overrides": ("steps=1",), "url": url}
    there = worker(tmp_path / "there", **arguments)
    lost = there._next()
    assert isinstance(lost, tuple)
    here = worker(tmp_path / "here", **arguments)
    assert here._adopt(here.sweep.study.records()[0], "here") is None  # its worker may still run
    trial = here.sweep.study._trial_id(0)
    here.sweep.study._storage.set_trial_user_attr(trial, "heartbeat", time.time() - 3600)
    here.work()
    os.close(lost[1])
    states = [row["state"] for row in rows(tmp_path / "here")]
    assert states == ["failed", "complete", "complete", "complete"]
    assert rows(tmp_path / "here")[0]["reason"].startswith("LS-SWP-012: stale trial, its worker on ")


def test_a_trial_that_was_ended_as_stale_is_not_changed(tmp_path: Path) -> None:
    own = worker(tmp_path, parameters={"behave": ["good"]}, trials=1)
    found = own._next()
    assert isinstance(found, tuple)
    own.sweep.study.tell(0, State.FAILED, Outcome("stale"))
    own.sweep.study.tell(0, State.COMPLETE, Outcome(scores={"dss": 0.5}), [0.5])
    os.close(found[1])
    (record,) = own.sweep.study.records()
    assert (record.state, record.outcome.reason) == (State.FAILED, "stale")


def test_a_study_that_was_started_with_other_values_is_rejected_with_every_difference(tmp_path: Path) -> None:
    from liverspleen.errors import InputError

    url = f"sqlite:///{tmp_path / 'study.db'}"
    study = Study(url, "a", objectives=["dss"], sampler="tpe", pruner="none")
    neutral = {"trainer.ema_decay": None}
    study.check_identity({"trainer.steps": 300, "seed": 0}, neutral)
    study.check_identity(
        {"trainer.steps": 300, "seed": 0, "trainer.ema_decay": None}, neutral
    )  # a key that was added since
    with pytest.raises(
        InputError,
        match=r"LS-SWP-007: the study 'a' was started with other values: trainer.steps was 300, now 400; seed was",
    ):
        study.check_identity({"trainer.steps": 400, "seed": 1, "trainer.ema_decay": None}, neutral)


@pytest.mark.parametrize("number", [None, 2, "3"])
def test_a_study_of_another_format_is_rejected(tmp_path: Path, number: object) -> None:
    from liverspleen.errors import InputError

    url = f"sqlite:///{tmp_path / 'study.db'}"
    study = Study(url, "a", objectives=["dss"], sampler="tpe", pruner="none")
    study.check_identity({"seed": 0}, {})
    study._study.set_user_attr("identity", {"seed": 0} | ({} if number is None else {"format": number}))
    with pytest.raises(InputError, match=r"^LS-FMT-001: study .*, expected 3; .*another output= or study="):
        study.check_identity({"seed": 0}, {})


def test_a_database_that_cannot_be_used_is_one_line_without_its_password() -> None:
    from liverspleen.errors import InputError

    with pytest.raises(InputError) as caught:
        Study("postgresql://me:secret@127.0.0.1:1/db", "a", objectives=["dss"], sampler="tpe", pruner="none")
    assert caught.value.issues[0].code == "LS-SWP-006"
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("seeds", [0, 2])
def test_a_trial_whose_worker_was_killed_while_it_registered_it_is_adopted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seeds: int
) -> None:
    """The last search trial, or with `seeds` the first confirmation trial, is in the database and not yet locked."""
    arguments: dict[str, Any] = {
        "parameters": {"behave": ["good"], "dss": ["0.4", "0.5"]},
        "trials": 2,
        "overrides": ["steps=1"],
    }
    worker(tmp_path, **arguments | {"trials": 2 if seeds else 1}).work()
    sampled = Study.sampled

    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(Study, "sampled", killed)
    with pytest.raises(KeyboardInterrupt):
        worker(tmp_path, **arguments, seeds=seeds).work()
    monkeypatch.setattr(Study, "sampled", sampled)
    worker(tmp_path, **arguments, seeds=seeds).work()
    assert Counter(row["phase"] for row in rows(tmp_path)) == Counter(search=2, confirm=seeds)
    assert {row["state"] for row in rows(tmp_path)} == {"complete"}


def test_a_surplus_trial_of_a_killed_worker_is_discarded_by_the_next_worker(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    arguments: dict[str, Any] = {"parameters": {"behave": ["good"]}, "trials": 2, "overrides": ["steps=1"]}
    own = worker(tmp_path, **arguments)
    own.work()
    folder_id = (tmp_path / ".folder_id").read_text().strip()
    own.sweep.study.ask(NextTrial(Phase.SEARCH), own.sweep.space, folder_id=folder_id, host="here")
    worker(tmp_path, **arguments).work()
    assert [(row["number"], row["state"]) for row in rows(tmp_path)] == [("0", "complete"), ("1", "complete")]


def test_a_trial_that_another_worker_has_ended_is_stopped_and_its_worker_continues(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As after a machine was suspended for ten minutes."""
    monkeypatch.setattr(worker_module, "_HEARTBEAT_S", 0.2)
    own = worker(tmp_path, parameters={"behave": ["good"]}, trials=1, overrides=("steps=30",))
    heartbeat = own.sweep.study.heartbeat

    def ended(number: int, seconds: float) -> bool:
        if number == 0:
            own.sweep.study.tell(0, State.FAILED, Outcome("stale"))
        return heartbeat(number, seconds)

    monkeypatch.setattr(own.sweep.study, "heartbeat", ended)
    assert [issue.code for issue in own.work()] == []
    assert [(row["state"], row["reason"]) for row in rows(tmp_path)] == [("failed", "stale"), ("complete", "")]
    assert len((tmp_path / "trials/0000/metrics.csv").read_text().splitlines()) < 30


@pytest.mark.parametrize(
    ("url", "secret"),
    [
        ("postgresql://me:secret", "secret"),  # the port is not a number
        ("sqlite+nothing://me:pa@ss@host/db", "ss@"),
    ],
)
def test_an_invalid_url_is_one_line_without_any_part_of_its_password(url: str, secret: str) -> None:
    from liverspleen.errors import InputError

    with pytest.raises(InputError, match="LS-SWP-006") as caught:
        Study(url, "a", objectives=["dss"], sampler="tpe", pruner="none")
    assert secret not in str(caught.value)


def test_a_database_that_fails_during_a_trial_is_one_line_and_the_trial_remains_open(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from optuna.exceptions import StorageInternalError

    arguments: dict[str, Any] = {"parameters": {"behave": ["good"]}, "trials": 1, "overrides": ("steps=5",)}
    own = worker(tmp_path, **arguments)

    def fails(*_: object) -> bool:
        raise StorageInternalError("invalid data") from OSError("server closed the connection\nunexpectedly")

    monkeypatch.setattr(own.sweep.study, "heartbeat", fails)
    with pytest.raises(ConnectionError, match="the database of the study failed: server closed the connection; then"):
        own.work()
    assert worker(tmp_path, **arguments).work() == []
    assert [row["state"] for row in rows(tmp_path)] == ["complete"]


def test_the_time_of_a_trial_includes_that_of_a_killed_worker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worker_module, "_HEARTBEAT_S", 0.2)
    arguments: dict[str, Any] = {"parameters": {"behave": ["good"]}, "trials": 1, "overrides": ("steps=20",)}
    own = worker(tmp_path, **arguments)
    heartbeat, count = own.sweep.study.heartbeat, Counter[str]()

    def killed(number: int, seconds: float) -> bool:
        count["heartbeats"] += 1
        if count["heartbeats"] == 6:
            raise KeyboardInterrupt
        return heartbeat(number, seconds)

    monkeypatch.setattr(own.sweep.study, "heartbeat", killed)
    with pytest.raises(KeyboardInterrupt):
        own.work()
    (record,) = own.sweep.study.records()
    before = record.seconds
    assert before is not None
    assert before > 0.8  # five heartbeats
    own = worker(tmp_path, **arguments)
    steps = 20 - len((tmp_path / "trials/0000/metrics.csv").read_text().splitlines())
    assert own.work() == []
    assert float(rows(tmp_path)[0]["seconds"]) > before + 0.1 * steps
