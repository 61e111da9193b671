"""Workers with stub trainings: every ending becomes a row, and nothing is lost or doubled by whatever kills them."""

from __future__ import annotations

import csv
import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import stub_worker
from stub_worker import worker

import liverspleen.sweep.worker as worker_module
from liverspleen.sweep.plan import Begin, Phase, State
from liverspleen.sweep.study import Study

GRID = {"sampler": "grid"}


def rows(folder: Path, name: str = "trials.csv") -> list[dict[str, str]]:
    with (folder / name).open(newline="") as handle:
        return list(csv.DictReader(handle))


def started(folder: Path) -> Counter[int]:
    """How often each trial's training was started."""
    return Counter(
        {int(file.parent.name): len(file.read_text().splitlines()) for file in folder.glob("trials/*/starts")}
    )


def test_each_way_to_fail_is_a_row_with_its_reason_and_the_sweep_goes_on(tmp_path: Path) -> None:
    ways = ["reject", "kill", "crash", "empty", "infinite", "good"]
    own = worker(tmp_path, parameters={"behave": ways}, trials=6, **GRID)
    issues = own.work()
    found = {row["behave"]: (row["state"], row["reason"]) for row in rows(tmp_path)}
    rejected = "LS-CFG-007: a network needs an odd number of slices, not 2; choose another network="
    assert found["reject"] == ("failed", rejected)
    assert found["kill"] == ("failed", "killed by SIGKILL, which is what the kernel sends when memory runs out")
    assert found["crash"] == ("failed", "ended with code 1: last words")
    for way in ("empty", "infinite"):
        assert found[way] == ("failed", "LS-SWP-008: dss is undefined on the validation cases")
    assert found["good"] == ("complete", "")
    assert [issue.code for issue in issues] == ["LS-SWP-010"] * 5
    assert {issue.severity for issue in issues} == {"warning"}


def test_tables_tell_objectives_volumes_and_seeds(tmp_path: Path) -> None:
    own = worker(tmp_path, parameters={"behave": ["good"], "dss": ["0.75", "0.5"]}, trials=2, seeds=2, **GRID)
    assert own.work() == []
    trials = rows(tmp_path)
    assert [(row["phase"], row["seed"], row["dss"]) for row in trials] == [
        ("search", "0", "0.75"),
        ("search", "1", "0.5"),
        ("confirm", "100000", "0.75"),
        ("confirm", "100001", "0.75"),
    ]
    assert {row["volume_bias_pct"] for row in trials} == {
        "20.0"
    }  # 200 (110 - 90) / (110 + 90); an empty spleen has none
    assert {row["seconds_per_slice"] for row in trials} == {"0.25"}
    assert len({row["configuration"] for row in trials}) == 2
    cases = rows(tmp_path, "trial_cases.csv")
    assert len(cases) == 8
    assert {(row["case_id"], row["condition"]) for row in cases} == {("c0", "healthy")}


def test_a_sweep_whose_trials_all_fail_ends_and_says_so(tmp_path: Path) -> None:
    issues = worker(tmp_path, parameters={"behave": ["crash", "reject"]}, trials=4).work()
    assert [issue.code for issue in issues] == ["LS-SWP-010"] * 4 + ["LS-SWP-009"]
    assert len(rows(tmp_path)) == 4


def test_a_seed_draws_the_same_configurations_whatever_interrupts_the_search(tmp_path: Path) -> None:
    parameters = {"behave": ["good"], "steps": {"low": 1, "high": 3}, "score": {"low": 0.1, "high": 0.9}}
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    for folder, lengths in ((whole, [12]), (parts, [3, 7, 12])):
        for trials in lengths:
            worker(folder, parameters=parameters, trials=trials, sampler="tpe").work()
    chosen = [[(row["score"], row["steps"]) for row in rows(folder)] for folder in (whole, parts)]
    assert chosen[0] == chosen[1]
    assert len(set(chosen[0])) > 6


