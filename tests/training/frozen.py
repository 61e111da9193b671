"""`liverspleen` with frozen batch statistics, and a copy of the first step's gradients.

What is validated is no network but a threshold, which finds about half of each organ of a box cohort.

Ranks are started from `sys.argv`, so each of them runs this file too.
"""

import os
import sys
from pathlib import Path

import torch
from torch import Tensor, nn

from liverspleen.cli.main import main
from liverspleen.training.module import SegmentationModule


class Threshold(nn.Module):
    """Organs by thresholds of the middle slice at the means of the boxes."""

    def forward(self, slices: Tensor) -> Tensor:
        middle = slices[:, 1]
        liver, spleen = ((middle > (hu + 150) / 400).float() for hu in (110, 180))
        return torch.stack([torch.full_like(middle, 0.5), liver, 2 * spleen], 1)


if __name__ == "__main__":
    torch.set_num_threads(1)

    def freeze(self: SegmentationModule) -> None:
        for layer in self.network.modules():
            if isinstance(layer, nn.BatchNorm2d):
                layer.eval()

    def keep(self: SegmentationModule, _: object) -> None:
        if self.global_step == 0 and self.trainer.is_global_zero:
            gradients = {name: p.grad for name, p in self.network.named_parameters()}
            torch.save(gradients, Path(os.environ["GRADIENTS"]))

    def die(self: SegmentationModule) -> None:
        freeze(self)
        if os.environ.get("DIE") == str(self.global_rank):
            Path(os.environ["GRADIENTS"]).touch()  # when it died
            os.kill(os.getpid(), 9)

    SegmentationModule.prediction_network = property(lambda _: Threshold())  # type: ignore[assignment]
    SegmentationModule.on_train_start = die  # type: ignore[method-assign]
    SegmentationModule.on_before_optimizer_step = keep  # type: ignore[method-assign]
    sys.exit(main(sys.argv[1:]))
