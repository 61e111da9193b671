"""Label maps in the layout of TotalSegmentator: a folder per case with a binary mask per structure, `liver.nii.gz`."""

from __future__ import annotations

from pathlib import Path

from liverspleen.cohort.layouts.totalsegmentator import read_masks
from liverspleen.errors import InputError, Issue
from liverspleen.imaging.nifti import SUFFIXES
from liverspleen.imaging.volume import LabelMap
from liverspleen.organs import ORGANS, Structure

_SUBFOLDERS = ("", "segmentations")  # in the output of the program, and in its published dataset


def is_mask_folder(path: Path) -> bool:
    """Whether `path` is a folder with a mask of an organ, directly or in `segmentations/`."""
    return path.is_dir() and bool(_masks(path))


def read_mask_folder(path: Path, case_id: str, *, translated: bool = False) -> LabelMap:
    """Read the masks of one case as one label map; an organ without a mask is not covered: unknown, not absent.

    Raises:
        InputError: LS-LAB-022 an organ has two masks; LS-LAB-024 voxel values are `translated`, although file names
            give the organs of masks; and as `read_masks`.
    """
    masks = _masks(path)
    structures = [structure for structure, _ in masks]
    if len(set(structures)) < len(structures):
        message = f"an organ has two masks: {', '.join(str(file.relative_to(path)) for _, file in masks)}"
        raise InputError(Issue("LS-LAB-022", message, "keep one mask of each organ", case_id, path))
    if translated:
        message = "label values are given, but the organs of masks come from their file names"
        raise InputError(Issue("LS-LAB-024", message, "remove label_values= (or reference_values=)", case_id, path))
    return read_masks(masks, case_id)


def _masks(path: Path) -> tuple[tuple[Structure, Path], ...]:
    candidates = (
        (o, path / below / f"{o.key}{suffix}") for o in ORGANS for below in _SUBFOLDERS for suffix in SUFFIXES
    )
    return tuple((organ, file) for organ, file in candidates if file.is_file())
