"""Check of the header of a safetensors file before a library reads it.

Format: 8 bytes with the header's length, little-endian; a JSON object of name to `dtype`, `shape`, `data_offsets`; then
the numbers of the tensors without gaps (https://huggingface.co/docs/safetensors).
"""

from __future__ import annotations

from math import prod
from pathlib import Path
from typing import IO, Any

from liverspleen.errors import InputError, Issue
from liverspleen.inference.untrusted.plain_json import MAX_JSON_BYTES, parse_json
from liverspleen.inference.untrusted.tensors import MAX_NUMBERS, NUMBER_TYPES, TensorPlace, strides_of

_NAMES = {kind.safetensors: name for name, kind in NUMBER_TYPES.items()}


def tensor_places(handle: IO[bytes], file: Path, *, start: int, size: int) -> dict[str, TensorPlace]:
    """Return the tensors by name, in the `size` bytes from `start`; offsets are relative to the whole file.

    Raises:
        InputError: LS-MOD-007 the header is not plain JSON; LS-MOD-009 it exceeds the limit or the file, or its tensors
            overlap, have gaps, have unknown types, or have other sizes than their shapes.
    """
    handle.seek(start)
    length = int.from_bytes(handle.read(8), "little")
    if size < 8 or length > min(size - 8, MAX_JSON_BYTES):
        raise _rejected(f"the header states {length} bytes", file)
    header = parse_json(handle.read(length), file)
    header.pop("__metadata__", None)
    end, places = 0, {}
    by_offset = sorted(header.items(), key=lambda item: _begin(item[1]))
    for name, stated in by_offset:
        dtype, shape, first, last = _stated(name, stated, file)
        if first != end:
            raise _rejected(f"tensor {name[:80]!r} begins at byte {first}, expected {end}", file)
        if last - first != NUMBER_TYPES[dtype].size * prod(shape):
            raise _rejected(f"tensor {name[:80]!r} of shape {list(shape)} has {last - first} bytes", file)
        places[name] = TensorPlace(start + 8 + length + first, last - first, dtype, shape, strides_of(shape))
        end = last
    if end != size - 8 - length:
        raise _rejected(f"the tensors have {end} bytes, but the file has {size - 8 - length}", file)
    return places


def _begin(stated: Any) -> tuple[int, int]:
    """Return the first and last byte of a tensor; (-1, -1) if they are not stated."""
    offsets = stated.get("data_offsets") if isinstance(stated, dict) else None
    if isinstance(offsets, list) and len(offsets) == 2 and all(type(number) is int for number in offsets):
        return offsets[0], offsets[1]
    return -1, -1


def _stated(name: str, stated: Any, file: Path) -> tuple[str, tuple[int, ...], int, int]:
    first, last = _begin(stated)
    shape = stated.get("shape") if isinstance(stated, dict) else None
    if first < 0 or last < first or not isinstance(shape, list) or len(shape) > 8:
        raise _rejected(f"tensor {name[:80]!r} has no offsets or shape", file)
    if any(type(number) is not int or number < 0 for number in shape) or prod(shape) > MAX_NUMBERS:
        raise _rejected(f"tensor {name[:80]!r} has an impossible shape", file)
    dtype = _NAMES.get(stated["dtype"]) if isinstance(stated.get("dtype"), str) else None
    if dtype is None:
        raise _rejected(f"tensor {name[:80]!r} is of an unknown type", file)
    return dtype, tuple(shape), first, last


def _rejected(message: str, file: Path) -> InputError:
    return InputError(Issue("LS-MOD-009", f"not a safetensors file: {message}", "export the model again", file=file))
