"""Tables of measurements written by hand: the same statistics as from the table that a program writes."""

import csv
import io
from pathlib import Path

import pytest
from scipy import stats

from liverspleen.cohort.vocabulary import PAPER
from liverspleen.errors import InputError
from liverspleen.evaluation import Measurements, read_measurements, statistical_report

COLUMNS = [
    "case_id",
    "patient_id",
    "dataset",
    "condition",
    "site",
    "structure",
    "reader",
    "volume_cm3",
    "reference",
    "dss",
]
CONDITIONS = ("healthy", "fatty", "cld")


def rows() -> list[list[str]]:
    found = []
    for number in range(12):
        about = [f"c{number}", f"p{number}", "test1", CONDITIONS[number % 3], ""]
        found.append([*about, "liver", "manual", f"{1400.25 + number}", "", ""])
        found.append(
            [
                *about,
                "liver",
                "dla",
                f"{1410.5 + 3 * (number % 5)}",
                "manual",
                f"{0.93 + 0.005 * (number * 7 % 12):.4f}",
            ]
        )
    return found


def text(table: list[list[str]], *, delimiter: str = ",", decimal: str = ".") -> str:
    buffer = io.StringIO(newline="")
    writer = csv.writer(buffer, delimiter=delimiter)
    writer.writerow(COLUMNS)
    writer.writerows(
        [[cell.replace(".", decimal) if i in (7, 9) else cell for i, cell in enumerate(row)] for row in table]
    )
    return buffer.getvalue()


def read(folder: Path, content: str) -> Measurements:
    (folder / "m.csv").write_text(content, encoding="utf-8", newline="")
    return read_measurements(folder / "m.csv", vocabulary=PAPER)


def lines(found: Measurements) -> dict[str, str]:
    return {issue.code: issue.message for issue in found.issues}


@pytest.mark.parametrize(
    ("content", "codes"),
    [
        (text(rows()), []),
        (text(rows(), delimiter=";"), []),
        (text(rows(), delimiter="\t"), []),
        ("sep=,\r\n" + text(rows()), []),
        ("sep=;\r\n" + text(rows(), delimiter=";", decimal=","), ["LS-MEA-023"]),
        (text(rows(), delimiter=";", decimal=","), ["LS-MEA-023"]),
        (text(rows(), delimiter="\t", decimal=","), ["LS-MEA-023"]),
        (text(rows(), decimal=","), ["LS-MEA-023"]),  # quoted cells
        ("\ufeff" + "".join(line + ",,\r\n" for line in text(rows()).splitlines()), []),
        ("".join(line + (",\r\n" if n == 0 else "\r\n") for n, line in enumerate(text(rows()).splitlines())), []),
    ],
)
def test_each_form_of_the_table_gives_the_same_measurements(content: str, codes: list[str], tmp_path: Path) -> None:
    expected = read(tmp_path, text(rows()))
    found = read(tmp_path, content)
    assert found.table.equals(expected.table)
    assert [issue.code for issue in found.issues] == codes


@pytest.mark.parametrize("word", ["NA", "#N/A", "NaN", "<NA>", "NULL", "None", " NA "])
def test_missing_conditions_are_no_subgroup(word: str, tmp_path: Path) -> None:
    """The p value is that of the nine cases with a condition."""
    table = [[*row[:3], word if row[0] in ("c0", "c1", "c2") else row[3], *row[4:]] for row in rows()]
    found = read(tmp_path, text(table))
    report = statistical_report(found)
    assert set(report.table("table2")) == {"total", "healthy", "fatty", "cld", "p"}
    by_condition = [[float(r[9]) for r in table if r[3] == name and r[9]] for name in CONDITIONS]
    assert report.table("table2")["p"]["liver"].values["p"] == pytest.approx(stats.kruskal(*by_condition).pvalue)
    assert lines(found) == {"LS-MEA-022": f"6 cells with {word.strip()!r} count as empty"}


