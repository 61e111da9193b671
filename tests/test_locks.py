"""Locks end with their processes, also with killed ones, and last as long as a process that inherited them."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from liverspleen import locks
from liverspleen.locks import exclusive, held, try_lock

HOLD = "import os, sys; print('ready', flush=True); sys.stdin.read()"
LOCK = (
    f"import sys; from pathlib import Path; from liverspleen.locks import try_lock; try_lock(Path(sys.argv[1])); {HOLD}"
)


def started(code: str, *arguments: str, pass_fds: tuple[int, ...] = ()) -> subprocess.Popen[str]:
    """A process that waits for the end of its standard input."""
    command = [sys.executable, "-c", code, *arguments]
    process = subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, pass_fds=pass_fds, close_fds=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    return process


def test_a_lock_is_held_once(tmp_path: Path) -> None:
    file = tmp_path / "lock"
    assert not held(file)
    assert not file.exists()
    lock = try_lock(file)
    assert lock is not None
    assert try_lock(file) is None
    assert held(file)
    os.close(lock)
    assert not held(file)


def test_a_lock_ends_with_a_killed_process(tmp_path: Path) -> None:
    process = started(LOCK, str(tmp_path / "lock"))
    assert held(tmp_path / "lock")
    process.kill()
    process.communicate()
    assert not held(tmp_path / "lock")


def test_a_started_process_holds_the_lock_that_it_was_given_and_no_other(tmp_path: Path) -> None:
    given, other = try_lock(tmp_path / "given"), try_lock(tmp_path / "other")
    assert given is not None
    assert other is not None
    process = started(HOLD, pass_fds=(given,))
    os.close(given)
    os.close(other)
    assert held(tmp_path / "given")
    assert not held(tmp_path / "other")
    process.kill()
    process.communicate()
    assert not held(tmp_path / "given")


def test_exclusive_waits_until_the_lock_is_free(tmp_path: Path) -> None:
    entered = threading.Event()

    def enter() -> None:
        with exclusive(tmp_path / "lock"):
            entered.set()

    with exclusive(tmp_path / "lock"):
        thread = threading.Thread(target=enter)
        thread.start()
        assert not entered.wait(0.2)
    assert entered.wait(60)
    thread.join()
    assert not held(tmp_path / "lock")


def test_where_files_cannot_be_locked_no_descriptor_remains(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def without_locks(*_: object, **__: object) -> bool:
        raise OSError(37, "No locks available")

    monkeypatch.setattr(locks, "lock_descriptor", without_locks)
    before = len(list(Path("/proc/self/fd").iterdir()))
    for attempt in (try_lock, lambda file: exclusive(file).__enter__()):
        with pytest.raises(OSError, match="No locks"):
            attempt(tmp_path / "lock")
    assert len(list(Path("/proc/self/fd").iterdir())) == before
