"""Locks on files: they end with the processes that hold them, however those end."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def exclusive(file: Path) -> Iterator[None]:
    """Waits until no other process holds the lock, then holds it for the block."""
    file.parent.mkdir(parents=True, exist_ok=True)
    handle = os.open(file, os.O_RDWR | os.O_CREAT, 0o666)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


def taken(file: Path) -> int | None:
    """The handle of a lock that nobody held until now; None if somebody holds it.

    It is free again when the handle is closed here and in every process that was given it.
    """
    file.parent.mkdir(parents=True, exist_ok=True)
    handle = os.open(file, os.O_RDWR | os.O_CREAT, 0o666)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(handle)
        return None
    return handle


def held(file: Path) -> bool:
    """Whether a process holds the lock."""
    if not file.exists():
        return False
    handle = taken(file)
    if handle is not None:
        os.close(handle)
    return handle is None
