import os
from dataclasses import replace

import pytest

from liverspleen.cohort import Vocabulary, column_table, read_cohort, write_cohort
from liverspleen.cohort.row import COLUMNS, REQUIRED_COLUMNS
from liverspleen.errors import InputError
from liverspleen.organs import ORGANS, Structure

HEADER = "case_id,patient_id,image,label,labelled_structures,dataset,condition,site,age,spleen_absent,scanner"
GOOD = "A1,P1,a.nii.gz,a_label.nii.gz,spleen,test1,fatty,external,61.5,true,Alpha"
PLAIN = "B1,P2,b.nii.gz,,,,,,,,"


def table(folder, *lines, header=HEADER, end="\n", encoding="utf-8"):
    path = folder / "cohort.csv"
    path.write_bytes(end.join([header, *lines, ""]).encode(encoding))
    return path


def rejected_codes(path, **options):
    with pytest.raises(InputError) as caught:
        read_cohort(path, **options)
    return [issue.code for issue in caught.value.issues]


def test_a_row_becomes_a_case(tmp_path):
    cohort = read_cohort(table(tmp_path, GOOD, PLAIN))
    assert cohort.issues == ()
    first, second = cohort.cases
    assert (first.case_id, first.patient_id, first.dataset, first.condition) == ("A1", "P1", "test1", "fatty")
    assert first.image == tmp_path / "a.nii.gz"
    assert first.labelled_structures == (Structure.SPLEEN,)
    assert (first.age, first.spleen_absent, dict(first.covariates)) == (61.5, True, {"scanner": "Alpha"})
    assert (second.label, second.labelled_structures, second.dataset, second.age) == (None, ORGANS, "", None)
    assert (first.is_development, second.is_development) == (False, True)


def test_byte_order_mark_line_ends_and_column_order_change_nothing(tmp_path):
    plain = read_cohort(table(tmp_path, GOOD, PLAIN))
    windows = read_cohort(table(tmp_path, PLAIN, GOOD, "", end="\r\n", encoding="utf-8-sig"))
    assert windows.hash == plain.hash
    assert {case.case_id for case in windows.cases} == {"A1", "B1"}
    order = list(reversed(HEADER.split(",")))
    rows = [",".join(reversed(row.split(","))) for row in (GOOD, PLAIN)]
    turned = read_cohort(table(tmp_path, *rows, header=",".join(order)))
    assert turned.hash == plain.hash
    assert turned.cases == plain.cases


def test_column_of_an_earlier_version_is_read_under_its_present_name_with_a_note(tmp_path):
    row = GOOD.replace("61.5", "2.5")
    old = read_cohort(table(tmp_path, row, header=HEADER.replace(",age", ",section_thickness_mm")))
    assert old.cases[0].slice_thickness_mm == 2.5
    assert [(issue.code, issue.severity) for issue in old.issues] == [("LS-COH-018", "note")]
    assert "'section_thickness_mm' is now called 'slice_thickness_mm'" in old.issues[0].message
    new = read_cohort(table(tmp_path, row, header=HEADER.replace(",age", ",slice_thickness_mm")))
    assert (new.cases, new.hash, new.issues) == (old.cases, old.hash, ())


def test_both_names_of_a_renamed_column_are_a_column_and_a_covariate(tmp_path):
    header = HEADER.replace(",age", ",slice_thickness_mm").replace("scanner", "section_thickness_mm")
    cohort = read_cohort(table(tmp_path, GOOD.replace("Alpha", "3"), header=header))
    assert (cohort.cases[0].slice_thickness_mm, dict(cohort.cases[0].covariates)) == (
        61.5,
        {"section_thickness_mm": "3"},
    )


def test_hash_changes_with_any_value_but_not_with_the_files_named(tmp_path):
    before = read_cohort(table(tmp_path, GOOD)).hash
    (tmp_path / "a.nii.gz").write_text("content")
    assert read_cohort(table(tmp_path, GOOD)).hash == before
    assert read_cohort(table(tmp_path, GOOD.replace("61.5", "61.6"))).hash != before


