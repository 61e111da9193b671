"""`liverspleen prepare`: builds the cache within memory and disk space, verifies and prunes it."""

import errno
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from liverspleen.cli.main import main
from liverspleen.cohort.manifest import read_cohort
from liverspleen.data import build
from liverspleen.data import cache as cache_module
from liverspleen.data.cache import cache_case, open_case
from liverspleen.imaging.nifti import write_ct

Prepare = Callable[..., int]


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    return tmp_path / "cache"


@pytest.fixture
def prepare(cache: Path) -> Prepare:
    return lambda manifest, *overrides: main(["prepare", f"cohort={manifest}", f"cache={cache}", *overrides])


def lines(err: str) -> list[str]:
    return [line for line in err.splitlines() if "LS-" in line]


def folders(cache: Path) -> list[Path]:
    return sorted(file.parent for file in cache.glob("*/case.json"))


def contents(cache: Path) -> dict[str, bytes]:
    """Every file of a cache by its name; each run has its own `run.json`."""
    files = (file for file in cache.rglob("*") if file.is_file() and file.name != "run.json")
    return {str(file.relative_to(cache)): file.read_bytes() for file in files}


def test_cache_is_built_once_and_reports_processes_and_memory(
    box_cohort: Callable[..., Path], prepare: Prepare, cache: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    manifest = box_cohort(dataset=("development", "development", "test1", "development"))
    assert prepare(manifest) == 0
    out = capsys.readouterr().out
    assert "prepare: 4 cases to read: 1 process\n" in out
    assert "prepare: 3 cases, 0 of them stored earlier" in out
    assert len(folders(cache)) == 3
    (note,) = cache.glob("*.voxels")
    cached = cache_case(read_cohort(manifest).cases[2], cache)
    assert json.loads(note.read_text())["voxels_sha256"] == cached.voxels_sha256
    before = {file: file.stat().st_mtime_ns for file in cache.rglob("*.npy")}
    assert prepare(manifest) == 0
    out = capsys.readouterr().out
    assert "to read" not in out
    assert "3 of them stored earlier" in out
    assert before == {file: file.stat().st_mtime_ns for file in cache.rglob("*.npy")}


def test_pixel_size_is_part_of_what_is_stored(
    box_cohort: Callable[..., Path], prepare: Prepare, cache: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    manifest = box_cohort(slices=(4,))
    assert prepare(manifest) == prepare(manifest, "pixel_mm=4") == 0
    assert capsys.readouterr().out.count("0 of them stored earlier") == 2
    case = read_cohort(manifest).cases[0]
    found = open_case(case, cache), open_case(case, cache, pixel_mm=4.0)
    assert [one.slices.shape[-1] for one in found if one] == [32, 16]


def test_unreadable_test_image_is_skipped_and_a_damaged_case_is_one_line(
    box_cohort: Callable[..., Path], prepare: Prepare, cache: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    manifest = box_cohort(dataset=("development", "development", "test1", "test1"))
    for name, rest in (("c1", 100), ("c2", 100)):
        image = manifest.parent / f"{name}.nii.gz"
        image.write_bytes(image.read_bytes()[:-rest])
    (manifest.parent / "c3.nii.gz").unlink()
    assert prepare(manifest) == 2
    (line,) = lines(capsys.readouterr().err)
    assert "'c1'" in line
    assert len(folders(cache)) == 1


def test_case_larger_than_memory_is_one_line_and_the_others_are_stored(
    box_cohort: Callable[..., Path],
    prepare: Prepare,
    cache: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    manifest = box_cohort(slices=(4, 200))
    monkeypatch.setattr(build, "available_bytes", lambda: 3 * 200 * 32 * 32 - 1)
    assert prepare(manifest) == 2
    (line,) = lines(capsys.readouterr().err)
    assert line.startswith("LS-STO-003 case 'c1'")
    assert len(folders(cache)) == 1


def test_full_disk_is_one_line_with_the_bytes_before_files_are_written(
    box_cohort: Callable[..., Path],
    prepare: Prepare,
    cache: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    manifest = box_cohort(slices=(4, 6))
    usage = type("usage", (), {"free": 12345})
    monkeypatch.setattr(build.shutil, "disk_usage", lambda _: usage)
    assert prepare(manifest) == 2
    (line,) = lines(capsys.readouterr().err)
    needed = int(line.split("needs ")[1].split(" bytes")[0])
    assert 3 * 10 * 32 * 32 <= needed <= 3 * 10 * 32 * 32 + (1 << 18)
    assert "12345 bytes are free (" in line
    assert folders(cache) == []


def test_disk_that_becomes_full_while_a_case_is_written_ends_the_build_with_one_line(
    box_cohort: Callable[..., Path],
    prepare: Prepare,
    cache: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    write, written = cache_module.write_array, []

    def full(file: Path, array: np.ndarray) -> None:
        written.append(file)
        if len(written) > 4:  # the first case has three arrays
            raise OSError(errno.ENOSPC, "No space left on device")
        write(file, array)

    monkeypatch.setattr(cache_module, "write_array", full)
    assert prepare(box_cohort()) == 2
    (line,) = lines(capsys.readouterr().err)
    assert line.startswith("LS-STO-002 case 'c1'")
    assert len(written) == 5
    assert len(folders(cache)) == 1
    assert not list(cache.glob(".part-*"))


def test_verify_lists_damaged_cases_and_needs_no_cohort(
    box_cohort: Callable[..., Path], prepare: Prepare, cache: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert prepare(box_cohort()) == 0
    assert main(["prepare", "action=verify", f"cache={cache}"]) == 0
    assert "4 stored cases, 0 of them damaged" in capsys.readouterr().out
    file = folders(cache)[1] / "labels.npy"
    file.write_bytes(file.read_bytes()[:-1] + b"\7")
    assert main(["prepare", "action=verify", f"cache={cache}"]) == 2
    captured = capsys.readouterr()
    (line,) = lines(captured.err)
    assert line.startswith(f"LS-STO-001 file '{file}'")
    assert "4 stored cases, 1 of them damaged" in captured.out


def test_prune_keeps_the_cases_of_the_cohort(
    box_cohort: Callable[..., Path], prepare: Prepare, cache: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    manifest = box_cohort()
    assert prepare(manifest) == 0
    rows = manifest.read_text().splitlines()
    manifest.write_text("\n".join(rows[:3]) + "\n")
    before = sum(map(len, contents(cache).values()))
    capsys.readouterr()
    assert prepare(manifest, "action=prune") == 0
    freed = before - sum(map(len, contents(cache).values()))
    assert f"prepare: 2 cases removed, {freed} bytes freed" in capsys.readouterr().out
    assert len(folders(cache)) == 2
    assert prepare(manifest) == 0
    assert "2 of them stored earlier" in capsys.readouterr().out


def test_cache_of_another_version_is_rejected_in_one_line_until_it_is_pruned(
    box_cohort: Callable[..., Path], prepare: Prepare, cache: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    manifest = box_cohort()
    assert prepare(manifest) == 0
    for folder in folders(cache)[:2]:
        about = json.loads((folder / "case.json").read_text())
        del about["format"]
        (folder / "case.json").write_text(json.dumps(about))
    before = contents(cache)
    for action in ("build", "verify"):
        capsys.readouterr()
        assert prepare(manifest, f"action={action}") == 2
        (line,) = lines(capsys.readouterr().err)
        assert line.startswith(
            f"LS-FMT-001 file '{folders(cache)[0] / 'case.json'}': slice cache without a format number"
        )
        assert "(2 of 4 stored cases and notes)" in line
        assert contents(cache) == before
    assert prepare(manifest, "action=prune") == 0
    assert prepare(manifest) == 0
    assert "2 of them stored earlier" in capsys.readouterr().out


def test_prune_is_rejected_if_rows_of_the_cohort_are_not_valid(
    box_cohort: Callable[..., Path], prepare: Prepare, cache: Path
) -> None:
    manifest = box_cohort()
    assert prepare(manifest) == 0
    rows = manifest.read_text().splitlines()
    manifest.write_text("\n".join([*rows[:-1], rows[-1].replace("c3", "c0")]) + "\n")
    assert prepare(manifest, "action=prune") == 2
    assert len(folders(cache)) == 4


@pytest.mark.parametrize(
    ("overrides", "code"),
    [
        (["action=fill", "cohort=c.csv"], "LS-CFG-006"),
        (["action=build"], "LS-CFG-002"),
        (["action=prune"], "LS-CFG-002"),
        (["cohort=c.csv", "pixel_mm=0"], "LS-CFG-006"),
        (["cohort=c.csv", "workers=-1"], "LS-CFG-006"),
        (["action=verify"], "LS-STO-006"),
        (["action=prune", "cohort=c.csv"], "LS-STO-006"),
    ],
)
def test_invalid_options_are_rejected(
    overrides: list[str], code: str, cache: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["prepare", f"cache={cache}", *overrides]) == 2
    (line,) = lines(capsys.readouterr().err)
    assert line.startswith(code)
    assert not cache.exists()


def test_test_case_with_the_voxels_of_a_training_case_ends_a_training_before_it_starts(
    box_cohort: Callable[..., Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Also under another name, in another file, uncompressed."""
    manifest = box_cohort(dataset=("development", "development", "development", "test1"))
    from liverspleen.imaging.files import read_ct

    copy = manifest.parent / "renamed.nii"
    write_ct(copy, read_ct(manifest.parent / "c0.nii.gz"))
    manifest.write_text(manifest.read_text().replace("c3.nii.gz", "renamed.nii").replace("c3_label.nii.gz", ""))
    run = tmp_path / "run"
    assert main(["train", f"cohort={manifest}", f"output={run}", "experiment=phantom"]) == 2
    (line,) = lines(capsys.readouterr().err)
    assert line.startswith("LS-TRN-013 case 'c3'")
    assert "'c0'" in line
    assert not (run / "last.ckpt").exists()
    assert json.loads((run / "run.json").read_text())["status"] == "rejected"


@pytest.mark.slow
def test_several_processes_write_the_same_cache_as_one(
    box_cohort: Callable[..., Path], prepare: Prepare, cache: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    manifest = box_cohort()
    assert prepare(manifest, "workers=2") == 0
    assert "4 cases to read: 2 processes, " in capsys.readouterr().out
    assert main(["prepare", f"cohort={manifest}", f"cache={tmp_path / 'one'}", "workers=1"]) == 0
    assert contents(cache) == contents(tmp_path / "one")


@pytest.mark.parametrize("name", ["case.json", "slices.npy", "labels.npy", "present.npy"])
def test_a_damaged_case_is_reported_by_verify_and_its_hint_repairs_it(
    name: str,
    box_cohort: Callable[..., Path],
    prepare: Prepare,
    cache: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    manifest = box_cohort()
    assert prepare(manifest) == 0
    before, file = contents(cache), folders(cache)[0] / name
    content = bytearray(file.read_bytes())
    content[-20] ^= 1
    file.write_bytes(content)
    assert main(["prepare", "action=verify", f"cache={cache}"]) == 2
    line = capsys.readouterr().err
    assert "LS-STO-001" in line
    assert "run liverspleen prepare with the same cohort= and cache=, which stores the case again" in line
    assert prepare(manifest) == 0
    assert "warning: LS-STO-010 case " in capsys.readouterr().err
    assert contents(cache) == before
    assert main(["prepare", "action=verify", f"cache={cache}"]) == 0
