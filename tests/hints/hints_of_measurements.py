"""Hints about measurements, their comparison and their report."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from hinting import Call, hint
from hints_of_tables import changes, written

from liverspleen.cohort.manifest import read_cohort
from liverspleen.evaluation.measurements.merge import merge_measurements
from liverspleen.evaluation.measurements.table import read_measurements
from liverspleen.evaluation.reporting.compare import compare_readers
from liverspleen.evaluation.reporting.flow import read_exclusions
from liverspleen.evaluation.reporting.paper_tables import statistical_report
from liverspleen.evaluation.reporting.study import Study, study_results

MEASURED = "case_id,structure,reader,volume_cm3,reference,dss,volume_status\n"

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
measured_changes("LS-MEA-003", "correct the commas or quotes of the row", rows().replace("1000", "1,000"))
measured_changes("LS-MEA-004", "fill in the name", rows().replace("dla", ""))
measured_changes("LS-MEA-004", "remove the space", rows().replace("dla", "dla "))
measured_changes("LS-MEA-005", "correct the name", rows().replace("liver", "livr"))
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
