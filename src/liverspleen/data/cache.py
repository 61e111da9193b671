"""The slice cache: slices and labels of each case as plain arrays, complete or absent.

Three neighbouring slices are adjacent in a memory map, and loader processes share its pages. Of test cases the cache
holds only a hash of the voxels, so that no training uses them.
"""

from __future__ import annotations

import errno
import hashlib
import json
import math
import mmap
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from liverspleen.data.atomic_folders import DESCRIPTION, clear_parts, complete_folder, remove_folder
from liverspleen.data.integrity import DAMAGED, array_issues, damaged, read_description, stated, write_array
from liverspleen.errors import InputError, Issue
from liverspleen.formats import SLICE_CACHE
from liverspleen.organs import ORGAN_KEYS, ORGANS, Structure
from liverspleen.records import read_record, sealed, write_record
from liverspleen.storage import StrPath, sha256_of, sha256_of_array

if TYPE_CHECKING:
    from liverspleen.cohort.manifest import Case

DISK_FULL = "LS-STO-002"
"""Code of the issue that stops a build: a full disk has no space for other cases either."""

VOXELS = ".voxels"
"""Suffix of the files with the hash of the voxels of a test case."""


@dataclass(frozen=True)
class CachedCase:
    """A case in the cache; arrays are memory-mapped when first used.

    `shape` is that of `slices`. `voxels_sha256` identifies the decoded CT, independent of the name of its file and of
    the stored pixel size. `labelled` are the labelled structures; other structures are unknown, although no voxel has
    their label. `slice_spacing_mm` is the distance between slices, NaN if unknown. `resampled` is True if slices and
    labels have another matrix than the CT. `content_sha256` is the hash of the stored content. `warnings`
    are those about the values of the CT (`judge_ct`).
    """

    case_id: str
    patient_id: str
    folder: Path
    shape: tuple[int, int, int]
    voxels_sha256: str
    labelled: tuple[Structure, ...] = ORGANS
    slice_spacing_mm: float = math.nan
    resampled: bool = False
    content_sha256: str = ""
    warnings: tuple[Issue, ...] = ()

    @cached_property
    def slices(self) -> NDArray[np.int16]:
        """HU, (slice, row, column); changes to the array are not written to the file."""
        return _mapped(self.folder / "slices.npy")

    @cached_property
    def labels(self) -> NDArray[np.uint8]:
        """Label values on the same grid; background without a label map."""
        return _mapped(self.folder / "labels.npy")

    @cached_property
    def native_labels(self) -> NDArray[np.uint8]:
        """Label values on the CT's own grid, on which DSS is computed."""
        return _mapped(self.folder / "native_labels.npy") if self.resampled else self.labels

    def announce(self, first: int, last: int) -> None:
        """Prefetch the slices from `first` to `last`, which is faster than reading page by page."""
        array = self.slices
        if (mapped := getattr(array, "_mmap", None)) is None:  # in memory
            return
        begin, end = (array.offset + slice_index * array.strides[0] for slice_index in (first, last + 1))  # type: ignore[attr-defined]
        begin -= begin % mmap.PAGESIZE
        mapped.madvise(mmap.MADV_WILLNEED, begin, end - begin)

    @cached_property
    def present(self) -> NDArray[np.bool_]:
        """Presence of each of `ORGANS` in each slice, (slice, organ)."""
        return _mapped(self.folder / "present.npy")


def _mapped(file: Path) -> NDArray[Any]:
    # copy-on-write: torch copies read-only arrays; pages are shared as long as no process writes to them
    array: NDArray[Any] = np.load(file, mmap_mode="c", allow_pickle=False)
    return array


def case_key(case: Case, *, pixel_mm: float | None = None) -> str:
    """Return the name of the case's folder in a cache: a hash of image, label map, pixel size, organs and format.

    Raises:
        InputError: a file is missing.
    """
    return _key(*source_hashes(case), pixel_mm)


def source_hashes(case: Case) -> tuple[str, str]:
    """Return SHA-256 of the files of image and label map; the latter is empty without a label map.

    Raises:
        InputError: a file is missing.
    """
    return _file_hash(case, case.image), _file_hash(case, case.label) if case.label else ""


