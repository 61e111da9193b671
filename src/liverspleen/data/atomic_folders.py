"""Folders of the slice cache: they get their names when complete; incomplete ones of killed processes are removed.

A process holds a lock (`flock`) on a file of each folder that it makes, and a shared one on the cache while it reads or
fills it. Locks end with their process, however it ends. On a file system that cannot lock (NFS without its lock
service), nothing that another process may hold is removed: incomplete folders are removed by hand.
"""

from __future__ import annotations

import fcntl
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from uuid import uuid4

from liverspleen.storage import sync

ABOUT = "case.json"
"""File of every folder; the one that is locked while the folder is made."""

PART = ".part-"
"""How names begin that are not final, those of `storage.complete_file` too."""

_LOCK = ".lock"  # of the cache as a whole; empty, and kept


@contextmanager
def complete_folder(folder: Path) -> Iterator[Path]:
    """A folder beside `folder` to put files into; at the end of the block it is synced to disk and renamed to `folder`.

    If the block raises, it is removed. If `folder` exists by then, another process has finished the same one: that
    stays. The block must write `ABOUT`, and not replace it.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    part, lock = _locked_part(folder)
    try:
        yield part
        for file in part.iterdir():
            sync(file)
        sync(part)
        try:
            part.rename(folder)
        except OSError:
            if not folder.exists():
                raise
        sync(folder.parent)
    finally:
        shutil.rmtree(part, ignore_errors=True)  # after a rename there is none
        os.close(lock)


def remove_folder(folder: Path) -> int:
    """Remove a folder of the cache, after a renaming that hides it at once; return the number of bytes freed."""
    part = _part_of(folder)
    folder.rename(part)
    return _removed(part)


def clear_parts(cache: Path) -> int:
    """Remove incomplete folders of killed processes; return the number of bytes freed.

    One whose process is still at work is let alone, also one that it has made and not yet locked: the process finds
    that it is gone, and makes another.
    """
    return sum(_cleared(part) for part in cache.glob(f"{PART}*") if part.is_dir())


@contextmanager
def in_use(cache: Path) -> Iterator[None]:
    """Keep `cache` from being pruned by another process; what killed ones left is cleared before and after.

    Half-written files are removed only while no other process uses the cache. Where the cache may not be written
    nothing is locked and nothing cleared.
    """
    with _opened(cache) as lock:
        alone = lock is not None and _locked(lock, fcntl.LOCK_EX)
        _clear(cache, files=alone)
        if lock is not None:
            with suppress(OSError):  # a file system without locks
                fcntl.flock(lock, fcntl.LOCK_SH)
        try:
            yield
        finally:
            _clear(cache, files=False)


@contextmanager
def to_oneself(cache: Path) -> Iterator[bool]:
    """Whether no other process uses `cache`; if so none begins to before the block ends."""
    with _opened(cache) as lock:
        alone = lock is not None and _locked(lock, fcntl.LOCK_EX)
        _clear(cache, files=alone)
        yield alone


@contextmanager
def _opened(cache: Path) -> Iterator[int | None]:
    lock = None
    with suppress(OSError):  # read-only, or another user's
        lock = os.open(cache / _LOCK, os.O_RDWR | os.O_CREAT, 0o666)
    try:
        yield lock
    finally:
        if lock is not None:
            os.close(lock)


def _clear(cache: Path, *, files: bool) -> None:
    with suppress(OSError):
        clear_parts(cache)
        for file in cache.glob(f"{PART}*") if files else ():
            if file.is_file():
                file.unlink(missing_ok=True)


def _part_of(folder: Path) -> Path:
    return folder.with_name(f"{PART}{uuid4().hex[:8]}-{folder.name}")


def _locked_part(folder: Path) -> tuple[Path, int]:
    """A new folder with its file `ABOUT`, and the lock on that."""
    while True:
        part = _part_of(folder)
        part.mkdir()
        try:
            lock = os.open(part / ABOUT, os.O_RDWR | os.O_CREAT, 0o666)
        except FileNotFoundError:
            continue  # cleared by another process in between
        except OSError:
            part.rmdir()
            raise
        with suppress(OSError):  # a file system without locks
            fcntl.flock(lock, fcntl.LOCK_EX)
        with suppress(FileNotFoundError):
            if os.path.samestat((part / ABOUT).stat(), os.fstat(lock)):
                return part, lock
        os.close(lock)


def _cleared(part: Path) -> int:
    try:
        lock = os.open(part / ABOUT, os.O_RDWR)
    except FileNotFoundError:
        with suppress(OSError):  # not empty: made by nothing here
            part.rmdir()
        return 0
    try:
        return _removed(part) if _locked(lock, fcntl.LOCK_EX) else 0
    finally:
        os.close(lock)


def _removed(part: Path) -> int:
    with suppress(FileNotFoundError):  # another process removes it too, or has given it its name
        size = sum(file.stat().st_size for file in part.iterdir())
        shutil.rmtree(part, ignore_errors=True)
        return size
    return 0


def _locked(lock: int, kind: int) -> bool:
    """Whether the lock was to be had at once; not where another process has it, or none can be had."""
    try:
        fcntl.flock(lock, kind | fcntl.LOCK_NB)
    except OSError:
        return False
    return True