def test_paths_are_used_verbatim(tmp_path):
    name = " a=[1],{b} é 'x'.nii.gz"
    cohort = read_cohort(table(tmp_path, f'A1,P1,"{name}"', header="case_id,patient_id,image"))
    assert cohort.cases[0].image == tmp_path / name


def test_paths_are_relative_to_the_root_given(tmp_path):
    (tmp_path / "data").mkdir()
    cohort = read_cohort(table(tmp_path, PLAIN), root=tmp_path / "data")
    assert cohort.cases[0].image == tmp_path / "data" / "b.nii.gz"


@pytest.mark.parametrize("image", ["../b.nii.gz", "x/../../b.nii.gz", "/etc/b.nii.gz", "linked/b.nii.gz"])
def test_path_outside_the_root_is_rejected_and_other_rows_are_kept(tmp_path, image):
    root = tmp_path / "root"
    root.mkdir()
    (tmp_path / "elsewhere").mkdir()
    (root / "linked").symlink_to(tmp_path / "elsewhere")
    cohort = read_cohort(table(root, GOOD, PLAIN.replace("b.nii.gz", image)))
    assert [case.case_id for case in cohort.cases] == ["A1"]
    (issue,) = cohort.issues
    assert (issue.code, issue.case_id, issue.file) == ("LS-COH-015", "B1", root / "cohort.csv")
    assert "row 3, column 'image'" in issue.message
    assert ("is a link that leads out of the root" in issue.message) == (image == "linked/b.nii.gz")


def test_links_within_the_root_and_a_root_that_is_a_link_are_fine(tmp_path):
    (tmp_path / "real").mkdir()
    (tmp_path / "root").symlink_to(tmp_path / "real")
    (tmp_path / "real" / "b.nii.gz").symlink_to("c.nii.gz")
    assert read_cohort(table(tmp_path / "root", PLAIN)).issues == ()


def test_duplicate_case_id_excludes_only_its_rows(tmp_path):
    cohort = read_cohort(table(tmp_path, GOOD, PLAIN, PLAIN.replace("P2", "P3")))
    assert [case.case_id for case in cohort.cases] == ["A1"]
    assert [issue.code for issue in cohort.issues] == ["LS-COH-011"] * 2
    assert [issue.case_id for issue in cohort.issues] == ["B1"] * 2
    assert "rows 3, 4" in cohort.issues[0].message


def test_case_ids_that_differ_only_in_letter_case_would_share_a_file(tmp_path):
    cohort = read_cohort(table(tmp_path, PLAIN, PLAIN.replace("B1", "b1")))
    assert cohort.cases == ()
    assert [issue.code for issue in cohort.issues] == ["LS-COH-012"] * 2


@pytest.mark.parametrize("name", ["a/b", "a\\b", ".hidden", "..", "x" * 129, "é" * 65, " A", "A\x07"])
def test_case_ids_that_are_not_valid_file_names(tmp_path, name):
    cohort = read_cohort(table(tmp_path, PLAIN.replace("B1", name)))
    assert cohort.cases == ()
    assert [issue.code for issue in cohort.issues] == ["LS-COH-013"]
    assert str(cohort.issues[0]).isprintable()


@pytest.mark.parametrize(
    ("old", "new", "code", "column"),
    [
        ("test1", "test3", "LS-COH-014", "dataset"),
        ("fatty", "Fatty", "LS-COH-014", "condition"),
        ("external", "abroad", "LS-COH-014", "site"),
        ("spleen,", "spleen;kidney,", "LS-COH-014", "labelled_structures"),
        ("61.5", "61;5", "LS-COH-016", "age"),
        ("61.5", "-1", "LS-COH-016", "age"),
        ("61.5", "inf", "LS-COH-016", "age"),
        ("true", "perhaps", "LS-COH-016", "spleen_absent"),
        ("A1,", ",", "LS-COH-010", "case_id"),
        ("a.nii.gz", "", "LS-COH-010", "image"),
    ],
)
def test_issue_gives_row_and_column_and_other_rows_are_kept(tmp_path, old, new, code, column):
    cohort = read_cohort(table(tmp_path, PLAIN, GOOD.replace(old, new)))
    assert [case.case_id for case in cohort.cases] == ["B1"]
    (issue,) = cohort.issues
    assert issue.code == code
    assert f"row 3, column '{column}'" in issue.message


