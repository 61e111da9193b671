"""Check a model file without a network library: a checkpoint, or a model package as folder or zip.

The result is a description of plain values, and the place of each weight in the file.
"""

from __future__ import annotations

import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from liverspleen.errors import InputError, Issue
from liverspleen.inference.description import checked_description
from liverspleen.inference.model_package import (
    CARD,
    DESCRIPTION,
    ENSEMBLE,
    MAX_FILE_BYTES,
    MEMBERS,
    ONNX,
    WEIGHTS,
    PackageFiles,
    open_package,
)
from liverspleen.inference.tested import TESTED, checked_tested
from liverspleen.inference.untrusted.checkpoint_checksum import has_its_checksum, place_of
from liverspleen.inference.untrusted.safetensors_header import tensor_places
from liverspleen.inference.untrusted.tensors import TensorPlace
from liverspleen.inference.untrusted.torch_pickle import MAX_PICKLE_BYTES, NotPlainError, PickledTensor, read_pickle
from liverspleen.networks.checkpoint import PACKAGE_KEY, WEIGHTS_PREFIX
from liverspleen.reading import check_regular
from liverspleen.shipped import reject_absent
from liverspleen.storage import sha256_of
from liverspleen.zip_archive import Entry, Limits, UnsafeArchiveError, blocks, is_whole, open_archive

_LIMITS = Limits(
    entries=40_000,  # a checkpoint of Xception-65 with its optimizer has 3 000
    entry_bytes=MAX_FILE_BYTES,
    total_bytes=MAX_FILE_BYTES,
    methods=(zipfile.ZIP_STORED,),  # as torch writes checkpoints and liverspleen export writes model packages
)


@dataclass(frozen=True)
class CheckedModel:
    """A model that may be built: its description, and the places of its weights in `file`, by name.

    `description` holds the checkpoint's plain values, `package` the whole model.json (empty for a checkpoint). `sha256`
    identifies the content: of a checkpoint its bytes, of a model package its model.json, which holds the hashes of
    the rest. `files` are those of the model package; None for a checkpoint.
    """

    path: Path
    description: Mapping[str, Any]
    weights: Mapping[str, TensorPlace]
    file: Path
    sha256: str
    package: Mapping[str, Any]
    files: PackageFiles | None = None


def checked_model(path: Path) -> CheckedModel:
    """Check the model in a checkpoint of a training, a model package folder, or a model package as .zip.

    Raises:
        InputError: LS-FMT-001 another format; LS-MOD-001 no file or folder; LS-MOD-002 a checkpoint that is damaged or
            has more than weights and plain values; LS-MOD-003 not of this project, or of other structures; LS-MOD-004
            files of a model package missing or additional; LS-MOD-005 an archive that cannot be read safely;
            LS-MOD-006 a wrong checksum; LS-MOD-007 JSON that is not plain; LS-MOD-008 an unknown network; LS-MOD-009
            weights that are not safetensors; LS-MOD-015 markup in the model card; LS-MOD-025 an ensemble package;
            LS-MOD-030 no shipped model; LS-MOD-032 test results that are not valid; LS-FMT-005 a damaged model.json.
    """
    entries = entries_of(path)
    if is_ensemble(path, entries):
        message = "it is an ensemble package, expected one model"
        hint = f"extract it, and give one of its members, {MEMBERS}/1 and so on"
        hint = f"give one of its members, such as {path / MEMBERS / '1'}" if entries is None else hint
        raise InputError(Issue("LS-MOD-025", message, hint, file=path))
    if entries is None or DESCRIPTION in entries:
        return checked_package(path, open_package(path, entries))
    return _of_checkpoint(path, entries)


def entries_of(path: Path) -> Mapping[str, Entry] | None:
    """Return the entries of an archive, none for another file; None for a folder.

    Raises:
        InputError: LS-MOD-001 no file or folder; LS-MOD-005 an archive that cannot be read safely; LS-MOD-030 it is
            the shipped model, which this installation does not have.
    """
    reject_absent(path)
    if path.is_dir():
        return None
    if not path.exists():
        message = "the checkpoint or model package does not exist"
        raise InputError(Issue("LS-MOD-001", message, "give a checkpoint or a model package", file=path))
    check_regular(path)
    return _entries(path) if _is_zip(path) else {}


