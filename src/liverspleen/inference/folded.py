"""Optimisation of a loaded model for prediction."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import nn

from liverspleen.inference.model import TrainedModel
from liverspleen.networks.folding import fold_batch_norms


def folded(model: TrainedModel) -> TrainedModel:
    """Return the model with the batch norms folded into the convolutions and weights in channels-last memory format.

    The network is changed in place. It can then be used only for prediction, and gives the same logits except for
    rounding. A network that is not a torch module is not changed.
    """
    if not isinstance(model.network, nn.Module):
        return model
    fold_batch_norms(model.network, slices=model.slices, stride=model.stride)
    in_3d = any(weight.dim() == 5 for weight in model.network.parameters())
    order = torch.channels_last_3d if in_3d else torch.channels_last
    return replace(model, network=model.network.to(memory_format=order))
