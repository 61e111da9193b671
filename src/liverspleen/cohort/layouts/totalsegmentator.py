"""The TotalSegmentator dataset: a folder per case with `ct.nii.gz` and one binary mask per structure."""

from __future__ import annotations

import csv
import io
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from liverspleen.cohort.layouts.source import Exclusion, Found, NiftiScan, Request, SourceCase, merged
from liverspleen.errors import InputError, Issue
from liverspleen.imaging.files import is_named_segmentation, read_mask, strip_suffix
from liverspleen.imaging.geometry import same_grid
from liverspleen.imaging.volume import CTVolume, LabelMap
from liverspleen.organs import ORGANS, Structure, listed
from liverspleen.reading import read_text

_SUBFOLDERS = ("", "segmentations")  # in the output of the program, and in its published dataset
_SEX = {"m": "M", "f": "F"}


@dataclass(frozen=True)
class MaskLabels:
    """Binary masks, one file per structure."""

    masks: tuple[tuple[Structure, Path], ...]

    @property
    def files(self) -> tuple[Path, ...]:
        """Files of all masks."""
        return tuple(file for _, file in self.masks)

    @property
    def covered(self) -> tuple[Structure, ...]:
        """Structures that have a mask."""
        return tuple(structure for structure, _ in self.masks)

    def read(self, case_id: str, ct: CTVolume) -> LabelMap:
        """Read the masks as one label map; raises as `read_masks`."""
        return read_masks(self.masks, case_id)


def mask_files(folder: Path) -> tuple[tuple[Structure, Path], ...]:
    """Return the masks of organs in the folder of a case, directly or in `segmentations/`."""
    files = [file for below in _SUBFOLDERS for file in _files(folder / below)]
    return tuple((o, file) for o in ORGANS for file in files if strip_suffix(file.name) == o.key)


def _files(folder: Path) -> list[Path]:
    found = sorted(folder.iterdir()) if folder.is_dir() else []
    return [file for file in found if file.is_file() and not is_named_segmentation(file.name)]


def repeated_masks(masks: Sequence[tuple[Structure, Path]], case_id: str | None = None) -> Issue | None:
    """Return the issue LS-LAB-022 if an organ has two masks in the folder of its case."""
    number = Counter(organ for organ, _ in masks)
    repeated = [file for organ, file in masks if number[organ] > 1]
    if not repeated:
        return None
    hint, others = "keep one mask of each organ", tuple(repeated[1:])
    return Issue("LS-LAB-022", "an organ has two masks", hint, case_id, repeated[0], further_files=others)


def read_masks(masks: Sequence[tuple[Structure, Path]], case_id: str) -> LabelMap:
    """Read binary masks, one file per structure, as one label map that covers the structures with a mask.

    Raises:
        InputError: LS-IMP-023 masks overlap, LS-IMP-027 a mask is not binary, LS-IMP-028 grids differ.
    """
    parts: list[LabelMap] = []
    for structure, file in masks:
        part = read_mask(file, structure, case_id=case_id)
        if parts and not same_grid(parts[0].geometry, part.geometry):
            message = "masks of the case are on different grids, expected one grid"
            raise InputError(Issue("LS-IMP-028", message, "resample the masks to their CT", case_id, file))
        parts.append(part)
    return merged(parts, case_id)


def find(request: Request) -> Found:
    """Find the folders of the input with a `ct.nii.gz`, and the masks of organs in their `segmentations/`.

    Sex and age are from `meta.csv` if it exists.

    Raises:
        InputError: LS-IMP-002 no folder has a CT, LS-LAB-024 label values are given, but masks are named by organ.
    """
    if request.meaning is not None and not request.meaning.by_name:
        message = "label values are given, but the file names of the masks give the organs"
        raise InputError(Issue("LS-LAB-024", message, "remove label_values="))
    facts = _facts(request.input / "meta.csv")
    cases: list[SourceCase] = []
    excluded: list[Exclusion] = []
    notes: list[Issue] = []
    for folder in sorted(path for path in request.input.iterdir() if path.is_dir() and not path.name.startswith(".")):
        scan = next((file for file in _files(folder) if strip_suffix(file.name) == "ct"), None)
        if scan is None:
            issue = Issue("LS-IMP-029", "folder of the case has no ct.nii.gz", "add the file", file=folder)
            excluded.append(Exclusion(folder.name, issue))
            continue
        masks = mask_files(folder)
        if repeated := repeated_masks(masks):
            excluded.append(Exclusion(folder.name, repeated))
            continue
        if not masks and (folder / "segmentations").is_dir():
            message = f"case has no mask of {listed('or')}"
            notes.append(Issue("LS-IMP-005", message, "add the missing label map", file=folder, severity="warning"))
        labels = MaskLabels(masks) if masks else None
        cases.append(SourceCase(folder.name, folder.name, NiftiScan(scan), labels, facts.get(folder.name, {})))
    if not cases:
        raise InputError(Issue("LS-IMP-002", "no folder of input= has a ct.nii.gz", "give the folder of the dataset"))
    return Found(tuple(cases), tuple(excluded), tuple(notes))


def _facts(file: Path) -> dict[str, Mapping[str, str]]:
    """Return sex and age by image_id; an invalid value is empty."""
    try:
        rows = list(csv.DictReader(io.StringIO(read_text(file), newline=""), delimiter=";"))
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
