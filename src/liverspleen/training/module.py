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
from liverspleen.errors import InputError, Issue, counted
from liverspleen.evaluation.metrics.overlap import Overlap, overlaps
from liverspleen.networks.checkpoint import PACKAGE_KEY, WEIGHTS_PREFIX
from liverspleen.organs import ORGANS, Structure
from liverspleen.training.averaging import AveragedWeights
from liverspleen.training.ranks import gathered, mean
from liverspleen.training.resumption import replan

_TRAINED = "trained_state_dict"  # the averaged weights are in "state_dict", which prediction reads


class StepPart(NamedTuple):
    """Contribution of a batch to the current step: its loss, cases and slices."""

    loss: Tensor
    case: Tensor
    slice_index: Tensor


class SegmentationModule(pl.LightningModule):
    """Trains a network on 2.5D slices.

    Args:
        network: maps scaled intensities (B, slices, H, W) to logits (B, 3, H, W).
        loss: maps logits, labels and labelled structures to a scalar.
        window: maps HU to intensities, on the training device.
        seed: seed of augmentation and dropout; seed and step determine all random numbers, also in a resumed training.
        optimizer: returns the optimizer of the parameters.
        description: plain values, saved in every checkpoint under `liverspleen` (see `model_description`).
        augmentation: augmentation of intensities and labels, on the training device; None: no augmentation.
        scheduler: returns the scheduler of the optimizer, updated every step; None: constant rate.
        ema_decay: decay of the moving average of the weights, which is then used for validation and prediction; None:
            no average.
        frozen_steps: number of first steps in which the encoder of the network keeps its weights and statistics.
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
        frozen_steps: float = 0,
    ) -> None:
        super().__init__()
        self.network, self.loss, self.window = network, loss, window
        self.augmentation, self.seed = augmentation or Augmentation(), seed
        self._optimizer, self._scheduler = optimizer, scheduler
        self.description, self.frozen_steps = dict(description), frozen_steps
        self.average = None if ema_decay is None else AveragedWeights(network, decay=ema_decay)
        self.parts: list[StepPart] = []
        """Parts of the current step, one for each accumulated batch."""
        self._counts: dict[tuple[int, Structure], Overlap] = {}
        self.case_overlaps: dict[tuple[int, Structure], Overlap] = {}
        """Counts of the last validation, prediction first, by index of the case and labelled organ."""
        self.seconds_per_slice: list[float] = []
        """Time per slice of each batch of the last validation on this rank, from intensities to native classes."""

    @property
    def prediction_network(self) -> nn.Module:
        """The network for validation and prediction."""
        return self.network if self.average is None else self.average.network

    def on_fit_start(self) -> None:
        """Move the average to the device; Lightning moves only the trained network."""
        if self.average is not None:
            self.average.network.to(self.device)

    @property
    def is_frozen(self) -> bool:
        """Whether the encoder is frozen in this step."""
        return self.global_step < self.frozen_steps

    def on_train_batch_start(self, batch: SliceStack, index: int) -> None:
        """Freeze the encoder in the first steps, and train it afterwards."""
        if self.global_step <= self.frozen_steps and self.frozen_steps:
            encoder: Any = self.network.encoder
            encoder.train(not self.is_frozen)  # statistics and dropout
            if self.trainer.world_size == 1:  # several ranks expect all gradients
                encoder.requires_grad_(not self.is_frozen)

    def on_after_backward(self) -> None:
        """Remove the gradients of a frozen encoder; the optimizer skips weights without gradient."""
        if self.is_frozen:
            encoder: Any = self.network.encoder
            for parameter in encoder.parameters():
                parameter.grad = None

    def training_step(self, batch: SliceStack, index: int) -> Tensor:
        """Return the loss of one batch."""
        part = index % self.trainer.accumulate_grad_batches * self.trainer.world_size + self.global_rank
        draw = draw_seed(self.seed, self.global_step, part)
        torch.manual_seed(draw ^ 1)  # dropout does not depend on earlier steps or validations
        slices, labels = self.augmentation(self.window(batch.slices), batch.labels, seed=draw)
        loss: Tensor = self.loss(self.network(slices), labels, batch.labelled)
        self.parts.append(StepPart(loss.detach(), batch.case, batch.slice_index))
        self.log("train/loss", mean(loss.detach()), prog_bar=True)
        return loss

    def on_train_batch_end(self, outputs: Any, batch: SliceStack, index: int) -> None:
        """Update the average after the last batch of a step."""
        if self.average is not None and (index + 1) % self.trainer.accumulate_grad_batches == 0:
            self.average.update(self.network, step=self.global_step)

    def on_validation_epoch_start(self) -> None:
        """Clear the counts of the last validation; all ranks use the batch statistics of the first rank."""
        self._counts, self.seconds_per_slice = {}, []
        if self.trainer.world_size > 1:
            for statistic in self.prediction_network.buffers():
                distributed.broadcast(statistic, 0)

    def validation_step(self, batch: SliceStack, _: int) -> Any:
        """Add the voxels of a batch to the counts of its case; return the predicted label values, for callbacks.

        A rank without cases has one empty batch, and returns None.
        """
        if not len(batch.case):
            return None
        # a validation batch has slices of one case, and its labels are on the CT's own grid
        clock = perf_counter()
        logits, matrix = self.prediction_network(self.window(batch.slices)), batch.matrix[0].tolist()
        predicted = native_classes(logits, matrix, batch.labels.shape[-2:]).cpu().numpy()
        self.seconds_per_slice.append((perf_counter() - clock) / len(batch.case))
        labels = batch.labels.cpu().numpy()
        case = int(batch.case[0])
        found = overlaps(predicted, labels)
        for organ in (organ for organ, known in zip(ORGANS, batch.labelled[0].tolist(), strict=True) if known):
            self._counts[case, organ] = self._counts.get((case, organ), Overlap(0, 0, 0)) + found[organ]
        return predicted

    def on_validation_epoch_end(self) -> None:
        """Log the mean DSS over cases for each organ, and their mean as `val/dss`; an undefined DSS is excluded."""
        total: dict[tuple[int, Structure], Overlap] = {}
        for counts in gathered(self._counts):  # of each rank; the sums of integers do not depend on the order
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
        """Return the optimizer and, if configured, a scheduler that is updated every step."""
        optimizer = self._optimizer(self.network.parameters())
        if self._scheduler is None:
            return optimizer
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": self._scheduler(optimizer), "interval": "step"}}

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Add the description for prediction, and replace the weights by the averaged ones.

        The state of Lightning's loops is not saved: a training resumes like one that starts at that step.
        """
        checkpoint[PACKAGE_KEY] = self.description
        checkpoint.pop("loops", None)
        if self.average is not None:
            checkpoint[_TRAINED] = checkpoint["state_dict"]
            checkpoint["state_dict"] = {**checkpoint["state_dict"], **self.average.state_dict(WEIGHTS_PREFIX)}

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Restore the average and the trained weights; adapt the schedule to the requested number of steps.

        Raises:
            InputError: LS-TRN-004 the network has other weights, as its code or a package was changed.
        """
        _reject_misfits(self.state_dict(), checkpoint["state_dict"])
        if self.average is not None:
            own = {name: value for name, value in checkpoint["state_dict"].items() if name.startswith(WEIGHTS_PREFIX)}
            self.average.network.load_state_dict({n.removeprefix(WEIGHTS_PREFIX): v for n, v in own.items()})
            checkpoint["state_dict"] = checkpoint.pop(_TRAINED)
        replan(checkpoint, self.trainer.max_steps)


def _reject_misfits(expected: Mapping[str, Tensor], recorded: Mapping[str, Tensor]) -> None:
    """Compare names, shapes and types of weights."""
    now, before = ({name: (w.shape, w.dtype) for name, w in weights.items()} for weights in (expected, recorded))
    if wrong := [name for name in {**now, **before} if now.get(name) != before.get(name)]:
        differing = f"{counted(len(wrong), 'tensor')} of the network, first {wrong[0]!r}"
        message = f"the checkpoint is of another network: {differing}"
        hint = "use the code of the network and the versions of its packages again, or choose another output="
        raise InputError(Issue("LS-TRN-004", message, hint))
