"""Verification of the arrays of a slice cache, and removal of cases that are no longer used."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from liverspleen.cohort.manifest import Case
from liverspleen.data.atomic_folders import DESCRIPTION, PART, clear_parts, exclusive_use, remove_folder
from liverspleen.data.cache import VOXELS, damaged, read_description, read_voxel_hash_file, source_hashes, voxels_file
from liverspleen.errors import InputError, Issue
from liverspleen.formats import SLICE_CACHE
from liverspleen.storage import sha256_of_array


def cached_folders(cache: Path) -> list[Path]:
    """Return the folders of stored cases, complete or damaged; not those being written or of other programs."""
    found = (folder for folder in cache.iterdir() if folder.is_dir() and not folder.name.startswith(PART))
    return sorted(folder for folder in found if len(folder.name) == 20 and set(folder.name) <= set("0123456789abcdef"))


def reject_other_formats(cache: Path) -> None:
    """Reject a cache with a case or voxel hash of another format; damaged files are ignored.

    Raises:
        InputError: LS-FMT-001 in one line, with the number of such cases and notes and the first one.
    """
    files = [*(folder / DESCRIPTION for folder in cached_folders(cache)), *sorted(cache.glob(f"*{VOXELS}"))]
    found = [issue for file in files if (issue := _format_issue(file))]
    if found:
        message = f"{found[0].message} ({len(found)} of {len(files)} stored cases and notes)"
        raise InputError(replace(found[0], message=message))


def _format_issue(file: Path) -> Issue | None:
    try:
        description = read_voxel_hash_file(file) if file.suffix == VOXELS else read_description(file)
    except (OSError, ValueError, RecursionError):
        return None
    return None if description is None else SLICE_CACHE.issue(description.get("format"), file)


def verify(folder: Path) -> tuple[Issue, ...]:
    """Return an issue for each file that differs from the written one: LS-STO-001, or LS-FMT-001 for another format."""
    description_file = folder / DESCRIPTION
    try:
        description = read_description(description_file)
        if issue := SLICE_CACHE.issue(description.get("format"), description_file):
            return (issue,)
        files, shape = dict(description["files"]), tuple(description["shape"])
    except FileNotFoundError:
        return (damaged(description_file, "is missing"),)
    except (OSError, ValueError, KeyError, TypeError):
        return (damaged(description_file, "is not what was written"),)
    return tuple(_array_issues(folder, files, shape))


def _array_issues(folder: Path, files: dict[str, str], shape: tuple[int, ...]) -> Iterator[Issue]:
    for name, expected in files.items():
        file = folder / name
        try:
            array = np.load(file, mmap_mode="r", allow_pickle=False)
            right = sha256_of_array(array) == expected and file.stat().st_size == array.offset + array.nbytes
        except FileNotFoundError:
            yield damaged(file, "is missing")
            continue
        except (OSError, ValueError, EOFError):
            right = False
        if not right or (name in ("slices.npy", "labels.npy") and array.shape != shape):
            yield damaged(file, "does not hold what was written")


def verify_all(cache: Path) -> Iterator[tuple[Path, tuple[Issue, ...]]]:
    """Verify every case; hashing releases the interpreter lock, so threads use all cores."""
    folders = cached_folders(cache)
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        yield from zip(folders, pool.map(verify, folders), strict=True)


@dataclass(frozen=True)
class Pruned:
    """Result of `prune`: `kept` is the number of unused cases that stay because another process uses the cache."""

    cases: int
    freed_bytes: int
    kept: int


def prune(cache: Path, cases: Iterable[Case], tested: Iterable[Case]) -> Pruned:
    """Remove incomplete folders of killed processes, and stored cases of any pixel size that are not in `cases`.

    No case is removed while another process uses the cache, because a training maps its arrays at any time.

    Raises:
        InputError: files of the given cases are missing, so their stored cases are unknown; nothing is removed.
    """
    used: set[tuple[str, str]] = set()
    notes: set[Path] = set()
    issues: list[Issue] = []
    for case in cases:
        try:
            used.add(source_hashes(case))
        except InputError as error:
            issues.extend(error.issues)
    for case in tested:
        try:
            notes.add(voxels_file(case, cache))
        except InputError as error:
            issues.extend(error.issues)
    if issues:
        raise InputError(issues)
    freed = clear_parts(cache)
    with exclusive_use(cache) as alone:
        unused = [folder for folder in cached_folders(cache) if _source(folder) not in used]
        stale = [file for file in cache.glob(f"*{VOXELS}") if file not in notes]
        if not alone:
            return Pruned(0, freed, len(unused))
        freed += sum(remove_folder(folder) for folder in unused)
        for file in stale:
            freed += file.stat().st_size
            file.unlink()
    return Pruned(len(unused), freed, 0)


def _source(folder: Path) -> tuple[str, str] | None:
    """Return the hashes of image and label map of a stored case; None if it is damaged or has another format."""
    try:
        description = read_description(folder / DESCRIPTION)
        known = description["format"] == SLICE_CACHE.number
        return (description["image_sha256"], description["label_sha256"]) if known else None
    except (OSError, ValueError, KeyError, TypeError):
        return None
