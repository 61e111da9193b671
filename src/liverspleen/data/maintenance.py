"""Verification of all stored cases of a slice cache, and removal of cases that are no longer used."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

from liverspleen.cohort.manifest import Case
from liverspleen.data.atomic_folders import DESCRIPTION, PART, clear_parts, exclusive_use, remove_folder
from liverspleen.data.cache import VOXELS, source_hashes, voxels_file
from liverspleen.data.integrity import read_description, verify
from liverspleen.errors import InputError, Issue
from liverspleen.formats import SLICE_CACHE
from liverspleen.records import read_record


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
        read_record(file, SLICE_CACHE)
    except InputError as error:
        return error.issues[0]
    except (OSError, ValueError):
        return None
    return None


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
        description = read_description(folder)
    except (OSError, ValueError, InputError):
        return None
    return description["image_sha256"], description["label_sha256"]
