"""Differences between recorded and present keys, where keys may have been added or removed since."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

_ABSENT = object()


def changed_keys(recorded: Mapping[str, Any], now: Mapping[str, Any], neutral: Mapping[str, Any]) -> list[str]:
    """Return differences as text such as "optimizer.lr was 0.001, now 0.01", in the order of `now`, removed keys last.

    `neutral` has, by key, the value with the same effect as the absence of the key. A key that was added after the
    record counts as recorded with that value; a key that was removed counts as given with it. An added or removed key
    without a neutral value always differs.

    >>> changed_keys({"lr": 0.001}, {"lr": 0.01, "decay": None}, {"decay": None})
    ['lr was 0.001, now 0.01']
    >>> changed_keys({}, {"decay": 0.9}, {"decay": None}), changed_keys({"old": 3}, {}, {"old": 0})
    (['decay was null (not recorded), now 0.9'], ['old was 3, now 0 (key removed)'])
    >>> changed_keys({}, {"new": 1}, {}), changed_keys({"old": 3}, {}, {})
    (['new was not recorded, now 1'], ['old was 3, now key removed'])
    """
    found = []
    for key in [*now, *(key for key in recorded if key not in now)]:
        unstated = neutral.get(key, _ABSENT)
        before, after = _as_stored(recorded.get(key, unstated)), _as_stored(now.get(key, unstated))
        if before is _ABSENT or after is _ABSENT or before != after:
            was = _shown(before, "" if key in recorded else "not recorded")
            found.append(f"{key} was {was}, now {_shown(after, '' if key in now else 'key removed')}")
    return found


def _as_stored(value: Any) -> Any:
    """Return the value as a file stores it: tuples become lists."""
    return [_as_stored(item) for item in value] if isinstance(value, list | tuple) else value


def _shown(value: Any, absence: str) -> str:
    """Return the value as written on the command line; `absence` is the reason for a missing value."""
    if value is _ABSENT:
        return absence
    text = {None: "null", True: "true", False: "false"}[value] if value is None or isinstance(value, bool) else value
    return f"{text} ({absence})" if absence else str(text)
