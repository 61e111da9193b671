"""The covariates file of an import."""

from __future__ import annotations

from pathlib import Path

import pytest

from liverspleen.cohort import Vocabulary
from liverspleen.cohort.covariates import Covariates, read_covariates
from liverspleen.cohort.layouts.source import NiftiScan, SourceCase
from liverspleen.errors import InputError


def read(tmp_path: Path, text: str) -> Covariates:
    file = tmp_path / "covariates.csv"
    file.write_text(text, encoding="utf-8")
    return read_covariates(file, vocabulary=Vocabulary())


def case(name: str, patient: str = "", series: str = "") -> SourceCase:
    return SourceCase(name, patient or name, NiftiScan(Path("x.nii")), series=series)


def test_a_row_of_the_case_has_priority_over_one_of_its_patient(tmp_path: Path) -> None:
    found = read(tmp_path, "source,patient,sex,age\n,P,F,50\na,,,51\n")
    assert found.cells(case("a", "P")) == {"sex": "F", "age": "51"}
    assert found.cells(case("b", "P")) == {"sex": "F", "age": "50"}
    assert found.cells(case("b")) == {}


def test_with_both_keys_source_identifies_the_case_and_patient_its_patient(tmp_path: Path) -> None:
    found = read(tmp_path, "source,patient,site\na,P,internal\nb,P,external\n")
    assert (found.patient(case("a")), found.patient(case("b")), found.patient(case("c"))) == ("P", "P", None)
    assert found.cells(case("a")) == {"site": "internal"}


def test_a_series_is_given_by_uid_or_number(tmp_path: Path) -> None:
    found = read(tmp_path, "source,series,age\nfolder,3,50\nfolder,1.2.5,51\n")
    assert found.cells(case("folder", series="1.2.4\x003")) == {"age": "50"}
    assert found.cells(case("folder/5", series="1.2.5\x005")) == {"age": "51"}
    assert found.cells(case("folder", series="1.2.6\x006")) == {}


def test_all_issues_are_reported_at_once_by_row(tmp_path: Path) -> None:
    text = "source,age,dataset\na,-1,test1\n,50,test1\nb,50,train\nb,50,test1\nc,1,test1,x\n"
    with pytest.raises(InputError) as error:
        read(tmp_path, text)
    reported = [
        (issue.code, issue.message.split(",")[0].removeprefix("covariates: ")[:5]) for issue in error.value.issues
    ]
    assert reported == [
        ("LS-COV-005", "row 2"),
        ("LS-COV-003", "row 3"),
        ("LS-COV-005", "row 4"),
        ("LS-COV-004", "row 5"),
        ("LS-COV-008", "row 6"),
    ]
    assert "development, test1, test2" in str(error.value)


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("", "LS-COV-001"),
        ("age\n1\n", "LS-COV-002"),
        ("source,case_id\na,b\n", "LS-COV-002"),
        ("source,age,age\na,1,1\n", "LS-COV-002"),
        ("source,\na,1\n", "LS-COV-008"),
        ("source,,age\na,1,2\n", "LS-COV-002"),
        ("source,Patient\na,Doe\n", "LS-COV-002"),
        ("source,PatientID\na,Doe\n", "LS-COV-002"),
        ("patient,Series\na,1\n", "LS-COV-002"),
    ],
)
def test_a_table_that_cannot_be_used_is_rejected(tmp_path: Path, text: str, code: str) -> None:
    with pytest.raises(InputError, match=code):
        read(tmp_path, text)


def test_rows_and_cases_without_each_other_are_warnings(tmp_path: Path) -> None:
    found = read(tmp_path, "source,age\na,1\nz,2\n")
    issues = list(found.unused([case("a"), case("b"), case("c")]))
    assert [(issue.code, issue.severity) for issue in issues] == [("LS-COV-006", "warning"), ("LS-COV-007", "warning")]
    assert "row 3" in issues[0].message
    assert "2 of 3" in issues[1].message
    assert list(Covariates().unused([case("a")])) == []
