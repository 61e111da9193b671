"""The two parts of continuous integration run each test that needs neither a GPU nor real data exactly once."""

import re
import shlex
import tomllib
from itertools import combinations
from pathlib import Path

from _pytest.mark.expression import Expression
from conftest import MARKERS

TOP = Path(__file__).parents[1]
OPTIONS = tomllib.loads((TOP / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["pytest"]["ini_options"]
COMBINATIONS = [set(some) for size in range(len(MARKERS) + 1) for some in combinations(MARKERS, size)]


def selecting(words: str) -> Expression:
    """The expression behind `-m`."""
    options = shlex.split(words)
    return Expression.compile(options[options.index("-m") + 1])


def parts() -> list[Expression]:
    """Of `make test`, which has the default of pytest, and of `make test-slow`."""
    (slow,) = re.findall(r"^test-slow:.*\n\t(.*)$", (TOP / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)
    return [selecting(OPTIONS["addopts"]), selecting(slow)]


def test_each_test_runs_in_one_part() -> None:
    for names in COMBINATIONS:
        runs = sum(part.evaluate(lambda name, **_: name in names) for part in parts())  # noqa: B023 - called at once
        assert runs == (0 if names & {"gpu", "real"} else 1), names


def test_every_marker_is_counted() -> None:
    assert {line.partition(":")[0] for line in OPTIONS["markers"]} == set(MARKERS)
