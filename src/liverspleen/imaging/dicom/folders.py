"""The files of a folder tree, however deep it is, and nothing outside it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from liverspleen.storage import StrPath


def files_below(root: Path) -> Iterator[tuple[Path, str, bool]]:
    """Every regular file below `root`: its path, its folder relative to `root`, and whether it could be listed.

    Sorted by name within a folder. Hidden files and folders are passed over. Links to folders are not followed; a link
    to a file is, if the file lies below `root`; a file that several names lead to comes once. A folder that cannot be
    listed comes as itself, with False.
    """
    top = Path(os.path.realpath(root))
    seen: set[str] = set()
    waiting = [Path()]
    while waiting:
        relative = waiting.pop()
        try:
            with os.scandir(root / relative) as listing:
                entries = sorted(listing, key=lambda entry: entry.name)
        except OSError:
            yield root / relative, relative.as_posix(), False
            continue
        for entry in entries:
            if entry.name.startswith("."):
                continue
            if entry.is_dir(follow_symlinks=False):
                waiting.append(relative / entry.name)
            elif (real := _inside(entry, top / relative, top)) and real not in seen:
                seen.add(real)
                yield root / relative / entry.name, relative.as_posix(), True


def links_passed_over(root: StrPath) -> int:
    """How many links below `root` `files_below` does not follow: to folders, out of `root`, or to nothing."""
    top = Path(os.path.realpath(root))
    return sum(
        link.is_dir() or not (link.is_file() and Path(os.path.realpath(link)).is_relative_to(top))
        for folder, folders, files in os.walk(top)
        for link in (Path(folder, name) for name in (*folders, *files))
        if link.is_symlink()
    )


def _inside(entry: os.DirEntry[str], folder: Path, top: Path) -> str | None:
    """Where the entry's bytes lie, if that is a regular file below `top`; `folder` is its own, without links."""
    try:
        if not entry.is_file():
            return None
        if not entry.is_symlink():
            return str(folder / entry.name)
        real = os.path.realpath(entry.path)
    except OSError:
        return None
    return real if Path(real).is_relative_to(top) else None
