"""Meaning of label values: which source holds, and what is reported about the others."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from liverspleen.cohort.label_meaning import UnusableNamesError, label_names, meaning_in, read_names
from liverspleen.errors import InputError
from liverspleen.organs import LABEL_VALUES, Structure

LIVER, SPLEEN = Structure.LIVER, Structure.SPLEEN
SWAPPED = {1: SPLEEN, 2: LIVER}
OWN = {1: LIVER, 2: SPLEEN}
TABLE = "index\tname\tabbreviation\tcolor\n0\tBackground\tBG\t#000000\n{}\n"


def dataset(folder: Path, labels: object) -> None:
    folder.mkdir(exist_ok=True)
    (folder / "dataset.json").write_text(json.dumps({"labels": labels}))


def table(folder: Path, *lines: str) -> None:
    (folder / "dseg.tsv").write_text(TABLE.format("\n".join(lines)))


@pytest.mark.parametrize(
    ("labels", "expected"),
    [
        ({"background": 0, "spleen": 1, "liver": 2}, {1: "spleen", 2: "liver"}),
        ({"0": "background", "1": "Liver ", "2": "cancer"}, {1: "liver", 2: "cancer"}),
        ({"background": "0", "liver": "6"}, {6: "liver"}),  # numbers as text
        ({"background": 0, "tumour": 2, "liver": [1, 2]}, {1: "liver", 2: "liver"}),  # a region holds the other
        ({"liver": 1.0}, {1: "liver"}),
    ],
)
def test_all_forms_of_labels_are_read(labels: object, expected: dict[int, str]) -> None:
    assert label_names(labels) == expected


@pytest.mark.parametrize(
    "labels",
    [None, [], {"liver": "one"}, {"liver": 1.5}, {"liver": True}, {"liver": 1, "spleen": [1, 2]}, {"liver": {}}],
)
def test_labels_without_a_clear_meaning_are_not_used(labels: object) -> None:
    with pytest.raises(UnusableNamesError):
        label_names(labels)


def test_the_nearest_source_holds(tmp_path: Path) -> None:
    labels = tmp_path / "labelsTr"
    labels.mkdir()
    assert meaning_in(labels).values is None  # those of liverspleen
    dataset(tmp_path, {"background": 0, "spleen": 1, "liver": 2})
    assert meaning_in(labels).values == SWAPPED
    table(labels, "1\tLiver\tLIV\t#E69F00")
    assert meaning_in(labels).values == {1: LIVER}
    dataset(labels, {"0": "background", "5": "spleen"})
    found = meaning_in(labels)
    assert (found.values, sorted(found.named)) == ({5: SPLEEN}, [0, 5])
    assert [issue.code for issue in found.issues] == ["LS-LAB-050"]  # dseg.tsv beside it differs
    assert meaning_in(labels, {7: LIVER}).values == {7: LIVER}
    assert meaning_in(labels, LABEL_VALUES["liverspleen"]).values is None


@pytest.mark.parametrize(
    ("asked", "stated", "warned"),
    [
        (OWN, {"spleen": 1, "liver": 2}, True),
        (OWN, {"liver": 1, "spleen": 2}, False),
        (OWN, {"liver": 1, "cancer": 2}, True),
        ({1: LIVER}, {"liver": 1, "cancer": 2}, False),
        ({1: LIVER}, {"liver": 1, "spleen": 2}, False),
        ({5: LIVER}, {"liver": 1}, True),
        ({1: LIVER, 255: LIVER}, {"liver": 1}, False),  # as the preset chaos_ct
    ],
)
def test_an_option_that_contradicts_the_file_is_a_warning_with_both(
    tmp_path: Path, asked: dict[int, Structure], stated: dict[str, int], warned: bool
) -> None:
    dataset(tmp_path, {"background": 0, **stated})
    issues = meaning_in(tmp_path, asked, key="reference_values").issues
    assert [issue.code for issue in issues] == ["LS-LAB-050"] * warned
    if warned:
        assert "reference_values= gives" in issues[0].message
        assert "dataset.json gives" in issues[0].message


@pytest.mark.parametrize(
    "text",
    ["", "{", "[]", "{}", '{"labels": {"background": 0, "kidney": 1}}', '{"labels": {"liver": "x"}}', "[" * 9999],
)
def test_a_file_without_a_usable_meaning_is_never_replaced_by_the_default(tmp_path: Path, text: str) -> None:
    (tmp_path / "dataset.json").write_text(text)
    with pytest.raises(InputError, match="LS-LAB-051") as caught:
        meaning_in(tmp_path)
    assert "label_values=" in caught.value.issues[0].hint
    asked = meaning_in(tmp_path, OWN)
    assert all(issue.severity == "warning" for issue in asked.issues)


def test_bytes_that_are_no_text_are_reported(tmp_path: Path) -> None:
    for content in (b"\xff\xfe\0", b"index\tname\n1", b"liver 1", b"index\tname\nx\tliver"):
        (tmp_path / "dseg.tsv").write_bytes(content)
        try:
            found = read_names(tmp_path / "dseg.tsv").organs
        except UnusableNamesError:
            continue
        assert not found  # reported by `meaning_in`
