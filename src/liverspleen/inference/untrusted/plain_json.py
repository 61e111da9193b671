"""Untrusted JSON as plain values: numbers, texts, lists and maps, limited in number, depth and size."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

from liverspleen.errors import InputError, Issue
from liverspleen.reading import without_repeats

MAX_JSON_BYTES = 1 << 20
_MAX_DEPTH = 16
_MAX_VALUES = 50_000
_MAX_TEXT = 4096
_MAX_NUMBER = 1e15


def parse_json(data: bytes, file: Path | str) -> dict[str, Any]:
    """Return the JSON object in `data`; repeated keys, NaN, numbers beyond 10^15 and deep nesting are not accepted.

    Raises:
        InputError: LS-MOD-007 not such an object, or too many values; `file` is the file in the message.
    """
    if len(data) > MAX_JSON_BYTES:
        raise _rejected(f"JSON has {len(data)} bytes, expected at most {MAX_JSON_BYTES}", file)
    try:
        value = json.loads(
            data.decode("utf-8"),
            object_pairs_hook=without_repeats,
            parse_constant=_reject_constant,
            parse_int=_whole_number,
        )
    except (ValueError, RecursionError) as error:
        short = "nested too deeply" if isinstance(error, RecursionError) else str(error)[:120]
        raise _rejected(f"not plain JSON ({short})", file) from None
    if not isinstance(value, dict):
        raise _rejected("the top level of the JSON is not an object", file)
    return dict(bounded(value, file))


def bounded(value: Any, file: Path | str) -> Any:
    """Return `value` unchanged if it has only plain finite values, within the limits of number and depth.

    Raises:
        InputError: LS-MOD-007 other values, or too many.

    >>> bounded({"a": [1, 2.5, None, "text"]}, "x.json")
    {'a': [1, 2.5, None, 'text']}
    """
    level, seen = [value], 0
    for _ in range(_MAX_DEPTH):
        seen += len(level)
        if seen > _MAX_VALUES:
            raise _rejected(f"more than {_MAX_VALUES} values", file)
        below: list[Any] = []
        for item in level:
            if isinstance(item, dict):
                below += [*item.keys(), *item.values()]
            elif isinstance(item, list | tuple):
                below += item
            elif problem := _problem(item):
                raise _rejected(problem, file)
            if len(below) > _MAX_VALUES:
                raise _rejected(f"more than {_MAX_VALUES} values", file)
        if not below:
            return value
        level = below
    raise _rejected(f"values nested more than {_MAX_DEPTH} deep", file)


def _problem(item: Any) -> str | None:
    if item is None or isinstance(item, bool):
        return None
    if isinstance(item, str):
        return f"a text has {len(item)} characters, expected at most {_MAX_TEXT}" if len(item) > _MAX_TEXT else None
    if isinstance(item, int | float):
        return None if math.isfinite(item) and abs(item) <= _MAX_NUMBER else "a number is NaN, inf or too large"
    return f"a value is of type {type(item).__name__}, expected numbers, texts, lists and maps"


def _reject_constant(name: str) -> Any:
    raise ValueError(f"{name} is not a finite number")


def _whole_number(digits: str) -> int:
    if len(digits) > 20:
        raise ValueError(f"a number has {len(digits)} digits")
    return int(digits)


def _rejected(message: str, file: Path | str) -> InputError:
    return InputError(Issue("LS-MOD-007", message, "give a model as liverspleen wrote it", file=file))
