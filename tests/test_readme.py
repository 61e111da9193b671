"""README and docs: columns, verbs, commands and links are those of the project."""

import re
import shlex
from pathlib import Path

import pytest

from liverspleen.cli.verbs import VERBS
from liverspleen.cohort import column_table
from liverspleen.config import SCHEMAS, groups, keys

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted(ROOT.glob("docs/**/*.md"))]
PAGES += [*sorted(ROOT.glob("experiments/*/README.md")), *sorted(ROOT.glob("benchmarks/*/README.md"))]


def commands(page: Path) -> list[list[str]]:
    """Verb and arguments of each command in the indented or fenced blocks of a page."""
    text = page.read_text(encoding="utf-8").replace("\\\n", " ")
    lines = re.findall(r"^ {4,}liverspleen (.*)$", text, re.MULTILINE)
    return [shlex.split(line, comments=True) for line in lines]


def test_columns_of_the_cohort_are_those_of_the_schema() -> None:
    begin, end = (f"<!-- columns of cohort.csv: {word} -->" for word in ("begin", "end"))
    page = (ROOT / "docs/cohort.md").read_text(encoding="utf-8")
    assert page.split(f"{begin}\n")[1].split(end)[0] == column_table()


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_is_in_the_readme_with_its_purpose(verb: str) -> None:
    assert f"| `{verb}` | {VERBS[verb]} |\n" in README


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_commands_use_verbs_and_keys_that_exist(page: Path) -> None:
    for verb, *overrides in commands(page):
        if verb == "VERB":
            continue
        known = {key.name for key in keys(SCHEMAS[verb])} | groups().keys() | {"conf"}
        names = {override.split("=")[0] for override in overrides if not override.startswith(("$", "--"))}
        assert names <= known, verb


def test_readme_and_docs_have_the_commands_of_every_step() -> None:
    found = [verb for page in PAGES for verb, *_ in commands(page)]
    assert len(commands(ROOT / "README.md")) >= 6
    steps = {"import", "check", "split", "prepare", "train", "predict", "measure", "report", "compare", "change"}
    assert steps | {"plan", "audit", "export", "sweep", "info", "phantom"} <= set(found)


def anchors(page: Path) -> set[str]:
    """Anchors of the headings of a page, as GitHub forms them."""
    headings = re.findall(r"^#+ (.+)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_to_files_and_headings_that_exist(page: Path) -> None:
    targets = re.findall(r"\[[^\]]*(?:\[[^\]]*\][^\]]*)*\]\(([^)\s]+)", page.read_text(encoding="utf-8"))
    for target in targets:
        name, _, anchor = target.partition("#")
        if "://" in name:
            continue
        file = page.parent / name if name else page
        assert file.exists(), target
        assert not anchor or anchor in anchors(file), target


def test_every_page_is_in_the_index() -> None:
    index = (ROOT / "docs/index.md").read_text(encoding="utf-8")
    pages = {page.relative_to(ROOT / "docs").as_posix() for page in ROOT.glob("docs/**/*.md")} - {"index.md"}
    assert {page for page in pages if f"]({page})" not in index} == set()


def test_every_study_and_benchmark_is_in_the_index() -> None:
    index = (ROOT / "docs/index.md").read_text(encoding="utf-8")
    found = [file for folder in ("experiments", "benchmarks") for file in ROOT.glob(f"{folder}/*/README.md")]
    assert len(found) >= 12
    assert [file for file in found if f"](../{file.relative_to(ROOT).as_posix()})" not in index] == []
