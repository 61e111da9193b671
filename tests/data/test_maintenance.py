"""Verify finds every kind of damage; prune removes unused cases, but not while another process uses the cache."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from liverspleen.cohort.manifest import read_cohort
from liverspleen.data.atomic_folders import in_use
from liverspleen.data.cache import cache_case, open_case, store_voxel_hash
from liverspleen.data.maintenance import prune, reject_other_formats, verify, verify_all
from liverspleen.errors import InputError
from liverspleen.formats import SLICE_CACHE

ARRAYS = ("slices", "labels", "present", "native_labels")


@pytest.fixture
def folder(box_cohort: Callable[..., Path], tmp_path: Path) -> Path:
    """Folder of a stored case with all its files."""
    case = read_cohort(box_cohort(slices=(4,))).cases[0]
    return cache_case(case, tmp_path / "cache", pixel_mm=4.0).folder


def test_case_as_it_was_written_has_no_issues(folder: Path) -> None:
    assert verify(folder) == ()
    assert list(verify_all(folder.parent)) == [(folder, ())]


@pytest.mark.parametrize("name", ARRAYS)
def test_flipped_bit_of_any_array_is_found(folder: Path, name: str) -> None:
    file = folder / f"{name}.npy"
    content = bytearray(file.read_bytes())
    content[-5] ^= 1
    file.write_bytes(content)
    (issue,) = verify(folder)
    assert (issue.code, issue.file) == ("LS-STO-001", file)


@pytest.mark.parametrize("name", ARRAYS)
def test_missing_short_and_long_arrays_are_found(folder: Path, name: str) -> None:
    file = folder / f"{name}.npy"
    whole = file.read_bytes()
    for content in (whole[:-1], whole + b"\0", whole[:50], b""):
        file.write_bytes(content)
        assert [issue.file for issue in verify(folder)] == [file]
    file.unlink()
    (issue,) = verify(folder)
    assert "missing" in issue.message


def test_array_of_the_same_bytes_and_another_shape_is_found(folder: Path) -> None:
    file = folder / "slices.npy"
    array = np.load(file)
    np.save(file, array.reshape(array.shape[::-1]))
    assert [issue.file for issue in verify(folder)] == [file]


@pytest.mark.parametrize("content", ["", "{", "[]", json.dumps({"format": SLICE_CACHE.number}), None])
def test_damaged_description_is_found_and_never_used_for_training(
    folder: Path, content: str | None, box_cohort: Callable[..., Path], tmp_path: Path
) -> None:
    description = folder / "case.json"
    description.unlink() if content is None else description.write_text(content)
    (issue,) = verify(folder)
    assert (issue.code, issue.file) == ("LS-STO-001", description)
    case = read_cohort(tmp_path / "cohort" / "cohort.csv").cases[0]
    with pytest.raises(InputError, match="LS-STO-001 case 'c0'"):
        cache_case(case, folder.parent, pixel_mm=4.0)


def test_prune_removes_cases_that_are_not_in_the_cohort_and_returns_their_bytes(
    box_cohort: Callable[..., Path], tmp_path: Path
) -> None:
    cohort, cache = read_cohort(box_cohort(slices=(4, 5, 6))), tmp_path / "cache"
    gone = cache_case(cohort.cases[1], cache)
    cached = [cache_case(cohort.cases[0], cache), cache_case(cohort.cases[0], cache, pixel_mm=4.0)]
    store_voxel_hash(cohort.cases[1], cache)
    size = sum(file.stat().st_size for file in [*gone.folder.iterdir(), *cache.glob("*.voxels")])
    store_voxel_hash(cohort.cases[2], cache)
    pruned = prune(cache, cohort.cases[:1], cohort.cases[2:])
    assert (pruned.cases, pruned.kept) == (1, 0)
    assert pruned.freed_bytes == size
    assert not gone.folder.exists()
    assert all(verify(case.folder) == () for case in cached)
    assert len(list(cache.glob("*.voxels"))) == 1


def test_prune_removes_cases_of_other_versions_and_no_other_files(
    box_cohort: Callable[..., Path], tmp_path: Path
) -> None:
    cohort, cache = read_cohort(box_cohort(slices=(4,))), tmp_path / "cache"
    old = cache_case(cohort.cases[0], cache).folder
    description = json.loads((old / "case.json").read_text())
    (old / "case.json").write_text(json.dumps(description | {"format": SLICE_CACHE.number - 1}))
    (cache / "notes").mkdir()
    (cache / "README").write_text("mine")
    assert prune(cache, cohort.cases, ()).cases == 1
    assert sorted(file.name for file in cache.iterdir()) == [".lock", "README", "notes"]


@pytest.mark.parametrize("number", [None, 5, 7, "6", True])
def test_a_cache_with_cases_or_notes_of_another_format_is_rejected_in_one_line(
    number: object, box_cohort: Callable[..., Path], tmp_path: Path
) -> None:
    cohort, cache = read_cohort(box_cohort(slices=(4, 5, 6))), tmp_path / "cache"
    folders = [cache_case(case, cache).folder for case in cohort.cases[:2]]
    store_voxel_hash(cohort.cases[2], cache)
    reject_other_formats(cache)
    (note,) = cache.glob("*.voxels")
    for file in (folders[1] / "case.json", note):
        description = json.loads(file.read_text()) | {"format": number}
        file.write_text(json.dumps({key: value for key, value in description.items() if value is not None}))
    with pytest.raises(InputError) as caught:
        reject_other_formats(cache)
    (issue,) = caught.value.issues
    assert (issue.code, issue.file) == ("LS-FMT-001", folders[1] / "case.json")
    assert "expected 6 (2 of 3 stored cases and notes)" in issue.message
    assert "action=prune" in issue.hint
    assert [found.code for found in verify(folders[1])] == ["LS-FMT-001"]
    with pytest.raises(InputError, match="LS-FMT-001 case 'c1'"):
        open_case(cohort.cases[1], cache)
    prune(cache, cohort.cases[:2], cohort.cases[2:])  # follows the hint
    note.unlink()
    reject_other_formats(cache)
    assert [folder.exists() for folder in folders] == [True, False]


def test_a_note_without_a_format_is_rejected_and_a_damaged_note_is_written_again(
    box_cohort: Callable[..., Path], tmp_path: Path
) -> None:
    case, cache = read_cohort(box_cohort(slices=(4,))).cases[0], tmp_path / "cache"
    known = store_voxel_hash(case, cache)
    (note,) = cache.glob("*.voxels")
    note.write_text("{")
    reject_other_formats(cache)
    assert store_voxel_hash(case, cache) == known
    note.write_text(known + "\n")
    with pytest.raises(InputError, match=r"^LS-FMT-001 file '.*\.voxels': slice cache without a format number"):
        reject_other_formats(cache)


def test_no_case_is_removed_while_another_process_uses_the_cache(
    box_cohort: Callable[..., Path], tmp_path: Path
) -> None:
    cohort, cache = read_cohort(box_cohort(slices=(4, 5))), tmp_path / "cache"
    for case in cohort.cases:
        cache_case(case, cache)
    with in_use(cache):
        pruned = prune(cache, cohort.cases[:1], ())
        assert (pruned.cases, pruned.freed_bytes, pruned.kept) == (0, 0, 1)
    assert open_case(cohort.cases[1], cache) is not None


def test_nothing_is_removed_if_a_file_of_the_cohort_is_missing(box_cohort: Callable[..., Path], tmp_path: Path) -> None:
    """Cases on a drive that is not mounted must not count as unused."""
    cohort, cache = read_cohort(box_cohort(slices=(4, 5))), tmp_path / "cache"
    cached = [cache_case(case, cache) for case in cohort.cases]
    cohort.cases[0].image.rename(tmp_path / "away.nii.gz")
    with pytest.raises(InputError, match="LS-IMG-001 case 'c0'"):
        prune(cache, cohort.cases, ())
    assert all(case.folder.exists() for case in cached)