def test_missing_numbers_and_patients_are_empty(tmp_path: Path) -> None:
    table = rows()
    table[0][7], table[1][9], table[2][1], table[3][1] = "NA", "#N/A", "NA", "NA"
    found = read(tmp_path, text(table))
    assert found.table["volume_cm3"].isna().tolist()[:2] == [True, False]
    assert found.table["dss"].isna().tolist()[:2] == [True, True]
    assert found.table["patient_id"].tolist()[2:4] == ["c1", "c1"]  # the default, not one patient NA


def test_a_case_and_a_reader_may_have_any_name(tmp_path: Path) -> None:
    table = [
        [
            row[0].replace("c0", "NA"),
            *row[1:6],
            row[6].replace("manual", "NA"),
            row[7],
            row[8].replace("manual", "NA"),
            row[9],
        ]
        for row in rows()
    ]
    found = read(tmp_path, text(table))
    assert found.table["case_id"].tolist()[0] == "NA"
    assert found.table["reader"].tolist()[:2] == ["NA", "dla"]
    assert found.table["reference"].tolist()[:2] == ["", "NA"]
    assert not found.issues


def test_a_word_of_the_vocabulary_is_a_word(tmp_path: Path) -> None:
    from liverspleen.cohort.vocabulary import Vocabulary

    (tmp_path / "m.csv").write_text(text([[*row[:3], "None", *row[4:]] for row in rows()]))
    own = Vocabulary(conditions=("None", "cirrhosis"))
    assert set(read_measurements(tmp_path / "m.csv", vocabulary=own).table["condition"]) == {"None"}


def test_spellings_are_one_word_and_unknown_words_are_listed(tmp_path: Path) -> None:
    table = rows()
    table[0][3] = table[1][3] = " Healthy"
    table[6][5] = table[7][5] = "Liver"
    for row in table[2:4]:
        row[3] = "fatti"
    found = read(tmp_path, text(table))
    assert set(found.table["condition"]) == {"healthy", "fatty", "fatti", "cld"}
    assert set(found.table["structure"]) == {"liver"}
    messages = [issue.message for issue in found.issues]
    assert "column 'condition': ' Healthy' as 'healthy' (2 rows)" in messages
    assert "column 'structure': 'Liver' as 'liver' (2 rows)" in messages
    assert "column 'condition' has 1 word outside of the vocabulary: 'fatti' (2 rows)" in messages
    assert [issue.severity for issue in found.issues] == ["note", "warning", "note"]


def test_words_are_not_compared_without_a_vocabulary(tmp_path: Path) -> None:
    (tmp_path / "m.csv").write_text(text([[*row[:3], "other", *row[4:]] for row in rows()]))
    assert not read_measurements(tmp_path / "m.csv").issues


@pytest.mark.parametrize("cells", [("1,423", "1,500"), ("1423,5", "1500.5"), ("1.423,5", "1.500,5")])
def test_commas_that_are_not_clear_are_one_line(cells: tuple[str, str], tmp_path: Path) -> None:
    table = [[*row[:7], cells[n % 2], "", ""] for n, row in enumerate(rows())]
    with pytest.raises(InputError) as caught:
        read(tmp_path, text(table))
    assert [issue.code for issue in caught.value.issues] == ["LS-MEA-024"]


@pytest.mark.parametrize(
    ("factor", "message"),
    [
        (1000.0, "12 liver volumes of reader 'dla' may be 1000 times too large, median 1.416e+06 cm³"),
        (0.001, "12 liver volumes of reader 'dla' may be 1000 times too small, median 1.417 cm³"),
    ],
)
def test_volumes_in_another_unit_have_a_note(factor: float, message: str, tmp_path: Path) -> None:
    table = [[*row[:7], repr(float(row[7]) * (factor if row[6] == "dla" else 1)), *row[8:]] for row in rows()]
    (line,) = lines(read(tmp_path, text(table))).items()
    assert line[0] == "LS-MEA-027"
    assert line[1].startswith(message[:60])


def test_a_single_missed_organ_has_no_note_on_its_unit(tmp_path: Path) -> None:
    table = rows()
    table[1][7] = "3.0"
    assert not read(tmp_path, text(table)).issues
