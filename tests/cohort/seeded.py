"""Defects of a phantom: functions that modify a draft, with the expected finding."""

from __future__ import annotations

import gzip
import shutil
import struct
from collections.abc import Callable, Iterator
from copy import deepcopy
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
from scipy import ndimage

from liverspleen.organs import Structure

LIVER, SPLEEN = int(Structure.LIVER), int(Structure.SPLEEN)


@dataclass
class Draft:
    """A case before it is written: arrays (slice, row, column), affines of (column, row, slice), row, header, files.

    `source` is the valid draft that a defect was made from.
    """

    hu: np.ndarray
    labels: np.ndarray
    affine: np.ndarray
    label_affine: np.ndarray
    row: dict[str, Any]
    header: Callable[[Any], None] = lambda image: None
    file: Callable[[Path, Path], None] = lambda image, label: None
    twins: list[dict[str, Any]] = field(default_factory=list)
    source: Draft | None = None

    def write(self, folder: Path) -> list[dict[str, Any]]:
        """Write the files, and return the rows of the cohort."""
        image, label = (folder / self.row[name] for name in ("image", "label"))
        picture = nib.Nifti1Image(self.hu.transpose(2, 1, 0), self.affine)
        self.header(picture)
        nib.save(picture, image)
        nib.save(nib.Nifti1Image(self.labels.transpose(2, 1, 0), self.label_affine), label)
        self.file(image, label)
        return [self.row, *({**self.row, **twin} for twin in self.twins)]


@dataclass(frozen=True)
class Seed:
    """A defect, its finding, and further errors and warnings that also apply."""

    spoil: Callable[[Draft], None]
    code: str
    severity: str
    related: frozenset[str] = frozenset()

    @property
    def name(self) -> str:
        return self.spoil.__name__


SEEDS: list[Seed] = []


def seed(code: str, severity: str, *related: str) -> Callable[[Callable[[Draft], None]], Callable[[Draft], None]]:
    def add(spoil: Callable[[Draft], None]) -> Callable[[Draft], None]:
        SEEDS.append(Seed(spoil, code, severity, frozenset(related)))
        return spoil

    return add


def drafts(hu: np.ndarray, labels: np.ndarray, affine: np.ndarray) -> Iterator[tuple[Seed | None, Draft]]:
    """A valid draft, then one per seed, all with different scans, so that there are no duplicates."""
    edge = np.flatnonzero((labels[..., :-1] == LIVER).ravel() & (labels[..., 1:] == 0).ravel())
    for index, defect in enumerate([None, *SEEDS]):
        own = labels.copy()
        own[..., :-1][np.unravel_index(edge[index], own[..., :-1].shape)] = 0
        noisy = hu + np.random.default_rng(index).integers(-1, 2, hu.shape, np.int16)
        name = defect.name if defect else "sound"
        row = {"case_id": name, "patient_id": f"p-{name}", "image": f"{name}.nii.gz", "label": f"{name}_label.nii.gz"}
        row |= {"age": 50, "sex": "F", "slice_thickness_mm": 5}
        draft = Draft(noisy, own, affine.copy(), affine.copy(), row)
        if defect:
            draft.source = deepcopy(draft)
            defect.spoil(draft)
        yield defect, draft


# ---- files ----------------------------------------------------------------------------------------------------------


@seed("LS-IMG-001", "error")
def missing_image(draft):
    draft.file = lambda image, label: image.unlink()


@seed("LS-IMG-003", "error")
def a_text_instead_of_an_image(draft):
    draft.file = lambda image, label: image.write_text("x" * 1000)


@seed("LS-IMG-004", "error")
def truncated_label_map(draft):
    draft.file = lambda image, label: label.write_bytes(label.read_bytes()[:-12])


@seed("LS-IMG-005", "error")
def flipped_bit(draft):
    def flip(image, label):
        stored = bytearray(gzip.compress(gzip.decompress(image.read_bytes()), compresslevel=0))
        stored[-30] ^= 1
        image.write_bytes(stored)

    draft.file = flip