def test_median_pruner_stops_a_trial_that_is_worse_and_its_row_says_so(tmp_path: Path) -> None:
    scores = ["0.9", "0.8", "0.85", "0.7", "0.95", "0.1", "0.99"]
    own = worker(
        tmp_path, parameters={"behave": ["good"], "dss": scores}, trials=7, pruner="median", words=("steps=5",), **GRID
    )
    own.work()
    assert [row["state"] for row in rows(tmp_path)] == ["complete"] * 5 + ["pruned", "complete"]
    assert len((tmp_path / "trials/0005/metrics.csv").read_text().splitlines()) < 5


def begin(folder: Path, **asked: Any) -> subprocess.Popen[bytes]:
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    return subprocess.Popen([sys.executable, stub_worker.__file__, str(folder), json.dumps(asked)], env=environment)


def wait_for(condition: Any, seconds: float = 240.0) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.02)


def test_two_workers_share_one_sqlite_study_without_doubling_a_trial(tmp_path: Path) -> None:
    asked = {
        "parameters": {"behave": ["good"], "dss": {"low": 0.1, "high": 0.9}},
        "trials": 7,
        "leaders": 2,
        "seeds": 2,
    }
    workers = [begin(tmp_path, **asked) for _ in range(2)]
    assert [process.wait(240) for process in workers] == [0, 0]
    assert Counter((row["phase"], row["state"]) for row in rows(tmp_path)) == {
        ("search", "complete"): 7,
        ("confirm", "complete"): 4,
    }
    assert set(started(tmp_path).values()) == {1}


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_a_worker_killed_in_the_middle_of_a_trial_leaves_it_to_be_continued(tmp_path: Path, number: int) -> None:
    asked = {"parameters": {"behave": ["good"]}, "trials": 3, "words": ["steps=12"]}
    process = begin(tmp_path, **asked)
    wait_for(lambda: (tmp_path / "trials/0001/metrics.csv").exists())
    process.send_signal(number)
    assert process.wait(240) == (1 if number != signal.SIGKILL else -signal.SIGKILL)
    assert begin(tmp_path, **asked).wait(240) == 0
    found = rows(tmp_path)
    assert [(row["number"], row["state"]) for row in found] == [(str(n), "complete") for n in range(3)]
    assert started(tmp_path) == {0: 1, 1: 2, 2: 1}
    assert [len((tmp_path / f"trials/{n:04d}/metrics.csv").read_text().splitlines()) for n in range(3)] == [12] * 3


def test_a_training_outlives_no_worker_and_is_taken_by_nobody_while_it_lives(tmp_path: Path) -> None:
    asked = {"parameters": {"behave": ["good"]}, "trials": 1, "words": ["steps=40"]}
    first = begin(tmp_path, **asked)
    starts = tmp_path / "trials/0000/starts"
    wait_for(starts.exists)
    first.kill()
    assert first.wait() == -signal.SIGKILL
    second = begin(tmp_path, **asked)
    wait_for(lambda: len(starts.read_text().splitlines()) == 2)
    (old, new) = map(int, starts.read_text().split())
    assert not Path(f"/proc/{old}").exists() or Path(f"/proc/{old}/stat").read_text().split()[2] == "Z"
    assert new != old
    assert second.wait(240) == 0
    assert len((tmp_path / "trials/0000/metrics.csv").read_text().splitlines()) == 40


def test_another_worker_takes_over_what_a_killed_one_left(tmp_path: Path) -> None:
    asked = {"parameters": {"behave": ["good"]}, "trials": 6, "words": ["steps=8"]}
    workers = [begin(tmp_path, **asked) for _ in range(2)]
    wait_for(lambda: len(started(tmp_path)) >= 2)
    workers[0].kill()
    assert workers[1].wait(240) == 0
    assert [row["state"] for row in rows(tmp_path)] == ["complete"] * 6
    assert workers[0].wait() == -signal.SIGKILL


