"""Ids with two spellings: equal as Unicode text is rejected, similar is a warning; in every table and folder."""

from __future__ import annotations

import csv
import re
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from liverspleen.cli.main import main
from liverspleen.cohort.folder import open_cohort
from liverspleen.cohort.manifest import read_cohort, write_cohort
from liverspleen.cohort.spellings import similar_key, spellings, unicode_key
from liverspleen.errors import InputError, Issue
from liverspleen.evaluation.measurements.label_folder import measure_folder
from liverspleen.evaluation.measurements.merge import merge_measurements
from liverspleen.evaluation.measurements.table import read_measurements

EQUAL = {
    "composed and decomposed": ("M\u00fcller", "Mu\u0308ller"),
    "angstrom sign": ("\u212b1", "\u00c51"),
    "full-width digits": ("P\uff11\uff12", "P12"),
    "full-width letters": ("\uff301", "P1"),
    "ligature": ("\ufb01sch", "fisch"),
    "zero-width space": ("P1", "P\u200b1"),
    "zero-width joiner": ("P1", "P1\u200d"),
    "byte order mark": ("P1", "\ufeffP1"),
    "soft hyphen": ("P1", "P\u00ad1"),
    "direction mark": ("P1", "P1\u200e"),
    "variation selector": ("P1", "P1\ufe0f"),
    "hangul filler": ("P1", "P1\u3164"),
    "no-break space": ("P 1", "P\u00a01"),
    "ideographic space": ("P 1", "P\u30001"),
    "trailing blank": ("P1", "P1 "),
    "tab": ("P 1", "P\t1"),
}
SIMILAR = {
    "letter case": ("p1", "P1"),
    "sharp s": ("Strau\u00df", "STRAUSS"),
    "leading zeros": ("007", "7"),
    "leading zeros after letters": ("P007", "P7"),
    "float": ("7", "7.0"),
    "float with more zeros": ("7", "7.00"),
    "decimal comma": ("7", "7,0"),
    "zeros and float": ("007", "7.0"),
    "blank and underscore": ("A 1", "A_1"),
    "hyphen and underscore": ("A-1-2", "A_1_2"),
    "missing separator": ("P1", "P-1"),
    "dash": ("P-1-2", "P\u20131\u20132"),
    "minus sign": ("1-2", "1\u22122"),
    "double blank and underscore": ("a  b", "a_b"),
    "arabic digits": ("P\u0661", "P1"),
}
DIFFERENT = [
    ("1-12", "11-2"),
    ("12", "1-2"),
    ("1.5", "1.05"),
    ("70", "7"),
    ("7.0", "70"),
    ("7.1", "7"),
    ("0", "00a"),
    ("P1", "P2"),
    ("Müller", "Muller"),
    ("AB-C", "A-BC"),
]


@pytest.mark.parametrize("kind", EQUAL)
def test_texts_that_only_a_computer_distinguishes_are_equal(kind: str) -> None:
    (found,) = spellings((text, f"row {n}") for n, text in enumerate(EQUAL[kind], 2))
    assert found.equal
    assert str(found) == f"{EQUAL[kind][0]!a} (row 2) and {EQUAL[kind][1]!a} (row 3)"


@pytest.mark.parametrize("kind", SIMILAR)
def test_texts_of_one_id_in_other_words_are_similar(kind: str) -> None:
    (found,) = spellings((text, f"row {n}") for n, text in enumerate(SIMILAR[kind], 2))
    assert not found.equal
    assert str(found) == f"{SIMILAR[kind][0]!r} (row 2) and {SIMILAR[kind][1]!r} (row 3)"


@pytest.mark.parametrize(("first", "second"), DIFFERENT)
def test_different_ids_are_neither(first: str, second: str) -> None:
    assert spellings([(first, "row 2"), (second, "row 3")]) == []


def test_the_keys_do_not_change_when_they_are_applied_again() -> None:
    for text in [text for pair in [*EQUAL.values(), *SIMILAR.values(), *DIFFERENT] for text in pair]:
        assert unicode_key(unicode_key(text)) == unicode_key(text)
        assert similar_key(similar_key(text)) == similar_key(text)


def cohort(folder: Path, patients: list[str], cases: list[str] | None = None) -> Path:
    """Write a cohort of these patients; its images do not exist."""
    names = cases or [f"c{n}x" for n in range(len(patients))]
    rows = [
        {"case_id": c, "patient_id": p, "image": "a.nii", "label": "b.nii"}
        for c, p in zip(names, patients, strict=True)
    ]
    write_cohort(folder / "cohort.csv", rows)
    return folder / "cohort.csv"


def kinds(issues: tuple[Issue, ...]) -> list[tuple[str, str | None]]:
    return [(issue.code, issue.case_id) for issue in issues]


