"""Tables written by hand: the same content in the forms of R and of spreadsheets."""

import pytest

from liverspleen.delimited import MISSING_WORDS, has_decimal_commas, records_of

EXPECTED = [["case_id", "volume_cm3"], ["A", "1"], ["B", ""]]


@pytest.mark.parametrize(
    ("text", "delimiter"),
    [
        ("case_id,volume_cm3\nA,1\nB,\n", ","),
        ("case_id;volume_cm3\nA;1\nB;\n", ";"),
        ("case_id\tvolume_cm3\r\nA\t1\r\nB\t\r\n", "\t"),
        ("sep=,\r\ncase_id,volume_cm3\r\nA,1\r\nB,\r\n", ","),
        ("SEP=;\ncase_id;volume_cm3\nA;1\nB;\n", ";"),
        ("sep=\t\ncase_id\tvolume_cm3\nA\t1\nB\t\n", "\t"),
        ("sep=|\ncase_id|volume_cm3\nA|1\nB|\n", "|"),
        ('"sep=;"\ncase_id;volume_cm3\nA;1\nB;\n', ";"),
        ("case_id,volume_cm3,,\nA,1,,\nB,,,\n", ","),
        ("case_id,volume_cm3,\nA,1\nB,,\n", ","),
        ("case_id,volume_cm3\nA,1,,,\nB,\n", ","),
        (' case_id ; "volume_cm3"\nA;1\nB;\n', ";"),
    ],
)
def test_the_same_table_in_each_form(text: str, delimiter: str) -> None:
    assert records_of(text.replace('; "', ';"'), ["case_id", "volume_cm3"]) == (EXPECTED, delimiter)


def test_a_comma_inside_a_cell_is_not_a_delimiter() -> None:
    text = 'case_id;"a, b, c";volume_cm3\nA;"x, y";1\n'
    assert records_of(text, ["case_id", "volume_cm3"])[0][1] == ["A", "x, y", "1"]


def test_an_empty_text_and_a_line_of_sep_have_no_records() -> None:
    assert records_of("", ["case_id"]) == ([], ",")
    assert records_of("sep=;", ["case_id"]) == ([], ";")


@pytest.mark.parametrize(
    ("cells", "delimiter", "expected"),
    [
        (["1423.677", "NA", ""], ",", False),
        (["1423,677", "295,001"], ",", True),  # four digits before the comma
        (["0,123"], "\t", True),  # thousands do not begin with 0
        (["1,42"], ",", True),
        (["-3,5e2"], ",", True),
        (["1,423"], ";", True),
        (["p1,p2", "P,1"], ",", False),  # not numbers
        (["1423", "295"], ";", False),
    ],
)
def test_decimal_commas_are_recognised(cells: list[str], delimiter: str, expected: bool) -> None:
    assert has_decimal_commas(cells, delimiter) is expected


@pytest.mark.parametrize(
    ("cells", "message"),
    [
        (["1,423"], "'1,423' may be 1423 or 1.423"),
        (["1,423,677"], "'1,423,677' has separators of thousands"),
        (["1.423,677"], r"'1.423,677' has separators of thousands"),
        (["1,423.677"], r"'1,423.677' has separators of thousands"),
        (["1423,6", "0.97"], r"'1423,6' has a comma, and '0.97' has a point"),
    ],
)
def test_numbers_that_do_not_show_their_meaning_are_rejected(cells: list[str], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        has_decimal_commas(cells, ",")


def test_words_for_missing_values_are_those_of_pandas() -> None:
    from pandas._libs.parsers import STR_NA_VALUES

    assert MISSING_WORDS - {"NaT"} == STR_NA_VALUES - {""}
