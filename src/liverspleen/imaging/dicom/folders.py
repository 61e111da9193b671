"""The regular files of a folder tree, and no file outside it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from liverspleen.storage import StrPath


def files_below(root: Path) -> Iterator[tuple[Path, str, bool]]:
    """Yield every regular file below `root`: its path, its folder relative to `root`, and True.

    Files are sorted by name within a folder. Hidden files and folders are skipped. Links to folders are not followed; a
    link to a file is followed if the file is below `root`. A file with several names appears once. A folder that cannot
    be listed appears with its own path and False.
    """
    top = Path(os.path.realpath(root))
    seen: set[str] = set()
    pending = [Path()]
    while pending:
        relative = pending.pop()
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
                pending.append(relative / entry.name)
            elif (real := _inside(entry, top / relative, top)) and real not in seen:
                seen.add(real)
                yield root / relative / entry.name, relative.as_posix(), True


def count_skipped_links(root: StrPath) -> int:
    """Return the number of links below `root` that `files_below` skips: to folders, out of `root`, or broken ones."""
    top = Path(os.path.realpath(root))
    return sum(
        link.is_dir() or not (link.is_file() and Path(os.path.realpath(link)).is_relative_to(top))
        for folder, folders, files in os.walk(top)
        for link in (Path(folder, name) for name in (*folders, *files))
        if link.is_symlink()
    )


def _inside(entry: os.DirEntry[str], folder: Path, top: Path) -> str | None:
    """Return the real path of an entry if it is a regular file below `top`; `folder` is its real folder."""
    try:
        if not entry.is_file():
            return None
        if not entry.is_symlink():
            return str(folder / entry.name)
        real = os.path.realpath(entry.path)
    except OSError:
        return None
    return real if Path(real).is_relative_to(top) else None
