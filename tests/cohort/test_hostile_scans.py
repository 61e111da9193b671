"""Hostile scans: one line, little memory and time, no file written, and the valid scan next to them is found."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import hostile_scans
import pytest
from source_files import box_exam

from liverspleen.imaging import write_ct

pytestmark = pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="the peak of memory is Linux's to tell")

LIMIT_MB, LIMIT_S = 1000, 5


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a canary, and one folder per hostile scan together with a valid one."""
    folder = tmp_path_factory.mktemp("hostile")
    (folder / "canary").mkdir()
    (folder / "canary" / "file").write_text("alive")
    (folder / "temporary").mkdir()
    for name, (build, _) in hostile_scans.BUILDERS.items():
        write_ct(folder / name / "good.nii.gz", box_exam("good").ct)
        build(folder / name)
    return folder


def tree(folder: Path) -> dict[str, tuple[int, int]]:
    """All names below a folder, with size and time."""
    found = [Path(root, name) for root, folders, files in os.walk(folder) for name in (*folders, *files)]
    return {str(path): (path.lstat().st_size, path.lstat().st_mtime_ns) for path in found}


@pytest.fixture(scope="module")
def verdicts(place: Path) -> dict[str, Any]:
    """Result of opening each scan, by name."""
    before = tree(place)
    environment = {**os.environ, "XDG_CONFIG_HOME": str(place.parent / "hostile config")}
    environment["TMPDIR"] = str(place / "temporary")
    command = [sys.executable, hostile_scans.__file__, *(str(place / name) for name in hostile_scans.BUILDERS)]
    run = subprocess.run(command, capture_output=True, text=True, env=environment, cwd=place / "canary", check=False)
    assert run.stderr == ""
    after = tree(place)
    changed = {path for path in before.keys() | after.keys() if before.get(path) != after.get(path)}
    assert changed <= {str(place / "temporary")}  # only the time of the temporary folder changes
    results = [json.loads(line) for line in run.stdout.splitlines()]
    return {Path(result["folder"]).name: result for result in results}


@pytest.mark.parametrize("name", hostile_scans.BUILDERS)
def test_a_hostile_scan_is_one_line(name: str, verdicts: dict[str, Any]) -> None:
    _, code = hostile_scans.BUILDERS[name]
    assert name in verdicts, "its process was ended, or hung"
    result = verdicts[name]
    assert result["good"] == 1
    assert [line[: len(code)] for line in result["lines"]] == ([code] if code else [])
    assert all(line.isprintable() for line in result["lines"])
    assert result["peak_mb"] < LIMIT_MB
    assert result["seconds"] < LIMIT_S


def test_canaries_are_unchanged(place: Path, verdicts: dict[str, Any]) -> None:
    assert verdicts.keys() == hostile_scans.BUILDERS.keys()
    assert [file.name for file in (place / "canary").iterdir()] == ["file"]
    assert (place / "canary" / "file").read_text() == "alive"
    assert list((place / "temporary").iterdir()) == []
