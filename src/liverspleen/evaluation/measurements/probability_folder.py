"""A folder of probability maps beside the label maps: soft volume, and sums for the calibration, of each organ."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from liverspleen.cohort.checks import grid_issues
from liverspleen.cohort.probability_files import PROBABILITY, probability_files
from liverspleen.errors import InputError, Issue, counted
from liverspleen.evaluation.measurements.calibration_table import CaseCalibration
from liverspleen.evaluation.measurements.table import Measurement
from liverspleen.evaluation.metrics.probabilities import ProbabilitySums, probability_sums
from liverspleen.imaging.files import ENDINGS
from liverspleen.imaging.nifti import SUFFIXES
from liverspleen.imaging.probability_map import open_probability_map
from liverspleen.imaging.stream import Source
from liverspleen.imaging.volume import LabelMap
from liverspleen.organs import ORGANS, Structure

_EXAMPLES: Final = 3
_AGREEMENT: Final = 0.5
_NAMES: Final = f"<case_id>_<organ>{PROBABILITY}{SUFFIXES[0]}"

Files = Mapping[Structure, tuple[Path, ...]]


@dataclass(frozen=True)
class Added:
    """What a case gains from its probability maps: rows with a soft volume, sums by bin, and issues."""

    rows: list[Measurement]
    calibrations: tuple[CaseCalibration, ...]
    issues: tuple[Issue, ...]


@dataclass(frozen=True)
class ProbabilityFolder:
    """Probability maps in a folder by case and organ; usually one file each. `percent` is their unit."""

    path: Path
    files: Mapping[str, Files]
    percent: bool = False
    unused: tuple[Path, ...] = ()

    @classmethod
    def of(
        cls, path: Path, *, known: Collection[str], percent: bool = False, others: Collection[Path] = ()
    ) -> ProbabilityFolder:
        """List the maps of the `known` cases as `probability_files`; `others` are files that are known to be no maps.

        Raises:
            InputError: LS-MEA-028 the folder does not exist or has no probability map of a known case; LS-MEA-033 it
                has arrays of nnU-Net (.npz) instead.
        """
        if not path.is_dir():
            message = "the folder of probability maps does not exist"
            raise InputError(Issue("LS-MEA-028", message, "correct the path", file=path))
        listed = probability_files(path, known)
        others = frozenset(file.resolve() for file in others)
        maps = {
            case_id: {organ: kept for organ, files in of_case.items() if (kept := _without(files, others))}
            for case_id, of_case in listed.found.items()
        }
        maps = {case_id: of_case for case_id, of_case in maps.items() if of_case}
        if maps:
            return cls(path, maps, percent, _without(listed.unused, others))
        if listed.arrays:
            raise InputError(_array_issue(listed.arrays))
        message = f"the folder has no probability map of a case ({ENDINGS})"
        hint = f"name the maps {_NAMES}, or put them into a folder for each organ"
        raise InputError(Issue("LS-MEA-028", message, hint, file=path))

    @property
    def all_files(self) -> frozenset[Path]:
        """All maps that are read."""
        return frozenset(file for of_case in self.files.values() for files in of_case.values() for file in files)

    def of_case(self, case_id: str) -> ProbabilityFolder:
        """Return the folder with the maps of one case."""
        return replace(self, files={case_id: self.files[case_id]} if case_id in self.files else {}, unused=())

    def not_read(self) -> Iterator[Issue]:
        """Yield a warning if the folder has images that are no map of a known case and organ."""
        if self.unused:
            message = f"probabilities= has {counted(len(self.unused), 'image')} of no known case and organ"
            first, *more = self.unused[:_EXAMPLES]
            hint = f"name the maps {_NAMES}, with a case_id of the label maps"
            yield Issue("LS-MEA-034", message, hint, None, first, "warning", tuple(more))

    def added_to(
        self, rows: Sequence[Measurement], reader: str, label_map: LabelMap, reference: LabelMap | None
    ) -> Added:
        """Return the rows of a case with the soft volumes of `reader`, and its sums by bin where there is a reference.

        An organ without a map is the warning LS-MEA-031. A map is expected on the grid of the label map.

        Raises:
            InputError: LS-MEA-029, LS-MEA-030, LS-GEO-003, LS-GEO-004: a map cannot be used; as
                `open_probability_map`.
        """
        kept, calibrations, issues = [*rows], [], []
        for place, row in enumerate(rows):
            if row.reader != reader:
                continue
            organ = next(organ for organ in ORGANS if organ.key == row.structure)
            if (file := self._file(row.case_id, organ)) is None:
                issues.append(self._missing(row.case_id, organ))
                continue
            compared = reference if row.reference else None
            sums = self._sums(row.case_id, file, organ, label_map, compared)
            kept[place] = replace(row, volume_soft_cm3=sums.volume_cm3(label_map.geometry))
            if compared is not None:
                calibrations.append(CaseCalibration(*_key(row), sums.box, sums.image))
            issues += _contradiction(row, organ, sums, label_map, file)
        return Added(kept, tuple(calibrations), tuple(issues))

    def _file(self, case_id: str, organ: Structure) -> Path | None:
        files = self.files.get(case_id, {}).get(organ, ())
        if len(files) > 1:
            names = " and ".join(str(file.relative_to(self.path)) for file in files)
            message = f"case has several probability maps of the {organ.key}: {names}"
            raise InputError(Issue("LS-MEA-030", message, "keep one of them", case_id, self.path))
        return files[0] if files else None

    def _missing(self, case_id: str, organ: Structure) -> Issue:
        message = f"case has no probability map of the {organ.key}, so volume_soft_cm3 is empty"
        hint = f"add {case_id}_{organ.key}{PROBABILITY}{SUFFIXES[0]} if there is such a map"
        return Issue("LS-MEA-031", message, hint, case_id, self.path, "warning")

    def _sums(
        self, case_id: str, file: Path, organ: Structure, label_map: LabelMap, reference: LabelMap | None
    ) -> ProbabilitySums:
        found = open_probability_map(Source(file, case_id), percent=self.percent)
        issues = grid_issues(
            case_id,
            found.geometry,
            label_map.geometry,
            file=file,
            against="the label map, on the grid of its case",
            kind="probability map",
        )
        if wrong := [*issues]:
            raise InputError(wrong)
        return probability_sums(found, organ, label_map, reference)


def _key(row: Measurement) -> tuple[str, str, str, str]:
    return row.case_id, row.structure, row.reader, row.reference


def _without(files: Sequence[Path], others: Collection[Path]) -> tuple[Path, ...]:
    return tuple(file for file in files if file.resolve() not in others)


def _array_issue(arrays: Sequence[Path]) -> Issue:
    message = f"the folder has {counted(len(arrays), 'array')} (.npz, .npy) without a grid, as of nnU-Net, and no image"
    hint = f"write the probabilities of each organ as {_NAMES} on the grid of the label map (docs/other_systems.md)"
    return Issue("LS-MEA-033", message, hint, file=arrays[0])


def _contradiction(
    row: Measurement, organ: Structure, sums: ProbabilitySums, label_map: LabelMap, file: Path
) -> Iterator[Issue]:
    """Yield LS-MEA-032 if label map and probabilities of 0.5 or more hardly overlap, as those of two organs."""
    overlap, voxel_cm3 = sums.overlap, label_map.geometry.voxel_volume_mm3 / 1000.0
    larger = max(overlap.first_voxels, overlap.second_voxels) * voxel_cm3
    if overlap.dss is None or overlap.dss >= _AGREEMENT or larger < organ.facts.plausible_cm3[0]:
        return
    message = (
        f"voxels with a {organ.key} probability of 0.5 or more have a DSS of {overlap.dss:.2f} with the {organ.key} of "
        "the label map"
    )
    hint = "check that both are of the same organ and system, and that the unit of the probabilities is right"
    yield Issue("LS-MEA-032", message, hint, row.case_id, file, "warning")
