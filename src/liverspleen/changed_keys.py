"""Which keys differ between what was recorded and what is asked for now, when keys were added or removed in between."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

_ABSENT = object()


def changed_keys(recorded: Mapping[str, Any], now: Mapping[str, Any], neutral: Mapping[str, Any]) -> list[str]:
    """Each difference as text such as "optimizer.lr was 0.001, now 0.01", in the order of `now`, removed keys last.

    `neutral` holds, by key, the value that behaves as if the key did not exist. A key that was added since the record
    counts as recorded with that value; a key that was removed since counts as given with it. Without a neutral value
    such a key always differs.

    >>> changed_keys({"lr": 0.001}, {"lr": 0.01, "decay": None}, {"decay": None})
    ['lr was 0.001, now 0.01']
    >>> changed_keys({}, {"decay": 0.9}, {"decay": None}), changed_keys({"old": 3}, {}, {"old": 0})
    (['decay was null (not recorded), now 0.9'], ['old was 3, now 0 (no key any more)'])
    >>> changed_keys({}, {"new": 1}, {}), changed_keys({"old": 3}, {}, {})
    (['new was not recorded, now 1'], ['old was 3, now no key any more'])
    """
    found = []
    for key in [*now, *(key for key in recorded if key not in now)]:
        unstated = neutral.get(key, _ABSENT)
        before, after = _plain(recorded.get(key, unstated)), _plain(now.get(key, unstated))
        if before is _ABSENT or after is _ABSENT or before != after:
            was = _shown(before, "" if key in recorded else "not recorded")
            found.append(f"{key} was {was}, now {_shown(after, '' if key in now else 'no key any more')}")
    return found


def _plain(value: Any) -> Any:
    """As it reads back from a file: tuples are lists."""
    return [_plain(item) for item in value] if isinstance(value, list | tuple) else value


def _shown(value: Any, absence: str) -> str:
    """As it is written on the command line; `absence` says why there is no value of its own."""
    if value is _ABSENT:
        return absence
    text = {None: "null", True: "true", False: "false"}[value] if value is None or isinstance(value, bool) else value
    return f"{text} ({absence})" if absence else str(text)
