"""A loaded model made ready for speed."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import nn

from liverspleen.inference.model import TrainedModel
from liverspleen.networks.folding import fold_batch_norms


def folded(model: TrainedModel) -> TrainedModel:
    """The model with the batch norms of its network in its convolutions, and weights in the order that they read fast.

    The network is changed in place: it is then good for prediction only, and gives the same logits but for rounding. A
    network that is no module of torch is left.
    """
    if not isinstance(model.network, nn.Module):
        return model
    fold_batch_norms(model.network, slices=model.slices, stride=model.stride)
    in_3d = any(weight.dim() == 5 for weight in model.network.parameters())
    order = torch.channels_last_3d if in_3d else torch.channels_last
    return replace(model, network=model.network.to(memory_format=order))
