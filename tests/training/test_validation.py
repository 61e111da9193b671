"""Validation counts of a network with known output."""

from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from liverspleen.data.augmentation import Augmentation
from liverspleen.data.slices import SliceStack
from liverspleen.data.window import IntensityWindow
from liverspleen.organs import Structure
from liverspleen.training.losses import SegmentationLoss
from liverspleen.training.module import SegmentationModule


class LiverEverywhere(nn.Module):
    def forward(self, slices: Tensor) -> Tensor:
        logits = torch.zeros(len(slices), 3, *slices.shape[-2:])
        logits[:, Structure.LIVER] = 1.0
        return logits


def validating() -> Any:
    """A module for validation without a training."""
    module = SegmentationModule(
        LiverEverywhere(),
        loss=SegmentationLoss([]),
        window=IntensityWindow(-100.0, 100.0, clip=True),
        augmentation=Augmentation(),
        seed=0,
        optimizer=torch.optim.AdamW,
        scheduler=None,
        description={},
    )
    module.trainer = SimpleNamespace(world_size=1)  # type: ignore[assignment]
    return module


def test_padding_to_the_output_stride_does_not_count(monkeypatch: pytest.MonkeyPatch) -> None:
    module = validating()
    logged: dict[str, float] = {}
    monkeypatch.setattr(module, "log", lambda name, value, **_: logged.update({name: value}))
    labels = torch.full((2, 5, 6), Structure.LIVER, dtype=torch.uint8)
    place, matrix = torch.tensor([0, 1]), torch.tensor([[5, 6], [5, 6]])
    slices = torch.zeros(2, 3, 16, 16, dtype=torch.int16)
    batch = SliceStack(slices, labels, torch.zeros_like(place), place, torch.ones(2, 2) > 0, matrix)
    module.on_validation_epoch_start()
    module.validation_step(batch, 0)
    module.on_validation_epoch_end()
    dss = {key: count.dss for key, count in module.case_overlaps.items()}
    assert dss == {(0, Structure.LIVER): 1.0, (0, Structure.SPLEEN): None}
    assert logged == {"val/dss_liver": 1.0, "val/dss": 1.0}
