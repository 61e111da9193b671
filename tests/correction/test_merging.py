"""The merged cohort: corrected cases go to the training side, test and validation cases do not change."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from liverspleen.cohort.label_origin import LABEL_COLUMNS, label_origins
from liverspleen.cohort.manifest import Cohort, read_cohort, write_cohort
from liverspleen.cohort.split import Split, read_split, write_split
from liverspleen.cohort.vocabulary import Vocabulary
from liverspleen.correction.merging import open_original, write_merged
from liverspleen.errors import InputError
from liverspleen.imaging import CTVolume, Geometry, write_ct
from liverspleen.storage import sha256_of

ORIGINAL = [
    ("train", "p1", "development", "l.nii"),
    ("valid", "p2", "development", "l.nii"),
    ("bare", "p3", "development", None),
    ("test", "p4", "test1", "l.nii"),
]


@pytest.fixture
def original(tmp_path: Path) -> tuple[Cohort, Split]:
    """A cohort of four patients: training, validation, without a label map, test."""
    file = tmp_path / "cohort" / "cohort.csv"
    file.parent.mkdir()
    names = ("case_id", "patient_id", "dataset", "label")
    rows = [{**dict(zip(names, row, strict=True)), "image": f"{row[0]}.nii"} for row in ORIGINAL]
    write_cohort(file, [{**row, "age": 50, "ward": "B"} for row in rows])
    cohort = read_cohort(file)
    split = Split(("p1",), ("p2",), 3, 0.5, cohort.hash)
    write_split(file.with_name("split.csv"), split)
    return cohort, read_split(file.with_name("split.csv"), cohort)


def corrected(folder: Path, case_id: str, patient: str, dataset: str = "", **more: str) -> dict[str, Any]:
    """A row of cohort.csv of a correction folder; its label map exists."""
    label = folder / "history" / case_id / "0002.nii.gz"
    label.parent.mkdir(parents=True)
    label.write_bytes(case_id.encode())
    origin = ("confirmed", "corrected", "MB", "RK", "f" * 64, 2, sha256_of(label))
    files = {"image": f"cases/{case_id}/{case_id}_ct.nii.gz", "label": label.relative_to(folder).as_posix()}
    row = {"case_id": case_id, "patient_id": patient, "dataset": dataset, "labelled_structures": "liver", **files}
    return {**row, **dict(zip(LABEL_COLUMNS, origin, strict=True)), **more}


def test_new_patients_and_corrected_cases_go_to_the_training_side(
    original: tuple[Cohort, Split], tmp_path: Path
) -> None:
    cohort, split = original
    todo = tmp_path / "todo"
    rows = [corrected(todo, *one) for one in (("train", "p1"), ("bare", "p3"), ("new", "p9"), ("again", "p1"))]
    merged, issues = write_merged(todo, rows, cohort, split)
    assert merged is not None
    assert (issues, merged.added, merged.replaced, merged.root) == ((), 2, 2, tmp_path)
    found = read_cohort(merged.cohort, root=merged.root)
    assert found.issues == ()
    by_id = {case.case_id: case for case in found.cases}
    assert [*by_id] == ["train", "valid", "bare", "test", "new", "again"]
    assert by_id["train"].image == tmp_path / "cohort" / "train.nii"
    assert by_id["train"].label == todo / "history" / "train" / "0002.nii.gz"
    assert [organ.key for organ in by_id["train"].labelled_structures] == ["liver"]
    assert (by_id["train"].age, by_id["train"].covariates["ward"]) == (50, "B")
    assert by_id["new"].image == todo / "cases" / "new" / "new_ct.nii.gz"
    assert by_id["valid"].label == tmp_path / "cohort" / "l.nii"
    assert by_id["valid"].covariates["label_sha256"] == ""
    after = read_split(merged.split, found)
    assert (after.training, after.validation, after.seed) == (("p1", "p3", "p9"), ("p2",), 3)


@pytest.mark.parametrize(
    ("row", "side"),
    [
        (("test", "p4"), "test"),
        (("other", "p4"), "test"),  # a further scan of a test patient
        (("new", "p9", "test2"), "test"),
        (("valid", "p2"), "validation"),
        (("other", "p2"), "validation"),
    ],
)
def test_test_and_validation_patients_are_left_out_with_one_line(
    row: tuple[str, ...], side: str, original: tuple[Cohort, Split], tmp_path: Path
) -> None:
    todo, (cohort, split) = tmp_path / "todo", original
    merged, (issue,) = write_merged(todo, [corrected(todo, *row), corrected(todo, "good", "p8")], cohort, split)
    assert merged is not None
    assert issue.code == "LS-COR-014"
    assert f"1 corrected case of {side} patients, first '{row[0]}', not used" in issue.message
    found = read_cohort(merged.cohort, root=merged.root)
    before = {case.case_id: (case.image, case.label) for case in cohort.cases}
    assert {case.case_id: (case.image, case.label) for case in found.cases if case.case_id in before} == before
    assert {case.case_id for case in found.cases} == {*before, "good"}
    assert read_split(merged.split, found).training == ("p1", "p8")


@pytest.mark.parametrize(("patient", "value", "ok"), [("p1", 7, True), ("p1", 8, False), ("p9", 7, False)])
def test_a_case_id_of_another_patient_or_ct_is_an_error_and_the_others_are_used(
    patient: str, value: int, ok: bool, original: tuple[Cohort, Split], tmp_path: Path
) -> None:
    todo, (cohort, split) = tmp_path / "todo", original

    def ct(file: Path, value: int) -> None:
        write_ct(file, CTVolume(np.full((2, 4, 4), value, np.int16), Geometry((4, 4, 2), np.eye(4))))

    ct(tmp_path / "cohort" / "train.nii", 7)
    ct(todo / "cases" / "train" / "train_ct.nii.gz", value)  # other bytes, as it is compressed
    rows = [corrected(todo, "train", patient), corrected(todo, "new", "p8")]
    merged, issues = write_merged(todo, rows, cohort, split)
    assert merged is not None
    assert [(issue.code, issue.case_id, issue.severity) for issue in issues] == (
        [] if ok else [("LS-COR-018", "train", "error")]
    )
    assert (merged.replaced, merged.added) == (int(ok), 1)


def test_without_a_usable_case_earlier_tables_are_removed(original: tuple[Cohort, Split], tmp_path: Path) -> None:
    todo, (cohort, split) = tmp_path / "todo", original
    merged, _ = write_merged(todo, [corrected(todo, "new", "p9")], cohort, split)
    assert merged is not None
    assert write_merged(todo, [corrected(todo, "test", "p4")], cohort, split)[0] is None
    assert not merged.cohort.exists()
    assert not merged.split.exists()


def test_a_cohort_with_other_conditions_is_merged(tmp_path: Path) -> None:
    file = tmp_path / "cohort.csv"
    file.write_text("case_id;patient_id;image;label;condition\na;p;a.nii;l.nii;gaucher\n")
    cohort = open_original(file, None)
    assert cohort.issues == ()
    assert [case.condition for case in cohort.cases] == ["gaucher"]


def test_a_development_case_of_a_corrected_test_case_is_left_out(
    original: tuple[Cohort, Split], tmp_path: Path
) -> None:
    todo = tmp_path / "todo"
    rows = [corrected(todo, "first", "p9"), corrected(todo, "second", "p9", "test1")]
    merged, (issue,) = write_merged(todo, rows, *original)
    assert merged is None
    assert "2 corrected cases of test patients, first 'first', not used" in issue.message


def test_a_case_id_in_another_case_of_letters_is_an_error_and_the_original_case_remains(
    original: tuple[Cohort, Split], tmp_path: Path
) -> None:
    todo = tmp_path / "todo"
    merged, (issue,) = write_merged(todo, [corrected(todo, "VALID", "p9"), corrected(todo, "new", "p8")], *original)
    assert merged is not None
    assert (issue.code, issue.case_id) == ("LS-COR-018", "VALID")
    found = read_cohort(merged.cohort, root=merged.root)
    assert (found.issues, {case.case_id for case in found.cases}) == ((), {"train", "valid", "bare", "test", "new"})


def test_a_patient_in_two_spellings_is_an_error_and_no_table_is_written(tmp_path: Path) -> None:
    file, todo = tmp_path / "cohort" / "cohort.csv", tmp_path / "todo"
    file.parent.mkdir()
    write_cohort(file, [{"case_id": "a", "patient_id": "M\u00fcller", "image": "a.nii", "label": "l.nii"}])
    cohort = read_cohort(file)
    rows = [corrected(todo, "new", "Mu\u0308ller")]  # the same text, as macOS writes it
    with pytest.raises(InputError, match="LS-IDN-010"):
        write_merged(todo, rows, cohort, Split(("M\u00fcller",), (), 0, 1.0, cohort.hash))
    assert not (todo / "merged_cohort.csv").exists()


@pytest.mark.parametrize("condition", ["fatty", "gaucher"])
def test_words_for_missing_values_and_short_rows_have_the_hash_that_train_reads(condition: str, tmp_path: Path) -> None:
    file = tmp_path / "cohort.csv"
    rows = "case_id,patient_id,image,label,condition\na,p,a.nii,l.nii,NA\nb,q,b.nii\n"
    file.write_text(f"{rows}c,r,c.nii,l.nii,{condition}\n")
    cohort = open_original(file, None)
    assert [case.condition for case in cohort.cases] == ["", "", condition]
    assert cohort.hash == read_cohort(file, vocabulary=Vocabulary(conditions=(condition,))).hash


def test_a_corrected_case_of_another_vocabulary_is_merged(original: tuple[Cohort, Split], tmp_path: Path) -> None:
    todo = tmp_path / "todo"
    merged, issues = write_merged(todo, [corrected(todo, "new", "p9", condition="gaucher")], *original)
    assert merged is not None
    assert issues == ()
    found = read_cohort(merged.cohort, root=merged.root, vocabulary=Vocabulary(conditions=("gaucher",)))
    assert read_split(merged.split, found).training == ("p1", "p9")


def test_label_maps_are_those_that_the_cohort_states(original: tuple[Cohort, Split], tmp_path: Path) -> None:
    todo, (cohort, split) = tmp_path / "todo", original
    rows = [corrected(todo, "new", "p9"), corrected(todo, "more", "p8")]
    merged, _ = write_merged(todo, rows, cohort, split)
    assert merged is not None
    cases = read_cohort(merged.cohort, root=merged.root).cases
    first, _ = label_origins(cases)
    assert first == {
        "case_id": "new",
        "label_state": "confirmed",
        "label_source": "corrected",
        "label_reader": "MB",
        "label_confirmed_by": "RK",
        "label_history": "f" * 64,
        "label_entry": "2",
        "label_sha256": sha256_of(todo / rows[0]["label"]),
    }
    (todo / rows[1]["label"]).write_bytes(b"other")
    with pytest.raises(InputError, match="LS-COR-015") as raised:
        label_origins(cases)
    assert [issue.case_id for issue in raised.value.issues] == ["more"]
    assert label_origins([replace(case, covariates={}) for case in cases]) == []
