"""Locks on files between processes; a lock ends with the processes that hold it, also if they are killed."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

# `filelock.FileLock` locks a path and closes its descriptor in other processes. A training inherits
# the lock of its trial from the worker of a sweep, so descriptors are locked here.
from filelock import lock_descriptor

try:
    import fcntl
except ImportError:  # Windows, where a shared lock is not taken
    fcntl = None  # type: ignore[assignment]

_NO_LINK = getattr(os, "O_NOFOLLOW", 0)

_own: set[int] = set()
"""Descriptors of the locks of `until_end`, which processes started by fork do not keep."""


def try_lock(file: Path) -> int | None:
    """Return the descriptor of the locked file, or None if another process, or another descriptor here, holds the lock.

    The file is created if necessary and remains. The lock is free when the descriptor is closed here and in every
    process that inherited it.

    Raises:
        OSError: the file cannot be opened, or its file system has no locks.
    """
    descriptor = os.open(file, os.O_RDWR | os.O_CREAT, 0o666)
    try:
        locked = lock_descriptor(descriptor, blocking=False)
    except OSError:
        os.close(descriptor)
        raise
    if locked:
        return descriptor
    os.close(descriptor)
    return None


@contextmanager
def exclusive(file: Path) -> Iterator[None]:
    """Wait until the lock is free, then hold it for the block.

    Raises:
        OSError: as `try_lock`.
    """
    descriptor = os.open(file, os.O_RDWR | os.O_CREAT, 0o666)
    try:
        lock_descriptor(descriptor)
        yield
    finally:
        os.close(descriptor)


def held(file: Path) -> bool:
    """Return whether a process holds the lock."""
    if not file.exists():
        return False
    descriptor = try_lock(file)
    if descriptor is not None:
        os.close(descriptor)
    return descriptor is None


@contextmanager
def until_end(file: Path, *, shared: bool = False) -> Iterator[int | None]:
    """Hold a lock for the block, and remove the file after it; yield the descriptor, or None as `try_lock`.

    Any number of processes hold a shared lock, or one process holds an exclusive one. A process started by fork, such
    as one that loads data, does not keep the lock of a killed process. A file that cannot be written is locked too.

    Raises:
        OSError: as `try_lock`.
    """
    descriptor = _locked(file, shared=shared)
    if descriptor is None:
        yield None
        return
    _own.add(descriptor)
    try:
        yield descriptor
    finally:
        _own.discard(descriptor)
        with suppress(OSError):
            if not shared or lock_descriptor(descriptor, blocking=False):  # the last one that holds it
                file.unlink()
        os.close(descriptor)


def _locked(file: Path, *, shared: bool) -> int | None:
    """Return the descriptor of the locked file that has this name, or None as `try_lock`."""
    while True:
        descriptor = _opened(file)
        try:
            if not _lock(descriptor, shared=shared):
                os.close(descriptor)
                return None
            if file.exists() and os.path.samestat(os.fstat(descriptor), file.stat()):
                return descriptor
        except OSError:
            os.close(descriptor)
            raise
        os.close(descriptor)  # the process that held it has removed it


def _opened(file: Path) -> int:
    try:
        return os.open(file, os.O_RDWR | os.O_CREAT | _NO_LINK, 0o666)
    except PermissionError:  # of another user
        return os.open(file, os.O_RDONLY | _NO_LINK)


def _lock(descriptor: int, *, shared: bool) -> bool:
    if not shared:
        return lock_descriptor(descriptor, blocking=False)
    if fcntl is None:
        return True
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _close_inherited() -> None:
    for descriptor in _own:
        os.close(descriptor)
    _own.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_close_inherited)
