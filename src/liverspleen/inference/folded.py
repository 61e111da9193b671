"""Optimisation of a loaded model for prediction."""

from __future__ import annotations

from dataclasses import replace
from typing import TypeVar

import torch
from torch import nn

from liverspleen.inference.ensemble import Ensemble, Model
from liverspleen.networks.folding import fold_batch_norms

ModelT = TypeVar("ModelT", bound=Model)


def folded(model: ModelT) -> ModelT:
    """Return the model with the batch norms folded into the convolutions and weights in channels-last memory format.

    Of an ensemble, every member is changed so.
    The network is changed in place. It can then be used only for prediction, and gives the same logits except for
    rounding. A network that is not a torch module is not changed.
    """
    if isinstance(model, Ensemble):
        return replace(model, members=tuple(folded(member) for member in model.members))
    if not isinstance(model.network, nn.Module):
        return model
    fold_batch_norms(model.network, slices=model.slices, stride=model.stride)
    in_3d = any(weight.dim() == 5 for weight in model.network.parameters())
    order = torch.channels_last_3d if in_3d else torch.channels_last
    return replace(model, network=model.network.to(memory_format=order))
