"""The list of words that are not used: each pattern is found where it stands, and plain text is not."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest

CI = Path(__file__).parents[1] / ".ci"


@pytest.fixture(scope="module")
def words() -> ModuleType:
    spec = importlib.util.spec_from_file_location("words", CI / "words.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize(
    "text",
    [
        "the words of train",  # check: off
        "every case is told",  # check: off
        "export hands on a model",  # check: off
        "the run goes on with the next case",  # check: off
        "no cure",  # check: off
        "networks of one's own",  # check: off
        "class Fault:",  # check: off
        "except Refused:",  # check: off
        "_CURES = {}",  # check: off
        "liverspleen predict share=2/8",  # check: off
        "write_bundle(path)",  # check: off
        "2 label map(s)",  # check: off
    ],
)
def test_word_that_is_not_used_is_found_with_its_line(words: ModuleType, text: str) -> None:
    rules = words.patterns((CI / "words.toml").read_text(encoding="utf-8"))
    found = list(words.found(f"first line\n{text}\n", rules))
    assert {line for line, _, _ in found} == {2}


@pytest.mark.parametrize(
    "text",
    ["the default options", "setdefault", "shard=2/8", "the patient's left side", "print(sorted(steps))", "secure"],
)
def test_plain_text_is_accepted(words: ModuleType, text: str) -> None:
    rules = words.patterns((CI / "words.toml").read_text(encoding="utf-8"))
    assert list(words.found(text, rules)) == []


def test_line_that_quotes_such_a_word_is_not_checked(words: ModuleType) -> None:
    rules = words.patterns('[names]\n"olds?" = "new"\n')
    assert list(words.found("an old  # check: off\nan old", rules)) == [(2, "old", "new")]
