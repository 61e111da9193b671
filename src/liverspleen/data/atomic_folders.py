"""Folders of the slice cache: they get their names when complete; incomplete ones of killed processes are removed.

Each process that uses the cache holds the lock of its own file there. A lock ends with its process, also after a kill.
On a file system that cannot lock (NFS without its lock service), nothing that another process may use is removed:
incomplete folders are removed by hand.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from uuid import uuid4

from liverspleen.locks import exclusive, try_lock
from liverspleen.storage import sync

DESCRIPTION = "case.json"
"""Name of the file in each folder that describes the content."""

PART = ".part-"
"""Prefix of temporary names, also of those of `storage.complete_file`."""

_LOCK = ".lock"  # held while a process registers its use, and while the cache is pruned

# filelock has no shared locks on files: its lock for readers and writers is an SQLite database, which does not work on
# the drives without locks. So each use has a file, and the cache is in use while one of these is locked.
_USE = ".use-"


@contextmanager
def complete_folder(folder: Path) -> Iterator[Path]:
    """Yield a new folder for files; at the end of the block it is synced to disk and renamed to `folder`.

    If the block raises, the new folder is removed. If `folder` exists by then, another process has finished it, and it
    is kept. The block must write `DESCRIPTION`.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    with _registered(folder.parent) as use:
        part = _part_of(folder, use)
        part.mkdir()
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


def remove_folder(folder: Path) -> int:
    """Rename a folder of the cache, which hides it at once, then remove it; return the number of bytes freed."""
    part = _part_of(folder, _new_use())
    folder.rename(part)
    return _removed(part)


def clear_parts(cache: Path) -> int:
    """Remove incomplete folders of killed processes; return the number of bytes freed."""
    return sum(_cleared(part) for part in cache.glob(f"{PART}*") if part.is_dir())


@contextmanager
def in_use(cache: Path) -> Iterator[None]:
    """Prevent other processes from pruning `cache`; remains of killed processes are removed before and after the block.

    Incomplete files are removed only while no other process uses the cache. In a cache without write permission,
    nothing is locked and nothing is removed.
    """
    with ExitStack() as use:
        with suppress(OSError), exclusive(cache / _LOCK):  # OSError: read-only, another user's, or without locks
            _clear(cache, files=not _used(cache))
            use.enter_context(_registered(cache))
        try:
            yield
        finally:
            _clear(cache, files=False)


@contextmanager
def exclusive_use(cache: Path) -> Iterator[bool]:
    """Yield whether no other process uses `cache`; if so, none can start to use it before the block ends."""
    lock = None
    with suppress(OSError):  # read-only, another user's, or without locks
        lock = try_lock(cache / _LOCK)
    try:
        alone = lock is not None and not _used(cache)
        _clear(cache, files=alone)
        yield alone
    finally:
        if lock is not None:
            os.close(lock)


@contextmanager
def _registered(cache: Path) -> Iterator[str]:
    """Yield the name of a use; its file is locked during the block if the file system has locks."""
    use, lock = _register(cache)
    try:
        yield use
    finally:
        if lock is not None:
            _release(cache / f"{_USE}{use}", lock)


def _register(cache: Path) -> tuple[str, int | None]:
    while True:
        use = _new_use()
        file = cache / f"{_USE}{use}"
        try:
            lock = try_lock(file)
        except OSError:  # read-only, or without locks
            _unlink(file)
            return use, None
        if lock is not None and file.exists():
            return use, lock
        if lock is not None:  # another process removed the file before it was locked
            os.close(lock)


def _used(cache: Path) -> bool:
    """Return whether a use is registered; files of killed processes are removed."""
    running = [file for file in cache.glob(f"{_USE}*") if not _ended(file)]
    return bool(running)


def _ended(file: Path) -> bool:
    """Return whether a use has ended, and remove its file then. With locks, a use without a file has ended."""
    existed = file.exists()
    try:
        lock = try_lock(file)
    except OSError:  # another user's, or without locks
        if not existed:
            _unlink(file)
        return False
    if lock is None:
        return False
    _release(file, lock)
    return True


def _release(file: Path, lock: int) -> None:
    """Remove the file of a use before its lock is free, so that no process locks a file that is then removed."""
    _unlink(file)
    os.close(lock)
    if os.name == "nt":  # where an open file cannot be removed, neither by this process nor by another
        _unlink(file)


def _clear(cache: Path, *, files: bool) -> None:
    with suppress(OSError):
        clear_parts(cache)
        for file in cache.glob(f"{PART}*") if files else ():
            if file.is_file():
                file.unlink(missing_ok=True)


def _new_use() -> str:
    return uuid4().hex[:8]


def _part_of(folder: Path, use: str) -> Path:
    return folder.with_name(f"{PART}{use}-{folder.name}")


def _cleared(part: Path) -> int:
    use = part.name.removeprefix(PART).partition("-")[0]
    return _removed(part) if _ended(part.with_name(f"{_USE}{use}")) else 0


def _unlink(file: Path) -> None:
    with suppress(OSError):
        file.unlink()


def _removed(part: Path) -> int:
    with suppress(FileNotFoundError):  # another process removes it too, or has given it its name
        size = sum(file.stat().st_size for file in part.iterdir())
        shutil.rmtree(part, ignore_errors=True)
        return size
    return 0
