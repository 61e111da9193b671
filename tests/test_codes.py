"""The registry of issue codes: complete, exact about who raises what, and the page that is generated from it."""

from __future__ import annotations

import re
import subprocess
import sys
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import get_args

import pytest

from liverspleen.codes import Entry, page, read_areas
from liverspleen.codes.__main__ import found_modules, updated
from liverspleen.codes.sites import modules_by_code
from liverspleen.errors import Severity

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "reference" / "errors.md"
ENTRIES = {entry.code: entry for area in read_areas() for entry in area.entries}
HOW = "read its entry in src/liverspleen/codes: if the meaning differs use a new code, else run python -m {} --update"


@cache
def all_raised() -> dict[str, tuple[str, ...]]:
    return found_modules()


def test_every_code_has_an_entry_and_every_entry_is_raised() -> None:
    raised = all_raised()
    assert sorted(raised.keys() - ENTRIES.keys()) == []
    assert sorted(ENTRIES.keys() - raised.keys()) == []


def test_codes_are_raised_where_their_entries_say() -> None:
    """A use in another module may be another meaning: whoever adds it has to look at the entry."""
    raised = all_raised()
    differing = {code: raised.get(code, ()) for code, entry in ENTRIES.items() if entry.raised_in != raised.get(code)}
    assert differing == {}, HOW.format("liverspleen.codes")


def test_a_code_has_one_entry_in_the_file_of_its_area() -> None:
    codes = [entry.code for area in read_areas() for entry in area.entries]
    assert len(codes) == len(set(codes))
    for area in read_areas():
        assert all(re.fullmatch(rf"LS-{area.name}-\d{{3}}", entry.code) for entry in area.entries)


def test_two_codes_do_not_share_a_title_or_an_explanation() -> None:
    """They would be one meaning. Areas that look at the same thing at another time may share a title."""
    texts = [entry.explanation for entry in ENTRIES.values()]
    assert sorted({text for text in texts if texts.count(text) > 1}) == []
    for area in read_areas():
        titles = [entry.title for entry in area.entries]
        assert sorted({title for title in titles if titles.count(title) > 1}) == []


def test_entries_are_complete_sentences() -> None:
    assert [code for code, entry in ENTRIES.items() if not is_complete(entry)] == []


def is_complete(entry: Entry) -> bool:
    """A title without a full stop, an explanation of one to three sentences, a hint, and known severities."""
    texts = (entry.explanation, entry.hint)
    return (
        bool(entry.title)
        and not entry.title.endswith(".")
        and all(re.fullmatch(r"[A-Z`].*\.", text) and "  " not in text for text in texts)
        and 1 <= len(re.findall(r"\.(?= [A-Z`]|$)", entry.explanation)) <= 3
        and set(entry.severity) <= set(get_args(Severity))
        and entry.severity == tuple(dict.fromkeys(entry.severity)) != ()
    )


def test_an_incomplete_entry_is_found() -> None:
    whole = Entry("LS-IMG-001", "File missing", ("error",), "The file does not exist.", "Add it.", ("a",))
    assert is_complete(whole)
    for changed in ({"title": ""}, {"explanation": "no file"}, {"hint": ""}, {"severity": ()}, {"severity": ("bad",)}):
        assert not is_complete(replace(whole, **changed))


def test_the_page_is_the_one_that_the_registry_gives() -> None:
    assert PAGE.read_text(encoding="utf-8") == page(read_areas()), (
        "run python -m liverspleen.codes > docs/reference/errors.md"
    )


def test_documentation_and_tests_name_no_code_that_is_not_there() -> None:
    files = [ROOT / "README.md", *ROOT.glob("docs/**/*.md"), *ROOT.glob("tests/**/*.py"), *ROOT.glob("src/**/*.py")]
    named = {
        (str(file.relative_to(ROOT)), code)
        for file in files
        if file != Path(__file__)
        for code in re.findall(r"LS-[A-Z]{3}-\d{3}", file.read_text(encoding="utf-8"))
    }
    assert len(named) > 500
    assert sorted((file, code) for file, code in named if code not in ENTRIES) == []


@pytest.mark.parametrize(
    ("source", "found"),
    [
        ('raise InputError(Issue("LS-IMG-001", "m", "h"))', True),
        ('yield _issue("error", "LS-IMG-001", "m", "h")', True),
        ('LOST = "LS-IMG-001"\nraise E(LOST)', True),
        ('OTHER, LOST = "", "LS-IMG-001"\nraise E(LOST)', True),
        ("from liverspleen.names import LOST as GONE\nraise E(GONE)", True),
        ('reason = f"LS-IMG-001: {error}"', True),
        ('LOST = "LS-IMG-001"', False),
        ('x = issue.code == "LS-IMG-001"', False),
        ('x = issue.code in {"LS-IMG-001"}', False),
        ('def f():\n    """LS-IMG-001"""', False),
        ('x = "see LS-IMG-001"', False),
    ],
)
def test_where_a_code_is_raised_is_found(source: str, found: bool) -> None:
    assert modules_by_code({"names": 'LOST = "LS-IMG-001"', "a": source}) == ({"LS-IMG-001": ("a",)} if found else {})


def test_update_rewrites_the_lists_of_modules_and_nothing_else() -> None:
    text = '[LS-IMG-001]\ntitle = "raised_in = []"\nraised_in = ["old"]\n\n[LS-IMG-002]\nraised_in = []\n'
    assert updated(text, {"LS-IMG-001": ("a", "b.c"), "LS-IMG-002": ("d",)}) == (
        '[LS-IMG-001]\ntitle = "raised_in = []"\nraised_in = ["a", "b.c"]\n\n[LS-IMG-002]\nraised_in = ["d"]\n'
    )


def test_the_command_prints_the_page() -> None:
    run = subprocess.run([sys.executable, "-m", "liverspleen.codes"], capture_output=True, check=True)
    assert run.stdout == PAGE.read_bytes()
