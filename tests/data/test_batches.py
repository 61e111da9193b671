"""Batches for the trainer."""

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from liverspleen.data.cache import CachedCase
from liverspleen.data.module import SliceDataModule


class EmptyCase(CachedCase):
    """A case of four slices of background."""

    slices = property(lambda self: np.zeros(self.shape, np.int16))  # type: ignore[assignment]
    labels = property(lambda self: np.zeros(self.shape, np.uint8))  # type: ignore[assignment]

    def __init__(self, name: str) -> None:
        super().__init__(name, name, Path(), (4, 16, 16), name)


@pytest.mark.parametrize("kind", ["cpu", "cuda"])
def test_batches_for_a_gpu_are_in_pinned_memory(kind: str) -> None:
    one, other = EmptyCase("a"), EmptyCase("b")
    data = SliceDataModule([one], [other], slices=3, stride=16, batch_size=2, steps=2, seed=0, workers=0)
    strategy = SimpleNamespace(root_device=torch.device(kind))
    data.trainer = SimpleNamespace(global_rank=0, strategy=strategy)  # type: ignore[assignment]
    loaders = (data.train_dataloader(), data.val_dataloader())
    assert [loader.pin_memory for loader in loaders] == [kind == "cuda"] * 2  # type: ignore[union-attr]
