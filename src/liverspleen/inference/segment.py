"""Segmentation of one CT: a label map on the grid of the CT."""

from __future__ import annotations

import os
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Any, Literal, cast, overload

import numpy as np
from numpy.typing import ArrayLike, NDArray

from liverspleen.cohort.findings.ct import accept_ct
from liverspleen.errors import InputError, InputWarning, Issue, counted
from liverspleen.imaging.files import read_ct
from liverspleen.imaging.from_memory import CTLike, as_ct_volume
from liverspleen.imaging.volume import CTVolume, LabelMap
from liverspleen.inference.ensemble import Ensemble, Model, load_ensemble
from liverspleen.inference.model import TrainedModel
from liverspleen.organs import ORGANS, Structure
from liverspleen.storage import StrPath

if TYPE_CHECKING:
    from liverspleen.inference.streaming import Stored

MAX_PIXELS = 1 << 22
"""Largest slice in pixels, at the CT's or the model's pixel size: 2048 x 2048, the most of any CT scanner."""

MAX_SLICES = 1 << 14
"""Largest number of slices of a CT: eight metres of slices of 0.5 mm."""

# torch is imported inside the functions: importing this module, which is part of the public API, must be fast


@dataclass(frozen=True)
class Segmented:
    """A label map and information on its computation.

    The label map covers the organs that the model was taught, and has no voxel of another organ.
    `flip_dss` is the DSS of each organ between the label maps of the slices in reverse order and in order; None for an
    organ that is in neither. It is None as a whole without flips, or for a model with one input slice. `precision` is
    `fp32` or `bf16`; `seconds` is the time of network and resampling.

    `member_dss` is the DSS of each organ between the members of an ensemble, pooled over all pairs of them; None for an
    organ that no member finds, and as a whole for one model. `probabilities` (organ, slice, row, column) are those of
    `label_map.covered`, float32, or uint8 with 255 for 1. `volume_soft_cm3` is the sum of the probabilities of an organ
    times the volume of a voxel. Both are None unless they were asked for.
    """

    label_map: LabelMap
    flip_dss: Mapping[Structure, float | None] | None
    seconds: float
    precision: str
    member_dss: Mapping[Structure, float | None] | None = None
    probabilities: NDArray[Any] | None = None
    volume_soft_cm3: Mapping[Structure, float] | None = None


@overload
def segment(
    ct: CTLike | StrPath,
    model: Model | StrPath | Sequence[StrPath],
    *,
    affine: ArrayLike | None = None,
    batch_size: int | None = None,
    precision: str = "auto",
    flips: bool = False,
    probabilities: Literal[False] = False,
) -> LabelMap: ...


@overload
def segment(
    ct: CTLike | StrPath,
    model: Model | StrPath | Sequence[StrPath],
    *,
    affine: ArrayLike | None = None,
    batch_size: int | None = None,
    precision: str = "auto",
    flips: bool = False,
    probabilities: Literal[True],
) -> tuple[LabelMap, NDArray[np.float32]]: ...


def segment(
    ct: CTLike | StrPath,
    model: Model | StrPath | Sequence[StrPath],
    *,
    affine: ArrayLike | None = None,
    batch_size: int | None = None,
    precision: str = "auto",
    flips: bool = False,
    probabilities: bool = False,
) -> LabelMap | tuple[LabelMap, NDArray[np.float32]]:
    """Segment liver and spleen on a CT; return the label map on the grid of the CT, and probabilities if requested.

    `covered` of the result lists the organs that the model was taught; any other organ is unknown, not absent.
    The labels are in (slice, row, column) order; `to_native()` of the result returns them in the axis order of the
    input file, image or array. Warnings about the values of the CT are given as `InputWarning`.

    Args:
        ct: a NIfTI file, a folder with one DICOM CT series in it or below it, a `CTVolume`, a nibabel NIfTI image, or
            an array of HU.
        model: a loaded model or ensemble; or a checkpoint, model package, ensemble package or a list of models, which
            are loaded to a GPU if there is one; `phantom` is the shipped model.
        affine: 4 x 4 matrix from indices to mm, as nibabel's `image.affine`; required for an array, else not accepted.
        batch_size: slices per batch; None: 1 on a CPU, 8 on a GPU.
        precision: `fp32`, `bf16`, or `auto`: bf16 on a GPU that supports it, else fp32.
        flips: whether to average the predictions of the slices in order and in reverse order, which doubles the time.
        probabilities: whether to return `(label_map, maps)`: the probability of each organ of `label_map.covered` at
            each voxel, float32 (organ, slice, row, column). `label_map.geometry.to_native(maps[0])` has the axis order
            of the input.

    Raises:
        ValueError: an array without an affine, or an affine with another kind of input.
        InputError: CT or model cannot be read; the values of the CT are not HU (`judge_ct`); LS-PRD-010 to 012, 014 and
            015 (`segment_volume`), LS-PRD-013 not one CT series.
    """
    file = Path(ct) if isinstance(ct, str | os.PathLike) else None
    if file is not None:
        if affine is not None:
            raise ValueError("affine= is accepted only for an array, a file has its own affine")
        volume = _read(file)
    else:
        volume = as_ct_volume(cast(CTLike, ct), affine)
    for warning in accept_ct(volume, file=file):
        warnings.warn(str(warning), InputWarning, stacklevel=2)
    if not isinstance(model, TrainedModel | Ensemble):
        import torch

        from liverspleen.inference.folded import folded

        model = folded(load_ensemble(model, "cuda" if torch.cuda.is_available() else "cpu"))
    stored: Stored | None = "float32" if probabilities else None
    found = segment_volume(volume, model, batch_size=batch_size, precision=precision, flips=flips, probabilities=stored)
    return found.label_map if found.probabilities is None else (found.label_map, found.probabilities)


