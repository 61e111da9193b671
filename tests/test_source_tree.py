"""The source tree is the one in docs/architecture.md, and no file is too long."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[1]
SOURCE = ROOT / "src" / "liverspleen"
TREE = (ROOT / "docs/architecture.md").read_text(encoding="utf-8").split("\n## Source tree\n")[1].split("\n## ")[0]
MOST_LINES = 400


def described(indent: int, after: str) -> set[str]:
    """Entries with this indent below the line of `after`."""
    block = TREE.split(f"{after}/", 1)[1].split("\n", 1)[1]
    found = set()
    for line in block.splitlines():
        match = re.match(r"( +)([\w.]+)/?  ", line)
        if match is None or len(match[1]) < indent:
            break
        if len(match[1]) == indent:
            found.add(match[2])
    return found


def present(folder: Path) -> set[str]:
    hidden = {"__init__.py", "__main__.py", "__pycache__", "py.typed", "conf"}
    return {entry.name for entry in folder.iterdir()} - hidden


def test_the_packages_are_those_of_the_architecture_page() -> None:
    assert described(6, "src/liverspleen") == present(SOURCE)


def test_the_packages_of_evaluation_are_those_of_the_architecture_page() -> None:
    assert described(8, "evaluation") == present(SOURCE / "evaluation")


def test_no_source_file_is_longer_than_400_lines() -> None:
    lengths = {str(file): len(file.read_text(encoding="utf-8").splitlines()) for file in SOURCE.rglob("*.py")}
    assert {file: lines for file, lines in lengths.items() if lines > MOST_LINES} == {}
