"""Label maps in the layout of TotalSegmentator: a folder per case with a binary mask per structure, `liver.nii.gz`."""

from __future__ import annotations

from pathlib import Path

from liverspleen.cohort.layouts.totalsegmentator import mask_files, read_masks, repeated_masks
from liverspleen.errors import InputError, Issue
from liverspleen.imaging.volume import LabelMap


def is_mask_folder(path: Path) -> bool:
    """Whether `path` is a folder with a mask of an organ, directly or in `segmentations/`."""
    return path.is_dir() and bool(mask_files(path))


def read_mask_folder(path: Path, case_id: str, *, translated: bool = False) -> LabelMap:
    """Read the masks of one case as one label map; an organ without a mask is not covered: unknown, not absent.

    Raises:
        InputError: LS-LAB-022 an organ has two masks; LS-LAB-024 voxel values are `translated`, although file names
            give the organs of masks; and as `read_masks`.
    """
    masks = mask_files(path)
    if repeated := repeated_masks(masks, case_id):
        raise InputError(repeated)
    if translated:
        message = "label values are given, but the organs of masks come from their file names"
        raise InputError(Issue("LS-LAB-024", message, "remove label_values= (or reference_values=)", case_id, path))
    return read_masks(masks, case_id)
