"""Images of validation slices with the outlines of reference and prediction, for loggers that take images."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import pytorch_lightning as pl
from numpy.typing import NDArray
from pytorch_lightning.utilities import rank_zero_only
from torch import Tensor
from torch.nn import functional

from liverspleen.data.slices import SliceStack
from liverspleen.organs import ORGANS
from liverspleen.training.side_logger import SideLogger

# Okabe and Ito 2008, for any colour vision
REFERENCE: Final = (0, 158, 115)  # green
PREDICTION: Final = (213, 94, 0)  # orange
BOTH: Final = (240, 228, 66)  # yellow
"""Colours of the outlines, RGB."""

_WINDOW_HU: Final = (-110, 190)  # soft tissue: centre 40, width 300, as in the report's Figure 3
_LARGEST: Final = 512  # pixels per side


@dataclass(frozen=True, eq=False)
class _Slice:
    """Slice of a case: HU, reference and prediction, with the area of the reference in pixels."""

    area: int
    hu: Tensor
    reference: NDArray[np.uint8]
    prediction: NDArray[np.uint8]


class Overlays(pl.Callback):
    """Logs an image of each of the first validation cases after every validation, to all `SideLogger`s.

    An image shows the slice with the largest reference area of the case. Its name is the position of the case on the
    validation side, counted from 1; case ids may be private. With several ranks, the cases of the first rank are shown.

    Args:
        count: number of cases.
    """

    def __init__(self, count: int) -> None:
        self.count = count
        self._slices: dict[int, _Slice] = {}

    def on_validation_start(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        """Forget the slices of the last validation."""
        self._slices = {}

    @rank_zero_only
    def on_validation_batch_end(
        self, trainer: pl.Trainer, module: pl.LightningModule, outputs: Any, batch: SliceStack, *_: Any
    ) -> None:
        """Keep the slice with the largest reference area; `outputs` are the predicted label values of the batch."""
        if outputs is None or (case := int(batch.case[0])) >= self.count:
            return
        reference = batch.labels.cpu().numpy()
        areas = np.count_nonzero(reference, axis=(1, 2))
        index = int(areas.argmax())
        if case in self._slices and areas[index] <= self._slices[case].area:
            return
        rows, columns = batch.matrix[index].tolist()
        middle = batch.slices[index, batch.slices.shape[1] // 2, :rows, :columns]
        known = [organ for organ, labelled in zip(ORGANS, batch.labelled[index].tolist(), strict=True) if labelled]
        prediction = np.where(np.isin(outputs[index], known), outputs[index], np.uint8(0))
        self._slices[case] = _Slice(int(areas[index]), middle.cpu(), reference[index].copy(), prediction)

    @rank_zero_only
    def on_validation_end(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        """Log the images."""
        loggers = [logger for logger in trainer.loggers if isinstance(logger, SideLogger)]
        for case, one in sorted(self._slices.items()):
            picture = overlay(one.hu, one.reference, one.prediction)
            for logger in loggers:
                logger.log_image(f"validation/{case + 1}", picture, trainer.global_step - 1)  # as of the metrics


def overlay(hu: Tensor, reference: NDArray[np.uint8], prediction: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return an RGB image (row, column, 3) of a slice with outlines: green reference, orange prediction, yellow both.

    `hu` has the field of view of the label maps, and is interpolated to their matrix. Of a matrix above 512 pixels each
    second (third, ...) pixel is shown.
    """
    step = -(-max(reference.shape) // _LARGEST)
    fitted = functional.interpolate(hu.float()[None, None], reference.shape, mode="bilinear", antialias=True)[0, 0]
    low, high = _WINDOW_HU
    grey = fitted[::step, ::step].sub(low).mul(255 / (high - low)).clamp(0, 255).round().byte().numpy()
    picture = np.repeat(grey[:, :, None], 3, axis=2)
    outlines = [_outline(labels[::step, ::step]) for labels in (reference, prediction)]
    picture[outlines[0]], picture[outlines[1]] = REFERENCE, PREDICTION
    picture[outlines[0] & outlines[1]] = BOTH
    return picture


def _outline(labels: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """Return the pixels of structures with one of their four neighbours in another structure or beyond the image."""
    wide = np.pad(labels, 1)
    around = (wide[:-2, 1:-1], wide[2:, 1:-1], wide[1:-1, :-2], wide[1:-1, 2:])
    inside: NDArray[np.bool_] = np.logical_and.reduce([labels == one for one in around])
    return (labels > 0) & ~inside
