"""Locks on files between processes; a lock ends with the processes that hold it, also if they are killed."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

# `filelock.FileLock` locks a path and closes its descriptor in other processes. A training inherits
# the lock of its trial from the worker of a sweep, so descriptors are locked here.
from filelock import lock_descriptor


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
