"""Integrity of a stored case: its description has a checksum, and holds the header and the hash of each array."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from liverspleen.data.atomic_folders import DESCRIPTION
from liverspleen.errors import InputError, Issue
from liverspleen.formats import SLICE_CACHE
from liverspleen.records import read_record

DAMAGED = "LS-STO-001"
"""Code of the issue of a stored case that is not what was written."""


def damaged(file: Path, message: str, *, case_id: str | None = None) -> Issue:
    """Return the issue of a damaged file of a stored case."""
    hint = "run liverspleen prepare with the same cohort= and cache=, which stores the case again, and check the disk"
    return Issue(DAMAGED, f"a file of the slice cache {message}", hint, case_id, file)


def read_description(folder: Path) -> dict[str, Any]:
    """Read the description of the stored case in a folder of the cache.

    Raises:
        OSError: it is missing or cannot be read.
        ValueError: it is not what was written, or is that of another folder.
        InputError: LS-FMT-001 it has another format.
    """
    description = read_record(folder / DESCRIPTION, SLICE_CACHE)
    if description.get("key") != folder.name:
        raise ValueError("it belongs to another folder")
    return description


def write_array(file: Path, array: NDArray[Any]) -> None:
    """Write the same bytes as `np.save` for a contiguous array; a full disk raises a distinct error."""
    with file.open("wb") as handle:
        handle.write(_header(array.dtype, array.shape))
        handle.write(np.ascontiguousarray(array).data.cast("B"))


def stated(array: NDArray[Any], sha256: str) -> dict[str, Any]:
    """Return what the description holds of an array with the hash `sha256` (`storage.sha256_of_array`)."""
    return {"dtype": array.dtype.name, "shape": list(array.shape), "sha256": sha256}


def verify(folder: Path) -> tuple[Issue, ...]:
    """Return an issue for each file that differs from the written one: LS-STO-001, or LS-FMT-001 for another format."""
    try:
        description = read_description(folder)
    except InputError as error:
        return error.issues
    except FileNotFoundError:
        return (damaged(folder / DESCRIPTION, "is missing"),)
    except (OSError, ValueError):
        return (damaged(folder / DESCRIPTION, "is not what was written"),)
    return tuple(array_issues(folder, description))


def array_issues(folder: Path, description: Mapping[str, Any], *, case_id: str | None = None) -> Iterator[Issue]:
    """Yield LS-STO-001 for each array that is not what `description` says; every byte of it is read."""
    for name, about in description["files"].items():
        file = folder / name
        try:
            right = _is_as_stated(file, about)
        except FileNotFoundError:
            yield damaged(file, "is missing", case_id=case_id)
            continue
        except OSError:
            right = False
        if not right:
            yield damaged(file, "does not hold what was written", case_id=case_id)


def _is_as_stated(file: Path, about: Mapping[str, Any]) -> bool:
    """Whether the bytes of an array are those that were written; the header is compared and not interpreted."""
    header = _header(np.dtype(about["dtype"]), tuple(about["shape"]))
    with file.open("rb") as handle:
        return handle.read(len(header)) == header and _rest_sha256(handle) == about["sha256"]


def _rest_sha256(handle: io.BufferedReader) -> str:
    return hashlib.file_digest(handle, "sha256").hexdigest()


def _header(dtype: np.dtype[Any], shape: tuple[int, ...]) -> bytes:
    """Return the beginning of a file of `np.save`: type and shape of a contiguous array."""
    header = io.BytesIO()
    about = {"descr": npy.dtype_to_descr(dtype), "fortran_order": False, "shape": shape}
    npy.write_array_header_1_0(header, about)
    return header.getvalue()
