"""`measurements.csv` is read back unchanged, and all issues of a file are reported together."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from liverspleen.errors import InputError
from liverspleen.evaluation.measurements.table import (
    COLUMNS,
    Measurement,
    read_measurements,
    write_measurements,
)
from liverspleen.spreadsheet import inert

MINIMAL = "case_id,structure,reader,volume_cm3\n"


def row(**changes: object) -> Measurement:
    fields = {
        "case_id": "A1",
        "patient_id": "P1",
        "dataset": "test1",
        "condition": "fatty",
        "site": "internal",
        "structure": "liver",
        "reader": "dla",
        "volume_cm3": 1243.285,
        "volume_status": "ok",
        "reference": "manual",
        "dss": 0.97,
    }
    return Measurement(**{**fields, **changes})  # type: ignore[arg-type]


def codes(path: Path, text: str) -> list[str]:
    path.write_text(text, encoding="utf-8")
    with pytest.raises(InputError) as caught:
        read_measurements(path)
    return [issue.code for issue in caught.value.issues]


def test_written_rows_are_read_back_at_full_precision(tmp_path: Path) -> None:
    volume = 1000 / 3
    rows = [
        row(volume_cm3=volume),
        row(structure="spleen", volume_cm3=None, volume_status="truncated;multi_part", dss=None),
    ]
    write_measurements(tmp_path / "m.csv", rows)
    table = read_measurements(tmp_path / "m.csv").table
    assert tuple(table.columns) == COLUMNS
    assert table["volume_cm3"][0] == volume
    assert table[["volume_cm3", "dss"]].isna().to_numpy().tolist() == [[False, False], [True, True]]
    assert table["volume_status"].tolist() == ["ok", "truncated;multi_part"]


def test_undefined_values_are_empty_fields(tmp_path: Path) -> None:
    write_measurements(tmp_path / "m.csv", [row(volume_cm3=None, dss=None, reference="")])
    with (tmp_path / "m.csv").open(encoding="utf-8", newline="") as handle:
        written = list(csv.DictReader(handle))
    assert (written[0]["volume_cm3"], written[0]["dss"]) == ("", "")


def test_a_minimal_file_by_hand_gets_its_defaults(tmp_path: Path) -> None:
    path = tmp_path / "m.csv"
    path.write_text("case_id,structure,reader,volume_cm3,scanner\nA1,liver,manual,1200,X9\n")
    first = read_measurements(path).table.iloc[0]
    assert (first["patient_id"], first["dataset"], first["volume_status"], first["scanner"]) == ("A1", "", "ok", "X9")


def test_byte_order_mark_and_windows_line_ends_and_blank_lines_are_accepted(tmp_path: Path) -> None:
    path = tmp_path / "m.csv"
    path.write_bytes(
        b"\xef\xbb\xbf" + MINIMAL.replace("\n", "\r\n").encode() + "É1,liver,manual,12.5\r\n\r\n,,,\r\n".encode()
    )
    table = read_measurements(path).table
    assert table["case_id"].tolist() == ["É1"]
    assert table["volume_cm3"].tolist() == [12.5]


def test_text_that_looks_like_a_number_or_a_missing_value_stays_text(tmp_path: Path) -> None:
    path = tmp_path / "m.csv"
    path.write_text(MINIMAL + "007,liver,NA,1\nnan,liver,null,1\n")
    table = read_measurements(path).table
    assert table[["case_id", "reader"]].to_numpy().tolist() == [["007", "NA"], ["nan", "null"]]


def test_all_issues_are_reported_together_with_row_and_column(tmp_path: Path) -> None:
    path = tmp_path / "m.csv"
    text = (
        "case_id,structure,reader,volume_cm3,dss,reference,volume_status\nA1,liver,dla,-3,,,\nA2,kidney,dla,x,2,,odd\n"
    )
    assert codes(path, text) == ["LS-MEA-006", "LS-MEA-005", "LS-MEA-006", "LS-MEA-007", "LS-MEA-008", "LS-MEA-009"]
    with pytest.raises(InputError, match="row 2, column 'volume_cm3': '-3' is not a volume of 0 cm³ or more"):
        read_measurements(path)


@pytest.mark.parametrize("volume", ["inf", "-1", "1_000", "1,5,0x", "twelve"])
def test_negative_and_non_finite_volumes_are_rejected(tmp_path: Path, volume: str) -> None:
    assert codes(tmp_path / "m.csv", f'{MINIMAL}A1,liver,dla,"{volume}"\n') == ["LS-MEA-006"]


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("", "LS-MEA-002"),
        ("case_id,structure,reader\nA1,liver,dla\n", "LS-MEA-002"),
        ("case_id,case_id,structure,reader,volume_cm3\nA1,A1,liver,dla,1\n", "LS-MEA-002"),
        (MINIMAL, "LS-MEA-013"),
        (MINIMAL + "A1,liver,dla\n", "LS-MEA-003"),
        (MINIMAL + "A1,liver,dla,1,2\n", "LS-MEA-003"),
        (MINIMAL + ",liver,dla,1\n", "LS-MEA-004"),
        (MINIMAL + "A1,liver,,1\n", "LS-MEA-004"),
        (MINIMAL + "A1,liver,dla ,1\n", "LS-MEA-004"),
        (MINIMAL + "A1,liver,dla,1\nA1,liver,dla,1\n", "LS-MEA-010"),
        ('case_id,structure,reader,volume_cm3\nA1,liver,"dla,1\n', "LS-MEA-001"),
        ("case_id,patient_id,structure,reader,volume_cm3\nA1,P1,liver,dla,1\nA1,P2,spleen,dla,1\n", "LS-MEA-011"),
        ("case_id,condition,structure,reader,volume_cm3\nA1,cld,liver,dla,1\nA1,,spleen,dla,1\n", "LS-MEA-011"),
        ("case_id,structure,reader,volume_cm3,reference\nA1,liver,dla,1,m\nA1,liver,dla,2,k\n", "LS-MEA-012"),
    ],
)
def test_a_table_that_is_not_valid_is_rejected(tmp_path: Path, text: str, code: str) -> None:
    assert codes(tmp_path / "m.csv", text) == [code]


def test_a_file_that_is_absent_or_not_utf8_is_rejected(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="LS-MEA-001"):
        read_measurements(tmp_path / "absent.csv")
    (tmp_path / "m.csv").write_bytes(b"case_id\xff")
    with pytest.raises(InputError, match="byte 7 is not UTF-8"):
        read_measurements(tmp_path / "m.csv")


@given(st.text(alphabet="='+-@\t\nabc,\"<&_", min_size=1).filter(lambda text: text == text.strip()))
def test_hostile_ids_cannot_run_in_a_spreadsheet_and_are_read_back_equal(
    tmp_path_factory: pytest.TempPathFactory, text: str
) -> None:
    path = tmp_path_factory.mktemp("m") / "m.csv"
    write_measurements(path, [row(case_id=text, reader=text)])
    assert inert(text)[0] not in "=+-@\t\r"
    first = read_measurements(path).table.iloc[0]
    assert (first["case_id"], first["reader"]) == (text, text)


def test_hostile_names_read_back_equal(tmp_path: Path) -> None:
    names = [
        "<script>alert(1)</script>",
        "=cmd|' /C calc'!A0",
        r"\input{secret}",
        "a_b&5%",
        "'=1",
        "a\rb",
        'q"u,o',
        "x\ny",
    ]
    rows = [Measurement(f"{n}{i}", n, "test1", n, n, "liver", n, 1.5) for i, n in enumerate(names)]
    write_measurements(tmp_path / "m.csv", rows)
    table = read_measurements(tmp_path / "m.csv").table
    for column in ("patient_id", "condition", "site", "reader"):
        assert table[column].tolist() == names
