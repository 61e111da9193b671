"""Output folders: they can be written, and one run at a time uses them."""

from __future__ import annotations

import errno
import os
import shutil
import socket
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from contextvars import ContextVar
from pathlib import Path
from typing import Final

from liverspleen.errors import InputError, Issue
from liverspleen.locks import until_end

LOCK: Final = ".run.lock"
"""Name of the file that is locked during a run, and removed at its end."""

_NO_LOCKS: Final = (errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP, errno.EINVAL, errno.EBADF)

_BLOCK: Final = 4096
_FULL: Final = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_FAILURES: Final = {
    **dict.fromkeys(_FULL, "free space or give another folder, then run the same command again"),
    **dict.fromkeys((errno.EIO, errno.EROFS), "check the disk, then run the same command again"),
}
"""Errors of a storage with their hints."""

_used: ContextVar[frozenset[str]] = ContextVar("used", default=frozenset())
"""Folders of the runs that this run is part of, such as the report of a demo."""


@contextmanager
def occupied(folder: Path, *, shared: bool = False) -> Iterator[tuple[Issue, ...]]:
    """Create the folder, hold its lock for the block, and yield what there is to report.

    A run that is part of another one with the same folder needs no further lock. Runs that may use the folder at the
    same time, such as workers of a sweep, have a shared lock. On a file system without locks the issue LS-RUN-005 is a
    note. The lock ends with the process, also when it is killed. A new folder that is empty at the end is removed.

    Raises:
        InputError: LS-RUN-007 the folder cannot be made or written; LS-RUN-004 another process uses it.
    """
    name = os.path.realpath(folder)
    with ExitStack() as stack:
        if not folder.exists():
            stack.callback(_remove_empty, folder)
        try:
            folder.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=folder) as handle:  # it has no name on Linux
                handle.write(bytes(_BLOCK))
            issues = () if name in _used.get() else _locked(folder, stack, shared=shared)
        except OSError as error:
            raise InputError(_unusable(folder, error)) from error
        token = _used.set(_used.get() | {name})
        stack.callback(_used.reset, token)
        yield issues


def _remove_empty(folder: Path) -> None:
    with suppress(OSError):  # it has files
        folder.rmdir()


def _locked(folder: Path, stack: ExitStack, *, shared: bool) -> tuple[Issue, ...]:
    """Lock the folder until the stack is closed, and return the note about a file system without locks."""
    file = folder / LOCK
    try:
        descriptor = stack.enter_context(until_end(file, shared=shared))
    except OSError as error:
        if error.errno not in _NO_LOCKS:
            raise
        file.unlink(missing_ok=True)
        message = f"the file system has no locks ({error.strerror})"
        hint = "run no other command with this folder before this one has ended"
        return (Issue("LS-RUN-005", message, hint, file=folder, severity="note"),)
    if descriptor is None:
        message = f"another process{_holder(file)} is using this folder"
        raise InputError(Issue("LS-RUN-004", message, "wait until it has ended, or give another folder", file=folder))
    with suppress(OSError):  # a full disk, or the file of another user
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, b"" if shared else f"{os.getpid()} {socket.gethostname()}".encode(), 0)
    return ()


def _holder(file: Path) -> str:
    """Return the process that holds the lock as text, empty if it is not known."""
    try:
        pid, host = file.read_text(encoding="utf-8").split()
    except (OSError, ValueError):
        return ""
    return f" (pid {pid} on {host})"


def _unusable(folder: Path, error: OSError) -> Issue:
    message = f"the folder cannot be written ({error.strerror or type(error).__name__})"
    hint = "free space, or give another folder" if error.errno in _FULL else "give another folder, or correct the path"
    return Issue("LS-RUN-007", message, hint, file=folder)


def storage_issue(error: BaseException) -> Issue | None:
    """Return LS-RUN-008 of a file that cannot be stored; None for an error of another kind."""
    if not isinstance(error, OSError) or error.errno not in _FAILURES:
        return None
    hint = _FAILURES[error.errno]
    return Issue("LS-RUN-008", f"the file cannot be stored ({_reason(error)})", hint, file=error.filename)


def _reason(error: OSError) -> str:
    """Return the error as text, with the free space where the file is."""
    reason = error.strerror or type(error).__name__
    if error.errno not in _FULL or error.filename is None:
        return reason
    with suppress(OSError):
        return f"{reason}, {shutil.disk_usage(Path(error.filename).parent).free} bytes are free"
    return reason
