"""A CT to a label map on its own grid: the one call."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter

from numpy.typing import ArrayLike

from liverspleen.errors import InputError, Issue
from liverspleen.imaging.from_memory import CTLike, as_ct_volume
from liverspleen.imaging.nifti import read_ct
from liverspleen.imaging.volume import CTVolume, LabelMap
from liverspleen.inference.model import TrainedModel, load_model
from liverspleen.organs import Structure
from liverspleen.storage import StrPath

MAX_PIXELS = 1 << 22
"""In a slice, on the CT's own pixels or the model's: 2048 x 2048 is the largest matrix of any CT scanner."""

MAX_SLICES = 1 << 14
"""Of a CT: eight metres of slices of 0.5 mm."""

# torch is imported inside the functions: this is the package's front door, and what lies beside it need not pay for it


@dataclass(frozen=True)
class Segmented:
    """A label map, and how it was made.

    `flip_dss` is the DSS of each organ between the label map of slices in reversed order and that of slices in
    order: None for an organ that is in neither, and as a whole without flips or for a model of single slices.
    `precision` is `fp32` or `bf16`; `seconds` are those of network and driver.
    """

    label_map: LabelMap
    flip_dss: Mapping[Structure, float | None] | None
    seconds: float
    precision: str


def segment(
    ct: CTLike | StrPath,
    model: TrainedModel | StrPath,
    *,
    affine: ArrayLike | None = None,
    batch_size: int | None = None,
    precision: str = "auto",
    flips: bool = False,
) -> LabelMap:
    """Segment liver and spleen on a CT: its label map, on its own grid.

    The labels are in (slice, row, column) order; `to_native()` of the result gives them in the axis order of the file,
    image or array that came in.

    Args:
        ct: a NIfTI file, a folder with one CT series of DICOM below it, a `CTVolume`, a NIfTI image of nibabel, or an
            array of HU.
        model: a loaded model; or a checkpoint or model package, which is loaded to a GPU if there is one.
        affine: of an array, and only of an array: 4 x 4, from its indices to mm, as nibabel's `image.affine`.
        batch_size: slices at a time; None: 1 on a CPU, 8 on a GPU.
        precision: `fp32`, `bf16`, or `auto`: bf16 on a GPU that has it, fp32 elsewhere.
        flips: whether the mean is taken of slices in order and in reversed order, in twice the time.

    Raises:
        ValueError: an array without an affine, or an affine with something else.
        InputError: CT or model cannot be read; LS-PRD-010 to 012, 014 and 015 (`segment_volume`), LS-PRD-013 not one CT
            series.
    """
    if isinstance(ct, str | os.PathLike):
        if affine is not None:
            raise ValueError("affine= is for an array; a file has its own")
        volume = _read(Path(ct))
    else:
        volume = as_ct_volume(ct, affine)
    if not isinstance(model, TrainedModel):
        import torch

        from liverspleen.inference.folded import folded

        model = folded(load_model(Path(model), "cuda" if torch.cuda.is_available() else "cpu"))
    return segment_volume(volume, model, batch_size=batch_size, precision=precision, flips=flips).label_map


def segment_volume(
    ct: CTVolume,
    model: TrainedModel,
    *,
    batch_size: int | None = None,
    precision: str = "auto",
    flips: bool = False,
) -> Segmented:
    """Segment every slice with its neighbours; edge slices stand in for missing neighbours, as in training.

    Slices are brought to the model's pixel size and scaled as in training, each once; logits are brought back to the
    CT's. Memory beyond CT and label map is that of one batch, whatever the number of slices. With `flips` classes are
    those of the mean softmax of both orders of the slices.

    Raises:
        InputError: LS-PRD-010 a batch size or precision that there is not, LS-PRD-011 bf16 without instructions for
            it or with another engine than torch, LS-PRD-012 the network gives what is no number, LS-PRD-014 more or
            larger slices than any CT has, LS-PRD-015 the device has not the memory.
    """
    import torch

    from liverspleen.inference.streaming import chosen_precision, stream

    _reject_beyond_ct(ct, model)
    began, chosen = perf_counter(), chosen_precision(precision, model)
    try:
        found = stream(ct, model, batch_size=batch_size, precision=chosen, flips=flips)
    except torch.OutOfMemoryError:
        raise InputError(out_of_memory(model.device.type)) from None
    dss = None if found.flips is None else {organ: overlap.dss for organ, overlap in found.flips.items()}
    return Segmented(LabelMap(found.labels, ct.geometry), dss, perf_counter() - began, chosen)


def out_of_memory(where: str) -> Issue:
    """The issue LS-PRD-015 of a CT for which there is not the memory."""
    message = f"there is not the memory ({where}) for this CT"
    return Issue("LS-PRD-015", message, "use batch_size=1, or a machine with more; see whether it is a CT")


def _reject_beyond_ct(ct: CTVolume, model: TrainedModel) -> None:
    """Raise LS-PRD-014: such slices would take a network memory, or time, without bound."""
    from liverspleen.data.resampling import resampled_matrix

    count, *matrix = ct.hu.shape
    _, *pixel = ct.geometry.spacing_mm
    wanted = resampled_matrix((matrix[0], matrix[1]), (pixel[0], pixel[1]), model.pixel_mm)
    if count > MAX_SLICES or max(matrix[0] * matrix[1], wanted[0] * wanted[1]) > MAX_PIXELS:
        resampled = "" if model.pixel_mm is None else f" ({wanted[0]} x {wanted[1]} on the model's pixel size)"
        message = f"{count} slices of {matrix[0]} x {matrix[1]} pixels{resampled}: no CT is so large"
        raise InputError(Issue("LS-PRD-014", message, "see whether it is a CT, and its spacing in millimetres"))


def _read(source: Path) -> CTVolume:
    """The CT in a NIfTI file or a folder of DICOM."""
    if not source.is_dir():
        return read_ct(source)
    from liverspleen.imaging.dicom import find_series, read_series

    found = find_series(source, minimum_slices=1)
    taken = [series for series in found if not series.exclusions]
    if len(taken) != 1:
        reasons = sorted({str(reason) for series in found for reason in series.exclusions})
        message = f"{len(taken)} CT series in this folder, expected one" + (
            f" ({'; '.join(reasons[:3])})" if reasons else ""
        )
        raise InputError(
            Issue("LS-PRD-013", message, "give the folder of one series, or use liverspleen predict", file=source)
        )
    return read_series(taken[0], case_id="")
