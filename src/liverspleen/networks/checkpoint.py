"""Keys of a checkpoint, and the checksum of its content."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from itertools import chain
from typing import Any, Final, NamedTuple

PACKAGE_KEY: Final = "liverspleen"
"""Entry of a checkpoint with network, window, slices, structures and hashes, as plain values."""

LINEAGE_KEYS: Final = ("trained_on", "ancestors")
"""Keys of the description that grow with the number of training cases; the metadata of safetensors lack them."""

WEIGHTS_PREFIX: Final = "network."
"""Prefix of the network's weights in the `state_dict` of a checkpoint."""

CHECKSUM_KEY: Final = "liverspleen_sha256"
"""Entry of a checkpoint with the `content_sha256` of all other entries."""

_MAX_VALUES = 1_000_000  # a list that is in other lists many times would be read for years


class Numbers(NamedTuple):
    """The content of a tensor: the name of its type in torch, its shape, and its bytes in row-major order."""

    dtype: str
    shape: tuple[int, ...]
    data: Any


def content_sha256(content: Mapping[str, Any], numbers: Callable[[Any], Numbers | None]) -> str:
    """Return the SHA-256 of all entries of a checkpoint except `CHECKSUM_KEY`; every value, type and order counts.

    Lists and tuples are equal, and so are all kinds of maps.

    Args:
        content: nested maps and sequences of plain values and tensors.
        numbers: returns the content of a tensor, and None for any other value.

    Raises:
        ValueError: a value is neither plain nor a tensor, or there are too many.

    >>> one, two = (content_sha256({"a": (1, value)}, lambda _: None) for value in (2, 2.0))
    >>> one == two, one == content_sha256({"a": [1, 2], CHECKSUM_KEY: one}, lambda _: None)
    (False, True)
    """
    found, seen = hashlib.sha256(), 0
    waiting: list[Any] = [{name: value for name, value in content.items() if name != CHECKSUM_KEY}]
    while waiting:
        value, seen = waiting.pop(), seen + 1
        if seen > _MAX_VALUES:
            raise ValueError(f"it has more than {_MAX_VALUES} values")
        if isinstance(value, Mapping):
            found.update(f"map {len(value)}\n".encode())
            waiting.extend(chain.from_iterable(value.items()))
        elif isinstance(value, list | tuple):
            found.update(f"list {len(value)}\n".encode())
            waiting.extend(value)
        elif (tensor := numbers(value)) is not None:
            found.update(f"tensor {tensor.dtype} {list(tensor.shape)}\n".encode())
            found.update(tensor.data)
        elif value is None or type(value) in (bool, int, float, str):
            found.update(f"{type(value).__name__} {value!a}\n".encode())
        else:
            raise ValueError(f"it has a value of type {type(value).__name__}")
    return found.hexdigest()
