"""CHAOS: `<patient>/DICOM_anon/*.dcm` and `<patient>/Ground/*.png`, a mask for each slice.

The organisers' evaluation code orders both by file name, "NOT by position tags in DICOM files": the mask that is k-th
by name belongs to the DICOM file that is k-th by name. So a mask goes to where its file's slice lies. Where names do
not run along positions, up or down, that rule would be a guess, and the case is rejected.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from liverspleen.cohort.label_values import covered_structures
from liverspleen.cohort.layouts.dicom import SeriesScan, facts_of, series_row, wanting, warnings_of
from liverspleen.cohort.layouts.source import Found, Left, Request, SeriesRow, SourceCase, needed_meaning
from liverspleen.errors import InputError, Issue
from liverspleen.imaging.dicom import Series, find_series
from liverspleen.imaging.png import read_masks
from liverspleen.imaging.volume import CTVolume, LabelMap
from liverspleen.organs import ORGANS, Structure

_SCANS, _MASKS = "DICOM_anon", "Ground"


@dataclass(frozen=True)
class PngDrawing:
    """Masks in PNG, one for each file of a series."""

    masks: tuple[Path, ...]
    series: Series
    values: Mapping[int, Structure] | None

    @property
    def files(self) -> tuple[Path, ...]:
        """The masks."""
        return self.masks

    @property
    def covered(self) -> tuple[Structure, ...]:
        """The structures that gray values mean."""
        return covered_structures(self.values)

    def read(self, case_id: str, ct: CTVolume) -> LabelMap:
        """The masks on the grid of the CT.

        Raises:
            InputError: LS-IMP-020 there are not as many masks as slices, LS-IMP-021 file names do not run along
                positions, LS-LAB-001 a gray value of our own label maps is meant and is none.
        """
        slices = self.series.files
        if len(self.masks) != len(slices):
            message = f"there are {len(self.masks)} masks for {len(slices)} slices"
            raise InputError(Issue("LS-IMP-020", message, "bring a mask for every slice", case_id))
        by_name = sorted(slices, key=_natural)
        if list(slices) not in (by_name, by_name[::-1]):
            message = "names of the DICOM files do not run along their positions, so masks cannot be assigned"
            raise InputError(Issue("LS-IMP-021", message, "name files and masks in the order of slices", case_id))
        masks = read_masks(self.masks, rows=self.series.rows, columns=self.series.columns, case_id=case_id)
        if list(slices) != by_name:
            masks = masks[::-1]
        values = {organ.value: organ for organ in ORGANS} if self.values is None else self.values
        labels = np.zeros_like(masks)
        for value, structure in values.items():
            labels[masks == value] = structure
        if self.values is None and (foreign := int(np.count_nonzero((labels == 0) & (masks > 0)))):
            message = f"masks have {foreign} voxels with a value that is not one of our own"
            raise InputError(Issue("LS-LAB-001", message, "say what they mean by label_values=", case_id))
        canonical = ct.geometry.to_canonical(labels.transpose(2, 1, 0))
        return LabelMap(np.ascontiguousarray(canonical), ct.geometry, self.covered)


def find(request: Request) -> Found:
    """The CT below the input that lie in a folder `DICOM_anon`, with the masks of `Ground` beside it.

    Raises:
        InputError: LS-IMP-002 there is no such folder, and what `needed_meaning` rejects.
    """
    cases: list[SourceCase] = []
    left: list[Left] = []
    notes: list[Issue] = []
    rows: list[SeriesRow] = []
    for folder in _folders(request.input):
        name = folder.relative_to(request.input).as_posix()
        found = find_series(folder / _SCANS, minimum_slices=request.minimum_slices, by_folder=True)
        eligible = [series for series in found if not series.exclusions]
        masks = tuple(sorted((folder / _MASKS).glob("[!.]*.png"), key=_natural))
        values = needed_meaning(request, None) if masks else None
        rows += [
            series_row(series, key=name if series in eligible else f"{name}/{i}") for i, series in enumerate(found)
        ]
        if len(eligible) != 1:
            left.append(Left(name, wanting(found, eligible)))
            continue
        series = eligible[0]
        notes += warnings_of(series, folder)
        drawing = PngDrawing(masks, series, values) if masks else None
        cases.append(SourceCase(name, name, SeriesScan(series), drawing, facts_of(series)))
    if not cases and not left:
        message = f"no folder {_SCANS} lies in the input"
        raise InputError(Issue("LS-IMP-002", message, "give the folder of the patients"))
    return Found(tuple(cases), tuple(left), tuple(notes), tuple(rows))


def _folders(root: Path) -> Iterator[Path]:
    """Folders that hold a folder `DICOM_anon`; links are not followed."""
    for folder, names, _ in os.walk(root):
        names[:] = sorted(name for name in names if not name.startswith("."))
        if _SCANS in names:
            names.remove(_SCANS)
            yield Path(folder)


def _natural(file: Path) -> tuple[tuple[int, str], ...]:
    """Sorts `9` before `10`, whether or not numbers have leading zeros."""
    parts = re.split(r"(\d+)", file.name)
    return tuple((int(part), "") if part.isdecimal() else (-1, part) for part in parts)
