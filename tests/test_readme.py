from pathlib import Path

import pytest

from liverspleen.cli.verbs import VERBS
from liverspleen.cohort import column_table
from liverspleen.config import SCHEMAS, groups, keys

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def test_columns_of_the_cohort_are_those_of_the_schema() -> None:
    begin, end = (f"<!-- columns of cohort.csv: {word} -->" for word in ("begin", "end"))
    assert README.split(f"{begin}\n")[1].split(end)[0] == column_table()


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_is_in_the_readme(verb: str) -> None:
    assert f"| `{verb}` |" in README


def test_commands_of_the_readme_use_verbs_and_keys_that_exist() -> None:
    commands = [line.split() for line in README.splitlines() if line.startswith("    liverspleen ")]
    assert len(commands) >= 8
    for _, verb, *words in commands:
        known = {key.name for key in keys(SCHEMAS[verb])}
        assert {word.strip('"').split("=")[0] for word in words} <= known | groups().keys(), verb
