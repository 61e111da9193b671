"""Cases, patients, readers and covariates with names of formulas: each table of the pipeline is inert."""

from __future__ import annotations

import csv
import re
from collections.abc import Callable
from pathlib import Path
from shutil import copyfile

import pytest
from tiny import train

from liverspleen.cli.main import main
from liverspleen.cohort.manifest import write_cohort
from liverspleen.spreadsheet import csv_rows

STARTS = ("=", "+", "-", "@", "\t", "\r", "\n", "\uff1d", "\uff0b", "\uff0d", "\uff20")
NUMBER = re.compile(r"[+-]?\d+(\.\d*)?([eE][+-]?\d+)?( ± .*| \(.*)?")


def formulas(file: Path) -> list[str]:
    """Return the cells of a CSV file that a spreadsheet would run."""
    with file.open(encoding="utf-8", newline="") as stream:
        cells = [cell for row in csv.reader(stream, strict=True) for cell in row]
    return [cell for cell in cells if cell.lstrip(" ").startswith(STARTS) and not NUMBER.fullmatch(cell)]


@pytest.mark.slow
def test_every_table_of_the_pipeline_is_inert(box_cohort: Callable[..., Path], tmp_path: Path) -> None:
    names = ["=1+1", "@SUM(1+1)", "+1-2", "-2+3"]
    reasons = ["=a", "@b", "+c", "-3.5"]
    cohort = box_cohort(
        case_id=names, patient_id=[f"{name}p" for name in names], reason=reasons, age=["50"] * 3 + ["200"]
    )
    folder = tmp_path / "labels"
    folder.mkdir()
    for index, name in enumerate(names):
        copyfile(cohort.parent / f"c{index}_label.nii.gz", folder / f"{name}.nii.gz")
    table = f"cohort={cohort}"
    assert main(["check", table, f"output={tmp_path}/check"]) == 2  # the age of a case
    write_cohort(cohort, [row | {"age": "50"} for row in csv_rows(cohort.read_text(encoding="utf-8"))])
    assert main(["split", table, f"output={tmp_path}/split", "train_fraction=0.5"]) == 0
    assert train(cohort, tmp_path / "run", f"split={tmp_path}/split/split.csv", "trainer.workers=0") == 0
    model, prediction = f"model={tmp_path}/run/best.ckpt", f"output={tmp_path}/predict"
    assert main(["predict", model, f"input={cohort}", prediction, "workers=1"]) == 0
    measured = [f"labels={folder}", f"output={tmp_path}/measure", "reader==r", "reference_reader=@m", "workers=1"]
    assert main(["measure", table, f"reference={folder}", *measured]) == 0
    report = [f"measurements={tmp_path}/measure/measurements.csv", f"output={tmp_path}/report"]
    assert main(["report", table, *report]) == 0
    assert main(["export", table, "layout=nnunet", f"output={tmp_path}/Dataset001_x", "workers=1"]) == 0
    found = sorted(tmp_path.rglob("*.csv"))
    listed = ["findings", "split", "validation", "review", "volumes", "covariates"]
    assert {f"{name}.csv" for name in listed} <= {file.name for file in found}
    assert {file.name: cells for file in found if file != cohort and (cells := formulas(file))} == {}