def test_rows_of_patients_that_are_equal_are_rejected_and_the_others_kept(tmp_path: Path) -> None:
    found = read_cohort(cohort(tmp_path, ["Mu\u0308ller", "K", "M\u00fcller", "K2"]))
    assert [case.patient_id for case in found.cases] == ["K", "K2"]
    assert kinds(found.issues) == [("LS-IDN-010", "c0x"), ("LS-IDN-010", "c2x")]
    assert r"'Mu\u0308ller' (row 2) and 'M\xfcller' (row 4)" in found.issues[0].message


def test_similar_patients_are_one_warning_that_names_spellings_and_rows(tmp_path: Path) -> None:
    found = read_cohort(cohort(tmp_path, ["007", "K", "7", "7.0", "p1", "P1", "P1"]))
    assert len(found.cases) == 7
    (issue,) = found.issues
    assert (issue.code, issue.severity) == ("LS-IDN-011", "warning")
    assert "2 patient_ids" in issue.message
    assert "'007' (row 2) and '7' (row 4) and '7.0' (row 5), 'p1' (row 6) and 'P1' (row 7)" in issue.message


def test_many_similar_patients_are_one_short_line(tmp_path: Path) -> None:
    found = read_cohort(cohort(tmp_path, [text for n in range(1, 301) for text in (f"a{n}", f"A{n}")]))
    (issue,) = found.issues
    assert "300 patient_ids" in issue.message
    assert issue.message.endswith(", and 295 more")


def test_cases_are_compared_too_and_a_patient_named_by_its_case_is_reported_once(tmp_path: Path) -> None:
    found = read_cohort(cohort(tmp_path, ["A_1", "A-1", "B"], cases=["A_1", "A-1", "B"]))
    assert [issue.code for issue in found.issues] == ["LS-IDN-011"]
    assert "case_id" in found.issues[0].message
    found = read_cohort(cohort(tmp_path, ["P1", "P2"], cases=["e\u0301", "\u00e9"]))
    assert [issue.code for issue in found.issues] == ["LS-IDN-010"] * 2
    assert not found.cases
    found = read_cohort(cohort(tmp_path, ["P1", "P2"], cases=["a", "A"]))  # one file on some file systems
    assert [issue.code for issue in found.issues] == ["LS-COH-012"] * 2


