"""Cases in as many processes as memory allows; a process that is killed costs its own case only."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from liverspleen.cohort.manifest import Case, read_cohort
from liverspleen.data import build
from liverspleen.data.build import build_cache
from liverspleen.data.cache import cache_case


class Fragile(build._Task):
    """A task whose process is killed for the case `killed`."""

    def done(self) -> str | tuple[Any, ...]:
        if self.case.case_id == "killed":
            os.kill(os.getpid(), signal.SIGKILL)
        return self.case.case_id


def tasks(folder: Path, *names: str) -> dict[build._Task, tuple[int, int]]:
    """Tasks by descending size."""
    cases = [Case(name, name, folder / name) for name in names]
    return {Fragile(case, folder): (100 - rank, 1) for rank, case in enumerate(cases)}


def outcome(folder: Path, *names: str, most: int, available: int = 1 << 40) -> tuple[dict[str, Any], list[str]]:
    lines: list[str] = []
    results = build._in_processes(tasks(folder, *names), most, available, lines.append)
    return {task.case.case_id: result for task, result in results}, lines


@pytest.mark.slow
@pytest.mark.parametrize("names", [("killed", "a", "b"), ("a", "killed", "b"), ("a", "b", "killed")])
@pytest.mark.parametrize("most", [1, 2])
def test_a_killed_process_is_one_line_and_the_others_finish(tmp_path: Path, names: tuple[str, ...], most: int) -> None:
    found, _ = outcome(tmp_path, *names, most=most)
    ((issue,),) = [result for result in found.values() if isinstance(result, tuple)]
    assert str(issue).startswith("LS-STO-005 case 'killed' file ")
    assert {name: result for name, result in found.items() if name != "killed"} == {"a": "a", "b": "b"}


@pytest.mark.slow
def test_as_many_processes_work_as_the_memory_of_the_largest_case_allows(tmp_path: Path) -> None:
    found, (line,) = outcome(tmp_path, "a", "b", "c", "d", most=2)
    assert [*found] == ["a", "b", "c", "d"]
    assert line.startswith("4 cases to read: 2 processes, ")
    each = int(line.split("processes, ")[1].split(" MB")[0])
    assert 20 < each < 2000  # an interpreter with numpy
    _, (line,) = outcome(tmp_path, "a", "b", "c", most=2, available=int(1.5e6 * each))
    assert line.startswith("3 cases to read: 1 process, ")


def test_bytes_of_a_case_are_those_of_its_files(box_cohort: Callable[..., Path], tmp_path: Path) -> None:
    manifest = box_cohort(slices=(40,), dataset=("development",))
    (case,) = read_cohort(manifest).cases
    for pixel_mm in (None, 4.0):
        cache = tmp_path / str(pixel_mm)
        cached = cache_case(case, cache, pixel_mm=pixel_mm)
        files = sum(file.stat().st_size for file in cached.folder.iterdir())
        held, written = build._Task(case, cache, pixel_mm).bytes()
        assert files <= written <= files + (1 << 17)
        assert held >= 3 * 40 * 32 * 32
    assert build._Task(case, tmp_path, tested=True).bytes()[0] == 2 * 40 * 32 * 32
    assert build._Task(Case("x", "x", tmp_path / "none.nii"), tmp_path).bytes() == (0, 0)


@pytest.mark.slow
def test_a_large_cohort_is_stored_by_other_processes(
    box_cohort: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(build, "_SMALL_BYTES", 0)
    manifest = box_cohort()
    cases, lines = read_cohort(manifest).cases, list[str]()
    built = build_cache(cases, [], tmp_path, workers=1, say=lines.append)
    assert [*built.cached] == [case.case_id for case in cases]
    assert len(lines) == 1
    assert lines[0].startswith(f"{len(cases)} cases to read: 1 process, ")
