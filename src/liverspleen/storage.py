"""Write files that get their final names only when they are complete."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias
from uuid import uuid4

if TYPE_CHECKING:
    from numpy.typing import NDArray

StrPath: TypeAlias = str | os.PathLike[str]
"""Type of path arguments of public functions, which convert them to `Path`."""

_BLOCK = 1 << 20


@contextmanager
def complete_file(path: Path) -> Iterator[Path]:
    """Yield a temporary path in the folder of `path`; at the end it is synced to disk and renamed to `path`.

    If the block raises, `path` does not change and the temporary file is removed. Parent folders are created.
    The temporary name has the suffixes of `path`, which determine the format for writers, and starts with `.part-`.

    Raises:
        OSError: the file cannot be written; its `filename` is `path`.

    >>> import tempfile
    >>> target = Path(tempfile.mkdtemp()) / "a.txt"
    >>> with complete_file(target) as temporary:
    ...     _ = temporary.write_text("whole"); target.exists()
    False
    >>> target.read_text()
    'whole'
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".part-{uuid4().hex[:8]}-{path.name}")
    try:
        yield temporary
        with temporary.open("rb+") as handle:
            os.fsync(handle.fileno())
        temporary.replace(path)
    except OSError as error:  # an error of writing has no name
        if error.filename not in (None, temporary, str(temporary)):
            raise
        raise OSError(error.errno, error.strerror or str(error), str(path)) from error
    finally:
        temporary.unlink(missing_ok=True)


def sync(path: Path) -> None:
    """Sync the content of a file, or the names in a folder, to the disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def write_text(path: Path, text: str) -> None:
    r"""Write UTF-8 text with `\n` line ends, complete or not at all; what is no character is written as an escape.

    File names may hold bytes that are not UTF-8.
    """
    with complete_file(path) as temporary:
        temporary.write_text(text, encoding="utf-8", errors="backslashreplace", newline="\n")


def write_json(path: Path, content: Any) -> None:
    """Write JSON (NaN rejected), complete or not at all; see `encodable`."""
    write_text(path, json.dumps(encodable(content), indent=2, ensure_ascii=False, allow_nan=False) + "\n")


def encodable(value: Any) -> Any:
    r"""Return plain values with lone surrogates, which stand for bytes that are not UTF-8, as the text of an escape.

    >>> encodable({"file": ["a\udcff.nii", 3]})
    {'file': ['a\\udcff.nii', 3]}
    """
    if isinstance(value, str):
        return value.encode("utf-8", "backslashreplace").decode()
    if isinstance(value, dict):
        return {encodable(key): encodable(item) for key, item in value.items()}
    return [encodable(item) for item in value] if isinstance(value, list | tuple) else value


def size_and_time(path: Path) -> tuple[int, int]:
    """Size in bytes and time of the last change in ns; zeros if there is no such file."""
    try:
        status = path.stat()
    except OSError:
        return 0, 0
    return status.st_size, status.st_mtime_ns


def sha256_of(path: Path) -> str:
    """Return the SHA-256 of the file's bytes, as lower-case hex."""
    digest = hashlib.sha256()
    with path.open("rb") as handle:
        while block := handle.read(_BLOCK):
            digest.update(block)
    return digest.hexdigest()


def sha256_of_array(array: NDArray[Any]) -> str:
    """Return the SHA-256 of an array's bytes, little-endian, last axis fastest.

    For HU or labels in (slice, row, column) order it is equal for equal cases, independent of file, layout and
    machine.

    >>> import numpy as np
    >>> a = np.array([[1, 2], [3, 4]], np.int16)
    >>> sha256_of_array(a) == sha256_of_array(np.asfortranarray(a).astype(">i2")) != sha256_of_array(a.T)
    True
    """
    ordered = array.astype(array.dtype.newbyteorder("<"), order="C", copy=False)
    return hashlib.sha256(ordered.data.cast("B")).hexdigest()
