"""The slice store: each case's sections and labels as plain arrays, complete or absent.

A triplet of sections is then three adjacent reads of a memory map, and loader processes share its pages.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import shutil
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import numpy as np
from numpy.typing import NDArray

from liverspleen.errors import Fault, Refused
from liverspleen.storage import sha256_of
from liverspleen.structures import ORGANS, Structure

if TYPE_CHECKING:
    from liverspleen.cohort.manifest import Case

STORE_VERSION = 2
"""Part of every key: sections made by other code are never met."""


@dataclass(frozen=True)
class StoredCase:
    """A case in the store; arrays are memory-mapped when first used.

    `voxels_sha256` identifies the decoded CT whatever its file is called. `labelled` are the structures whose labels
    are known; of another one nothing is known, though no voxel shows it. `section_spacing_mm` is the distance between
    sections, nan where it is not known.
    """

    case_id: str
    patient_id: str
    folder: Path
    shape: tuple[int, int, int]
    voxels_sha256: str
    labelled: tuple[Structure, ...] = ORGANS
    section_spacing_mm: float = math.nan

    @cached_property
    def sections(self) -> NDArray[np.int16]:
        """HU, (slice, row, column); writing into it changes no file."""
        return _mapped(self.folder / "sections.npy")

    @cached_property
    def labels(self) -> NDArray[np.uint8]:
        """Label values on the same grid, likewise; all background where the case has no label map."""
        return _mapped(self.folder / "labels.npy")

    @cached_property
    def present(self) -> NDArray[np.bool_]:
        """Which of `ORGANS` each section shows, (slice, organ)."""
        return _mapped(self.folder / "present.npy")


def _mapped(file: Path) -> NDArray[Any]:
    # copy-on-write: torch takes a read-only array only as a copy; pages are shared as long as nobody writes
    array: NDArray[Any] = np.load(file, mmap_mode="c", allow_pickle=False)
    return array


def case_key(case: Case) -> str:
    """Name of the case's folder in any store: hash of the image's and label's bytes and of the store's version.

    Raises:
        Refused: a file is missing.
    """
    digest = hashlib.sha256(f"store {STORE_VERSION}".encode())
    for path in (case.image, case.label):
        try:
            digest.update((sha256_of(path) if path else "no label").encode())
        except OSError as error:
            what, cure = "file is missing or cannot be read", "correct the path or bring the file"
            raise Refused(Fault("LS-IMG-001", what, cure, case_id=case.case_id, file=path)) from error
    return digest.hexdigest()[:20]


def open_case(case: Case, store: Path) -> StoredCase | None:
    """The case in the store, or None if it is not there."""
    folder = store / case_key(case)
    try:
        about = json.loads((folder / "case.json").read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    return StoredCase(
        case.case_id,
        case.patient_id,
        folder,
        tuple(about["shape"]),
        about["voxels_sha256"],
        labelled=case.labelled_structures if case.label else (),
        section_spacing_mm=about["section_spacing_mm"],
    )


def store_case(case: Case, store: Path) -> StoredCase:
    """Read a case, check it and put it into the store; a case that is there already is opened.

    The folder appears under its name only when all its files are on disk.

    Raises:
        Refused: the case cannot be read or is faulty.
    """
    if (found := open_case(case, store)) is not None:
        return found
    from liverspleen.cohort.checks import load_case  # a filled store is read without the readers of images and tables

    ct, label_map = load_case(case)
    labels = label_map.labels if label_map is not None else np.zeros(ct.hu.shape, np.uint8)
    sections = np.ascontiguousarray(ct.hu)
    present = np.array([[(section == organ).any() for organ in ORGANS] for section in labels])
    about = {
        "shape": list(sections.shape),
        "voxels_sha256": hashlib.sha256(sections.tobytes()).hexdigest(),
        "section_spacing_mm": ct.geometry.spacing_mm[0],
    }
    folder = store / case_key(case)
    store.mkdir(parents=True, exist_ok=True)
    temporary = store / f".part-{uuid4().hex[:8]}"
    temporary.mkdir()
    try:
        arrays: dict[str, NDArray[Any]] = {
            "sections": sections,
            "labels": np.ascontiguousarray(labels),
            "present": present,
        }
        for name, array in arrays.items():
            with (temporary / f"{name}.npy").open("wb") as handle:
                np.save(handle, array, allow_pickle=False)
                handle.flush()
                os.fsync(handle.fileno())
        (temporary / "case.json").write_text(json.dumps(about), encoding="utf-8")
        try:
            temporary.rename(folder)
        except OSError:
            if not folder.exists():  # else another process has finished the same case meanwhile
                raise
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    opened = open_case(case, store)
    assert opened is not None
    return opened
