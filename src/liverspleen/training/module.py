"""The Lightning module: one training step, and validation as DSS per case in 3D."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping
from statistics import fmean
from typing import Any

import pytorch_lightning as pl
import torch
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

from liverspleen.data.augmentation import Augmentation, draw_seed
from liverspleen.data.sections import SliceStack
from liverspleen.data.window import IntensityWindow
from liverspleen.evaluation.overlap import Overlap, overlaps
from liverspleen.networks.checkpoint import BUNDLE_KEY
from liverspleen.structures import ORGANS, Structure


class SegmentationModule(pl.LightningModule):
    """Trains a network on 2.5D slices.

    Args:
        network: (B, sections, H, W) scaled intensities to (B, 3, H, W) logits.
        loss: (logits, labels, labelled) to a scalar.
        window: HU to intensities, on the training device.
        augmentation: of intensities and labels, on the training device.
        seed: of the augmentation; with it and the step its draws are fixed, also after an interruption.
        optimizer: parameters to optimizer.
        scheduler: optimizer to scheduler, stepped every step; None for a constant rate.
        bundle: plain values kept in every checkpoint under `liverspleen`.
    """

    def __init__(
        self,
        network: nn.Module,
        *,
        loss: nn.Module,
        window: IntensityWindow,
        augmentation: Augmentation,
        seed: int,
        optimizer: Callable[[Any], Optimizer],
        scheduler: Callable[[Optimizer], LRScheduler] | None,
        bundle: Mapping[str, Any],
    ) -> None:
        super().__init__()
        self.network, self.loss, self.window = network, loss, window
        self.augmentation, self.seed = augmentation, seed
        self._optimizer, self._scheduler = optimizer, scheduler
        self.bundle = dict(bundle)
        self._counts: dict[tuple[int, Structure], Overlap] = {}
        self.case_dss: dict[int, dict[str, float | None]] = {}
        """DSS of the last validation by index of the case; None where an organ is neither predicted nor there."""

    def training_step(self, batch: SliceStack, _: int) -> Tensor:
        """Loss of one batch."""
        draw = draw_seed(self.seed, self.global_step, self.global_rank)
        sections, labels = self.augmentation(self.window(batch.sections), batch.labels, seed=draw)
        loss: Tensor = self.loss(self.network(sections), labels, batch.labelled)
        self.log("train/loss", loss, prog_bar=True)
        return loss

    def on_validation_epoch_start(self) -> None:
        """Forget the counts of the last validation."""
        self._counts = {}

    def validation_step(self, batch: SliceStack, _: int) -> None:
        """Add the batch's voxels to the counts of its case."""
        predicted = self.network(self.window(batch.sections)).argmax(1).to(torch.uint8).cpu().numpy()
        labels = batch.labels.cpu().numpy()
        case = int(batch.case[0])  # a validation batch never spans two cases
        found = overlaps(predicted, labels)
        for organ in (organ for organ, known in zip(ORGANS, batch.labelled[0].tolist(), strict=True) if known):
            self._counts[case, organ] = self._counts.get((case, organ), Overlap(0, 0, 0)) + found[organ]

    def on_validation_epoch_end(self) -> None:
        """Log the mean over cases for each organ, and their mean as `val/dss`; an undefined DSS is left out."""
        self.case_dss = defaultdict(dict)
        for (case, organ), counts in sorted(self._counts.items()):
            self.case_dss[case][organ.key] = counts.dss
        means: list[float] = []
        for organ in ORGANS:
            defined = [row[organ.key] for row in self.case_dss.values() if row.get(organ.key) is not None]
            if defined:
                means.append(fmean(defined))  # type: ignore[arg-type]
                self.log(f"val/dss_{organ.key}", means[-1], prog_bar=True)
        self.log("val/dss", fmean(means) if means else 0.0)

    def configure_optimizers(self) -> Any:
        """Optimizer and, if there is one, a scheduler that steps with it."""
        optimizer = self._optimizer(self.network.parameters())
        if self._scheduler is None:
            return optimizer
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": self._scheduler(optimizer), "interval": "step"}}

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Put beside the weights what prediction needs."""
        checkpoint[BUNDLE_KEY] = self.bundle
