"""Values of the command line that are taken as they stand: paths, texts, and lists of them."""

from __future__ import annotations

import re
from pathlib import Path

_ELEMENT = re.compile(r"""\s*(?:'(?P<single>[^']*)'|"(?P<double>[^"]*)"|(?P<bare>[^,]*))\s*(?:,|$)""")


def elements(value: str) -> list[str]:
    """The elements of a list: split at commas, taken as they stand; an element in quotes may hold commas.

    Brackets around the whole are optional.

    >>> elements("[test1,test2]"), elements("5.10, 'a,b'"), elements("O'Brien,R(1)"), elements("[]")
    (['test1', 'test2'], ['5.10', 'a,b'], ["O'Brien", 'R(1)'], [])
    """
    bare = value.strip()
    bare = bare[1:-1] if bare.startswith("[") and bare.endswith("]") else bare
    found, start = [], 0
    while start < len(bare):
        match = _ELEMENT.match(bare, start)
        assert match is not None  # the last alternative takes anything
        quoted = match["single"] if match["single"] is not None else match["double"]
        found.append(quoted if quoted is not None else match["bare"].strip())
        start = match.end()
    return [element for element in found if element]


def paths(value: str) -> list[str]:
    """The paths of a key that takes several: one path if it exists as it stands, else those between commas."""
    try:
        if value and Path(value).exists():
            return [value]
    except OSError:  # too long for one name: several
        pass
    bare = value[1:-1] if value.startswith("[") and value.endswith("]") else value
    return [part for part in bare.split(",") if part]
