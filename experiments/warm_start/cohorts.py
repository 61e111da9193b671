"""Phantoms of the old population, and of a new one from another scanner.

| | old | new |
|---|---|---|
| conditions, in turn | healthy, CLD | fatty, cirrhosis, post-hepatectomy |
| enhancement | portal venous | weak: tissues of 40 to 250 HU keep 0.4 of their distance from 40 HU |
| noise | that of the phantoms | twice as much |
| kernel | soft, cut-off 0.30 to 0.45 per mm | sharp, cut-off 0.60 per mm |
| calibration | that of the phantoms | 10 HU lower |

Slices are 6 to 8 mm thick in both.
"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final

from settings import Settings

from liverspleen.cohort import Split, read_cohort, write_cohort, write_split
from liverspleen.imaging import write_ct, write_label_map
from liverspleen.organs import ORGANS
from liverspleen.phantom.anatomy import Condition
from liverspleen.phantom.other_population import draw_scan
from liverspleen.processes import progress

THICKNESS_MM: Final = (6.0, 8.0)
CONDITIONS: Final = {
    "old": (Condition.HEALTHY, Condition.CLD),
    "new": (Condition.FATTY, Condition.CIRRHOSIS, Condition.POST_HEPATECTOMY),
}
_UNUSED: Final = {"old": 4, "new": 5}  # cohorts of phantoms use 0 to 2 after the seed, another study uses 3


@dataclass(frozen=True)
class Patient:
    """One phantom; training cases come first."""

    population: str
    number: int
    test: bool

    @property
    def case_id(self) -> str:
        """The id in all tables; it starts with the population."""
        return f"{self.population}-{self.number + 1:03d}"

    @property
    def condition(self) -> Condition:
        """The conditions of the population are used in turn."""
        return CONDITIONS[self.population][self.number % len(CONDITIONS[self.population])]

    def row(self, dataset: str) -> dict[str, object]:
        """Return the row of a cohort."""
        return {
            "case_id": self.case_id,
            "patient_id": self.case_id,
            "image": f"images/{self.case_id}.nii.gz",
            "label": f"labels/{self.case_id}.nii.gz",
            "labelled_structures": ";".join(organ.key for organ in ORGANS),
            "dataset": dataset,
            "condition": self.condition.value,
            "origin": "phantom",
        }


def patients(settings: Settings, population: str) -> Iterator[Patient]:
    """Yield the patients of a population: training cases, then test cases."""
    for number in range(settings.cases + settings.tests):
        yield Patient(population, number, number >= settings.cases)


def write_cohorts(settings: Settings) -> Path:
    """Write the phantoms that do not exist, and the tables; return their folder.

    `old.csv` and `new.csv` have the training cases. `tests.csv` has the test cases of both populations. `watched.csv`
    has the training and the test cases of the new population, all as development cases: its splits use the test cases
    for validation, so that the DSS is known during the training. This validation decides nothing.
    """
    folder = settings.output / "phantoms"
    everyone = [patient for population in CONDITIONS for patient in patients(settings, population)]
    with ProcessPoolExecutor(settings.workers) as pool, progress("phantom", len(everyone)) as advance:
        write = partial(write_phantom, folder=folder, matrix=settings.matrix)
        for case_id in pool.map(write, everyone):
            advance(case_id)
    for population in CONDITIONS:
        trained = [one for one in everyone if one.population == population and not one.test]
        write_cohort(folder / f"{population}.csv", [one.row("development") for one in trained])
    write_cohort(folder / "tests.csv", [one.row("test1") for one in everyone if one.test])
    watched = [one.row("development") for one in everyone if one.population == "new"]
    write_cohort(folder / "watched.csv", watched)
    return folder


def write_phantom(patient: Patient, folder: Path, matrix: int) -> str:
    """Write CT and label map unless both exist; return the case_id."""
    row = patient.row("")
    files = folder / str(row["image"]), folder / str(row["label"])
    if not all(file.exists() for file in files):
        seed, new = (0, _UNUSED[patient.population], patient.number), patient.population == "new"
        ct, label_map = draw_scan(
            patient.condition, seed, weak=new, other=new, matrix=matrix, thickness_mm=THICKNESS_MM
        )
        write_ct(files[0], ct)
        write_label_map(files[1], label_map)
    return patient.case_id


def split_file(settings: Settings, population: str, training: range) -> Path:
    """Write the split of the training cases with these numbers; return its path.

    The test cases of the new population are the validation side. The old population has no validation side.
    """
    new = population == "new"
    table = settings.output / "phantoms" / ("watched.csv" if new else "old.csv")
    everyone = list(patients(settings, population))
    file = settings.output / "splits" / f"{population}-{training.start}-{training.stop}.csv"
    trained = tuple(everyone[number].case_id for number in training)
    watched = tuple(one.case_id for one in everyone if one.test) if new else ()
    fraction = len(trained) / (len(trained) + len(watched))
    write_split(file, Split(trained, watched, 0, fraction, read_cohort(table).hash))
    return file
