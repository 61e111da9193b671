"""Hints about a CT or a label map: each one is followed on a defect of `cohort/seeded.py`."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
from scipy import ndimage

sys.path.append(str(Path(__file__).parents[1] / "cohort"))
from seeded import LIVER, SPLEEN, Draft

Repair = Callable[[Draft], None]
"""Changes a draft with a defect as the hint says."""

REPAIRS: dict[str, tuple[str, str, Repair]] = {}
"""By code: the defect, the text of the hint, and the repair."""


def repair(code: str, defect: str, hint: str) -> Callable[[Repair], Repair]:
    def add(function: Repair) -> Repair:
        REPAIRS[code] = defect, hint, function
        return function

    return add


def add(code: str, defect: str, hint: str, function: Repair) -> None:
    REPAIRS[code] = defect, hint, function


def copied_again(draft: Draft) -> None:
    """The file is copied or converted again from its source, as that of the case without a defect."""


for code, defect, hint in (
    ("LS-IMG-001", "missing_image", "correct the path or add the file"),
    ("LS-IMG-003", "a_text_instead_of_an_image", "convert it to NIfTI"),
    ("LS-IMG-004", "truncated_label_map", "copy the file again from its source"),
    ("LS-IMG-005", "flipped_bit", "copy the file again from its source"),
    ("LS-IMG-006", "four_axes", "save one 3D volume per file"),
    ("LS-IMG-008", "nan", "convert the image from its source again"),
    ("LS-IMG-009", "beyond_16_bits", "check the image"),
    ("LS-IMG-010", "constant", "give the file of the CT, with values in HU"),
    ("LS-IMG-012", "abdominal_window", "use the image from before windowing"),
    ("LS-IMG-014", "eight_bits", "convert the image from its source again, in HU and without scaling"),
    ("LS-IMG-016", "blank_slice", "convert the image from its source again"),
    ("LS-IMG-017", "copied_slice", "convert the image from its source again, with each slice once"),
    ("LS-IMG-018", "inverted", "convert the image from its source again"),
    ("LS-IMG-019", "slices_sorted_as_words", "check whether slices are missing or in wrong order"),
    ("LS-GEO-001", "zero_spacing", "write the image again with its spacing in mm"),
    ("LS-GEO-003", "label_of_another_shape", "resample the label map"),
    ("LS-GEO-006", "no_orientation", "convert the image from DICOM again, keeping the orientation"),
    ("LS-GEO-007", "spacing_in_metres_by_its_unit", "write the image again with its spacing in mm"),
    ("LS-GEO-008", "pixdim_against_sform", "write the header again"),
    ("LS-GEO-012", "three_slices", "check whether slices are missing"),
    ("LS-GEO-013", "a_slab", "slab"),
    ("LS-LAB-011", "tiny_spleen", "check that the label map is complete"),
    ("LS-LAB-012", "the_whole_trunk_as_liver", "check the label map"),
    ("LS-LAB-015", "liver_as_dense_as_bone", "check the label map and the scale of the image"),
    ("LS-LAB-016", "label_flipped_against_the_image", "neither is flipped"),
    ("LS-LAB-017", "spleen_drawn_into_the_fat", "check that label map and CT belong together"),
    ("LS-LAB-021", "every_other_slice_drawn", "annotate the organ in these slices too"),
    ("LS-DUP-002", "label_map_of_another_case", "add the label map of this CT"),
):
    add(code, defect, hint, copied_again)


@repair("LS-IMG-013", "intercept_left_out", "subtract")
def subtracted(draft: Draft) -> None:
    draft.hu -= 1024


@repair("LS-GEO-004", "label_half_a_slice_off", "correct its header")
def header_of_the_ct(draft: Draft) -> None:
    draft.label_affine = draft.affine.copy()


@repair("LS-GEO-005", "sform_against_qform", "set the code of the other to 0")
def code_zero(draft: Draft) -> None:
    contradict = draft.header

    def without_qform(image):
        contradict(image)
        image.header["qform_code"] = 0

    draft.header = without_qform


@repair("LS-GEO-009", "gantry_tilt", "resample the image to a rectangular grid")
def rectangular(draft: Draft) -> None:
    draft.affine[1, 2] = draft.label_affine[1, 2] = 0  # the phantom is drawn on either grid


@repair("LS-GEO-010", "spacing_in_centimetres", "check that the spacing is in mm")
def in_millimetres(draft: Draft) -> None:
    for affine in (draft.affine, draft.label_affine):
        affine[:3] *= 10


@repair("LS-GEO-011", "pixels_not_square", "resampled")
def square(draft: Draft) -> None:
    for affine in (draft.affine, draft.label_affine):
        affine[1, 1] /= 1.1


@repair("LS-GEO-017", "head_and_feet_swapped", "check whether head and feet are swapped")
def reversed_slices(draft: Draft) -> None:
    draft.hu, draft.labels = draft.hu[::-1], draft.labels[::-1]


@repair("LS-GEO-018", "front_and_back_swapped", "check whether front and back are swapped")
def reversed_rows(draft: Draft) -> None:
    draft.hu, draft.labels = draft.hu[:, ::-1], draft.labels[:, ::-1]


@repair("LS-LAB-001", "foreign_label", "map its labels to these values")
def mapped(draft: Draft) -> None:
    draft.labels[draft.labels == 5] = SPLEEN


@repair("LS-LAB-002", "structure_not_called_labelled", "labelled_structures")
def listed(draft: Draft) -> None:
    draft.row["labelled_structures"] = "liver;spleen"


@repair("LS-LAB-003", "empty_spleen", "labelled_structures")
def not_listed(draft: Draft) -> None:
    draft.row["labelled_structures"] = "liver"


@repair("LS-LAB-004", "spleen_that_should_be_absent", "spleen_absent")
def present(draft: Draft) -> None:
    draft.row["spleen_absent"] = "false"


@repair("LS-LAB-013", "islands", "remove")
def without_islands(draft: Draft) -> None:
    parts, _ = ndimage.label(draft.labels == LIVER, np.ones((3, 3, 3)))
    sizes = np.bincount(parts.ravel())
    draft.labels[(parts > 0) & (parts != 1 + sizes[1:].argmax())] = 0


@repair("LS-LAB-014", "speckled_holes", "fill the holes")
def filled(draft: Draft) -> None:
    draft.labels[ndimage.binary_fill_holes(draft.labels == LIVER) & (draft.labels == 0)] = LIVER


@repair("LS-LAB-018", "mirrored_header", "correct the header")
def mirrored_back(draft: Draft) -> None:
    draft.affine[0], draft.label_affine[0] = -draft.affine[0], -draft.label_affine[0]


@repair("LS-LAB-019", "labels_swapped", "exchange")
def exchanged(draft: Draft) -> None:
    draft.labels = np.array([0, SPLEEN, LIVER], np.uint8)[draft.labels]


@repair("LS-DUP-001", "one_scan_as_two_patients", "keep one of the two rows")
def one_row(draft: Draft) -> None:
    draft.twins = []


@repair("LS-DUP-003", "one_patient_of_two_sexes", "correct the cohort")
def one_sex(draft: Draft) -> None:
    draft.row["sex"] = "F"


@repair("LS-DUP-004", "one_patient_of_two_ages", "correct the cohort")
def one_age(draft: Draft) -> None:
    draft.row["age"] = 50
