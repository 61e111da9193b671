"""The Lightning module: one training step, and validation as DSS per case in 3D."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from statistics import fmean
from time import perf_counter
from typing import Any, NamedTuple

import pytorch_lightning as pl
import torch
from torch import Tensor, distributed, nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

from liverspleen.data.augmentation import Augmentation, draw_seed
from liverspleen.data.slices import SliceStack, native_classes
from liverspleen.data.window import IntensityWindow
from liverspleen.evaluation.metrics.overlap import Overlap, overlaps
from liverspleen.networks.checkpoint import PACKAGE_KEY, WEIGHTS_PREFIX
from liverspleen.organs import ORGANS, Structure
from liverspleen.training.averaging import AveragedWeights
from liverspleen.training.ranks import gathered, mean
from liverspleen.training.resumption import replan

_TRAINED = "trained_state_dict"  # beside the averaged weights, which stand where prediction looks


class StepPart(NamedTuple):
    """What a batch brought to the step under way: its loss, its cases and slices."""

    loss: Tensor
    case: Tensor
    slice_index: Tensor


class SegmentationModule(pl.LightningModule):
    """Trains a network on 2.5D slices.

    Args:
        network: (B, slices, H, W) scaled intensities to (B, 3, H, W) logits.
        loss: (logits, labels, labelled) to a scalar.
        window: HU to intensities, on the training device.
        seed: of augmentation and dropout; with it and the step all draws are fixed, also after an interruption.
        optimizer: parameters to optimizer.
        description: plain values kept in every checkpoint under `liverspleen` (see `model_description`).
        augmentation: of intensities and labels, on the training device; None for none.
        scheduler: optimizer to scheduler, stepped every step; None for a constant rate.
        ema_decay: of the moving average of the weights, which is then what is validated and predicted with; None for
            none.
    """

    def __init__(
        self,
        network: nn.Module,
        *,
        loss: nn.Module,
        window: IntensityWindow,
        seed: int,
        optimizer: Callable[[Any], Optimizer],
        description: Mapping[str, Any],
        augmentation: Augmentation | None = None,
        scheduler: Callable[[Optimizer], LRScheduler] | None = None,
        ema_decay: float | None = None,
    ) -> None:
        super().__init__()
        self.network, self.loss, self.window = network, loss, window
        self.augmentation, self.seed = augmentation or Augmentation(), seed
        self._optimizer, self._scheduler = optimizer, scheduler
        self.description = dict(description)
        self.average = None if ema_decay is None else AveragedWeights(network, decay=ema_decay)
        self.parts: list[StepPart] = []
        """of the step under way, one for each batch that is accumulated"""
        self._counts: dict[tuple[int, Structure], Overlap] = {}
        self.case_overlaps: dict[tuple[int, Structure], Overlap] = {}
        """Counts of the last validation, prediction first, by index of the case and organ that is labelled in it."""
        self.seconds_per_slice: list[float] = []
        """Of the network in each batch of the last validation on this rank, up to the classes on the CT's own grid."""

    @property
    def judged(self) -> nn.Module:
        """The network that is validated and predicted with."""
        return self.network if self.average is None else self.average.network

    def on_fit_start(self) -> None:
        """The average is no part of the module that Lightning moves."""
        if self.average is not None:
            self.average.network.to(self.device)

    def training_step(self, batch: SliceStack, index: int) -> Tensor:
        """Loss of one batch."""
        part = index % self.trainer.accumulate_grad_batches * self.trainer.world_size + self.global_rank
        draw = draw_seed(self.seed, self.global_step, part)
        torch.manual_seed(draw ^ 1)  # dropout: no state to keep, and validation cannot shift it
        slices, labels = self.augmentation(self.window(batch.slices), batch.labels, seed=draw)
        loss: Tensor = self.loss(self.network(slices), labels, batch.labelled)
        self.parts.append(StepPart(loss.detach(), batch.case, batch.slice_index))
        self.log("train/loss", mean(loss.detach()), prog_bar=True)
        return loss

    def on_train_batch_end(self, outputs: Any, batch: SliceStack, index: int) -> None:
        """After the last batch of a step the average follows."""
        if self.average is not None and (index + 1) % self.trainer.accumulate_grad_batches == 0:
            self.average.update(self.network, step=self.global_step)

    def on_validation_epoch_start(self) -> None:
        """Forget the counts of the last validation; all ranks judge with the statistics of the first one."""
        self._counts, self.seconds_per_slice = {}, []
        if self.trainer.world_size > 1:
            for statistic in self.judged.buffers():
                distributed.broadcast(statistic, 0)

    def validation_step(self, batch: SliceStack, _: int) -> None:
        """Add the batch's voxels to the counts of its case; a rank without cases has one batch without samples."""
        if not len(batch.case):
            return
        # a validation batch never spans two cases, and its labels are on the CT's own grid
        clock = perf_counter()
        logits, matrix = self.judged(self.window(batch.slices)), batch.matrix[0].tolist()
        predicted = native_classes(logits, matrix, batch.labels.shape[-2:]).cpu().numpy()
        self.seconds_per_slice.append((perf_counter() - clock) / len(batch.case))
        labels = batch.labels.cpu().numpy()
        case = int(batch.case[0])
        found = overlaps(predicted, labels)
        for organ in (organ for organ, known in zip(ORGANS, batch.labelled[0].tolist(), strict=True) if known):
            self._counts[case, organ] = self._counts.get((case, organ), Overlap(0, 0, 0)) + found[organ]

    def on_validation_epoch_end(self) -> None:
        """Log the mean over cases for each organ, and their mean as `val/dss`; an undefined DSS is left out."""
        total: dict[tuple[int, Structure], Overlap] = {}
        for counts in gathered(self._counts):  # of each rank; whole numbers, so their order does not matter
            for key, count in counts.items():
                total[key] = total.get(key, Overlap(0, 0, 0)) + count
        self.case_overlaps = dict(sorted(total.items()))
        means: list[float] = []
        for organ in ORGANS:
            scores = [count.dss for (_, one), count in self.case_overlaps.items() if one == organ]
            if defined := [dss for dss in scores if dss is not None]:
                means.append(fmean(defined))
                self.log(f"val/dss_{organ.key}", means[-1], prog_bar=True)
        self.log("val/dss", fmean(means) if means else 0.0)

    def configure_optimizers(self) -> Any:
        """Optimizer and, if there is one, a scheduler that steps with it."""
        optimizer = self._optimizer(self.network.parameters())
        if self._scheduler is None:
            return optimizer
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": self._scheduler(optimizer), "interval": "step"}}

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Put beside the weights what prediction needs, and the averaged weights in their place.

        Lightning's own place in its loops is left out: a training goes on as one that begins at that step.
        """
        checkpoint[PACKAGE_KEY] = self.description
        checkpoint.pop("loops", None)
        if self.average is not None:
            checkpoint[_TRAINED] = checkpoint["state_dict"]
            checkpoint["state_dict"] = {**checkpoint["state_dict"], **self.average.state_dict(WEIGHTS_PREFIX)}

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Take the average out of the place of the trained weights; a schedule takes the length asked for now."""
        if self.average is not None:
            own = {name: value for name, value in checkpoint["state_dict"].items() if name.startswith(WEIGHTS_PREFIX)}
            self.average.network.load_state_dict({n.removeprefix(WEIGHTS_PREFIX): v for n, v in own.items()})
            checkpoint["state_dict"] = checkpoint.pop(_TRAINED)
        replan(checkpoint, self.trainer.max_steps)
