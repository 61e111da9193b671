"""One table of organs: derived values, and no organ names in other modules of the package."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from liverspleen.organs import LABEL_VALUES, NUM_CLASSES, ORGANS, Structure, listed

SOURCE = Path(__file__).parents[1] / "src" / "liverspleen"
BY_NAME = {
    "organs.py",
    "cohort/checks.py",  # the column spleen_absent
    "cohort/findings/orientation.py",  # which side of the other liver and spleen lie on
    "evaluation/metrics/body_size.py",  # a standard volume of the liver
    "evaluation/metrics/volume.py",  # which side of the other liver and spleen lie on
    "evaluation/reporting/supplement/failures.py",  # the column spleen_absent
    "phantom/contents.py",  # shapes
    "phantom/liver.py",
    "phantom/spleen.py",
    "phantom/randomised/densities.py",
    "phantom/randomised/liver.py",
    "phantom/randomised/organs.py",  # texture
    "phantom/randomised/scan.py",  # the labelled organs
    "phantom/randomised/spleen.py",
}


def nodes(file: Path) -> Iterator[ast.AST]:
    return ast.walk(ast.parse(file.read_text(encoding="utf-8")))


def names_an_organ(node: ast.AST) -> bool:
    if isinstance(node, ast.Attribute):
        return node.attr in {organ.name for organ in ORGANS}
    return isinstance(node, ast.Constant) and node.value in {organ.key for organ in ORGANS}


def test_organs_are_named_in_their_table_and_where_liver_and_spleen_are_meant() -> None:
    found = {str(file.relative_to(SOURCE)) for file in SOURCE.rglob("*.py") if any(map(names_an_organ, nodes(file)))}
    assert found == BY_NAME


def test_a_zip_that_is_not_strict_says_why() -> None:
    for file in SOURCE.rglob("*.py"):
        lines = file.read_text(encoding="utf-8").splitlines()
        for number, line in enumerate(lines):
            if "strict=False" in line:
                assert "# not strict: " in lines[number - 1], (file, number + 1)


def test_every_organ_has_a_colour_and_codes_of_its_own() -> None:
    for name in ("colour", "sct", "srt", "abbreviation"):
        stated = [getattr(organ.facts, name) for organ in ORGANS]
        assert len(set(stated)) == len(ORGANS)
    assert all(re.fullmatch("#[0-9A-F]{6}", organ.facts.colour) for organ in ORGANS)


def test_values_are_channels() -> None:
    assert [int(organ) for organ in ORGANS] == list(range(1, NUM_CLASSES))


def test_the_background_has_no_facts() -> None:
    with pytest.raises(ValueError, match="background is not an organ"):
        _ = Structure.BACKGROUND.facts


def test_label_values_of_other_systems_are_read_from_the_table() -> None:
    assert LABEL_VALUES["liverspleen"] == {1: Structure.LIVER, 2: Structure.SPLEEN}
    assert LABEL_VALUES["chaos_ct"] == {1: Structure.LIVER, 255: Structure.LIVER}
    assert LABEL_VALUES["totalsegmentator"] == {1: Structure.SPLEEN, 5: Structure.LIVER}


def test_organs_in_a_sentence() -> None:
    assert listed("or") == "liver or spleen"
    assert listed(keys=["liver"]) == "liver"
