"""Encoders of timm with the features that DeepLabV3+ needs, and the weights of timm."""

from __future__ import annotations

from typing import Any

import timm
import torch
from timm.layers.norm_act import convert_sync_batchnorm
from torch import Tensor, nn

WITHOUT_EXIT_FLOW = "xception65_without_exit_flow"
"""Xception-65 up to its middle flow: 728 channels at stride 16, the output of the encoder in the paper's Figure 2."""


class Encoder(nn.Module):
    """A timm encoder reduced to two feature maps.

    The maps are (B, `skip_channels`, H/`skip_stride`, W/`skip_stride`) and (B, `channels`, H/`output_stride`, ...).

    Args:
        name: a timm model that supports `features_only` and the given output stride, or `WITHOUT_EXIT_FLOW`.
        slices: number of input channels, one per slice.
        output_stride: total downsampling of the last feature map; 16 in the paper (512 to 32).
        skip_stride: total downsampling of the first feature map; 4 in Chen et al. 2018, section 3.1.

    Raises:
        ValueError: timm has no such model, or it cannot be built at this output stride.

    >>> import torch
    >>> encoder = Encoder("resnet18", slices=3, output_stride=16, skip_stride=4).eval()
    >>> [tuple(f.shape) for f in encoder(torch.zeros(1, 3, 64, 64))]
    [(1, 64, 16, 16), (1, 512, 4, 4)]
    """

    def __init__(self, name: str, *, slices: int, output_stride: int, skip_stride: int) -> None:
        super().__init__()
        body = _body(name, slices=slices, output_stride=output_stride)
        strides: list[int] = body.feature_info.reduction()
        if strides[-1] != output_stride or skip_stride not in strides:
            raise ValueError(
                f"encoder {name!r} has features at strides {strides}, expected {skip_stride} and {output_stride}"
            )
        channels: list[int] = body.feature_info.channels()
        self.name = name
        self.body = body
        self._skip = strides.index(skip_stride)
        self.skip_channels = channels[self._skip]
        self.channels = channels[-1]
        self.output_stride = output_stride

    def forward(self, slices: Tensor) -> tuple[Tensor, Tensor]:
        """Return skip features and deepest features of (B, slices, H, W)."""
        features = self.body(slices)
        return features[self._skip], features[-1]


def _body(name: str, *, slices: int, output_stride: int) -> Any:
    model, changes = _timm_model(name), _changes(name)
    if not timm.is_model(model):
        similar = ", ".join(timm.list_models(f"*{name.split('_')[0][:6]}*")[:4]) or "see timm.list_models()"
        raise ValueError(f"timm has no model {name!r}; similar names: {similar}")
    try:
        return timm.create_model(
            model, pretrained=False, features_only=True, in_chans=slices, output_stride=output_stride, **changes
        )
    except (RuntimeError, TypeError, NotImplementedError, AssertionError) as error:
        raise ValueError(f"encoder {name!r} cannot be built at output stride {output_stride}: {error}") from error


def _timm_model(name: str) -> str:
    """Return the name of the timm model of an encoder."""
    return "xception65" if name == WITHOUT_EXIT_FLOW else name


def _changes(name: str) -> dict[str, Any]:
    """Return the arguments by which the encoder differs from the timm model; timm modifies them, so they are new."""
    if name != WITHOUT_EXIT_FLOW:
        return {}
    # Chen et al. 2018, Figure 4: three blocks of the entry flow with stride 2, 16 units of the middle flow
    entry = [{"in_chs": a, "out_chs": b, "stride": 2} for a, b in ((64, 128), (128, 256), (256, 728))]
    middle = [{"in_chs": 728, "out_chs": 728, "stride": 1} for _ in range(16)]
    return {"block_cfg": [*entry, *middle], "out_indices": (0, 1, 2, 3)}


def with_shared_statistics(network: nn.Module) -> nn.Module:
    """Return the network with batch statistics over all ranks; its other layers are unchanged.

    This uses a function of timm, because that of torch drops activations that timm keeps in its batch norm layers.
    """
    shared: nn.Module = convert_sync_batchnorm(network)  # type: ignore[no-untyped-call]
    return shared


def timm_weights(name: str, *, fetch: bool) -> dict[str, Tensor]:
    """Return the state dict of the complete timm model of an encoder, with three input channels and classifier.

    With `fetch` the values are ImageNet weights downloaded from the hub of timm, else they are random.

    Raises:
        OSError, RuntimeError, ValueError: the weights cannot be downloaded, or do not exist.
    """
    with torch.random.fork_rng(devices=[]):  # later random numbers must not depend on this
        weights: dict[str, Tensor] = timm.create_model(_timm_model(name), pretrained=fetch).state_dict()
    return weights


def spread_over_slices(weight: Tensor, slices: int) -> Tensor:
    """Return first-layer weights (out, 3, h, w) for another number of input channels, scaled by 3 / `slices`.

    One channel gets the sum over the three; several channels get them in turn.

    >>> import torch
    >>> spread_over_slices(torch.tensor([1.0, 2.0, 3.0]).reshape(1, 3, 1, 1), 5).flatten().tolist()
    [0.6..., 1.2..., 1.8..., 0.6..., 1.2...]
    """
    return timm.models.adapt_input_conv(slices, weight)
