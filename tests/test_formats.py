"""Format numbers: one table, checked strictly, and documented."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from liverspleen import formats
from liverspleen.errors import InputError
from liverspleen.formats import Format

PAGE = Path(__file__).parents[1] / "docs/reference/formats.md"
KINDS = [value for value in vars(formats).values() if isinstance(value, Format)]


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.kind)
def test_only_the_number_itself_is_read(kind: Format) -> None:
    assert kind.issue(kind.number) is None
    others = [
        None,
        kind.number - 1,
        kind.number + 1,
        str(kind.number),
        float(kind.number),
        True,
        [],
        {},
        b"1",
        "x" * 999,
    ]
    for found in others:
        with pytest.raises(InputError) as caught:
            kind.check(found, "file", case_id="a")
        line = str(caught.value)
        assert line.startswith(f"LS-FMT-001 case 'a' file 'file': {kind.kind} ")
        assert f"expected {kind.number}; " in line
        assert kind.hint in line
        assert len(line) < 300


def test_the_page_states_the_numbers_and_remedies_of_the_table() -> None:
    rows = re.findall(r"^\| (.+?) \| .+? \| (\d+) \| (.+?) \|$", PAGE.read_text(encoding="utf-8"), re.MULTILINE)
    stated = {
        (re.match(r"[a-z.]+( [a-z]+)?", name)[0], int(number), re.sub("`", "", remedy)) for name, number, remedy in rows
    }  # type: ignore[index]
    known = {(kind.kind, kind.number, kind.hint) for kind in KINDS}
    assert {(name.removesuffix(" of"), number, remedy) for name, number, remedy in stated} == known
