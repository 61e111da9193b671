"""Hints about tables: cohort, covariates, split, measurements, ids, comparison and report."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from hinting import Call, hint

from liverspleen.cohort.covariates import read_covariates
from liverspleen.cohort.folder import open_cohort
from liverspleen.cohort.identity import read_key
from liverspleen.cohort.layouts.source import SourceCase
from liverspleen.cohort.manifest import read_cohort
from liverspleen.cohort.split import SIDES, read_split
from liverspleen.cohort.stratified import folds_by_patient, read_or_create_split, split_by_patient
from liverspleen.cohort.vocabulary import PAPER, Vocabulary
from liverspleen.evaluation.measurements.merge import merge_measurements
from liverspleen.evaluation.measurements.table import read_measurements
from liverspleen.evaluation.reporting.compare import compare_readers
from liverspleen.evaluation.reporting.flow import read_exclusions
from liverspleen.evaluation.reporting.paper_tables import statistical_report
from liverspleen.evaluation.reporting.study import Study, study_results

COHORT = "case_id,patient_id,image\nA,P1,a.nii\nB,P2,b.nii\n"
COVARIATES = "source,sex\na,F\nb,M\n"
MEASURED = "case_id,structure,reader,volume_cm3,reference,dss,volume_status\n"


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
cohort_changes("LS-COH-003", "separate the columns by commas", COHORT.replace(",", ";"))
cohort_changes("LS-COH-004", "keep one of them", COHORT.replace("case_id,", "case_id,image,").replace("A,", "A,x,"))
cohort_changes("LS-COH-004", "add a name or remove the column", "case_id,,patient_id,image\nA,x,P1,a.nii\n")
cohort_changes("LS-COH-005", "write one row per CT examination", COHORT.partition("A")[0])
cohort_changes("LS-COH-006", "correct its quotes", COHORT.replace("b.nii", '"b.nii'))
cohort_changes("LS-COH-010", "fill in the cell", COHORT.replace("P2", ""))
cohort_changes("LS-COH-011", "give each examination its own case_id", COHORT.replace("B,", "A,"))
cohort_changes("LS-COH-012", "give each examination its own case_id", COHORT.replace("B,", "a,"))
cohort_changes("LS-COH-013", "rename the id", COHORT.replace("A,", "x/y,"))
cohort_changes("LS-COH-016", "correct the cell, or leave it empty", "case_id,patient_id,image,age\nA,P,a.nii,400\n")
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
    images(folder, "images/a.nii.gz", "images/b.nrrd", "labels/a.nii.gz")
    yield lambda: open_cohort(folder)
    (folder / "images" / "b.nrrd").rename(folder / "images" / "b.nii.gz")


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


@hint("LS-SPL-012", "give it as split=, or choose another output=")
def another_fraction(folder: Path):
    table = trainable(folder)

    def in_output(name: str) -> Call:
        return lambda: read_or_create_split(folder / name, read_cohort(table), train_fraction=0.5, seed=0)

    read_or_create_split(folder / "split.csv", read_cohort(table), train_fraction=0.75, seed=0)
    yield in_output("split.csv")
    yield in_output("other.csv")


# ---- measurements.csv -----------------------------------------------------------------------------------------------

ROWS = ("A,liver,dla,1000,manual,0.9,ok", "A,liver,manual,1100,,,ok")


def rows(*lines: str, header: str = MEASURED) -> str:
    return header + "".join(f"{line}\n" for line in lines or ROWS)


def measured_changes(code: str, text: str, before: str | bytes, after: str | None = None) -> None:
    changes(code, text, "measurements.csv", read_measurements, before, after or rows())


measured_changes("LS-MEA-001", "correct the quotes", rows().replace("ok", '"ok', 1))
measured_changes("LS-MEA-001", "save the file as CSV UTF-8", rows().replace("manual", "é").encode("latin-1"))
measured_changes("LS-MEA-002", "add the missing columns", rows().replace("reader", "person", 1))
measured_changes("LS-MEA-002", "remove one", rows().replace("volume_status", "dss"))
measured_changes("LS-MEA-002", "separate columns by commas", rows().replace(",", ";"))
measured_changes("LS-MEA-003", "correct the commas or quotes of the row", rows().replace("1000", "1,000"))
measured_changes("LS-MEA-004", "fill in the name", rows().replace("dla", ""))
measured_changes("LS-MEA-004", "remove the space", rows().replace("dla", "dla "))
measured_changes("LS-MEA-005", "correct the name", rows().replace("liver", "Liver"))
measured_changes(
    "LS-MEA-006", "correct it, or leave it empty", rows().replace("1000", "-1"), rows().replace("1000", "")
)
measured_changes("LS-MEA-007", "correct it, or leave it empty", rows().replace("0.9", "90"), rows().replace("0.9", ""))
measured_changes("LS-MEA-008", "write the reference reader in column 'reference'", rows().replace("manual,0.9", ",0.9"))
measured_changes("LS-MEA-009", "use these statuses, joined by ';'", rows().replace("ok", "fine"))
measured_changes("LS-MEA-010", "keep one of the rows", rows(*ROWS, ROWS[0]))
measured_changes(
    "LS-MEA-011",
    "give all rows of a case the same value",
    rows("A,liver,x,1,P1", "A,liver,y,1,P2", header="case_id,structure,reader,volume_cm3,patient_id\n"),
)
measured_changes(
    "LS-MEA-012", "a reader has one volume per organ and case", rows(*ROWS, "A,liver,dla,999,other,0.8,ok")
)
measured_changes("LS-MEA-013", "measure at least one case", MEASURED)
measured_changes(
    "LS-MEA-014",
    "correct it, or leave it empty",
    rows("A,liver,x,1,-3", header="case_id,structure,reader,volume_cm3,voxels\n"),
)


# ---- comparison -----------------------------------------------------------------------------------------------------


def table(folder: Path, name: str, *lines: str) -> Path:
    return written(folder / name, rows(*lines))


def compared(*files: Path, **options: Any) -> Call:
    return lambda: compare_readers(merge_measurements([read_measurements(file) for file in files]), **options)


def readings(reader: str, reference: str = "manual", dss: str = "0.9", cases: str = "ABCDE") -> list[str]:
    scored = [f"{case},liver,{reader},{1000 + 9 * n},{reference},{dss},ok" for n, case in enumerate(cases)]
    return scored + [f"{case},liver,{reference},{1010 + 7 * n},,,ok" for n, case in enumerate(cases)]


@hint("LS-CMP-001", "give each reader its own name (measure reader=NAME)")
def one_name_for_two_readers(folder: Path):
    files = table(folder, "a.csv", *readings("x")), table(folder, "b.csv", *readings("x", dss="0.8"))
    yield compared(*files)
    table(folder, "b.csv", *readings("y", dss="0.8"))


@hint("LS-CMP-002", "measure all readers with the same cohort")
def two_cohorts(folder: Path):
    header = "case_id,structure,reader,volume_cm3,patient_id,reference\n"
    files = [folder / "a.csv", folder / "b.csv"]
    for file, patient in zip(files, "PQ", strict=True):
        written(file, rows(f"A,liver,{file.stem},1000,{patient},m", f"A,liver,m,900,{patient},", header=header))
    yield lambda: merge_measurements([read_measurements(file) for file in files])
    written(files[1], files[1].read_text().replace(",Q,", ",P,"))


@hint("LS-CMP-003", "give the measurements of each reader, as in measurements=a.csv,b.csv")
def one_reader(folder: Path):
    first, second = table(folder, "a.csv", *readings("x")), table(folder, "b.csv", *readings("y"))
    yield compared(first)
    yield compared(first, second)


@hint("LS-CMP-004", "give readers of the measurements")
def unknown_reader(folder: Path):
    files = table(folder, "a.csv", *readings("x")), table(folder, "b.csv", *readings("y"))
    yield compared(*files, readers=["x", "z"])
    yield compared(*files, readers=["x", "y"])


@hint("LS-CMP-004", "give one with reference=")
def several_references(folder: Path):
    files = [table(folder, f"{n}.csv", *readings(r, m)) for n, (r, m) in enumerate(("xr", "yr", "xs", "ys"))]
    yield compared(*files)
    yield compared(*files, reference="r")


@hint("LS-CMP-005", "rename the reader")
def reserved_reader(folder: Path):
    from liverspleen.evaluation.reporting.cells import PAIRED

    files = table(folder, "a.csv", *readings("x")), table(folder, "b.csv", *readings(f"y{PAIRED}z"))
    yield compared(*files)
    table(folder, "b.csv", *readings("y"))


@hint("LS-CMP-006", "give datasets of the measurements")
def unknown_dataset(folder: Path):
    files = table(folder, "a.csv", *readings("x")), table(folder, "b.csv", *readings("y"))
    yield compared(*files, datasets=["test9"])
    yield compared(*files, datasets=[""])


@hint("LS-CMP-007", "measure the same cases with each reader")
def no_common_case(folder: Path):
    files = table(folder, "a.csv", *readings("x")), table(folder, "b.csv", *readings("y", cases="VWXYZ"))
    yield compared(*files)
    table(folder, "b.csv", *readings("y"))


@hint("LS-CMP-010", "measure these cases with all readers")
def case_of_one_reader(folder: Path):
    def both(reader: str, cases: str) -> list[str]:
        liver = readings(reader, cases=cases)
        return liver + [line.replace("liver", "spleen").replace(",1", ",2", 1) for line in liver]

    files = table(folder, "a.csv", *both("x", "ABCDE")), table(folder, "b.csv", *both("y", "ABCD"))
    yield compared(*files)
    table(folder, "b.csv", *both("y", "ABCDE"))


# ---- report ---------------------------------------------------------------------------------------------------------


def reported(file: Path, **options: Any) -> Call:
    return lambda: statistical_report(read_measurements(file), **options)


@hint("LS-REP-001", "give readers of the file")
def reader_that_is_not_in_the_file(folder: Path):
    file = table(folder, "a.csv", *readings("x"))
    yield reported(file, reader="z")
    yield reported(file, reader="x")


@hint("LS-REP-002", "set reader= and reference=")
def several_pairs(folder: Path):
    file = table(folder, "a.csv", *readings("x"), *readings("y")[:5])
    yield reported(file)
    yield reported(file, reader="x", reference="manual")


@hint("LS-REP-021", "reader=")
def no_pair(folder: Path):
    file = table(
        folder, "a.csv", *(f"{c},liver,{r},{v},,,ok" for c in "ABC" for r, v in (("x", 900), ("y", 950), ("z", 990)))
    )
    yield reported(file)
    yield reported(file, reader="x", reference="y")


@hint("LS-REP-010", "set the dataset 'test1' in the measurements")
def no_dataset(folder: Path):
    file = table(folder, "a.csv", *readings("x"))
    yield reported(file)
    header, *lines = file.read_text().splitlines()
    written(file, "\n".join([f"{header},dataset", *(f"{line},test1" for line in lines)]) + "\n")


exclusions = (
    ("LS-REP-050", "save the file as CSV in UTF-8", b"reason,count\n\xe9,3\n"),
    ("LS-REP-050", "write a header reason,count and one row per reason", "reason;count\nx;3\n"),
    ("LS-REP-051", "write one row per reason", "reason,count\nx,3\nx,4\n"),
    ("LS-REP-051", "correct the count", "reason,count\nx,three\n"),
)
for code, text, before in exclusions:
    changes(code, text, "exclusions.csv", read_exclusions, before, "reason,count\nx,3\n")


# ---- files of any kind ----------------------------------------------------------------------------------------------


@hint("LS-CFG-020", "give a file")
def folder_in_place_of_a_table(folder: Path):
    written(folder / "cohort.csv", COHORT)
    yield lambda: read_cohort(folder)
    yield lambda: read_cohort(folder / "cohort.csv")


# ---- notes of a report ----------------------------------------------------------------------------------------------

HEADER = (
    "case_id,structure,reader,volume_cm3,reference,dss,patient_id,dataset,condition,site,surface,nsd,nsd_tolerance_mm\n"
)


def study_rows(**changed: str) -> str:
    """Return rows of four patients with two CT scans each, both organs and two readers; `changed` are columns of A1."""
    lines = [HEADER]
    for n, (patient, site) in enumerate((p, s) for p in "ABCD" for s in ("external", "internal")):
        case = f"{patient}{1 + (site == 'internal')}"
        for structure, volume in (("liver", 1000 + 17 * n), ("spleen", 200 + 3 * n)):
            for reader, score in (("dla", "manual,0.95"), ("manual", ",")):
                columns = {"patient": patient, "dataset": "test2", "condition": "healthy", "site": site}
                columns |= changed if case == "A1" else {}
                surface = "voxel,0.9,3" if reader == "dla" else ",,"
                lines.append(f"{case},{structure},{reader},{volume},{score},{','.join(columns.values())},{surface}\n")
    return "".join(lines)


def note_changes(code: str, text: str, before: str) -> None:
    def read(file: Path) -> Any:
        return statistical_report(read_measurements(file))

    changes(code, text, "measurements.csv", read, before, study_rows())


note_changes("LS-REP-003", "rename the condition", study_rows(condition="total"))
note_changes(
    "LS-REP-011",
    "measure the structure if it is labelled",
    "".join(line for line in study_rows().splitlines(keepends=True) if not line.startswith("A1,spleen,dla")),
)
note_changes("LS-REP-020", "correct patient_id and site", study_rows(patient="E"))


@hint("LS-REP-040", "run liverspleen report again with cohort=cohort.csv")
def report_without_cohort(folder: Path):
    file, cohort = written(folder / "m.csv", study_rows()), study_cohort(folder)
    yield studied(file)
    yield studied(file, cohort)


@hint("LS-REP-042", "cohort")
def report_on_another_cohort(folder: Path):
    file, cohort = written(folder / "m.csv", study_rows()), study_cohort(folder, "ABC")
    yield studied(file, cohort)
    study_cohort(folder)


@hint("LS-REP-043", "add it to the cohort if it is known")
def report_on_a_cohort_without_a_phase(folder: Path):
    file, cohort = written(folder / "m.csv", study_rows()), study_cohort(folder)
    complete = cohort.read_text()
    written(cohort, complete.replace("portal_venous", "", 1))
    yield studied(file, cohort)
    written(cohort, complete)


def study_cohort(folder: Path, patients: str = "ABCD") -> Path:
    cases = [(f"{p}{n}", p, s) for p in patients for n, s in ((1, "external"), (2, "internal"))]
    known = "F,50,5,portal_venous"
    lines = [f"{case},{p},{case}.nii,{case}_label.nii,test2,healthy,{site},{known}\n" for case, p, site in cases]
    header = "case_id,patient_id,image,label,dataset,condition,site,sex,age,slice_thickness_mm,phase\n"
    return written(folder / "cohort.csv", header + "".join(lines))


def studied(file: Path, cohort: Path | None = None) -> Call:
    def results() -> Any:
        study = None if cohort is None else Study(read_cohort(cohort))
        return study_results(study, read_measurements(file), reader="dla", reference="manual")

    return results
