"""CHAOS: `<patient>/DICOM_anon/*.dcm` and `<patient>/Ground/*.png`, one mask per slice.

The organisers' evaluation code orders both by file name, "NOT by position tags in DICOM files": the k-th mask by name
belongs to the k-th DICOM file by name. A mask therefore gets the position of its DICOM file. If the order of names is
not the order of positions, ascending or descending, the rule would be a guess, and the case is rejected.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from liverspleen.cohort.label_values import covered_structures
from liverspleen.cohort.layouts.dicom import SeriesScan, facts_of, series_count_issue, series_row, warnings_of
from liverspleen.cohort.layouts.source import Exclusion, Found, Request, SeriesRow, SourceCase, required_label_values
from liverspleen.errors import InputError, Issue
from liverspleen.imaging.dicom import Series, eligible, find_series
from liverspleen.imaging.png import read_masks
from liverspleen.imaging.volume import CTVolume, LabelMap
from liverspleen.organs import ORGANS, Structure

_SCANS, _MASKS = "DICOM_anon", "Ground"


@dataclass(frozen=True)
class PngLabels:
    """PNG masks, one per file of a series."""

    masks: tuple[Path, ...]
    series: Series
    values: Mapping[int, Structure] | None

    @property
    def files(self) -> tuple[Path, ...]:
        """Files of the masks."""
        return self.masks

    @property
    def covered(self) -> tuple[Structure, ...]:
        """Structures that the gray values stand for."""
        return covered_structures(self.values)

    def read(self, case_id: str, ct: CTVolume) -> LabelMap:
        """Read the masks on the grid of the CT.

        Raises:
            InputError: LS-IMP-020 the number of masks is not that of slices, LS-IMP-021 file names are not in the
                order of positions, LS-LAB-001 a gray value is not one of the default label values and no other
                values are given.
        """
        slices = self.series.files
        if len(self.masks) != len(slices):
            message = f"number of masks is {len(self.masks)}, expected one for each of {len(slices)} slices"
            raise InputError(Issue("LS-IMP-020", message, "add a mask for every slice", case_id))
        by_name = sorted(slices, key=_natural)
        if list(slices) not in (by_name, by_name[::-1]):
            message = "names of the DICOM files are not in the order of slices, so masks cannot be assigned"
            raise InputError(Issue("LS-IMP-021", message, "name files and masks in the order of slices", case_id))
        masks = read_masks(self.masks, rows=self.series.rows, columns=self.series.columns, case_id=case_id)
        if list(slices) != by_name:
            masks = masks[::-1]
        values = {organ.value: organ for organ in ORGANS} if self.values is None else self.values
        labels = np.zeros_like(masks)
        for value, structure in values.items():
            labels[masks == value] = structure
        if self.values is None and (foreign := int(np.count_nonzero((labels == 0) & (masks > 0)))):
            expected = ", ".join(map(str, values))
            message = f"masks have {foreign} voxels with an unknown value, expected 0, {expected}"
            raise InputError(Issue("LS-LAB-001", message, "give the meaning of values by label_values=", case_id))
        canonical = ct.geometry.to_canonical(labels.transpose(2, 1, 0))
        return LabelMap(np.ascontiguousarray(canonical), ct.geometry, self.covered)


def find(request: Request) -> Found:
    """Find the CT scans in folders `DICOM_anon` below the input, and their masks in `Ground` next to them.

    Raises:
        InputError: LS-IMP-002 there is no such folder; as `required_label_values`.
    """
    cases: list[SourceCase] = []
    excluded: list[Exclusion] = []
    notes: list[Issue] = []
    rows: list[SeriesRow] = []
    for folder in _folders(request.input):
        name = folder.relative_to(request.input).as_posix()
        found = find_series(folder / _SCANS, minimum_slices=request.minimum_slices, by_folder=True)
        usable = eligible(found)
        masks = tuple(sorted((folder / _MASKS).glob("[!.]*.png"), key=_natural))
        values = required_label_values(request, None) if masks else None
        rows += [series_row(series, key=name if series in usable else f"{name}/{i}") for i, series in enumerate(found)]
        if len(usable) != 1:
            excluded.append(Exclusion(name, series_count_issue(found, usable)))
            continue
        series = usable[0]
        notes += warnings_of(series, folder)
        labels = PngLabels(masks, series, values) if masks else None
        cases.append(SourceCase(name, name, SeriesScan(series), labels, facts_of(series)))
    if not cases and not excluded:
        message = f"input= has no folder {_SCANS}"
        raise InputError(Issue("LS-IMP-002", message, "give the folder of the patients"))
    return Found(tuple(cases), tuple(excluded), tuple(notes), tuple(rows))


def _folders(root: Path) -> Iterator[Path]:
    """Yield the folders with a subfolder `DICOM_anon`; links are not followed."""
    for folder, names, _ in os.walk(root):
        names[:] = sorted(name for name in names if not name.startswith("."))
        if _SCANS in names:
            names.remove(_SCANS)
            yield Path(folder)


def _natural(file: Path) -> tuple[tuple[int, str], ...]:
    """Return a sort key by which `9` is before `10`, with or without leading zeros."""
    parts = re.split(r"(\d+)", file.name)
    return tuple((int(part), "") if part.isdecimal() else (-1, part) for part in parts)