@seed("LS-IMG-006", "error")
def four_axes(draft):
    def stack(image, label):
        nib.save(nib.Nifti1Image(np.stack([draft.hu.transpose(2, 1, 0)] * 2, axis=-1), draft.affine), image)

    draft.file = stack


def in_header(offset: int, form: str, value: object) -> Callable[[Path, Path], None]:
    """Overwrite a field of the image's header."""

    def write(image: Path, label: Path) -> None:
        whole = bytearray(gzip.decompress(image.read_bytes()))
        struct.pack_into(form, whole, offset, value)
        image.write_bytes(gzip.compress(whole, compresslevel=1))

    return write


# ---- values of the image --------------------------------------------------------------------------------------------


@seed("LS-IMG-008", "error")
def nan(draft):
    draft.hu = draft.hu.astype(np.float32)
    draft.hu[3] = np.nan


@seed("LS-IMG-009", "warning")
def beyond_16_bits(draft):
    draft.hu = draft.hu.astype(np.int32)
    draft.hu[20, 30, 30:32] = 40_000


@seed("LS-IMG-010", "error")
def constant(draft):
    draft.hu[:] = 7


@seed("LS-IMG-012", "warning")
def abdominal_window(draft):
    draft.hu = draft.hu.clip(-160, 240)


@seed("LS-IMG-012", "warning")
def bone_cut_off(draft):
    draft.hu = draft.hu.clip(-2000, 200)


@seed("LS-IMG-013", "error")
def intercept_left_out(draft):
    draft.hu += 1024


@seed("LS-IMG-013", "error")
def intercept_applied_twice(draft):
    draft.hu -= 1024


@seed("LS-IMG-014", "error")
def eight_bits(draft):
    draft.hu = np.interp(draft.hu, (-160, 240), (0, 255)).astype(np.uint8)


@seed("LS-IMG-014", "error")
def normalised(draft):
    draft.hu = np.interp(draft.hu, (-1000, 1000), (0, 1)).astype(np.float32)


@seed("LS-IMG-014", "error")
def z_scores(draft):
    draft.hu = ((draft.hu - draft.hu.mean()) / draft.hu.std()).astype(np.float32)


@seed("LS-IMG-018", "error")
def inverted(draft):
    draft.hu = -draft.hu


@seed("LS-IMG-015", "note")
def padded(draft):
    draft.hu[:, :6] = -3024


@seed("LS-IMG-016", "warning")
def blank_slice(draft):
    draft.hu[2] = -1024


@seed("LS-IMG-016", "note")
def blank_ends(draft):
    draft.hu[-1] = -1024


@seed("LS-IMG-017", "warning")
def copied_slice(draft):
    draft.hu[31] = draft.hu[30]


