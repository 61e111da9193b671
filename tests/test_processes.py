"""Work in several processes ends with its parent process."""

import multiprocessing
import os
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