def open_case(case: Case, cache: StrPath, *, pixel_mm: float | None = None) -> CachedCase | None:
    """Open a case in the cache after a comparison of every byte with its hash; return None if it is not stored.

    Raises:
        InputError: a file of the case is missing, LS-STO-001 the stored case is damaged, or LS-FMT-001 it is stored in
            another format.
    """
    return _open(case, Path(cache) / case_key(case, pixel_mm=pixel_mm))


def cache_case(case: Case, cache: StrPath, *, pixel_mm: float | None = None) -> CachedCase:
    """Read, check and store a case; a case that is stored already is opened, or stored again if it is damaged.

    The folder gets its name when all its files are on disk. Incomplete folders of killed processes are removed first.
    `pixel_mm` resamples in the plane (see `resampling`); None stores the CT unchanged.

    Raises:
        InputError: the case cannot be read or is not valid; LS-STO-002 the disk is full; LS-STO-001 the stored case is
            damaged and cannot be removed.
    """
    cache = Path(cache)
    image, label = source_hashes(case)
    folder = cache / _key(image, label, pixel_mm)
    if (found := _open_whole(case, folder)) is not None:
        return found
    clear_parts(cache)
    arrays, description = _read(case, pixel_mm)
    description |= {"format": SLICE_CACHE.number, "key": folder.name, "image_sha256": image, "label_sha256": label}
    description["files"] = {}
    needed = sum(array.nbytes for array in arrays.values())
    with _rejecting_a_full_disk(case, cache, needed), complete_folder(folder) as part:
        for name, array in arrays.items():
            file = part / f"{name}.npy"
            write_array(file, array)
            same = name == "slices" and not description["resampled"]  # equal to the CT, which is hashed already
            description["files"][file.name] = stated(
                array, description["voxels_sha256"] if same else sha256_of_array(array)
            )
        (part / DESCRIPTION).write_text(json.dumps(sealed(description)), encoding="utf-8")
    if (opened := _open(case, folder, hashed=False)) is None:  # another process has removed it
        raise InputError(damaged(folder / DESCRIPTION, "is missing", case_id=case.case_id))
    return opened


def store_voxel_hash(case: Case, cache: Path) -> str:
    """Return SHA-256 of the decoded voxels of a test case, as `CachedCase.voxels_sha256`; it is stored for later calls.

    Raises:
        InputError: the image cannot be read.
    """
    if (known := stored_voxel_hash(case, cache)) is not None:
        return known
    from liverspleen.imaging.files import read_ct

    found, file = sha256_of_array(read_ct(case.image, case_id=case.case_id).hu), voxels_file(case, cache)
    with _rejecting_a_full_disk(case, cache, len(found)):
        write_record(file, {"format": SLICE_CACHE.number, "key": file.stem, "voxels_sha256": found})
    return found


def stored_voxel_hash(case: Case, cache: Path) -> str | None:
    """Return the stored hash of `store_voxel_hash`; None if there is none, or if its file is damaged.

    Raises:
        InputError: the image is missing, or LS-FMT-001 the file has another format.
    """
    file = voxels_file(case, cache)
    try:
        note = read_record(file, SLICE_CACHE)
    except (OSError, ValueError):
        return None
    known = note.get("voxels_sha256") if note.get("key") == file.stem else None
    return known if isinstance(known, str) else None


def voxels_file(case: Case, cache: Path) -> Path:
    """Return the path of the file with the hash of the voxels of a test case.

    Raises:
        InputError: the image is missing.
    """
    return cache / f"{_digest('voxels', _file_hash(case, case.image))}{VOXELS}"


def disk_full(needed: int, free: int, *, case_id: str | None = None, cache: Path) -> Issue:
    """Return the issue of a full disk, with the bytes needed and free."""
    message = (
        f"slice cache needs {needed} bytes more ({needed / 1e6:.1f} MB), {free} bytes are free ({free / 1e6:.1f} MB)"
    )
    return Issue(DISK_FULL, message, "free space, and run the same command again to resume", case_id, cache)


@contextmanager
def _rejecting_a_full_disk(case: Case, cache: Path, needed: int) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        raise InputError(disk_full(needed, shutil.disk_usage(cache).free, case_id=case.case_id, cache=cache)) from error