def segment_volume(
    ct: CTVolume,
    model: Model,
    *,
    batch_size: int | None = None,
    precision: str = "auto",
    flips: bool = False,
    probabilities: Stored | None = None,
) -> Segmented:
    """Segment every slice with its neighbours; missing neighbours are replaced by the edge slice, as in training.

    Slices are resampled to the model's pixel size and scaled as in training, each once; logits are resampled to the
    pixels of the CT. Apart from CT, label map and probabilities, memory is needed for one batch, for any number of
    slices. With `flips`, classes are those of the mean softmax of both orders of the slices; of an ensemble, those of
    the mean softmax of its members. Probabilities are the softmax of the resampled logits. They change no label.

    Raises:
        InputError: LS-PRD-010 batch size or precision not valid, LS-PRD-011 bf16 without hardware support or with
            another engine than torch, LS-PRD-012 the network output is NaN or inf, LS-PRD-014 more or larger slices
            than any CT has, LS-PRD-015 out of memory.
    """
    import torch

    from liverspleen.inference.streaming import chosen_precision, stream

    for member in model.members:
        _reject_beyond_ct(ct, member)
    start, used_precision = perf_counter(), chosen_precision(precision, model)
    try:
        found = stream(
            ct, model, batch_size=batch_size, precision=used_precision, flips=flips, probabilities=probabilities
        )
    except torch.OutOfMemoryError:
        raise InputError(out_of_memory(model.device.type)) from None
    for organ in ORGANS:
        if organ not in model.taught:
            found.labels[found.labels == organ] = Structure.BACKGROUND
    voxel_cm3 = ct.geometry.voxel_volume_mm3 / 1000.0
    soft = found.soft_voxels
    return Segmented(
        LabelMap(found.labels, ct.geometry, model.taught),
        None if found.flips is None else {organ: found.flips[organ].dss for organ in model.taught},
        perf_counter() - start,
        used_precision,
        member_dss=None if found.members is None else {organ: found.members[organ] for organ in model.taught},
        probabilities=found.probabilities,
        volume_soft_cm3=None if soft is None else {organ: voxels * voxel_cm3 for organ, voxels in soft.items()},
    )


def out_of_memory(where: str) -> Issue:
    """Return the issue LS-PRD-015 of a CT that does not fit into memory."""
    message = f"out of memory ({where}) for this CT"
    return Issue("LS-PRD-015", message, "check that it is a CT, use batch_size=1, or use a machine with more memory")


def _reject_beyond_ct(ct: CTVolume, model: TrainedModel) -> None:
    """Raise LS-PRD-014 for more or larger slices than any CT has, which would need unlimited memory or time."""
    from liverspleen.data.resampling import resampled_matrix

    count, *matrix = ct.hu.shape
    _, *pixel = ct.geometry.spacing_mm
    resampled = resampled_matrix((matrix[0], matrix[1]), (pixel[0], pixel[1]), model.pixel_mm)
    if count > MAX_SLICES or max(matrix[0] * matrix[1], resampled[0] * resampled[1]) > MAX_PIXELS:
        size = f"{counted(count, 'slice')} of {matrix[0]} x {matrix[1]} pixels"
        size += "" if model.pixel_mm is None else f" ({resampled[0]} x {resampled[1]} at the model's pixel size)"
        message = f"{size} are more than any CT has, expected at most {MAX_SLICES} slices of {MAX_PIXELS} pixels"
        raise InputError(Issue("LS-PRD-014", message, "check that it is a CT and that its spacing is in mm"))


def _read(source: Path) -> CTVolume:
    """Read the CT in a NIfTI file or a folder of DICOM; warnings about a series are Python warnings."""
    if not source.is_dir():
        return read_ct(source)
    from liverspleen.imaging.dicom import eligible, find_series, read_series

    found = find_series(source, minimum_slices=1)
    usable = eligible(found)
    if len(usable) != 1:
        reasons = sorted({str(reason) for series in found for reason in series.exclusions})
        message = f"{len(usable)} usable CT series in this folder, expected 1"
        message += f" ({'; '.join(reasons[:3])})" if reasons else ""
        hint = "give the folder of one series, or use liverspleen predict"
        raise InputError(Issue("LS-PRD-013", message, hint, file=source))
    for warning in usable[0].warnings:
        if warning.severity == "warning":
            warnings.warn(str(warning), InputWarning, stacklevel=4)
    return read_series(usable[0], case_id="")
