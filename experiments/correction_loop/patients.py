"""Phantoms: a simple population for the start model, and a heterogeneous one whose cases are corrected."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final, NamedTuple

from settings import Settings

from liverspleen.cohort import Split, read_cohort, write_cohort, write_split
from liverspleen.imaging import write_ct, write_label_map
from liverspleen.organs import ORGANS
from liverspleen.phantom.anatomy import Condition
from liverspleen.phantom.other_population import draw_scan
from liverspleen.processes import progress

THICKNESS_MM: Final = (6.0, 8.0)
_UNUSED: Final = {"start": 6, "pool": 7, "test": 8}  # other cohorts and studies use 0 to 5


class Group(NamedTuple):
    """Condition, weak enhancement and other scanner (`liverspleen.phantom.other_population`) of a patient."""

    condition: Condition
    weak: bool = False
    other: bool = False


SIMPLE: Final = (Group(Condition.HEALTHY), Group(Condition.CLD))
"""Patients of the start model, in turn."""

MIXED: Final = (
    Group(Condition.HEALTHY),
    Group(Condition.FATTY, weak=True, other=True),
    Group(Condition.HEALTHY, other=True),
    Group(Condition.CLD),
    Group(Condition.CIRRHOSIS, weak=True),
    Group(Condition.HEALTHY),
    Group(Condition.FATTY, other=True),
    Group(Condition.POST_HEPATECTOMY, weak=True, other=True),
    Group(Condition.HEALTHY, other=True),
    Group(Condition.FATTY, weak=True, other=True),
)
"""Patients of pool and tests, in turn: three of ten as for the start model, the others of five kinds."""


@dataclass(frozen=True)
class Patient:
    """One phantom of a part of the study: `start`, `pool` or `test`; test cases have seed 0."""

    part: str
    seed: int
    number: int

    @property
    def case_id(self) -> str:
        """The id in all tables; it says nothing about the group."""
        return f"{self.part}{self.seed}-{self.number + 1:03d}"

    @property
    def group(self) -> Group:
        """The groups are used in turn."""
        groups = SIMPLE if self.part == "start" else MIXED
        return groups[self.number % len(groups)]

    def files(self, folder: Path) -> tuple[Path, Path]:
        """Return the files of CT and label map."""
        return folder / "images" / f"{self.case_id}.nii.gz", folder / "labels" / f"{self.case_id}.nii.gz"

    def row(self, dataset: str) -> dict[str, object]:
        """Return the row of a cohort; the label map of a case of the pool is not known before its correction."""
        image, label = (file.as_posix() for file in self.files(Path()))
        return {
            "case_id": self.case_id,
            "patient_id": self.case_id,
            "image": image,
            "label": None if self.part == "pool" else label,
            "labelled_structures": ";".join(organ.key for organ in ORGANS),
            "dataset": dataset,
            "origin": "phantom",
        }


def patients(part: str, seed: int, settings: Settings) -> Iterator[Patient]:
    """Yield the patients of a part of the study."""
    numbers = {"start": settings.few, "pool": settings.pool, "test": settings.tests}
    return (Patient(part, seed, number) for number in range(numbers[part]))


def write_cohorts(settings: Settings) -> None:
    """Write the phantoms that do not exist, and the tables of each seed and of the tests."""
    folder = settings.output / "phantoms"
    parts = {("test", 0): "test1"}
    parts |= {(part, seed): "development" for seed in range(settings.seeds) for part in ("start", "pool")}
    everyone = [patient for part in parts for patient in patients(*part, settings)]
    with ProcessPoolExecutor(settings.workers) as pool, progress("phantom", len(everyone)) as advance:
        for case_id in pool.map(partial(write_phantom, folder=folder, matrix=settings.matrix), everyone):
            advance(case_id)
    for (part, seed), dataset in parts.items():
        write_cohort(table(part, seed, settings), [one.row(dataset) for one in patients(part, seed, settings)])
    for seed in range(settings.seeds):
        cohort = read_cohort(table("start", seed, settings))
        trained = tuple(case.patient_id for case in cohort.cases)
        write_split(split(seed, settings), Split(trained, (), 0, 1.0, cohort.hash))


def table(part: str, seed: int, settings: Settings) -> Path:
    """Return the path of the cohort of a part."""
    return settings.output / "phantoms" / f"{part}{seed}.csv"


def split(seed: int, settings: Settings) -> Path:
    """Return the path of the split of the start cases: all are on the training side."""
    return settings.output / "phantoms" / f"split{seed}.csv"


def write_phantom(patient: Patient, folder: Path, matrix: int) -> str:
    """Write CT and label map unless both exist; return the case_id."""
    files = patient.files(folder)
    if not all(file.exists() for file in files):
        group, seed = patient.group, (patient.seed, _UNUSED[patient.part], patient.number)
        ct, label_map = draw_scan(
            group.condition, seed, matrix=matrix, thickness_mm=THICKNESS_MM, weak=group.weak, other=group.other
        )
        write_ct(files[0], ct)
        write_label_map(files[1], label_map)
    return patient.case_id
