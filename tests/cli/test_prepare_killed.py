"""A cache whose build is killed repeatedly ends with the same bytes as one built at once; so do two parallel builds."""

import multiprocessing
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from liverspleen.cli.main import main

pytestmark = pytest.mark.slow
PLACES = (
    "half an array",
    "before the folder is locked",
    "before the new name",
    "after the new name",
    "half of run.json",
    "a noted test case",
)
SLICES = (300,) * 6


def run_until(place: str, count: int, command: list[str]) -> None:
    """Run `command`, and be killed at the `count`-th visit to `place`."""
    from liverspleen import provenance
    from liverspleen.data import atomic_folders, cache

    left = count

    def die(*_: object, **__: object) -> None:
        nonlocal left
        left -= 1
        if left == 0:
            os.kill(os.getpid(), signal.SIGKILL)

    def patched(owner: object, name: str, value: object) -> Any:
        whole = getattr(owner, name)  # a name that is gone is an error, not a place that is never visited
        setattr(owner, name, value)
        return whole

    def around(owner: object, name: str, *, after: bool = False) -> None:
        whole = getattr(owner, name)
        if after:
            setattr(owner, name, lambda *a, **k: (whole(*a, **k), die())[0])
        else:
            setattr(owner, name, lambda *a, **k: (die(), whole(*a, **k))[1])

    def half_saved(file: Path, array: object) -> None:
        save(file, array)
        if left == 1:
            os.truncate(file, 1000)
        die()

    def half_written(file: Path, content: object) -> None:
        (file.parent / ".part-1234-run.json").write_text('{"half')
        die()

    if place == "half an array":
        save = patched(cache, "write_array", half_saved)
    elif place == "before the folder is locked":
        around(atomic_folders, "try_lock")
    elif place == "before the new name":
        around(Path, "rename")
    elif place == "after the new name":
        around(Path, "rename", after=True)
    elif place == "half of run.json":
        patched(provenance, "write_record", half_written)
        left = 1
    elif place == "a noted test case":
        around(Path, "replace")
        left = 1
    raise SystemExit(main(command))


def contents(cache: Path) -> dict[str, bytes]:
    files = (file for file in cache.rglob("*") if file.is_file() and file.name != "run.json")
    return {str(file.relative_to(cache)): file.read_bytes() for file in files}


def times(cache: Path) -> dict[Path, int]:
    """Modification times of the files of complete cases."""
    return {file: file.stat().st_mtime_ns for about in cache.glob("[!.]*/case.json") for file in about.parent.iterdir()}


def test_build_killed_12_times_gives_the_same_cache(box_cohort: Callable[..., Path], tmp_path: Path) -> None:
    manifest = box_cohort(slices=SLICES, dataset=("development",) * 5 + ("test1",))
    whole, cut = tmp_path / "whole", tmp_path / "cut"
    assert main(["prepare", f"cohort={manifest}", f"cache={whole}"]) == 0
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["liverspleen.cli.prepare", "liverspleen.cohort.checks", "hydra"])
    draw, killed = random.Random(0), 0
    seconds, held = 1.0, set[int]()
    while killed < 12:
        place = PLACES[killed] if killed < len(PLACES) else ""
        # one process and then two, of which the first is killed
        command = ["prepare", f"cohort={manifest}", f"cache={cut}", f"workers={1 if place else draw.choice((1, 1, 2))}"]
        before = times(cut)
        process = context.Process(target=run_until, args=(place, draw.randint(1, 3), command))
        began = time.monotonic()
        process.start()
        process.join(None if place else draw.uniform(0.05, seconds))
        if process.is_alive():
            process.kill()
            process.join()
        after = times(cut)
        assert {file: after.get(file) for file in before} == before  # complete cases are not written again
        if process.exitcode == -signal.SIGKILL:
            killed += 1
            held.add(len(after))
            continue
        assert process.exitcode == 0
        assert not place, f"never killed: {place}"
        seconds = min(time.monotonic() - began, 5.0)  # it finished: kill earlier, and start again
        assert contents(cut) == contents(whole)
        subprocess.run(["rm", "-r", str(cut)], check=True)
    assert main(["prepare", f"cohort={manifest}", f"cache={cut}"]) == 0
    assert contents(cut) == contents(whole)
    assert not list(cut.glob(".part-*"))
    assert len(held) >= 3, held  # killed in between, not at the start


def test_two_builds_at_once_do_no_harm(box_cohort: Callable[..., Path], tmp_path: Path) -> None:
    manifest = box_cohort(slices=SLICES)
    command = [sys.executable, "-m", "liverspleen", "prepare", f"cohort={manifest}"]
    subprocess.run([*command, f"cache={tmp_path / 'one'}"], check=True, capture_output=True)
    cache = tmp_path / "two"
    both = [subprocess.Popen([*command, f"cache={cache}"], stdout=-3, stderr=-3) for _ in range(2)]
    assert [process.wait() for process in both] == [0, 0]
    assert contents(cache) == contents(tmp_path / "one")


@pytest.fixture
def disk_mb() -> int:
    return 4


@pytest.mark.parametrize("seen", [True, False])
@pytest.mark.parametrize("room", [1_000_000, 8192])
def test_disk_that_is_full_is_one_line_with_the_bytes_needed(
    seen: bool,
    room: int,
    box_cohort: Callable[..., Path],
    small_disk: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Also if the disk becomes full only while a case is written (a quota, another process)."""
    from liverspleen.data import build

    manifest, cache = box_cohort(slices=SLICES), small_disk / "cache"
    cache.mkdir()
    free = os.statvfs(cache).f_bavail * os.statvfs(cache).f_frsize
    (small_disk / "other").write_bytes(bytes(max(free - room, 0)))
    if not seen:
        monkeypatch.setattr(build.shutil, "disk_usage", lambda _: type("usage", (), {"free": 1 << 40}))
    assert main(["prepare", f"cohort={manifest}", f"cache={cache}"]) == 2
    lines = capsys.readouterr().err.splitlines()
    (line,) = [line for line in lines if "LS-" in line and not line.startswith("warning: LS-IMG-")]
    assert line.startswith("LS-STO-002")
    needed = int(line.split("needs ")[1].split(" bytes")[0])
    cases = 6 if seen else 1
    assert 3 * cases * 300 * 32 * 32 <= needed <= 3 * cases * 300 * 32 * 32 + cases * (1 << 17)
    assert not list(cache.glob(".part-*"))
    (small_disk / "other").unlink()
    monkeypatch.undo()
    before = {file: file.stat().st_mtime_ns for file in cache.glob("*/*.npy")}
    assert main(["prepare", f"cohort={manifest}", f"cache={cache}"]) == 2  # 5.5 MB into 4 MB
    rows = manifest.read_text().splitlines()
    manifest.write_text("\n".join(rows[:4]) + "\n")
    assert main(["prepare", f"cohort={manifest}", f"cache={cache}"]) == 0
    assert {file: file.stat().st_mtime_ns for file in before} == before