def _file_hash(case: Case, file: Path) -> str:
    from liverspleen.imaging.files import parts

    try:
        first, *others = (sha256_of(part) for part in parts(file))
        return _digest(first, *others) if others else first
    except FileNotFoundError as error:
        issue = Issue("LS-IMG-001", "file is missing", "correct the path or add the file", case.case_id, file)
        raise InputError(issue) from error
    except OSError as error:
        message = f"file cannot be read ({error.strerror or type(error).__name__})"
        raise InputError(Issue("LS-IMG-002", message, "give a file that you may read", case.case_id, file)) from error


def _digest(*parts: object) -> str:
    return hashlib.sha256(repr((SLICE_CACHE.number, *parts)).encode()).hexdigest()[:20]


def _key(image: str, label: str, pixel_mm: float | None) -> str:
    return _digest(image, label, None if pixel_mm is None else float(pixel_mm), ORGAN_KEYS)


def _open_whole(case: Case, folder: Path) -> CachedCase | None:
    """Open a stored case; a damaged one is removed, as if it was not stored.

    Its name is free after that. A training that has mapped its arrays keeps them.
    """
    try:
        found = _open(case, folder)
    except InputError as error:
        if any(issue.code != DAMAGED for issue in error.issues):
            raise
        _remove(folder, error)
        return None
    if found is None and folder.exists():
        _remove(folder, InputError(damaged(folder / DESCRIPTION, "is missing", case_id=case.case_id)))
    return found


def _remove(folder: Path, reason: InputError) -> None:
    """Remove a stored case, or raise `reason` if this process may not."""
    try:
        with suppress(FileNotFoundError):  # another process has removed it
            remove_folder(folder)
    except OSError:
        raise reason from None


def _open(case: Case, folder: Path, *, hashed: bool = True) -> CachedCase | None:
    """Open a stored case; with `hashed` all its bytes are compared with their hashes."""
    try:
        description = read_description(folder)
        if hashed and (issues := [*array_issues(folder, description, case_id=case.case_id)]):
            raise InputError(issues)
        return CachedCase(
            case.case_id,
            case.patient_id,
            folder,
            tuple(description["shape"]),
            description["voxels_sha256"],
            labelled=case.labelled_structures if case.label else (),
            slice_spacing_mm=description["slice_spacing_mm"],
            resampled=description["resampled"],
            content_sha256=_content_hash(description),
            warnings=tuple(
                Issue(code, message, hint, case.case_id, case.image, "warning")
                for code, message, hint in description["warnings"]
            ),
        )
    except FileNotFoundError:
        return None
    except InputError as error:
        raise InputError(replace(issue, case_id=case.case_id) for issue in error.issues) from error
    except (OSError, ValueError) as error:
        raise InputError(damaged(folder / DESCRIPTION, "is not what was written", case_id=case.case_id)) from error


def _content_hash(description: dict[str, Any]) -> str:
    """Return the hash of the arrays and the spacing, which are all that a training reads."""
    hashes = {name: about["sha256"] for name, about in description["files"].items()}
    content = json.dumps([hashes, description["slice_spacing_mm"]], sort_keys=True)
    return hashlib.sha256(content.encode()).hexdigest()


def _read(case: Case, pixel_mm: float | None) -> tuple[dict[str, NDArray[Any]], dict[str, Any]]:
    """Read the arrays of a case by name, and their description."""
    # a complete cache is read without the readers of images and tables
    from liverspleen.cohort.checks import accepted_files
    from liverspleen.data.resampling import resampled_hu, resampled_labels, resampled_matrix

    files = accepted_files(case)
    ct, label_map, judged = files.ct, files.label, files.judged
    assert ct is not None
    assert judged is not None
    native = label_map.labels if label_map is not None else np.zeros(ct.hu.shape, np.uint8)
    rows, columns = ct.hu.shape[1:]
    matrix = resampled_matrix((rows, columns), ct.geometry.spacing_mm[1:], pixel_mm)
    arrays: dict[str, NDArray[Any]] = {
        "slices": resampled_hu(ct.hu, matrix),
        "labels": (labels := resampled_labels(native, matrix)),
        "present": np.array([[(plane == organ).any() for organ in ORGANS] for plane in labels]),
    }
    if resampled := matrix != (rows, columns):
        arrays["native_labels"] = native
    return arrays, {
        "shape": list(arrays["slices"].shape),
        "voxels_sha256": sha256_of_array(ct.hu),
        "slice_spacing_mm": ct.geometry.spacing_mm[0],
        "resampled": resampled,
        "warnings": [[issue.code, issue.message, issue.hint] for issue in judged.warnings],
    }
