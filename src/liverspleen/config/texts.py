"""Values of the command line that are used verbatim: paths, texts, and lists of them."""

from __future__ import annotations

import re
from pathlib import Path

_ELEMENT = re.compile(r"""\s*(?:'(?P<single>[^']*)'|"(?P<double>[^"]*)"|(?P<bare>[^,]*))\s*(?:,|$)""")


def elements(value: str) -> list[str]:
    """Return the elements of a list, split at commas and otherwise unchanged; an element in quotes may contain commas.

    Brackets around the list are optional.

    >>> elements("[test1,test2]"), elements("5.10, 'a,b'"), elements("O'Brien,R(1)"), elements("[]")
    (['test1', 'test2'], ['5.10', 'a,b'], ["O'Brien", 'R(1)'], [])
    """
    bare = value.strip()
    bare = bare[1:-1] if bare.startswith("[") and bare.endswith("]") else bare
    found, start = [], 0
    while start < len(bare):
        match = _ELEMENT.match(bare, start)
        assert match is not None  # the last alternative matches anything
        quoted = match["single"] if match["single"] is not None else match["double"]
        found.append(quoted if quoted is not None else match["bare"].strip())
        start = match.end()
    return [element for element in found if element]


def paths(value: str) -> list[str]:
    """Return the paths of a list of paths: the value as one path if it exists, else the parts between commas."""
    try:
        if value and Path(value).exists():
            return [value]
    except OSError:  # too long for one path
        pass
    bare = value[1:-1] if value.startswith("[") and value.endswith("]") else value
    return [part for part in bare.split(",") if part]
