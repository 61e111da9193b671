"""Values of DICOM fields, as text and numbers; headers from outside may hold anything."""

from __future__ import annotations

import math
import struct
import zlib
from typing import Any

from liverspleen.imaging.dicom.quiet import pydicom

DAMAGED = (
    pydicom.errors.InvalidDicomError,
    pydicom.errors.BytesLengthException,
    ValueError,
    TypeError,
    LookupError,
    AttributeError,
    ArithmeticError,
    NotImplementedError,
    OSError,
    EOFError,
    RecursionError,
    MemoryError,
    AssertionError,
    RuntimeError,
    struct.error,
    zlib.error,
)
"""Exceptions that pydicom raises for damaged DICOM files."""

_SEVERAL = (pydicom.multival.MultiValue, list, tuple)


def text(dataset: Any, keyword: str) -> str:
    r"""Return a field as stripped text, several values joined by `\`; "" if it is absent or unreadable."""
    try:
        if getattr(dataset.get_item(keyword, keep_deferred=True), "value", None) is None:
            return ""  # absent, or too large to be loaded
        value = dataset[keyword].value
        if value is None:
            return ""
        if isinstance(value, _SEVERAL):
            return "\\".join(str(part) for part in value).strip()
        return str(value).strip().strip("\0").strip()
    except DAMAGED:
        return ""


def is_stated(dataset: Any, keyword: str) -> bool:
    """Return whether a field is present and not blank, whether or not its value can be read."""
    element = dataset.get_item(keyword, keep_deferred=True)
    if element is None:
        return False
    if (value := element.value) is None:
        return bool(getattr(element, "length", 0))  # too large to be loaded
    if isinstance(value, bytes):
        return bool(value.strip(b" \0"))
    if isinstance(value, str):
        return bool(value.strip(" \0"))
    return not hasattr(value, "__len__") or len(value) > 0


def numbers(dataset: Any, keyword: str, count: int) -> tuple[float, ...] | None:
    """Return a field as `count` finite numbers; None if it does not hold them."""
    written = text(dataset, keyword)
    try:
        values = tuple(float(part) for part in written.split("\\"))
    except ValueError:
        return None
    is_valid = len(values) == count and all(map(math.isfinite, values)) and "_" not in written  # Python accepts 1_0
    return values if is_valid else None


def integer(dataset: Any, keyword: str) -> int:
    """Return a field as a whole number above 0; 0 if it does not hold one."""
    value = numbers(dataset, keyword, 1)
    return int(value[0]) if value and value[0] > 0 else 0
