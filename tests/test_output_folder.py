"""One run at a time uses an output folder; the lock ends with its process; a folder is checked before the work."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from liverspleen import output_folder
from liverspleen.cli.main import main
from liverspleen.config import SCHEMAS
from liverspleen.config.config_keys import field_types
from liverspleen.errors import InputError
from liverspleen.locks import until_end
from liverspleen.output_folder import LOCK, occupied, storage_issue

WRITING = {
    "audit": ["published={x}", "claims={x}", "output={out}"],
    "bench": ["output={out}"],
    "change": ["before=1500", "after=1230", "rc_pct=16.7", "output={out}"],
    "check": ["cohort={x}", "output={out}"],
    "compare": ["measurements={x}", "reference=manual", "output={out}"],
    "correct": ["input={x}", "output={out}"],
    "demo": ["output={out}"],
    "export": ["cohort={x}", "layout=nnunet", "output={out}"],
    "export model": ["model={x}", "output={out}"],
    "import": ["source=nifti", "input={x}", "key={key}", "output={out}"],
    "measure": ["labels={x}", "output={out}"],
    "phantom": ["output={out}"],
    "plan": ["question=loa", "half_width=1", "sd=3", "output={out}"],
    "prepare": ["cohort={x}", "cache={out}"],
    "report": ["measurements={x}", "output={out}"],
    "split": ["cohort={x}", "output={out}"],
    "sweep": ["cohort={x}", "trials=1", "leaders=1", "seeds=1", "output={out}"],
    "train": ["cohort={x}", "output={out}"],
}
"""Command of each verb that writes; its input exists, and is not what it should be."""


def command(verb: str, folder: Path) -> list[str]:
    (folder / "x").mkdir(exist_ok=True)
    places = {"x": folder / "x", "out": folder / "out", "key": folder / "k" / "key"}
    return [verb.partition(" ")[0], *(word.format(**places) for word in WRITING[verb])]


def test_every_verb_that_writes_is_in_the_table() -> None:
    writing = {verb for verb, schema in SCHEMAS.items() if {"output", "cache"} & set(field_types(schema))}
    assert writing - {"predict"} == {verb.partition(" ")[0] for verb in WRITING}


@pytest.fixture(autouse=True)
def search_is_usable(monkeypatch: pytest.MonkeyPatch) -> None:
    """Composing each value of the search takes seconds."""
    monkeypatch.setattr("liverspleen.api.sweep.search_issues", lambda *_: [])


@pytest.mark.parametrize("verb", WRITING)
def test_a_second_run_is_rejected_and_writes_nothing(
    verb: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    out.mkdir()
    with until_end(out / LOCK):
        assert main(command(verb, tmp_path)) == 2
        assert [file.name for file in out.iterdir()] == [LOCK]
    (line,) = [line for line in capsys.readouterr().err.splitlines() if "LS-" in line]
    assert "LS-RUN-004" in line
    assert line.endswith("is using this folder; wait until it has ended, or give another folder")


@pytest.mark.parametrize("verb", ["check", "export model", "import", "prepare"])
def test_a_folder_that_cannot_be_written_is_one_line(
    verb: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(**_: object) -> None:
        raise OSError(28, os.strerror(28))

    monkeypatch.setattr(output_folder.tempfile, "TemporaryFile", full)
    assert main(command(verb, tmp_path)) == 2
    (line,) = [line for line in capsys.readouterr().err.splitlines() if "LS-" in line]
    assert "LS-RUN-007" in line
    assert line.endswith("the folder cannot be written (No space left on device); free space, or give another folder")


def test_shards_and_workers_share_a_folder_and_other_runs_do_not(tmp_path: Path) -> None:
    with until_end(tmp_path / LOCK, shared=True) as first, until_end(tmp_path / LOCK, shared=True) as second:
        assert first is not None
        assert second is not None
        with pytest.raises(InputError, match="LS-RUN-004"), occupied(tmp_path):
            pass
    with occupied(tmp_path), until_end(tmp_path / LOCK, shared=True) as other:
        assert other is None
    assert not [*tmp_path.iterdir()]


def test_a_part_of_a_run_uses_its_folder_and_another_thread_does_not(tmp_path: Path) -> None:
    from concurrent.futures import ThreadPoolExecutor

    def use() -> None:
        with occupied(tmp_path):
            pass

    with occupied(tmp_path), ThreadPoolExecutor(1) as pool:
        use()
        with pytest.raises(InputError, match=rf"pid {os.getpid()} on "):
            pool.submit(use).result()
    use()


def test_the_lock_of_a_killed_run_does_not_last_in_the_processes_it_forked(tmp_path: Path) -> None:
    code = f"""
