"""Work in several processes ends with its parent process."""

import multiprocessing
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from liverspleen.processes import spread


def _sleep(folder: str) -> None:
    (Path(folder) / str(os.getpid())).touch()
    time.sleep(60)


def _with_workers(folder: str) -> None:
    with spread(_sleep, [folder] * 2, 2):
        time.sleep(60)


@pytest.mark.slow
def test_processes_end_with_the_one_that_started_them_also_when_it_is_killed(tmp_path: Path) -> None:
    process = multiprocessing.get_context("spawn").Process(target=_with_workers, args=(str(tmp_path),))
    process.start()
    while len(workers := [int(file.name) for file in tmp_path.iterdir()]) < 2:
        time.sleep(0.05)
    process.kill()
    process.join()
    end = time.monotonic() + 20
    while alive := [pid for pid in workers if Path(f"/proc/{pid}").exists()]:
        assert time.monotonic() < end, alive
        time.sleep(0.1)


def _noted(file: Path) -> None:
    file.touch()
    time.sleep(0.5)  # longer than this process needs to see the end of the first


def test_waiting_work_is_not_started_after_an_interruption(tmp_path: Path) -> None:
    def interrupted() -> None:
        with spread(_noted, [tmp_path / str(number) for number in range(60)], 1) as futures:
            futures[0].result()
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert 1 <= len([*tmp_path.iterdir()]) < 10


def _cleaning(folder: Path) -> None:
    try:
        (folder / "started").touch()
        time.sleep(60)
    finally:
        (folder / "cleaned").touch()


@pytest.mark.parametrize("number", [signal.SIGINT, pytest.param(signal.SIGHUP, marks=pytest.mark.slow)])
def test_signal_to_the_group_ends_the_items_in_work_without_a_message(number: int, tmp_path: Path) -> None:
    folders = [tmp_path / name for name in ("one", "two", "waiting")]
    for folder in folders:
        folder.mkdir()
    run = subprocess.Popen([sys.executable, __file__, *folders], stderr=subprocess.PIPE, start_new_session=True)
    while not all((folder / "started").exists() for folder in folders[:2]):
        assert run.poll() is None
        time.sleep(0.05)
    os.killpg(run.pid, number)
    assert run.communicate() == (None, b"")
    assert run.returncode == 3
    assert all((folder / "cleaned").exists() for folder in folders[:2])
    assert not (folders[2] / "started").exists()


if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell may ignore it
    signal.signal(signal.SIGHUP, signal.default_int_handler)
    try:
        with spread(_cleaning, [Path(name) for name in sys.argv[1:]], 2) as futures:
            futures[0].result()
    except KeyboardInterrupt:
        sys.exit(3)