def test_all_issues_of_a_row_are_reported(tmp_path):
    row = GOOD.replace("fatty", "x").replace("61.5", "y").replace("a.nii.gz", "../a.nii.gz")
    cohort = read_cohort(table(tmp_path, row))
    assert {issue.code for issue in cohort.issues} == {"LS-COH-014", "LS-COH-015", "LS-COH-016"}


def test_a_row_with_more_cells_than_columns_is_rejected_but_empty_ones_are_not(tmp_path):
    cohort = read_cohort(table(tmp_path, GOOD + ",,", PLAIN + ",surplus"))
    assert [case.case_id for case in cohort.cases] == ["A1"]
    assert [issue.code for issue in cohort.issues] == ["LS-COH-017"]


def test_other_vocabularies(tmp_path):
    path = table(tmp_path, GOOD.replace("fatty", "nafld"))
    assert read_cohort(path, vocabulary=replace(Vocabulary(), conditions=("nafld",))).cases[0].condition == "nafld"


def test_all_issues_of_the_table_are_raised_at_once(tmp_path):
    path = table(tmp_path, header="case_id,image,site,site,,x")
    assert rejected_codes(path) == ["LS-COH-003", "LS-COH-004", "LS-COH-004", "LS-COH-005"]


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (b"", "LS-COH-003"),
        (b"case_id;patient_id;picture\na;b;c\n", "LS-COH-003"),
        ("case_id,patient_id,image\né,b,c\n".encode("latin-1"), "LS-COH-002"),
        (b'case_id,patient_id,image\n"a,b,c\n', "LS-COH-006"),
        (b"case_id,patient_id,image\n,,\n", "LS-COH-005"),
    ],
)
def test_tables_that_cannot_be_used(tmp_path, content, code):
    (tmp_path / "cohort.csv").write_bytes(content)
    assert code in rejected_codes(tmp_path / "cohort.csv")


def test_missing_table_and_missing_root(tmp_path):
    assert rejected_codes(tmp_path / "none.csv") == ["LS-COH-001"]
    assert rejected_codes(table(tmp_path, PLAIN), root=tmp_path / "none") == ["LS-COH-007"]


def test_select_keeps_the_cases_of_some_datasets(tmp_path):
    cohort = read_cohort(table(tmp_path, GOOD, PLAIN))
    assert [case.case_id for case in cohort.select(["test1"]).cases] == ["A1"]
    assert [case.case_id for case in cohort.select(["development"]).cases] == ["B1"]
    assert cohort.select([]) == cohort


def test_what_is_written_is_read_back(tmp_path):
    rows = [{"scanner": "x,y", "case_id": "A", "patient_id": "P", "image": "a.nii", "age": None, "spleen_absent": True}]
    write_cohort(tmp_path / "out" / "cohort.csv", rows)
    (case,) = read_cohort(tmp_path / "out" / "cohort.csv").cases
    assert (case.covariates["scanner"], case.spleen_absent, case.age) == ("x,y", True, None)


def test_the_documentation_has_a_line_for_every_column():
    lines = column_table().splitlines()
    assert [line.split("`")[1] for line in lines[2:]] == list(COLUMNS)
    assert [name for name, line in zip(COLUMNS, lines[2:], strict=True) if "| required |" in line] == list(
        REQUIRED_COLUMNS
    )
    assert "`post_hepatectomy`" in column_table()


def test_the_real_cohort_is_usable(shared):
    cohort = read_cohort(shared / "data" / "cohort.csv")
    assert cohort.issues == ()
    assert [case.case_id for case in cohort.cases] == ["ts_example", "ts_dicom20", "lits0", "msd_spleen_8"]
    assert cohort.cases[3].labelled_structures == (Structure.SPLEEN,)
    assert all(os.path.lexists(case.image) for case in cohort.cases)