def test_workers_with_folders_of_their_own_share_a_study_and_end_what_fell_silent(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'common.db'}"
    asked: dict[str, Any] = {"parameters": {"behave": ["good"]}, "trials": 3, "words": ("steps=1",), "url": url}
    there = worker(tmp_path / "there", **asked)
    lost = there._next()
    assert isinstance(lost, tuple)
    here = worker(tmp_path / "here", **asked)
    assert here._left(here.sweep.study.records()[0], "here") is None  # it may still be at work there
    trial = here.sweep.study._trial(0)
    here.sweep.study._storage.set_trial_user_attr(trial, "seen", time.time() - 3600)
    here.work()
    os.close(lost[1])
    states = [row["state"] for row in rows(tmp_path / "here")]
    assert states == ["failed", "complete", "complete", "complete"]
    assert rows(tmp_path / "here")[0]["reason"].startswith("LS-SWP-012: its worker on ")


def test_a_worker_that_was_taken_for_dead_changes_nothing_any_more(tmp_path: Path) -> None:
    own = worker(tmp_path, parameters={"behave": ["good"]}, trials=1)
    found = own._next()
    assert isinstance(found, tuple)
    own.sweep.study.end(0, State.FAILED, {"reason": "silent"})
    own.sweep.study.end(0, State.COMPLETE, {"dss": 0.5}, [0.5])
    os.close(found[1])
    (record,) = own.sweep.study.records()
    assert (record.state, record.about["reason"]) == (State.FAILED, "silent")


def test_a_study_begun_otherwise_is_rejected_with_every_difference(tmp_path: Path) -> None:
    from liverspleen.errors import InputError

    url = f"sqlite:///{tmp_path / 'study.db'}"
    study = Study(url, "a", objectives=["dss"], sampler="tpe", pruner="none")
    neutral = {"trainer.ema_decay": None}
    study.agree({"trainer.steps": 300, "seed": 0}, neutral)
    study.agree({"trainer.steps": 300, "seed": 0, "trainer.ema_decay": None}, neutral)  # a key that was added since
    with pytest.raises(
        InputError,
        match=r"LS-SWP-007: the study 'a' was started with other values: trainer.steps was 300, now 400; seed was",
    ):
        study.agree({"trainer.steps": 400, "seed": 1, "trainer.ema_decay": None}, neutral)


@pytest.mark.parametrize("number", [None, 1, "2"])
def test_a_study_of_another_format_is_rejected(tmp_path: Path, number: object) -> None:
    from liverspleen.errors import InputError

    url = f"sqlite:///{tmp_path / 'study.db'}"
    study = Study(url, "a", objectives=["dss"], sampler="tpe", pruner="none")
    study.agree({"seed": 0}, {})
    study._study.set_user_attr("identity", {"seed": 0} | ({} if number is None else {"format": number}))
    with pytest.raises(InputError, match=r"^LS-FMT-001: study .*, expected 2; .*another output= or study="):
        study.agree({"seed": 0}, {})


def test_a_database_that_cannot_be_used_is_one_line_without_its_password() -> None:
    from liverspleen.errors import InputError

    with pytest.raises(InputError) as caught:
        Study("postgresql://me:secret@127.0.0.1:1/db", "a", objectives=["dss"], sampler="tpe", pruner="none")
    assert caught.value.issues[0].code == "LS-SWP-006"
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("seeds", [0, 2])
def test_a_worker_killed_while_it_begins_a_trial_leaves_none_too_many(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seeds: int
) -> None:
    """Without `seeds` the last search trial, or the first of the confirmation, is in the database and not yet taken."""
    asked: dict[str, Any] = {
        "parameters": {"behave": ["good"], "dss": ["0.4", "0.5"]},
        "trials": 2,
        "words": ["steps=1"],
    }
    worker(tmp_path, **asked | {"trials": 2 if seeds else 1}).work()
    begun = Study.completed

    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(Study, "completed", killed)
    with pytest.raises(KeyboardInterrupt):
        worker(tmp_path, **asked, seeds=seeds).work()
    monkeypatch.setattr(Study, "completed", begun)
    worker(tmp_path, **asked, seeds=seeds).work()
    assert Counter(row["phase"] for row in rows(tmp_path)) == Counter(search=2, confirm=seeds)
    assert {row["state"] for row in rows(tmp_path)} == {"complete"}


