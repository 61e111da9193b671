"""`python -m liverspleen.codes`: print docs/reference/errors.md; with `--update`, rewrite the lists `raised_in`."""

from __future__ import annotations

import re
import sys

from liverspleen.codes import FOLDER, page, read_areas
from liverspleen.codes.sites import modules_by_code, sources

_LIST = re.compile(r"^raised_in = \[.*\]$", re.MULTILINE)
_ENTRY = re.compile(r"^(?=\[LS-)", re.MULTILINE)


def found_modules() -> dict[str, tuple[str, ...]]:
    """Return, by code, the modules of this package and of `experiments` that raise it."""
    package = FOLDER.parent
    own = {name: text for name, text in sources(package).items() if not name.startswith("codes.")}
    return modules_by_code(own | sources(package.parents[1] / "experiments", "experiments."))


def updated(text: str, modules: dict[str, tuple[str, ...]]) -> str:
    """Return the text of an area's file with updated lists of modules; nothing else changes."""
    parts = _ENTRY.split(text)
    return "".join([parts[0], *(_updated_entry(part, modules) for part in parts[1:])])


def _updated_entry(text: str, modules: dict[str, tuple[str, ...]]) -> str:
    names = ", ".join(f'"{name}"' for name in modules.get(text[1:11], ()))
    return _LIST.sub(f"raised_in = [{names}]", text)


def main() -> int:
    """Print the page, or update the lists of modules; return the exit code."""
    if sys.argv[1:] == ["--update"]:
        modules = found_modules()
        for file in FOLDER.glob("*.toml"):
            file.write_text(updated(file.read_text(encoding="utf-8"), modules), encoding="utf-8")
        return 0
    sys.stdout.write(page(read_areas()))
    return 0


if __name__ == "__main__":
    sys.exit(main())
