"""Where a tensor's numbers lie in a file: what can be said of weights before any of them is read."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod

BYTES: dict[str, int] = {
    "float64": 8,
    "float32": 4,
    "float16": 2,
    "bfloat16": 2,
    "int64": 8,
    "int32": 4,
    "int16": 2,
    "int8": 1,
    "uint8": 1,
    "bool": 1,
}
"""Bytes of a number, by torch's name of its type; other types are not read."""

MAX_NUMBERS = 1 << 31
"""In one tensor."""


@dataclass(frozen=True)
class TensorPlace:
    """A tensor in a file: its first number is `first` numbers after `offset`, from which `size` bytes belong to it."""

    offset: int
    size: int
    dtype: str
    shape: tuple[int, ...]
    strides: tuple[int, ...]
    first: int = 0

    @property
    def is_inside(self) -> bool:
        """Whether every number of it lies within those bytes."""
        if prod(self.shape) > MAX_NUMBERS or self.first < 0 or min((*self.shape, *self.strides, 0)) < 0:
            return False
        if not all(self.shape):
            return True
        last = self.first + sum((length - 1) * step for length, step in zip(self.shape, self.strides, strict=True))
        return (last + 1) * BYTES[self.dtype] <= self.size


def strides_of(shape: Sequence[int]) -> tuple[int, ...]:
    """Steps in numbers of a tensor whose last axis runs fastest.

    >>> strides_of((2, 3, 4))
    (12, 4, 1)
    """
    return tuple(prod(shape[axis + 1 :]) for axis in range(len(shape)))