import os, sys
from pathlib import Path
from liverspleen.output_folder import occupied
with occupied(Path({str(tmp_path)!r})):
    if os.fork() == 0:
        print(os.getpid(), flush=True)  # after it has closed the lock
        sys.stdin.read()
        os._exit(0)
    sys.stdin.read()
"""
    process = subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    child = int(process.stdout.readline())
    with pytest.raises(InputError, match=f"pid {process.pid} on "), occupied(tmp_path):
        pass
    process.kill()
    process.wait()
    os.kill(child, 0)  # it still runs
    with occupied(tmp_path) as notes:
        assert notes == ()
    process.communicate()  # ends the child
    assert not (tmp_path / LOCK).exists()


def test_without_locks_the_run_continues_with_a_note(
    box_cohort: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def without_locks(*_: object, **__: object) -> bool:
        raise OSError(37, "No locks available")

    monkeypatch.setattr("liverspleen.locks.lock_descriptor", without_locks)
    out = tmp_path / "out"
    assert main(["split", f"cohort={box_cohort()}", f"output={out}"]) == 0
    assert "note: LS-RUN-005" in capsys.readouterr().err
    assert {file.name for file in out.iterdir()} == {"run.json", "split.csv"}


def test_a_link_in_place_of_the_lock_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "precious").write_text("text")
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / LOCK).symlink_to(tmp_path / "precious")
    with pytest.raises(InputError, match="LS-RUN-007"), occupied(tmp_path / "out"):
        pass
    assert (tmp_path / "precious").read_text() == "text"


@pytest.mark.parametrize("text", ["[]", "3", '{"earlier": 5}', '{"a": "\\ud800"}', '{"a": NaN}', "[" * 100_000])
@pytest.mark.parametrize("verb", ["change", "import", "prepare"])
def test_an_odd_run_json_is_one_line_before_the_work(
    verb: str, text: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    out.mkdir()
    (out / "run.json").write_text(text)
    assert main(command(verb, tmp_path)) == 2
    (line,) = [line for line in capsys.readouterr().err.splitlines() if "LS-" in line]
    assert "LS-FMT-005" in line
    assert line.endswith("; remove the file, or choose another folder")
    assert (out / "run.json").read_text() == text
    assert [file.name for file in out.iterdir()] == ["run.json"]


def test_bytes_of_names_that_are_not_utf_8_are_escaped_in_records(
    box_cohort: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / os.fsdecode(b"a\xff")
    monkeypatch.setattr(sys, "argv", ["liverspleen", "split", f"output={out}"])
    for _ in range(2):  # the second run reads the record of the first
        assert main(
            ["split", f"cohort={box_cohort() if not out.exists() else tmp_path / 'cohort'}", f"output={out}"]
        ) in {0, 2}
    record = json.loads((out / "run.json").read_text(encoding="utf-8"))
    assert record["command"][-1] == f"output={tmp_path}/a\\udcff"
    assert [run["config"]["output"] for run in [*record["earlier"], record]] == [f"{tmp_path}/a\\udcff"] * 2


def test_errors_of_the_disk_name_the_file_and_others_are_no_issue_of_it() -> None:
    full = storage_issue(OSError(28, "No space left on device", "/dev/x"))
    assert full is not None
    assert str(full).startswith("LS-RUN-008 file '/dev/x': the file cannot be stored (No space left on device, ")
    assert storage_issue(OSError(122, "Disk quota exceeded")) is not None
    assert storage_issue(OSError(5, "Input/output error")) is not None
    assert storage_issue(PermissionError(13, "Permission denied")) is None
    assert storage_issue(ValueError("no")) is None


@pytest.fixture
def disk_mb() -> int:
    return 1


@pytest.mark.parametrize(
    ("verb", "room", "code", "file"),
    [
        ("change", 0, "LS-RUN-007", ""),
        ("change", 8192, "LS-RUN-008", "/run.json"),
        ("phantom", 8192, "LS-RUN-008", "/images/dev001.nii.gz"),
    ],
)
def test_a_full_disk_is_one_line_and_leaves_complete_files(
    verb: str, room: int, code: str, file: str, small_disk: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = small_disk / "out"
    out.mkdir()
    free = os.statvfs(out).f_bavail * os.statvfs(out).f_frsize
    (small_disk / "other").write_bytes(bytes(free - room))
    words = ["development=1", "test1=0", "pairs=0", "matrix=64", "workers=1"] if verb == "phantom" else []
    assert main([*(word.replace(str(tmp_path / "out"), str(out)) for word in command(verb, tmp_path)), *words]) == 2
    (line,) = [line for line in capsys.readouterr().err.splitlines() if "LS-" in line]
    assert line.startswith(f"{code} file '{out}{file}': ")
    assert "No space left on device" in line
    assert not [*small_disk.rglob(".part-*")]
    assert not (out / (file or "none").lstrip("/")).exists()