@seed("LS-IMG-017", "warning")
def replicated_slices(draft):
    draft.hu = draft.hu[np.arange(draft.hu.shape[0]) // 2 * 2]


@seed("LS-IMG-019", "warning")
def missing_slices(draft):
    draft.hu, draft.labels = (np.delete(array, slice(30, 40), axis=0) for array in (draft.hu, draft.labels))


@seed("LS-IMG-019", "warning", "LS-LAB-021")
def slices_sorted_as_words(draft):
    order = sorted(range(draft.hu.shape[0]), key=str)
    draft.hu, draft.labels = draft.hu[order], draft.labels[order]


@seed("LS-IMG-019", "warning", "LS-LAB-021", "LS-LAB-013", "LS-LAB-014")
def interleaved_halves(draft):
    half = draft.hu.shape[0] // 2
    order = np.stack([np.arange(half), np.arange(half, 2 * half)], axis=1).ravel()
    draft.hu, draft.labels = draft.hu[order], draft.labels[order]


# ---- grid -----------------------------------------------------------------------------------------------------------


@seed("LS-GEO-001", "error")
def zero_spacing(draft):
    draft.file = in_header(88, "<f", 0.0)  # pixdim[3]


@seed("LS-GEO-003", "error")
def label_of_another_shape(draft):
    draft.labels = draft.labels[:-1]
    draft.label_affine[2, 3] += 2.5  # not a box of the grid


@seed("LS-GEO-004", "error")
def label_half_a_slice_off(draft):
    draft.label_affine[2, 3] += 2.5


@seed("LS-GEO-005", "error")
def sform_against_qform(draft):
    def contradict(image):
        image.set_sform(draft.affine, code=1)
        image.set_qform(draft.affine @ np.diag([-1, 1, 1, 1]), code=1)

    draft.header = contradict


@seed("LS-GEO-006", "error")
def no_orientation(draft):
    draft.file = in_header(254, "<h", 0)  # sform_code; nibabel leaves the qform uncoded


@seed("LS-GEO-007", "error")
def spacing_in_metres_by_its_unit(draft):
    draft.file = in_header(123, "<b", 1)  # xyzt_units: metre


@seed("LS-GEO-008", "error")
def pixdim_against_sform(draft):
    draft.file = in_header(88, "<f", 3.0)  # pixdim[3]; the sform says 5 mm


@seed("LS-GEO-009", "warning")
def gantry_tilt(draft):
    for affine in (draft.affine, draft.label_affine):
        affine[1, 2] = 5 * np.tan(np.radians(12))


@seed("LS-GEO-010", "warning", "LS-LAB-011")
def spacing_in_centimetres(draft):
    for affine in (draft.affine, draft.label_affine):
        affine[:3] /= 10


@seed("LS-GEO-010", "warning", "LS-LAB-012")
def slices_too_far_apart(draft):
    for affine in (draft.affine, draft.label_affine):
        affine[2, 2] = 50.0


@seed("LS-GEO-011", "warning")
def pixels_not_square(draft):
    for affine in (draft.affine, draft.label_affine):
        affine[1, 1] *= 1.1


@seed("LS-GEO-012", "warning")
def three_slices(draft):
    draft.hu, draft.labels = draft.hu[30:33], draft.labels[30:33]


@seed("LS-GEO-013", "note")
def a_slab(draft):
    draft.hu, draft.labels = draft.hu[30:45], draft.labels[30:45]


@seed("LS-GEO-014", "note")
def label_in_another_axis_order(draft):
    draft.labels = draft.labels[:, :, ::-1]
    draft.label_affine = draft.affine.copy()
    draft.label_affine[:3, 0] *= -1
    draft.label_affine[:3, 3] = draft.affine[:3, 3] + (draft.labels.shape[2] - 1) * draft.affine[:3, 0]


@seed("LS-GEO-015", "note")
def overlapping_slices(draft):
    draft.row["slice_thickness_mm"] = 8


@seed("LS-GEO-016", "note")
def tilted_grid(draft):
    c, s = np.cos(np.radians(20)), np.sin(np.radians(20))
    turn = np.array([[1, 0, 0, 0], [0, c, -s, 0], [0, s, c, 0], [0, 0, 0, 1]])
    draft.affine, draft.label_affine = turn @ draft.affine, turn @ draft.label_affine


@seed("LS-GEO-017", "warning")
def head_and_feet_swapped(draft):
    draft.hu, draft.labels = draft.hu[::-1], draft.labels[::-1]


@seed("LS-GEO-018", "warning")
def front_and_back_swapped(draft):
    draft.hu, draft.labels = draft.hu[:, ::-1], draft.labels[:, ::-1]


# ---- label map ------------------------------------------------------------------------------------------------------


@seed("LS-LAB-001", "error")
def foreign_label(draft):
    draft.labels[draft.labels == SPLEEN] = 5


@seed("LS-LAB-002", "error")
def structure_not_called_labelled(draft):
    draft.row["labelled_structures"] = "liver"


@seed("LS-LAB-003", "warning")
def empty_spleen(draft):
    draft.labels[draft.labels == SPLEEN] = 0


@seed("LS-LAB-004", "warning")
def spleen_that_should_be_absent(draft):
    draft.row["spleen_absent"] = "true"


@seed("LS-LAB-011", "warning")
def tiny_spleen(draft):
    rest = np.argwhere(draft.labels == SPLEEN)[30:]
    draft.labels[tuple(rest.T)] = 0


@seed("LS-LAB-012", "warning", "LS-LAB-016", "LS-LAB-017", "LS-LAB-013", "LS-LAB-014", "LS-LAB-018", "LS-LAB-054")
def the_whole_trunk_as_liver(draft):
    draft.labels[(draft.labels == 0) & (draft.hu > -200)] = LIVER


@seed("LS-LAB-013", "warning")
def islands(draft):
    draft.labels[4:44:2, 2, 2] = LIVER


@seed("LS-LAB-013", "note")
def liver_in_two_parts(draft):
    middle = round(float(np.argwhere(draft.labels == LIVER)[:, 2].mean()))
    cut = draft.labels[:, :, middle]
    cut[cut == LIVER] = 0


@seed("LS-LAB-014", "warning")
def speckled_holes(draft):
    inside = np.argwhere(draft.labels == LIVER)
    chosen = inside[(inside % 2 == 0).all(axis=1)]
    draft.labels[tuple(chosen.T)] = 0


@seed("LS-LAB-015", "warning")
def liver_as_dense_as_bone(draft):
    draft.hu[draft.labels == LIVER] += 300


@seed("LS-LAB-016", "error")
def label_in_the_air(draft):
    draft.hu[draft.labels == SPLEEN] -= 1050


@seed("LS-LAB-016", "warning")
def label_pushed_into_the_lung(draft):
    draft.labels = np.roll(draft.labels, 5, axis=0)


@seed("LS-LAB-016", "warning")
def label_flipped_against_the_image(draft):
    draft.labels = draft.labels[:, ::-1]


@seed("LS-LAB-017", "warning")
def spleen_drawn_into_the_fat(draft):
    wide = ndimage.binary_dilation(draft.labels == SPLEEN, iterations=2)
    draft.labels[wide & (draft.labels == 0) & (draft.hu > -200)] = SPLEEN


@seed("LS-LAB-018", "warning")
def mirrored_header(draft):
    draft.affine[0], draft.label_affine[0] = -draft.affine[0], -draft.label_affine[0]


@seed("LS-LAB-018", "warning")
def spleen_alone_mirrored(draft):
    mirrored_header(draft)
    draft.labels[draft.labels == LIVER] = 0
    draft.row["labelled_structures"] = "spleen"


@seed("LS-LAB-018", "warning")
def liver_alone_mirrored(draft):
    mirrored_header(draft)
    draft.labels[draft.labels == SPLEEN] = 0
    draft.row["labelled_structures"] = "liver"


@seed("LS-LAB-019", "error")
def labels_swapped(draft):
    draft.labels = np.array([0, SPLEEN, LIVER], np.uint8)[draft.labels]


@seed("LS-LAB-020", "note")
def cut_through_the_dome(draft):
    top = np.flatnonzero((draft.labels == LIVER).any(axis=(1, 2)))[-1]
    draft.hu, draft.labels = draft.hu[: top - 1], draft.labels[: top - 1]


@seed("LS-LAB-021", "warning")
def every_other_slice_drawn(draft):
    draft.labels[::2] = 0


# ---- between cases --------------------------------------------------------------------------------------------------


@seed("LS-DUP-001", "error")
def one_scan_as_two_patients(draft):
    draft.twins = [{"case_id": "twin-of-another", "patient_id": "p-other"}]


@seed("LS-DUP-001", "warning")
def one_scan_twice(draft):
    draft.twins = [{"case_id": "twin-of-the-same"}]


@seed("LS-DUP-002", "warning")
def label_map_of_another_case(draft):
    draft.file = lambda image, label: shutil.copyfile(label.with_name("sound_label.nii.gz"), label)


@seed("LS-DUP-003", "note")
def one_patient_of_two_sexes(draft):
    draft.row["patient_id"], draft.row["sex"] = "p-sound", "M"


@seed("LS-DUP-004", "note")
def one_patient_of_two_ages(draft):
    draft.row["patient_id"], draft.row["age"] = "p-sound", 12


@seed("LS-COH-011", "error")
def one_case_id_twice(draft):
    draft.twins = [{"image": "another.nii.gz"}]


@seed("LS-COH-015", "error")
def image_outside_the_root(draft):
    draft.file = lambda image, label: None
    draft.twins = [{"case_id": "outside", "image": "../x.nii.gz"}]


@seed("LS-COH-016", "error")
def impossible_age(draft):
    draft.row["age"] = 412
