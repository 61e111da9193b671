"""Folds of test patients, nested subsets of training patients, and the trainings of the study."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from settings import Settings

from liverspleen.cohort import Cohort, Split, folds_by_patient, write_split
from liverspleen.cohort.split import is_trainable, subset
from liverspleen.errors import InputError, Issue
from liverspleen.organs import ORGANS, listed
from liverspleen.studies import invalid_setting

AS_IS, SCRATCH, START, NNUNET, NNUNET_TIME = "start_model", "scratch", "start", "nnunet", "nnunet_time"

OURS = (START, SCRATCH)
"""The first one is run first: it rejects a start model that was trained on a test patient."""

THEIRS = (NNUNET, NNUNET_TIME)
"""nnU-Net with as many training slices as ours, and with as much time as the training from the start model."""


@dataclass(frozen=True)
class Group:
    """The results of one arm that are in the same tables: all test patients, each by the model of its fold."""

    arm: str
    size: int
    """number of training patients; 0 for the start model as it is"""
    seed: int

    @property
    def name(self) -> str:
        """The name of its files."""
        return self.arm if self.arm == AS_IS else f"{self.arm}-n{self.size}-seed{self.seed}"


@dataclass(frozen=True)
class Cell:
    """One training: the part of a group that has the test patients of one fold."""

    group: Group
    fold: int

    def folder(self, settings: Settings) -> Path:
        """Return its folder."""
        return settings.output / "trainings" / f"{self.group.name}-fold{self.fold}"

    def split_file(self, settings: Settings) -> Path:
        """Return the file of its split."""
        name = f"fold{self.fold}-n{self.group.size}-seed{self.group.seed}.csv"
        return settings.output / "splits" / name


def folds_of(cohort: Cohort, settings: Settings) -> tuple[Split, ...]:
    """Return the folds: each patient is a test patient (on the validation side) in exactly one.

    Raises:
        InputError: LS-EXP-016 a case has no labels of both organs; LS-EXP-014 a fold has fewer training patients than
            the largest of the `sizes`; as `folds_by_patient`.
    """
    issues = [
        Issue(
            "LS-EXP-016",
            f"case has no labels of {listed()}",
            "remove the case, or complete its label map",
            case.case_id,
            cohort.path,
        )
        for case in cohort.cases
        if case.is_development and not (is_trainable(case) and case.labelled_structures == ORGANS)
    ]
    if issues:
        raise InputError(issues)
    folds = folds_by_patient(cohort, folds=settings.folds, seed=0)
    fewest = min(len(fold.training) for fold in folds)
    if max(settings.sizes) > fewest:
        message = f"sizes has {max(settings.sizes)} patients, but a fold has {fewest} training patients"
        raise InputError(invalid_setting(message, "reduce sizes"))
    return folds


def training_split(fold: Split, size: int, seed: int) -> Split:
    """Return the fold with `size` of its training patients; the subsets of one seed are nested.

    >>> fold = Split(tuple("abcdefgh"), tuple("wxyz"), 0, 0.5, "")
    >>> small, large = (training_split(fold, size, 0).training for size in (2, 4))
    >>> len(small), len(large), {*small} < {*large}
    (2, 4, True)
    """
    return subset(fold, size / len(fold.training), seed=seed)


def write_splits(folds: tuple[Split, ...], cells: tuple[Cell, ...], settings: Settings) -> None:
    """Write the split of each training."""
    for cell in cells:
        write_split(cell.split_file(settings), training_split(folds[cell.fold], cell.group.size, cell.group.seed))


def groups(settings: Settings) -> Iterator[Group]:
    """Yield the groups in the order in which they are run; those of nnU-Net follow ours of the same size."""
    yield Group(AS_IS, 0, 0)
    for seed in range(settings.seeds):
        for size in settings.sizes:
            for arm in OURS + (THEIRS if size in settings.sizes_of_nnunet else ()):
                yield Group(arm, size, seed)


def cells(group: Group, settings: Settings) -> tuple[Cell, ...]:
    """Return the trainings of a group; the start model as it is has none."""
    return () if group.arm == AS_IS else tuple(Cell(group, fold) for fold in range(settings.folds))
