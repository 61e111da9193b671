"""A CT volume to a label map on its own grid: sections stream through the network, only labels come back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter

import numpy as np
import torch
from torch import Tensor

from liverspleen.data.sections import native_classes
from liverspleen.errors import Fault, Refused
from liverspleen.evaluation.overlap import Overlap, overlaps
from liverspleen.imaging.dicom import find_series, read_series
from liverspleen.imaging.nifti import read_ct
from liverspleen.imaging.volume import CTVolume, LabelMap
from liverspleen.inference.folded import folded
from liverspleen.inference.model import TrainedModel, load_model
from liverspleen.inference.ring import SectionRing
from liverspleen.inference.transfers import Downloaded, Downloads
from liverspleen.processes import has_bf16_instructions
from liverspleen.structures import ORGANS, Structure

PRECISIONS = ("auto", "fp32", "bf16")

_BATCH = {"cpu": 1, "cuda": 8}  # two CPU cores are as fast with one section as with more, in less memory


@dataclass(frozen=True)
class Segmented:
    """A label map, and how it was made.

    `flip_dss` is the DSS of each organ between the label map of sections in reversed order and that of sections in
    order: None for an organ that is in neither, and as a whole without flips or for a model of single sections.
    `precision` is `fp32` or `bf16`; `seconds` are those of network and driver.
    """

    label_map: LabelMap
    flip_dss: Mapping[Structure, float | None] | None
    seconds: float
    precision: str


def segment(
    ct: CTVolume | Path | str,
    model: TrainedModel | Path | str,
    *,
    batch_size: int | None = None,
    precision: str = "auto",
    flips: bool = False,
) -> LabelMap:
    """Segment liver and spleen on a CT: its label map, on its own grid.

    Args:
        ct: a volume, a NIfTI file, or a folder with one CT series of DICOM below it.
        model: a loaded model; or a checkpoint or bundle, which is loaded to a GPU if there is one.
        batch_size: sections at a time; None: 1 on a CPU, 8 on a GPU.
        precision: `fp32`, `bf16`, or `auto`: bf16 on a GPU that has it, fp32 elsewhere.
        flips: whether the mean is taken of sections in order and in reversed order, in twice the time.

    Raises:
        Refused: CT or model cannot be read; LS-PRD-010 to 012 (`segment_volume`), LS-PRD-013 not one CT series.
    """
    volume = ct if isinstance(ct, CTVolume) else _read(Path(ct))
    if not isinstance(model, TrainedModel):
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
    """Segment every section with its neighbours; edge sections stand in for missing neighbours, as in training.

    Sections are brought to the model's pixel size and scaled as in training, each once; logits are brought back to the
    CT's. Memory beyond CT and label map is that of one batch, whatever the number of sections. With `flips` classes are
    those of the mean softmax of both orders of the sections.

    Raises:
        Refused: LS-PRD-010 a batch size or precision that there is not, LS-PRD-011 bf16 without instructions for it or
            with another engine than torch, LS-PRD-012 the network gives what is no number.
    """
    began = perf_counter()
    if batch_size is not None and batch_size < 1:
        raise Refused(Fault("LS-PRD-010", f"batch_size={batch_size}", "use 1 or more"))
    chosen = _precision(precision, model)
    size = min(batch_size or _BATCH.get(model.device.type, 8), ct.hu.shape[0])
    found = _Labels(ct, count_flips=flips and model.sections > 1)
    autocast = torch.autocast(model.device.type, torch.bfloat16, enabled=chosen == "bf16")  # weights are cast once
    with torch.inference_mode(), autocast:
        ring, downloads = SectionRing(ct, model, batch_size=size), Downloads(model.device)
        highest = torch.zeros((), device=model.device)
        for start in range(0, len(ct.hu), size):
            stacks = ring.stacks(start, min(start + size, len(ct.hu)))
            logits = _logits(model, stacks, flips=found.count_flips)
            highest = torch.maximum(highest, torch.stack([part.amax() for part in logits]).amax().float())
            classes = [native_classes(part, ring.matrix, ct.hu.shape[1:]) for part in logits]
            downloads.send(start, torch.stack(classes))
            found.take(*downloads.arrived())
        found.take(*downloads.arrived(all_of_them=True))
        if not highest.isfinite():  # a maximum hands NaN on
            what = f"the network's logits are not finite numbers ({chosen}, {model.engine})"
            raise Refused(Fault("LS-PRD-012", what, "check the model's weights, or use precision=fp32"))
    flip_dss = {organ: overlap.dss for organ, overlap in found.overlaps.items()} if found.count_flips else None
    return Segmented(LabelMap(found.labels, ct.geometry), flip_dss, perf_counter() - began, chosen)


def _logits(model: TrainedModel, stacks: Tensor, *, flips: bool) -> list[Tensor]:
    """Logits (B, 3, H, W) whose classes count; with flips then those of both orders, of which they are the mean.

    The mean of softmax is given as its logarithm: where both orders agree, it is interpolated as logits are.
    Left and right are not swapped: a network that knows the liver's side finds no liver on the other.
    """
    plain = model.network(stacks)
    if not flips:
        return [plain]
    reversed_ = model.network(stacks.flip(1))
    both = torch.logaddexp(plain.float().log_softmax(1), reversed_.float().log_softmax(1))
    return [both, plain, reversed_]


class _Labels:
    """Labels of a CT as they arrive, and the overlap of both orders of the sections."""

    def __init__(self, ct: CTVolume, *, count_flips: bool) -> None:
        self.labels = np.empty(ct.hu.shape, np.uint8)
        self.count_flips = count_flips
        self.overlaps = dict.fromkeys(ORGANS, Overlap(0, 0, 0))

    def take(self, *arrived: Downloaded) -> None:
        """Put sections in their place."""
        for start, kinds in arrived:
            self.labels[start : start + kinds.shape[1]] = kinds[0]
            if self.count_flips:
                for organ, overlap in overlaps(kinds[2], kinds[1]).items():
                    self.overlaps[organ] += overlap


def _precision(asked: str, model: TrainedModel) -> str:
    """`fp32` or `bf16`."""
    if asked not in PRECISIONS:
        raise Refused(Fault("LS-PRD-010", f"precision={asked}", f"use one of {', '.join(PRECISIONS)}"))
    if asked == "fp32" or model.engine != "torch":
        if asked == "bf16":
            what = f"precision=bf16, but the engine {model.engine} computes in fp32"
            raise Refused(Fault("LS-PRD-011", what, "use precision=auto, or engine=torch"))
        return "fp32"
    cuda = model.device.type == "cuda"
    able = torch.cuda.is_bf16_supported(including_emulation=False) if cuda else has_bf16_instructions()
    if asked == "bf16" and not able:
        raise Refused(Fault("LS-PRD-011", f"precision=bf16, but {model.device.type} has no bfloat16", "use fp32"))
    return "bf16" if able and (cuda or asked == "bf16") else "fp32"


def _read(source: Path) -> CTVolume:
    """The CT in a NIfTI file or a folder of DICOM."""
    if not source.is_dir():
        return read_ct(source)
    found = find_series(source, minimum_sections=1)
    taken = [series for series in found if not series.left]
    if len(taken) != 1:
        reasons = sorted({str(left) for series in found for left in series.left})
        what = f"{len(taken)} CT series in this folder, expected one" + (
            f" ({'; '.join(reasons[:3])})" if reasons else ""
        )
        raise Refused(
            Fault("LS-PRD-013", what, "give the folder of one series, or use liverspleen predict", file=source)
        )
    return read_series(taken[0], case_id="")
