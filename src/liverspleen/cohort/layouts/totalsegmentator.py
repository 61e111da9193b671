"""The TotalSegmentator dataset: a folder per case with `ct.nii.gz` and one binary mask per structure."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from liverspleen.cohort.layouts.source import Found, Left, NiftiScan, Request, SourceCase, merged
from liverspleen.errors import InputError, Issue
from liverspleen.imaging.geometry import same_grid
from liverspleen.imaging.nifti import read_label_map
from liverspleen.imaging.volume import CTVolume, LabelMap
from liverspleen.organs import ORGANS, Structure, listed

_SEX = {"m": "M", "f": "F"}


@dataclass(frozen=True)
class MaskDrawing:
    """Binary masks, a file for each structure."""

    masks: tuple[tuple[Structure, Path], ...]

    @property
    def files(self) -> tuple[Path, ...]:
        """The files of all masks."""
        return tuple(file for _, file in self.masks)

    @property
    def covered(self) -> tuple[Structure, ...]:
        """The structures that have a mask."""
        return tuple(structure for structure, _ in self.masks)

    def read(self, case_id: str, ct: CTVolume) -> LabelMap:
        """The masks as one label map.

        Raises:
            InputError: LS-IMP-023 masks overlap, LS-IMP-027 they are not binary, LS-IMP-028 they are on different
                grids.
        """
        return read_masks(self.masks, case_id)


def read_masks(masks: Sequence[tuple[Structure, Path]], case_id: str) -> LabelMap:
    """Binary masks, a file for each structure, as one label map; it covers the structures that have a mask.

    Raises:
        InputError: LS-IMP-023 masks overlap, LS-IMP-027 they are not binary, LS-IMP-028 they are on different grids.
    """
    parts: list[LabelMap] = []
    for structure, file in masks:
        # every value of a byte, so that one beside 0 and 1 is seen; those beyond are no masks' either
        mask = read_label_map(file, case_id=case_id)
        if mask.labels.max(initial=0) > 1:
            message = "mask has values beside 0 and 1"
            raise InputError(Issue("LS-IMP-027", message, "see that it is a binary mask", case_id, file))
        part = LabelMap(mask.labels * structure.value, mask.geometry, (structure,))
        if parts and not same_grid(parts[0].geometry, part.geometry):
            message = "masks of the case are on different grids"
            raise InputError(Issue("LS-IMP-028", message, "resample them to their CT", case_id, file))
        parts.append(part)
    return merged(parts, case_id)


def find(request: Request) -> Found:
    """The folders of the input that hold `ct.nii.gz`, with the masks of the organs in `segmentations/`.

    Sex and age come from `meta.csv` if it is there.

    Raises:
        InputError: LS-IMP-002 no folder holds a CT, LS-LAB-024 label values are given, though masks have names.
    """
    if request.meaning is not None and not request.meaning.by_name:
        message = "label values are given, but the file names of the masks name the organs"
        raise InputError(Issue("LS-LAB-024", message, "remove label_values="))
    facts = _facts(request.input / "meta.csv")
    cases: list[SourceCase] = []
    left: list[Left] = []
    notes: list[Issue] = []
    for folder in sorted(path for path in request.input.iterdir() if path.is_dir() and not path.name.startswith(".")):
        scan = folder / "ct.nii.gz"
        if not scan.is_file():
            left.append(
                Left(
                    folder.name,
                    Issue("LS-IMP-029", "the folder of the case holds no ct.nii.gz", "add the file", file=folder),
                )
            )
            continue
        masks = tuple((organ, folder / "segmentations" / f"{organ.key}.nii.gz") for organ in ORGANS)
        masks = tuple((organ, file) for organ, file in masks if file.is_file())
        if not masks and (folder / "segmentations").is_dir():
            message = f"no mask of {listed('or')}"
            notes.append(Issue("LS-IMP-005", message, "add the missing label map", file=folder, severity="warning"))
        drawing = MaskDrawing(masks) if masks else None
        cases.append(SourceCase(folder.name, folder.name, NiftiScan(scan), drawing, facts.get(folder.name, {})))
    if not cases:
        raise InputError(Issue("LS-IMP-002", "no folder of the input holds a ct.nii.gz", "give the dataset's folder"))
    return Found(tuple(cases), tuple(left), tuple(notes))


def _facts(file: Path) -> dict[str, Mapping[str, str]]:
    """Sex and age by image_id; what is neither is left out."""
    try:
        rows = list(csv.DictReader(io.StringIO(file.read_text(encoding="utf-8-sig"), newline=""), delimiter=";"))
    except (OSError, UnicodeDecodeError, csv.Error):
        return {}
    return {
        row["image_id"]: {
            "sex": _SEX.get((row.get("gender") or "").strip().lower()[:1], ""),
            "age": _age(row.get("age")),
        }
        for row in rows
        if row.get("image_id")
    }


def _age(text: str | None) -> str:
    try:
        age = float(text or "")
    except ValueError:
        return ""
    return f"{age:g}" if 0 <= age <= 120 else ""
