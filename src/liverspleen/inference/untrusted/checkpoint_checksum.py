"""Check of the checksum of a whole checkpoint, optimizer included, without torch."""

from __future__ import annotations

from collections.abc import Mapping
from math import prod
from pathlib import Path
from typing import Any

import numpy as np

from liverspleen.inference.untrusted.tensors import NUMBER_TYPES, TensorPlace
from liverspleen.inference.untrusted.torch_pickle import PickledTensor
from liverspleen.networks.checkpoint import CHECKSUM_KEY, Numbers, content_sha256
from liverspleen.zip_archive import Entry


def has_its_checksum(content: Mapping[str, Any], path: Path, entries: Mapping[str, Entry], root: str) -> bool:
    """Return whether the content of a checkpoint is what `liverspleen train` wrote; True if it has no checksum.

    A checkpoint that a user's own program saved has none; the archive still has a checksum of each of its parts.

    Args:
        content: value of the pickle, with tensors as `PickledTensor`.
        path: the file.
        entries: of the archive, by name.
        root: folder of the pickle in the archive.
    """
    file = np.memmap(path, np.uint8, "r")
    remaining = 2 * len(file)  # tensors that overlap many times would be read for years

    def numbers(value: Any) -> Numbers | None:
        nonlocal remaining
        if not isinstance(value, PickledTensor):
            return None
        if (place := place_of(value, entries, root)) is None:
            raise ValueError("a tensor exceeds its storage")
        remaining -= prod(place.shape) * NUMBER_TYPES[place.dtype].size
        if remaining < 0:
            raise ValueError("tensors overlap")
        return Numbers(place.dtype, place.shape, _row_major(file, place))

    if CHECKSUM_KEY not in content:
        return True
    try:
        return bool(content[CHECKSUM_KEY] == content_sha256(content, numbers))
    except ValueError:
        return False


def place_of(tensor: PickledTensor, entries: Mapping[str, Entry], root: str) -> TensorPlace | None:
    """Return the place of a tensor in the file; None if its storage is missing, of another size, or too small."""
    entry = entries.get(f"{root}data/{tensor.key}")
    if entry is None or entry.size != tensor.stored * NUMBER_TYPES[tensor.dtype].size:
        return None
    place = TensorPlace(entry.offset, entry.size, tensor.dtype, tensor.shape, tensor.strides, tensor.first)
    return place if place.is_inside else None


def _row_major(file: np.memmap[Any, Any], place: TensorPlace) -> memoryview:
    """Return the bytes of a tensor in row-major order."""
    size = NUMBER_TYPES[place.dtype].size
    stored = file[place.offset : place.offset + place.size].view(f"V{size}")[place.first :]
    strides = [step * size for step in place.strides]
    found = np.lib.stride_tricks.as_strided(stored, place.shape, strides, writeable=False)
    return np.ascontiguousarray(found).reshape(-1).view(np.uint8).data