def test_the_split_reports_similar_patients_and_does_not_use_equal_ones(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output = tmp_path / "s"
    table = cohort(tmp_path, ["p1", "P1", "K"])
    assert main(["split", f"cohort={table}", f"output={output}", "folds=3"]) == 0
    assert "LS-IDN-011" in capsys.readouterr().err
    table = cohort(tmp_path, ["\u00e9", "e\u0301", "K"])
    assert main(["split", f"cohort={table}", f"output={output}"]) == 2
    assert "LS-IDN-010" in capsys.readouterr().err
    with (output / "split.csv").open(encoding="utf-8", newline="") as handle:
        assert [row["patient_id"] for row in csv.DictReader(handle)] == ["K"]


def measurements(file: Path, rows: list[tuple[str, str, str, str]]) -> Path:
    """Write measurements of case, patient, reader and reference."""
    lines = [f"{case},{patient},liver,{reader},1000,{reference}" for case, patient, reader, reference in rows]
    header = "case_id,patient_id,structure,reader,volume_cm3,reference"
    file.write_text("\n".join([header, *lines]) + "\n", encoding="utf-8")
    return file


@pytest.mark.parametrize(
    "rows",
    [
        [("e\u0301", "", "dla", ""), ("\u00e9", "", "dla", "")],
        [("A", "P\uff11", "dla", ""), ("B", "P1", "dla", "")],
        [("A", "P1", "dla", ""), ("B", "P2", "dl\u200ba", "")],
        [("A", "P1", "dla", "manual"), ("A", "P1", "manual\u00ad", "")],
    ],
)
def test_a_table_of_measurements_with_equal_ids_is_rejected(
    rows: list[tuple[str, str, str, str]], tmp_path: Path
) -> None:
    with pytest.raises(InputError) as caught:
        read_measurements(measurements(tmp_path / "m.csv", rows))
    (issue,) = caught.value.issues
    assert issue.code == "LS-IDN-010"
    assert "(row 2)" in issue.message
    assert "(row 3)" in issue.message


def test_similar_readers_patients_and_cases_of_measurements_are_warnings(tmp_path: Path) -> None:
    rows = [("A1", "7", "dla", ""), ("A1", "7", "DLA", ""), ("a1", "7.0", "dla", "")]
    found = read_measurements(measurements(tmp_path / "m.csv", rows)).issues
    assert [issue.code for issue in found] == ["LS-IDN-011"] * 3
    assert [re.findall(r"'(.*?)' \(row (\d)\)", issue.message) for issue in found] == [
        [("A1", "2"), ("a1", "4")],
        [("7", "2"), ("7.0", "4")],
        [("dla", "2"), ("DLA", "3")],
    ]


def test_ids_are_compared_between_tables_that_are_merged(tmp_path: Path) -> None:
    first = read_measurements(measurements(tmp_path / "a.csv", [("A1", "", "manual", "")]))
    second = read_measurements(measurements(tmp_path / "b.csv", [("a1", "", "Manual", "")]))
    issues = merge_measurements([first, second]).issues
    assert [issue.code for issue in issues] == ["LS-IDN-011"] * 2
    assert f"'A1' ('{tmp_path / 'a.csv'}') and 'a1' ('{tmp_path / 'b.csv'}')" in issues[0].message
    third = read_measurements(measurements(tmp_path / "c.csv", [("A1\u200b", "", "manual", "")]))
    with pytest.raises(InputError, match="LS-IDN-010"):
        merge_measurements([first, third])


def test_the_verbs_print_the_warnings_of_measurements(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    first = measurements(tmp_path / "a.csv", [("A1", "P1", "x", ""), ("A2", "p1", "x", "")])
    second = measurements(tmp_path / "b.csv", [("A1", "P1", "y", ""), ("A2", "p1", "X", "")])
    main(["compare", f"measurements={first},{second}", f"output={tmp_path / 'c'}"])
    assert capsys.readouterr().err.count("LS-IDN-011") >= 1
    main(["change", f"measurements={first}", "first=A1", "second=A2", "rc_pct=10", "structure=liver"])
    assert "'P1'" in capsys.readouterr().err


SMALL = "LS-LAB-011"
"""Warning about organs of few voxels, as `label` writes them."""


def label(file: Path) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    labels = np.zeros((4, 4, 4), np.uint8)
    labels[1:3, 1:3, 1:3] = 1
    nib.save(nib.Nifti1Image(labels, np.diag([1, 1, 1, 1])), file)


def test_names_of_label_maps_are_compared_in_a_folder_and_with_references_and_cohort(tmp_path: Path) -> None:
    for name in ("case1", "Case1", "e\u0301", "\u00e9", "other"):
        label(tmp_path / "labels" / f"{name}.nii.gz")
    found = measure_folder(tmp_path / "labels")
    assert {row.case_id for row in found.rows} == {"case1", "Case1", "other"}
    assert sorted(issue.code for issue in found.issues if issue.code != SMALL) == ["LS-IDN-010", "LS-IDN-011"]
    label(tmp_path / "single" / "case01.nii.gz")
    label(tmp_path / "reference" / "case1.nii.gz")
    found = measure_folder(tmp_path / "single", reference=tmp_path / "reference")
    assert "LS-IDN-011" in {issue.code for issue in found.issues}
    label(tmp_path / "a.nii")
    table = tmp_path / "cohort.csv"
    write_cohort(table, [{"case_id": "CASE-1", "patient_id": "P", "image": "a.nii"}])
    found = measure_folder(tmp_path / "reference", cohort=read_cohort(table))
    (issue,) = (issue for issue in found.issues if issue.code == "LS-IDN-011")
    assert "'CASE-1' (cohort) and 'case1' (labels= 'case1.nii.gz')" in issue.message


def test_readers_with_almost_one_name_are_a_warning(tmp_path: Path) -> None:
    label(tmp_path / "labels" / "A.nii.gz")
    label(tmp_path / "reference" / "A.nii.gz")
    found = measure_folder(
        tmp_path / "labels", reference=tmp_path / "reference", reader="Manual", reference_reader="manual"
    )
    assert [issue.code for issue in found.issues if issue.code != SMALL] == ["LS-IDN-011"]


def test_a_folder_of_images_is_compared_too(tmp_path: Path) -> None:
    for name in ("p1", "p01"):
        label(tmp_path / f"{name}.nii.gz")
    assert "LS-IDN-011" in {issue.code for issue in open_cohort(tmp_path).issues}


@pytest.mark.parametrize(("names", "codes"), [(("p1", "P01"), {"LS-IDN-011"}), (("e\u0301", "\u00e9"), {"LS-IDN-010"})])
def test_an_import_compares_names_before_they_are_hashed(
    names: tuple[str, str], codes: set[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "in").mkdir()
    for name in names:
        values = np.random.default_rng(0).integers(-1000, 200, (4, 4, 5)).astype(np.int16)
        nib.save(nib.Nifti1Image(values, np.eye(4)), tmp_path / "in" / f"{name}.nii.gz")
    output = tmp_path / "out"
    rc = main(["import", "source=nifti", f"input={tmp_path / 'in'}", f"output={output}", f"key={tmp_path / 'key'}"])
    printed = capsys.readouterr().err
    assert rc == (2 if "LS-IDN-010" in codes else 0)
    assert set(re.findall("LS-IDN-01[01]", printed)) == codes
    assert not any(name in printed for name in names)
