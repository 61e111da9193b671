"""Cohorts written with a spreadsheet or R."""

from pathlib import Path

import pytest

from liverspleen.cohort.manifest import read_cohort
from liverspleen.errors import InputError


@pytest.mark.parametrize("word", ["NA", "#N/A", "NaN", "<NA>", "NULL"])
def test_words_for_missing_values_are_empty_cells(word: str, tmp_path: Path) -> None:
    header = "case_id,patient_id,image,label,dataset,condition,site,sex,age,phase"
    file = tmp_path / "cohort.csv"
    file.write_text(f"{header}\nNA,P1,a.nii,{word},{word},{word},{word},{word},{word},{word}\n")
    cohort = read_cohort(file)
    (case,) = cohort.cases
    assert (case.case_id, case.label, case.dataset, case.condition, case.site) == ("NA", None, "", "", "")
    assert (case.sex, case.age, case.phase) == ("", None, "")
    assert [issue.code for issue in cohort.issues] == ["LS-COH-043"]


def test_a_missing_patient_is_reported(tmp_path: Path) -> None:
    file = tmp_path / "cohort.csv"
    file.write_text("case_id,patient_id,image\nA,NA,a.nii\n")
    assert [issue.code for issue in read_cohort(file).issues] == ["LS-COH-043", "LS-COH-010"]


@pytest.mark.parametrize("start", ["", "sep=;\r\n"])
def test_semicolons_and_decimal_commas_are_read(start: str, tmp_path: Path) -> None:
    file = tmp_path / "cohort.csv"
    file.write_text(f"{start}case_id;patient_id;image;age;slice_thickness_mm;\r\nA;P1;a.nii;63,5;1,25;\r\n")
    (case,) = read_cohort(file).cases
    assert (case.age, case.slice_thickness_mm) == (63.5, 1.25)


def test_numbers_that_are_not_clear_are_one_line(tmp_path: Path) -> None:
    file = tmp_path / "cohort.csv"
    file.write_text('case_id,patient_id,image,age,slice_thickness_mm\nA,P1,a.nii,"63,5",1.25\n')
    with pytest.raises(InputError) as caught:
        read_cohort(file)
    assert [issue.code for issue in caught.value.issues] == ["LS-COH-044"]
    file.write_text("case_id,patient_id,image,age,slice_thickness_mm\nA,P1,a.nii,63.5,1.25\n")
    assert not read_cohort(file).issues