def test_a_trial_too_many_whose_worker_was_killed_before_it_gave_it_back_is_given_back_by_the_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: dict[str, Any] = {"parameters": {"behave": ["good"]}, "trials": 2, "words": ["steps=1"]}
    own = worker(tmp_path, **asked)
    own.work()
    place = (tmp_path / ".place").read_text().strip()
    own.sweep.study.begin(Begin(Phase.SEARCH), own.sweep.space, {"place": place})
    worker(tmp_path, **asked).work()
    assert [(row["number"], row["state"]) for row in rows(tmp_path)] == [("0", "complete"), ("1", "complete")]


def test_a_trial_that_another_worker_has_ended_is_stopped_and_its_worker_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As after ten minutes of a suspended machine."""
    monkeypatch.setattr(worker_module, "_BEAT_S", 0.2)
    own = worker(tmp_path, parameters={"behave": ["good"]}, trials=1, words=("steps=30",))
    say = own.sweep.study.seen

    def ended(number: int) -> bool:
        if number == 0:
            own.sweep.study.end(0, State.FAILED, {"reason": "silent"})
        return say(number)

    monkeypatch.setattr(own.sweep.study, "seen", ended)
    assert [issue.code for issue in own.work()] == []
    assert [(row["state"], row["reason"]) for row in rows(tmp_path)] == [("failed", "silent"), ("complete", "")]
    assert len((tmp_path / "trials/0000/metrics.csv").read_text().splitlines()) < 30


@pytest.mark.parametrize(
    ("url", "secret"),
    [
        ("postgresql://me:secret", "secret"),  # no number of a port
        ("sqlite+nothing://me:pa@ss@host/db", "ss@"),
    ],
)
def test_a_url_of_no_use_is_one_line_without_a_part_of_its_password(url: str, secret: str) -> None:
    from liverspleen.errors import InputError

    with pytest.raises(InputError, match="LS-SWP-006") as caught:
        Study(url, "a", objectives=["dss"], sampler="tpe", pruner="none")
    assert secret not in str(caught.value)


def test_a_database_that_fails_in_mid_trial_is_one_line_and_the_trial_stays_open(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from optuna.exceptions import StorageInternalError

    asked: dict[str, Any] = {"parameters": {"behave": ["good"]}, "trials": 1, "words": ("steps=5",)}
    own = worker(tmp_path, **asked)

    def fails(_: int) -> bool:
        raise StorageInternalError("invalid data") from OSError("server closed the connection\nunexpectedly")

    monkeypatch.setattr(own.sweep.study, "seen", fails)
    with pytest.raises(ConnectionError, match="the database of the study failed: server closed the connection; then"):
        own.work()
    assert worker(tmp_path, **asked).work() == []
    assert [row["state"] for row in rows(tmp_path)] == ["complete"]


def test_the_time_of_a_trial_holds_that_of_a_worker_that_was_killed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worker_module, "_BEAT_S", 0.2)
    asked: dict[str, Any] = {"parameters": {"behave": ["good"]}, "trials": 1, "words": ("steps=20",)}
    own = worker(tmp_path, **asked)
    seen, beats = own.sweep.study.seen, Counter[str]()

    def killed(number: int) -> bool:
        beats["all"] += 1
        if beats["all"] == 6:
            raise KeyboardInterrupt
        return seen(number)

    monkeypatch.setattr(own.sweep.study, "seen", killed)
    with pytest.raises(KeyboardInterrupt):
        own.work()
    (record,) = own.sweep.study.records()
    before = record.about["seconds"]
    assert before > 0.8  # five beats
    own = worker(tmp_path, **asked)
    steps = 20 - len((tmp_path / "trials/0000/metrics.csv").read_text().splitlines())
    assert own.work() == []
    assert float(rows(tmp_path)[0]["seconds"]) > before + 0.1 * steps
