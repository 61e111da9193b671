"""Number types of weights, and where the numbers of a tensor are in a file."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod
from typing import NamedTuple


class NumberType(NamedTuple):
    """Bytes per number, and the names of the type in safetensors and in torch's pickles."""

    size: int
    safetensors: str
    storage: str


NUMBER_TYPES = {
    "float64": NumberType(8, "F64", "DoubleStorage"),
    "float32": NumberType(4, "F32", "FloatStorage"),
    "float16": NumberType(2, "F16", "HalfStorage"),
    "bfloat16": NumberType(2, "BF16", "BFloat16Storage"),
    "int64": NumberType(8, "I64", "LongStorage"),
    "int32": NumberType(4, "I32", "IntStorage"),
    "int16": NumberType(2, "I16", "ShortStorage"),
    "int8": NumberType(1, "I8", "CharStorage"),
    "uint8": NumberType(1, "U8", "ByteStorage"),
    "bool": NumberType(1, "BOOL", "BoolStorage"),
}
"""Number types by their name in torch; other types are not read."""

MAX_NUMBERS = 1 << 31
"""Largest number of elements of a tensor."""


@dataclass(frozen=True)
class TensorPlace:
    """Position of a tensor in a file: `size` bytes from `offset`; its first number is number `first` of them."""

    offset: int
    size: int
    dtype: str
    shape: tuple[int, ...]
    strides: tuple[int, ...]
    first: int = 0

    @property
    def is_inside(self) -> bool:
        """Whether all its numbers are within those bytes."""
        if prod(self.shape) > MAX_NUMBERS or self.first < 0 or min((*self.shape, *self.strides, 0)) < 0:
            return False
        if not all(self.shape):
            return True
        last = self.first + sum((length - 1) * step for length, step in zip(self.shape, self.strides, strict=True))
        return (last + 1) * NUMBER_TYPES[self.dtype].size <= self.size


def strides_of(shape: Sequence[int]) -> tuple[int, ...]:
    """Return the strides, in numbers, of a tensor whose last axis is contiguous.

    >>> strides_of((2, 3, 4))
    (12, 4, 1)
    """
    return tuple(prod(shape[axis + 1 :]) for axis in range(len(shape)))
