"""The label map that DICOM segmentations of one series give."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from liverspleen.cohort.layouts.source import merged
from liverspleen.errors import InputError, Issue, counted
from liverspleen.imaging.dicom import Segmentation, Series, read_segmentation
from liverspleen.imaging.volume import CTVolume, LabelMap
from liverspleen.organs import ORGANS, Structure, listed, organs

Values = Mapping[int, Structure] | None


@dataclass(frozen=True)
class SegmentLabels:
    """DICOM segmentations of one series; `values` maps segment numbers to structures and replaces their codes.

    `instance_uids` are those of the files of the series, in the order of its slices.
    """

    segmentations: tuple[Segmentation, ...]
    values: Values
    instance_uids: tuple[str, ...] = ()

    @property
    def files(self) -> tuple[Path, ...]:
        """Files of the segmentations."""
        return tuple(segmentation.file for segmentation in self.segmentations)

    @property
    def covered(self) -> tuple[Structure, ...]:
        """Structures that the segments stand for."""
        return organs({s.key for item in self.segmentations for s in structures_of(item, self.values)})

    def organs_without_frames(self) -> Iterator[Issue]:
        """Yield the note LS-DCM-074 for each organ that is covered, but has no frame."""
        framed = {s for item in self.segmentations for s in structures_of(item, self.values, framed=True)}
        for organ in self.covered:
            if organ not in framed:
                message = f"segmentation has a segment for the {organ.key}, but no frame of it: it counts as absent"
                hint = "check that this is right"
                yield Issue("LS-DCM-074", message, hint, file=self.files[0], severity="note")

    def read(self, case_id: str, ct: CTVolume) -> LabelMap:
        """Read the segments on the grid of the CT; raises LS-IMP-023 if a voxel belongs to two structures."""
        return merged([self._read(item, case_id, ct) for item in self.segmentations], case_id)

    def _read(self, item: Segmentation, case_id: str, ct: CTVolume) -> LabelMap:
        uids = self.instance_uids
        try:
            return read_segmentation(item, ct.geometry, case_id=case_id, values=self.values, instance_uids=uids)
        except InputError as error:
            raise InputError(replace(issue, file=item.file) for issue in error.issues) from None


def repeated_organs(segmentations: Sequence[Segmentation], values: Values, series: Series) -> Iterator[Issue]:
    """Yield LS-LAB-040 and a description of each segmentation if several give one organ.

    A segment without frames is empty, and gives nothing.
    """
    giving = {
        organ: [item for item in segmentations if organ in structures_of(item, values, framed=True)] for organ in ORGANS
    }
    repeated = [organ for organ, items in giving.items() if len(items) > 1]
    if repeated:
        found = [item for item in segmentations if any(item in giving[organ] for organ in repeated)]
        names = listed(keys=[organ.key for organ in repeated])
        message = f"{len(found)} segmentations give the {names} of one CT, expected one"
        hint = "name one in the column 'segmentation' of the covariates, or keep one in labels="
        yield Issue("LS-LAB-040", message, hint, file=series.folder)
        yield from descriptions(found, values)


def descriptions(segmentations: Sequence[Segmentation], values: Values) -> Iterator[Issue]:
    """Yield a note that describes each segmentation, from the oldest to the newest; it quotes no text of the header."""
    for number, item in enumerate(sorted(segmentations, key=lambda item: item.created)):
        parts = [listed(keys=[organ.key for organ in structures_of(item, values)]), item.algorithm.lower()]
        parts.append("contours" if item.has_contours else counted(len(item.planes), "slice"))
        order = "from the oldest to the newest" if item.created else "of unknown date"
        message = f"segmentation {chr(ord('a') + number % 26)} of {len(segmentations)}, {order}: "
        message += ", ".join(part for part in parts if part)
        yield Issue("LS-LAB-041", message, "open it to compare", file=item.file, severity="note")


def structures_of(segmentation: Segmentation, values: Values, *, framed: bool = False) -> tuple[Structure, ...]:
    """Return the structures of the segments; with `framed`, of those that have frames."""
    meaning = segmentation.meaning(values)
    numbers = segmentation.framed if framed and segmentation.framed is not None else meaning
    return organs(structure.key for number, structure in meaning.items() if number in numbers)
