"""Loader processes: shared memory, and what is reported when they fail."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import NamedTuple

import pytest

from liverspleen.data import loader
from liverspleen.data.loader import affordable_workers, loader_issue
from liverspleen.errors import InputError

MB = 2**20
BATCH = 12 * MB  # of training and validation together


@pytest.mark.parametrize(
    ("free_mb", "trainings", "workers"),
    [
        (1000, 1, 4),
        (134, 1, 4),  # 0.9 x 134 = 120.6 MB; 4 processes need 12 x (2 x 4 + 2) = 120 MB
        (133, 1, 3),
        (133, 2, 1),  # 59.9 MB each; 1 process needs 48 MB, 2 need 72 MB
        (64, 1, 1),
        (50, 1, 0),
        (0, 1, 0),
    ],
)
def test_processes_are_as_many_as_have_space_for_their_batches(
    free_mb: int, trainings: int, workers: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loader, "_free_bytes", lambda: free_mb * MB)
    found, issues = affordable_workers(4, [8 * MB, 4 * MB], trainings=trainings)
    assert found == workers
    assert [issue.code for issue in issues] == ([] if workers == 4 else ["LS-TRN-025"])
    assert all(f"set trainer.workers={workers}" in issue.hint for issue in issues)


def test_the_hint_about_shared_memory_is_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loader, "_free_bytes", lambda: 64 * MB)
    _, (issue,) = affordable_workers(4, [BATCH])
    assert "--shm-size=1g" in issue.hint
    monkeypatch.setattr(loader, "_free_bytes", lambda: 2**30)
    assert affordable_workers(4, [BATCH]) == (4, [])


class Ended(NamedTuple):
    exitcode: int


@pytest.mark.parametrize(
    ("number", "cause"), [(signal.SIGKILL, "memory runs out"), (signal.SIGBUS, "slice cache"), (signal.SIGABRT, "")]
)
def test_killed_process_is_reported_with_its_signal(number: signal.Signals, cause: str) -> None:
    process = Ended(-number)
    for error in (RuntimeError("DataLoader worker (pid(s) 1) exited unexpectedly"), EOFError(), ConnectionError()):
        issue = loader_issue(error, [process])
        assert issue is not None
        assert issue.code == "LS-TRN-024"
        assert f"killed by {number.name}" in issue.message
        assert cause in issue.message
        assert "\n" not in str(issue)


def test_errors_of_the_disk_and_of_the_training_are_not_those_of_a_loader() -> None:
    process = Ended(0)
    assert loader_issue(OSError(28, "No space left on device"), [process]) is None
    assert loader_issue(RuntimeError("shape mismatch"), [process]) is None


def test_error_in_a_process_is_reported_in_one_line() -> None:
    cause = "OSError: [Errno 5] Input/output error"
    text = f"Caught OSError in DataLoader worker process 0.\nOriginal Traceback ...\n{cause}\n"
    issue = loader_issue(OSError(text), [])
    assert issue is not None
    assert issue.message == f"a loader process failed: {cause}"


def test_processes_that_cannot_be_started_are_an_issue(monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(loader.DataLoader, "_get_iterator", full)
    with pytest.raises(InputError, match=r"LS-TRN-024.*/dev/shm has"):
        iter(loader.loader([0], workers=1))


@pytest.mark.slow
def test_shared_memory_that_another_program_fills_ends_the_training_at_once(tmp_path: Path) -> None:
    script = Path(__file__).with_name("full_shared_memory.py")
    mount = 'mount --make-rprivate / && mount -t tmpfs -o size=8m tmpfs /dev/shm && exec "$@"'
    command = ["unshare", "-m", "sh", "-c", mount, "sh", sys.executable, str(script)]
    if os.geteuid() != 0 or subprocess.run([*command[:5], "sh", "true"], capture_output=True).returncode != 0:
        pytest.skip("a mount namespace needs root")
    start = time.monotonic()
    run = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert time.monotonic() - start < 200  # loader._TIMEOUT_S is 1200
    assert run.stdout.startswith("LS-TRN-024: a loader process failed: RuntimeError: unable to allocate shared memory")
    assert "--shm-size=" in run.stdout
    assert run.stderr == ""