def is_ensemble(path: Path, entries: Mapping[str, Entry] | None) -> bool:
    """Return whether a folder, or an archive with these entries, is an ensemble package."""
    return ENSEMBLE in entries if entries is not None else (path / ENSEMBLE).exists()


def _is_zip(path: Path) -> bool:
    with path.open("rb") as handle:
        return handle.read(4) == b"PK\3\4"


def _entries(path: Path) -> Mapping[str, Entry]:
    """Return the entries of an archive without compression, so that they can be read in place."""
    try:
        with open_archive(path, _LIMITS) as (_, entries):
            return entries
    except UnsafeArchiveError as error:
        message = f"{error.message} (entry {error.name[:80]!r})" if error.name else error.message
        hint = "give a checkpoint of liverspleen train, or a model package of liverspleen export as it was written"
        raise InputError(Issue("LS-MOD-005", message, hint, file=path)) from None


def checked_package(path: Path, files: PackageFiles) -> CheckedModel:
    """Return the checked model of an open model package; `path` is its place in issues."""
    description = checked_description(files.description.get("model"), path)
    checked_tested(files.description.get(TESTED), path)
    file, start, size = files.place(WEIGHTS)
    with file.open("rb") as handle:
        places = tensor_places(handle, file, start=start, size=size)
    files.reject_changed((WEIGHTS, CARD, *([ONNX] if ONNX in files.names else [])))
    files.reject_markup()
    return CheckedModel(path, description, places, file, files.sha256, files.description, files)


def _of_checkpoint(path: Path, entries: Mapping[str, Entry]) -> CheckedModel:
    content, root = _pickled(path, entries)
    state = content.get("state_dict") if isinstance(content, dict) else None
    description = checked_description(content.get(PACKAGE_KEY) if isinstance(content, dict) else None, path)
    if not isinstance(state, dict):
        raise _no_checkpoint("it has no weights", path)
    weights = {
        name.removeprefix(WEIGHTS_PREFIX): _place(name, stated, entries, root, path)
        for name, stated in state.items()
        if isinstance(name, str) and name.startswith(WEIGHTS_PREFIX)
    }
    if not has_its_checksum(content, path, entries, root):
        message = "the checkpoint was edited: its content does not have its checksum"
        raise InputError(Issue("LS-MOD-006", message, "restore the file", file=path))
    return CheckedModel(path, description, weights, path, sha256_of(path), {})


def _pickled(path: Path, entries: Mapping[str, Entry]) -> tuple[Any, str]:
    """Return the value of the pickle in the archive, and its folder in the archive."""
    pickles = [name for name in entries if name.endswith("/data.pkl") and name.count("/") == 1]
    if len(pickles) != 1:
        raise _no_checkpoint("it is not an archive as torch writes it", path)
    entry, root = entries[pickles[0]], pickles[0].removesuffix("data.pkl")
    if entry.size > MAX_PICKLE_BYTES or not is_whole(path, entry):
        raise _no_checkpoint("its pickle is damaged or too large", path)
    order = entries.get(f"{root}byteorder")
    if order is not None and (order.size > 8 or b"".join(blocks(path, order.offset, order.size)) != b"little"):
        raise _no_checkpoint("its numbers are not little-endian", path)
    try:
        return read_pickle(b"".join(blocks(path, entry.offset, entry.size))), root
    except NotPlainError as error:
        raise _no_checkpoint(str(error), path) from None


def _place(name: str, stated: Any, entries: Mapping[str, Entry], root: str, path: Path) -> TensorPlace:
    if not isinstance(stated, PickledTensor) or (place := place_of(stated, entries, root)) is None:
        raise _no_checkpoint(f"weight {name[:80]!r} has no storage of its size", path)
    if not is_whole(path, entries[f"{root}data/{stated.key}"]):
        raise InputError(Issue("LS-MOD-006", f"weight {name[:80]!r} has changed", "restore the file", file=path))
    return place


def _no_checkpoint(reason: str, path: Path) -> InputError:
    message = f"not a checkpoint with only weights and plain values ({reason})"
    return InputError(Issue("LS-MOD-002", message, "give a checkpoint written by liverspleen train", file=path))
