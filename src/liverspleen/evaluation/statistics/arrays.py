"""Arrays given by callers, as float64 with NaN for missing values: lists, NumPy, masked arrays, pandas, generators."""

from __future__ import annotations

import sys
from collections.abc import Hashable, Iterable, Mapping, Set
from typing import Any

import numpy as np
from numpy.typing import NDArray


def floats_of(values: Any, name: str = "a sample") -> NDArray[np.float64]:
    """Return `values` as float64; NaN, None, `pandas.NA` and masked entries are missing (NaN).

    Raises:
        ValueError: a value is not a number (a text is not parsed), an infinity, or `values` has no order or no
            regular shape; the message contains `name`.

    >>> floats_of(np.ma.array([1.0, 9999.0], mask=[False, True])).tolist()
    [1.0, nan]
    >>> floats_of(value / 2 for value in (1, 3)).tolist()
    [0.5, 1.5]
    >>> floats_of(["1.0"])
    Traceback (most recent call last):
    ValueError: a sample contains '1.0', expected numbers
    """
    array = _array(values, name)
    if array.dtype.kind == "O":
        flat = np.fromiter((_number(value, name) for value in array.flat), np.float64, count=array.size)
        found = flat.reshape(array.shape)
    elif array.dtype.kind in "fiub":
        found = np.ma.filled(array.astype(np.float64), np.nan)
    else:
        first = f" contains {array.flat[0].item()!r}," if array.size else f" has type {array.dtype},"
        raise ValueError(f"{name}{first} expected numbers")
    if np.isinf(found).any():
        raise ValueError(f"{name} contains an infinity, expected finite numbers or NaN")
    return found


def float_of(value: Any, name: str) -> float | None:
    """Return one number; None if it is missing.

    Raises:
        ValueError: it is not a finite number.

    >>> float_of(np.ma.masked, "before") is None, float_of(3, "before")
    (True, 3.0)
    """
    found = floats_of([value], name)
    if found.shape != (1,):
        raise ValueError(f"{name} has shape {found.shape[1:]}, expected one number")
    return None if np.isnan(found[0]) else float(found[0])


def labels_of(values: Iterable[Any], name: str) -> list[Hashable]:
    """Return labels, such as the patient of each observation.

    Raises:
        ValueError: a label is missing (None, NaN, `pandas.NA`, masked, or an empty text).

    >>> labels_of(["p1", None], "clusters")
    Traceback (most recent call last):
    ValueError: 1 of 2 clusters is missing, expected a label for every observation
    """
    found = list(values)
    if missing := sum(value == "" if isinstance(value, str) else is_missing(value) for value in found):
        raise ValueError(
            f"{missing} of {len(found)} {name} {'is' if missing == 1 else 'are'} missing, expected a label for every "
            "observation"
        )
    return found


def is_missing(value: Any) -> bool:
    """Whether a single value is missing: None, NaN, NaT, `pandas.NA` or masked.

    >>> [is_missing(value) for value in (None, float("nan"), np.ma.masked, 0.0, "")]
    [True, True, True, False, False]
    """
    pandas = sys.modules.get("pandas")  # without it, no value can be pandas.NA
    if value is None or value is np.ma.masked or (pandas is not None and value is pandas.NA):
        return True
    if isinstance(value, np.datetime64 | np.timedelta64):
        return bool(np.isnat(value))
    return isinstance(value, Hashable) and not isinstance(value, str) and bool(value != value)


def _array(values: Any, name: str) -> NDArray[Any]:
    """Return an array that keeps masks, and keeps missing values of nullable columns as objects."""
    if isinstance(values, str | bytes | Mapping | Set):
        raise ValueError(f"{name} is a {type(values).__name__}, expected values in an order")
    if isinstance(values, np.ma.MaskedArray):
        return values
    if hasattr(values, "to_numpy"):  # columns and tables of pandas or polars
        return np.asarray(values.to_numpy())
    if isinstance(values, Iterable) and not hasattr(values, "__array__") and not hasattr(values, "__getitem__"):
        values = list(values)  # a generator, or the values of a dictionary
    try:
        return np.asarray(_filled(values))
    except ValueError as error:
        raise ValueError(f"{name} has parts of different lengths, expected a regular shape") from error


def _filled(values: Any) -> Any:
    """Return lists with NaN in place of what is masked in them."""
    if isinstance(values, np.ma.MaskedArray):
        return np.ma.filled(values.astype(np.float64), np.nan)
    if isinstance(values, list | tuple) and any(isinstance(one, list | tuple | np.ma.MaskedArray) for one in values):
        return [_filled(one) for one in values]
    return values


def _number(value: Any, name: str) -> float:
    if is_missing(value):
        return float("nan")
    if isinstance(value, str | bytes | complex | np.datetime64 | np.timedelta64):
        raise ValueError(f"{name} contains {value!r}, expected numbers")
    try:
        return float(value)
    except (TypeError, ValueError, OverflowError) as error:
        raise ValueError(f"{name} contains {value!r}, expected numbers") from error
