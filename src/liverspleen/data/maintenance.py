"""Looking after a slice cache: are its arrays what was written, and which cases does nobody name any more."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from liverspleen.cohort.manifest import Case
from liverspleen.data.atomic_folders import ABOUT, PART, clear_parts, remove_folder, to_oneself
from liverspleen.data.cache import VOXELS, damaged, read_about, read_note, source_hashes, voxels_file
from liverspleen.errors import InputError, Issue
from liverspleen.formats import SLICE_CACHE
from liverspleen.storage import sha256_of_array


def cached_folders(cache: Path) -> list[Path]:
    """The folders of cases, whole or damaged; none of what is being made, and none of anybody else's."""
    found = (folder for folder in cache.iterdir() if folder.is_dir() and not folder.name.startswith(PART))
    return sorted(folder for folder in found if len(folder.name) == 20 and set(folder.name) <= set("0123456789abcdef"))


def reject_other_formats(cache: Path) -> None:
    """Reject a cache with a case or note that another version of this package made; what is damaged is not looked at.

    Raises:
        InputError: LS-FMT-001 in one line, with the number of such cases and notes and the first of them.
    """
    files = [*(folder / ABOUT for folder in cached_folders(cache)), *sorted(cache.glob(f"*{VOXELS}"))]
    found = [issue for file in files if (issue := _format_issue(file))]
    if found:
        message = f"{found[0].message} ({len(found)} of {len(files)} stored cases and notes)"
        raise InputError(replace(found[0], message=message))


def _format_issue(file: Path) -> Issue | None:
    try:
        about = read_note(file) if file.suffix == VOXELS else read_about(file)
    except (OSError, ValueError, RecursionError):
        return None
    return None if about is None else SLICE_CACHE.issue(about.get("format"), file)


def verify(folder: Path) -> tuple[Issue, ...]:
    """Everything that is not as it was written: LS-STO-001 for each file, LS-FMT-001 for another format."""
    about_file = folder / ABOUT
    try:
        about = read_about(about_file)
        if issue := SLICE_CACHE.issue(about.get("format"), about_file):
            return (issue,)
        files, shape = dict(about["files"]), tuple(about["shape"])
    except FileNotFoundError:
        return (damaged(about_file, "is missing"),)
    except (OSError, ValueError, KeyError, TypeError):
        return (damaged(about_file, "is not what was written"),)
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
    """`verify` of every case, on all cores: hashing lets threads run side by side."""
    folders = cached_folders(cache)
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        yield from zip(folders, pool.map(verify, folders), strict=True)


@dataclass(frozen=True)
class Pruned:
    """What was removed; `kept` cases that nobody names stay because another process uses the cache."""

    cases: int
    freed_bytes: int
    kept: int


def prune(cache: Path, cases: Iterable[Case], tested: Iterable[Case]) -> Pruned:
    """Remove what killed processes left, and the cases that are none of `cases`, with whatever pixel size.

    While another process uses the cache (a training maps its arrays whenever it needs them) no case is removed.

    Raises:
        InputError: files of the named cases are missing: what they are is then not known, and nothing is removed.
    """
    named: set[tuple[str, str]] = set()
    notes: set[Path] = set()
    issues: list[Issue] = []
    for case in cases:
        try:
            named.add(source_hashes(case))
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
    with to_oneself(cache) as alone:
        unnamed = [folder for folder in cached_folders(cache) if _source(folder) not in named]
        stale = [file for file in cache.glob(f"*{VOXELS}") if file not in notes]
        if not alone:
            return Pruned(0, freed, len(unnamed))
        freed += sum(remove_folder(folder) for folder in unnamed)
        for file in stale:
            freed += file.stat().st_size
            file.unlink()
    return Pruned(len(unnamed), freed, 0)


def _source(folder: Path) -> tuple[str, str] | None:
    """Hashes of image and label map that a case was made of; None for what other versions made, or is damaged."""
    try:
        about = read_about(folder / ABOUT)
        return (about["image_sha256"], about["label_sha256"]) if about["format"] == SLICE_CACHE.number else None
    except (OSError, ValueError, KeyError, TypeError):
        return None
