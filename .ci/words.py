"""List the unused words in the tracked files, one line per place; exit code 1 if there is one."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path

ROOT = Path(__file__).parents[1]
SUFFIXES = {".py", ".md", ".toml", ".yaml", ".j2", ".ipynb", ".cff", ".sh", ""}
OFF = "check: off"  # in a comment of a line that quotes such a word
NOT_READ = {"LICENSE", ".ci/words.toml", "constraints.txt"}
NOT_READ |= {"src/liverspleen/config/renamed.py", "tests/config/test_compose.py"}  # names of earlier versions


def patterns(text: str) -> dict[re.Pattern[str], str]:
    """Return the compiled patterns of a words.toml and their replacements; `_` and digits end a part of a name."""
    rules = [rule for section in tomllib.loads(text).values() for rule in section.items()]
    return {
        re.compile(
            rf"(?<![A-Za-z])(?:{pattern})(?![A-Za-z])", re.NOFLAG if re.search("[A-Z]", pattern) else re.IGNORECASE
        ): instead
        for pattern, instead in rules
    }


def found(text: str, rules: Mapping[re.Pattern[str], str]) -> Iterator[tuple[int, str, str]]:
    """Yield line number, word and replacement; lines with `check: off` in a comment are not checked."""
    for number, line in enumerate(text.splitlines(), 1):
        if OFF in line:
            continue
        for pattern, instead in rules.items():
            for match in pattern.finditer(line):
                yield number, match.group(), instead


def main(paths: list[str]) -> int:
    """Check the given files, or all tracked ones."""
    rules = patterns((ROOT / ".ci/words.toml").read_text(encoding="utf-8"))
    tracked = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    names = [Path(path).resolve().relative_to(ROOT).as_posix() for path in paths] or tracked.splitlines()
    count = 0
    for name in names:
        file = ROOT / name
        if file.suffix not in SUFFIXES or name in NOT_READ or not file.is_file():
            continue
        for line, word, instead in found(file.read_text(encoding="utf-8"), rules):
            print(f"{name}:{line}: {word!r}: write {instead}")
            count += 1
    print(f"{count} words that are not used" if count != 1 else "1 word that is not used")
    return 1 if count else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
