"""Hints about tables: cohort, covariates, key and split."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from hinting import Call, hint

from liverspleen.api.folds import folds_of
from liverspleen.cohort.covariates import read_covariates
from liverspleen.cohort.folder import open_cohort
from liverspleen.cohort.identity import read_key
from liverspleen.cohort.layouts.source import SourceCase
from liverspleen.cohort.manifest import read_cohort
from liverspleen.cohort.split import SIDES, read_split, read_splits, write_split
from liverspleen.cohort.stratified import folds_by_patient, read_or_create_split, split_by_patient
from liverspleen.cohort.vocabulary import PAPER, Vocabulary
from liverspleen.config import compose

COHORT = "case_id,patient_id,image\nA,P1,a.nii\nB,P2,b.nii\n"
COVARIATES = "source,sex\na,F\nb,M\n"


def written(file: Path, text: str) -> Path:
    file.write_text(text, encoding="utf-8", newline="")
    return file


def changes(code: str, text: str, name: str, read: Any, before: str | bytes, after: str) -> None:
    """Register a hint that changes the content of the file `name`, which `read` reads."""

    @hint(code, text)
    def entry(folder: Path):
        (folder / name).write_bytes(before if isinstance(before, bytes) else before.encode())
        yield lambda: read(folder / name)
        written(folder / name, after)


def cohort_changes(code: str, text: str, before: str | bytes, after: str = COHORT) -> None:
    changes(code, text, "cohort.csv", read_cohort, before, after)


# ---- cohort.csv -----------------------------------------------------------------------------------------------------

cohort_changes("LS-COH-002", "save the table as CSV UTF-8", COHORT.replace("P1", "é").encode("latin-1"))
cohort_changes("LS-COH-003", "add the column", COHORT.replace(",image", ",picture"))
cohort_changes("LS-COH-004", "keep one of them", COHORT.replace("case_id,", "case_id,image,").replace("A,", "A,x,"))
cohort_changes("LS-COH-004", "add a name or remove the column", "case_id,,patient_id,image\nA,x,P1,a.nii\n")
cohort_changes("LS-COH-005", "write one row per CT examination", COHORT.partition("A")[0])
cohort_changes("LS-COH-006", "correct its quotes", COHORT.replace("b.nii", '"b.nii'))
cohort_changes("LS-COH-010", "fill in the cell", COHORT.replace("P2", ""))
cohort_changes("LS-COH-011", "give each examination its own case_id", COHORT.replace("B,", "A,"))
cohort_changes("LS-COH-012", "give each examination its own case_id", COHORT.replace("B,", "a,"))
cohort_changes("LS-COH-013", "rename the id", COHORT.replace("A,", "x/y,"))
cohort_changes("LS-COH-016", "correct the cell, or leave it empty", "case_id,patient_id,image,age\nA,P,a.nii,400\n")
cohort_changes("LS-COH-046", "give the height in cm", "case_id,patient_id,image,height_cm\nA,P,a.nii,1.75\n")
cohort_changes("LS-COH-047", "or leave one empty", "case_id,patient_id,image,height_cm,weight_kg\nA,P,a.nii,70,170\n")
cohort_changes("LS-COH-017", "quote cells", COHORT.replace("a.nii", "a,b.nii"), COHORT.replace("a.nii", '"a,b.nii"'))
cohort_changes(
    "LS-COH-018",
    "rename the column",
    "case_id,patient_id,image,section_thickness_mm\nA,P,a.nii,5\n",
    "case_id,patient_id,image,slice_thickness_mm\nA,P,a.nii,5\n",
)
cohort_changes("LS-IDN-010", "same characters everywhere", COHORT.replace("P2", "P\uff11"), COHORT.replace("P2", "P1"))
cohort_changes("LS-IDN-011", "write the patient_id the same", COHORT.replace("P2", "p01"), COHORT.replace("P2", "P1"))
cohort_changes("LS-IDN-011", "or rename one of the two", COHORT.replace("P2", "p1"))


@hint("LS-COH-001", "correct the path")
def cohort_path(folder: Path):
    table = written(folder / "cohort.csv", COHORT)
    yield lambda: read_cohort(folder / "cohorts.csv")
    yield lambda: read_cohort(table)


@hint("LS-COH-007", "correct root=")
def cohort_root(folder: Path):
    table = written(folder / "cohort.csv", COHORT)
    yield lambda: read_cohort(table, root=folder / "images")
    yield lambda: read_cohort(table, root=folder)


@hint("LS-COH-014", "correct the cell, or change vocabulary=")
def cohort_vocabulary(folder: Path):
    table = written(folder / "cohort.csv", "case_id,patient_id,image,site\nA,P,a.nii,rome\n")
    yield lambda: read_cohort(table)
    yield lambda: read_cohort(table, vocabulary=Vocabulary(sites=("rome", "paris")))


@hint("LS-COH-015", "give root= as a folder that contains it")
def cohort_outside(folder: Path):
    (folder / "tables").mkdir()
    table = written(folder / "tables" / "cohort.csv", "case_id,patient_id,image\nA,P,../a.nii\n")
    yield lambda: read_cohort(table)
    written(table, "case_id,patient_id,image\nA,P,a.nii\n")
    yield lambda: read_cohort(table, root=folder)


# ---- a folder as a cohort -------------------------------------------------------------------------------------------


def images(folder: Path, *names: str) -> Path:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()
    return folder


@hint("LS-COH-030", "write a cohort.csv")
def folder_without_table(folder: Path):
    images(folder, "a.nii.gz", "a_label.nii.gz")
    yield lambda: open_cohort(folder)
    written(folder / "cohort.csv", "case_id,patient_id,image,label\na,P,a.nii.gz,a_label.nii.gz\n")


@hint("LS-COH-031", "correct the path")
def folder_without_images(folder: Path):
    images(folder, "notes/x.txt", "nifti/a.nii.gz", "nifti/a_label.nii.gz")
    yield lambda: open_cohort(folder / "notes")
    yield lambda: open_cohort(folder / "nifti")


@hint("LS-COH-032", "write a cohort.csv")
def folder_with_two_layouts(folder: Path):
    images(folder, "images/a.nii.gz", "labels/a.nii.gz", "imagesTr/b.nii.gz", "labelsTr/b.nii.gz")
    yield lambda: open_cohort(folder)
    written(folder / "cohort.csv", "case_id,patient_id,image\na,P,images/a.nii.gz\nb,Q,imagesTr/b.nii.gz\n")


@hint("LS-COH-033", "correct the names if label maps exist")
def folder_with_another_name(folder: Path):
    images(folder, "images/a.nii.gz", "images/b.nii.gz", "labels/a.nii.gz", "labels/b1.nii.gz")
    yield lambda: open_cohort(folder)
    (folder / "labels" / "b1.nii.gz").rename(folder / "labels" / "b.nii.gz")


@hint("LS-COH-034", "correct the name, or remove the file")
def folder_with_a_label_map_too_many(folder: Path):
    images(folder, "images/a.nii.gz", "labels/a.nii.gz", "labels/x.nii.gz")
    yield lambda: open_cohort(folder)
    (folder / "labels" / "x.nii.gz").unlink()


@hint("LS-COH-035", "correct the file")
def folder_with_a_damaged_description(folder: Path):
    images(folder, "images/a.nii.gz", "labels/a.nii.gz")
    written(folder / "dataset.json", "{")
    yield lambda: open_cohort(folder)
    written(folder / "dataset.json", '{"labels": {"background": 0, "liver": 1, "spleen": 2}}')


@hint("LS-COH-036", "choose another output=")
def folder_that_changed(folder: Path):
    images(folder / "in", "a.nii.gz", "a_label.nii.gz")
    open_cohort(folder / "in", table=folder / "run" / "cohort.csv")
    images(folder / "in", "b.nii.gz", "b_label.nii.gz")
    yield lambda: open_cohort(folder / "in", table=folder / "run" / "cohort.csv")
    yield lambda: open_cohort(folder / "in", table=folder / "other" / "cohort.csv")


@hint("LS-COH-040", "convert them to .nii.gz if they are CT scans or label maps")
def folder_with_another_format(folder: Path):
    images(folder, "images/a.nii.gz", "images/b.mgz", "labels/a.nii.gz")
    yield lambda: open_cohort(folder)
    (folder / "images" / "b.mgz").rename(folder / "images" / "b.nii.gz")


@hint("LS-COH-040", "move them to another folder; unpack them if they hold scans or label maps")
def folder_with_an_archive(folder: Path):
    images(folder, "cohort/images/a.nii.gz", "cohort/more.zip")
    yield lambda: open_cohort(folder / "cohort")
    (folder / "cohort" / "more.zip").rename(folder / "more.zip")


@hint("LS-COH-040", "give their folder as the input")
def folder_with_deeper_folders(folder: Path):
    images(folder, "images/a.nii.gz", "x/y/images/b.nii.gz")
    yield lambda: open_cohort(folder)
    yield lambda: open_cohort(folder / "x" / "y")


@hint("LS-COH-041", "rename the files")
def folder_with_unclear_pairs(folder: Path):
    images(folder, "images/ct_1.nii.gz", "images/scan_1.nii.gz", "labels/seg_1.nii.gz")
    yield lambda: open_cohort(folder)
    (folder / "images" / "scan_1.nii.gz").rename(folder / "images" / "scan_2.nii.gz")


@hint("LS-COH-041", "or write a cohort.csv")
def folder_with_unclear_pairs_and_a_table(folder: Path):
    images(folder, "images/ct_1.nii.gz", "images/scan_1.nii.gz", "labels/seg_1.nii.gz")
    yield lambda: open_cohort(folder)
    written(folder / "cohort.csv", "case_id,patient_id,image,label\na,P,images/ct_1.nii.gz,labels/seg_1.nii.gz\n")


# ---- covariates -----------------------------------------------------------------------------------------------------


def covariates(file: Path) -> Any:
    cases = [SourceCase("a", "a", None, None), SourceCase("b", "b", None, None)]  # type: ignore[arg-type]
    return [*read_covariates(file, vocabulary=PAPER).unused(cases)]


def covariates_change(code: str, text: str, before: str | bytes) -> None:
    changes(code, text, "covariates.csv", covariates, before, COVARIATES)


covariates_change("LS-COV-001", "save it as CSV UTF-8", COVARIATES.replace("F", "é").encode("latin-1"))
covariates_change("LS-COV-001", "write a header and rows", "")
covariates_change("LS-COV-002", "add one", COVARIATES.replace("source", "name"))
covariates_change("LS-COV-002", "remove the column", "source,case_id\na,x\n")
covariates_change("LS-COV-002", "give each column its own name", "source,sex,sex\na,F,F\n")
covariates_change("LS-COV-003", "fill in one of them", COVARIATES.replace("b,", ","))
covariates_change("LS-COV-004", "keep one of them", COVARIATES + "a,M\n")
covariates_change("LS-COV-005", "correct the cell", "source,age\na,old\n")
covariates_change("LS-COV-006", "correct the key of the row", COVARIATES.replace("b,", "B,"))
covariates_change("LS-COV-007", "add rows", "source,sex\na,F\n")
covariates_change("LS-COV-008", "correct the row", COVARIATES.replace("M", "M,x"))


# ---- key ------------------------------------------------------------------------------------------------------------


@hint("LS-IDN-001", "give another file by key=")
def key_that_is_not_readable(folder: Path):
    (folder / "file").touch()
    yield lambda: read_key(folder / "file" / "import.key")
    yield lambda: read_key(folder / "import.key")


@hint("LS-IDN-002", "run chmod 600 on the file of the key")
def key_of_others(folder: Path):
    read_key(folder / "key")
    (folder / "key").chmod(0o644)
    yield lambda: read_key(folder / "key")
    (folder / "key").chmod(0o600)


@hint("LS-IDN-003", "give another file by key=; a missing file is created")
def key_of_another_kind(folder: Path):
    written(folder / "key", "secret\n").chmod(0o600)
    yield lambda: read_key(folder / "key")
    yield lambda: read_key(folder / "new")


# ---- split ----------------------------------------------------------------------------------------------------------

TRAINABLE = "case_id,patient_id,image,label,dataset\n"


def trainable(folder: Path, patients: Sequence[str] = ("P", "Q", "R", "S"), tests: Sequence[str] = ()) -> Path:
    rows = [f"d{p},{p},a.nii,b.nii,development\n" for p in patients] + [f"t{p},{p},a.nii,,test1\n" for p in tests]
    return written(folder / "cohort.csv", TRAINABLE + "".join(rows))


@hint("LS-SPL-001", "add such cases to the cohort")
def no_development_case(folder: Path):
    table = trainable(folder, (), ("T",))
    yield lambda: split_by_patient(read_cohort(table))
    trainable(folder, ("P",), ("T",))


@hint("LS-SPL-002", "give all examinations of a patient the same dataset")
def patient_in_two_datasets(folder: Path):
    table = trainable(folder, ("P", "Q"), ("P",))
    yield lambda: split_by_patient(read_cohort(table))
    written(table, table.read_text().replace("test1", "development"))


def split_changes(code: str, text: str, spoil: Any) -> None:
    """Register a hint about split.csv: `spoil` changes its lines, and the valid file is created again."""

    @hint(code, text)
    def entry(folder: Path):
        table, file = trainable(folder), folder / "split.csv"

        def create():
            return read_or_create_split(file, read_cohort(table), train_fraction=0.75, seed=0)

        create()
        written(file, "\n".join(spoil(file.read_text().splitlines())) + "\n")
        yield lambda: read_split(file, read_cohort(table))
        file.unlink()
        create()


split_changes("LS-SPL-003", "create the split again with liverspleen split", lambda lines: ["patient", *lines[1:]])
split_changes("LS-SPL-004", "correct the side", lambda lines: [line.replace("validation", "test") for line in lines])
split_changes("LS-SPL-005", "keep one of the rows", lambda lines: [*lines, lines[1].replace("training", "validation")])
split_changes("LS-SPL-006", "create the split again", lambda lines: [*lines, lines[1].replace(lines[1][0], "Z", 1)])
split_changes("LS-SPL-008", "create the split again", lambda lines: [ln.replace("training", SIDES[1]) for ln in lines])


@hint("LS-SPL-007", "create the split again with liverspleen split, or restore the cohort")
def cohort_that_changed(folder: Path):
    table = trainable(folder)
    read_or_create_split(folder / "split.csv", read_cohort(table), train_fraction=0.75, seed=0)
    written(table, table.read_text().replace("a.nii", "c.nii"))
    yield lambda: read_split(folder / "split.csv", read_cohort(table))
    written(table, table.read_text().replace("c.nii", "a.nii"))


@hint("LS-SPL-009", "use a fraction such as 0.8")
def fraction_out_of_range(folder: Path):
    table = trainable(folder)
    yield lambda: split_by_patient(read_cohort(table), train_fraction=1.5)
    yield lambda: split_by_patient(read_cohort(table), train_fraction=0.8)


@hint("LS-SPL-010", "create the split again with liverspleen split if all should be used")
def patient_on_no_side(folder: Path):
    table, file = trainable(folder), folder / "split.csv"
    cohort = read_cohort(table)
    read_or_create_split(file, cohort, train_fraction=0.75, seed=0)
    written(file, "\n".join(file.read_text().splitlines()[:-1]) + "\n")
    yield lambda: read_split(file, cohort).unassigned(cohort)
    file.unlink()
    read_or_create_split(file, cohort, train_fraction=0.75, seed=0)


@hint("LS-SPL-011", "use at least 2 folds, and not more folds than patients")
def too_many_folds(folder: Path):
    table = trainable(folder)
    yield lambda: folds_by_patient(read_cohort(table), folds=9)
    yield lambda: folds_by_patient(read_cohort(table), folds=2)


@hint("LS-SPL-014", "create the split with liverspleen split, or correct the path")
def folder_without_split(folder: Path):
    table = trainable(folder)
    cohort, folds = read_cohort(table), folder / "folds"
    folds.mkdir()
    yield lambda: read_splits(folds, cohort)
    write_split(folds / "fold0.csv", folds_by_patient(cohort, folds=2)[0])
    yield lambda: read_splits(folds, cohort)


@hint("LS-SPL-018", "give folds=2, or another folder")
def another_number_of_folds(folder: Path):
    table = trainable(folder)
    cohort, folds = read_cohort(table), folder / "folds"
    folds.mkdir()
    for number, fold in enumerate(folds_by_patient(cohort, folds=2)):
        write_split(folds / f"fold{number}.csv", fold)
    keys = [f"cohort={table}", f"output={folder / 'cv'}", f"split={folds}"]
    yield lambda: folds_of(compose("train", [*keys, "folds=3"]), cohort)
    yield lambda: folds_of(compose("train", [*keys, "folds=2"]), cohort)


@hint("LS-SPL-012", "give it as split=, or choose another output=")
def another_fraction(folder: Path):
    table = trainable(folder)

    def in_output(name: str) -> Call:
        return lambda: read_or_create_split(folder / name, read_cohort(table), train_fraction=0.5, seed=0)

    read_or_create_split(folder / "split.csv", read_cohort(table), train_fraction=0.75, seed=0)
    yield in_output("split.csv")
    yield in_output("other.csv")


# ---- files of any kind ----------------------------------------------------------------------------------------------


@hint("LS-CFG-020", "give a file")
def folder_in_place_of_a_table(folder: Path):
    written(folder / "cohort.csv", COHORT)
    yield lambda: read_cohort(folder)
    yield lambda: read_cohort(folder / "cohort.csv")
