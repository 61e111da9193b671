"""Schemas of the config groups that make up a training."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Annotated, Final, Literal

from liverspleen.config.key import LARGEST_COUNT, MOST_PROCESSES, Key, Schema, conflict, not_allowed
from liverspleen.errors import Issue

_LOWEST_HU, _HIGHEST_HU = -32768, 32767  # a CT is stored as int16


@dataclass(frozen=True, kw_only=True)
class SlicesConfig(Schema):
    """How CT slices become the input of the network."""

    count: Annotated[
        int,
        Key("This odd number of neighbouring slices enters the network, and the middle one is segmented.", ge=1, le=99),
    ]
    window_lower_hu: Annotated[float, Key("This HU is mapped to 0.", ge=_LOWEST_HU, le=_HIGHEST_HU)]
    window_upper_hu: Annotated[float, Key("This HU is mapped to 1.", ge=_LOWEST_HU, le=_HIGHEST_HU)]
    clip: Annotated[bool, Key("Intensities outside the window are clipped to 0 and 1.")]
    distance_mm: Annotated[
        float | None,
        Key(
            "Input slices are about this distance apart, a multiple of the spacing of each CT. "
            "They are adjacent if empty.",
            gt=0,
            le=100,
            neutral=None,
        ),
    ]
    pixel_mm: Annotated[
        float | None,
        Key(
            "Slices are resampled to this pixel size in the plane, and label maps are resampled back. "
            "Each CT keeps its own if empty.",
            ge=0.1,
            le=20,
            neutral=None,
        ),
    ]

    def conflicts(self) -> Iterator[Issue]:
        """Yield an issue if the number of slices is even, or if the window is empty."""
        if self.count % 2 == 0:
            yield not_allowed(f"slices.count={self.count} is even", "use an odd number from 1 to 99")
        if self.window_lower_hu >= self.window_upper_hu:
            lower, upper = f"{self.window_lower_hu:g}", f"{self.window_upper_hu:g}"
            message = f"slices.window_lower_hu={lower} is not below slices.window_upper_hu={upper}"
            yield conflict(message, "set window_lower_hu below window_upper_hu")


@dataclass(frozen=True, kw_only=True)
class AugmentationConfig(Schema):
    """Random changes of training samples, sampled uniformly up to their limits; 0 disables a change."""

    rotation_deg: Annotated[
        float, Key("Images are rotated in the plane by up to this angle, to either side.", ge=0, le=180)
    ]
    scale: Annotated[float, Key("Images are scaled by up to this fraction, up or down.", ge=0, lt=1)]
    shift: Annotated[float, Key("Images are shifted by up to this fraction of their side.", ge=0, le=1)]
    gain: Annotated[float, Key("Contrast changes by up to this fraction.", ge=0, le=1)]
    offset: Annotated[float, Key("Brightness changes by up to this fraction of the width of the window.", ge=0, le=10)]
    noise: Annotated[
        float,
        Key("Gaussian noise has a standard deviation of up to this fraction of the width of the window.", ge=0, le=10),
    ]
    blur_px: Annotated[
        float,
        Key("A Gaussian blur in the plane has a standard deviation of up to this number of pixels.", ge=0, le=100),
    ]
    thickness: Annotated[
        float,
        Key(
            "Slices get thicker by up to this fraction; each becomes a mean of itself and its neighbours.",
            ge=0,
            le=2,
        ),
    ]


@dataclass(frozen=True, kw_only=True)
class SamplerConfig(Schema):
    """How often each slice is used for training."""

    name: Annotated[
        Literal["natural", "balanced"],
        Key(
            "`natural` uses all slices equally often; `balanced` uses slices with neither organ, with the liver only, "
            "with the spleen only, and with both equally often."
        ),
    ]


@dataclass(frozen=True, kw_only=True)
class NetworkConfig(Schema):
    """The network; a key that the network does not use is empty."""

    name: Annotated[
        str, Key("The network is `deeplab` (DeepLabV3+), `unet_2d`, `unet_3d`, or a module in `networks/own/`.")
    ]
    output_stride: Annotated[
        Literal[8, 16, 32],
        Key("The deepest features are smaller by this factor; images are padded to a multiple of it."),
    ]
    encoder: Annotated[str | None, Key("The encoder is one of timm, or `xception65_without_exit_flow`.")] = None
    weights: Annotated[
        Path | None,
        Key("The encoder starts from weights of timm in this file, or from the `hub`; they are random if empty."),
    ] = None
    skip_stride: Annotated[
        Literal[2, 4, 8, 16] | None, Key("Features that skip to the decoder are smaller than the image by this factor.")
    ] = None
    rates: Annotated[list[int] | None, Key("The branches of the pyramid have these atrous rates.", ge=1, le=256)] = None
    pyramid_channels: Annotated[int | None, Key("Pyramid and decoder have this number of channels.", ge=1, le=8192)] = (
        None
    )
    skip_channels: Annotated[
        int | None, Key("The projected skip connection has this number of channels.", ge=1, le=8192)
    ] = None
    dropout: Annotated[
        float | None, Key("This fraction of features is dropped after the projection of the pyramid.", ge=0, lt=1)
    ] = None
    width: Annotated[
        int | None,
        Key(
            "The first level of a U-Net has this number of channels, and each next level twice as many.", ge=1, le=1024
        ),
    ] = None

    def conflicts(self) -> Iterator[Issue]:
        """Yield an issue for a key that the network does not use or needs; a user-defined network may use any."""
        if (used := _USED_BY_NETWORK.get(self.name)) is None:
            return
        for field in fields(self):
            given = getattr(self, field.name) is not None
            if given and field.name not in used | {"name", "output_stride"}:
                message = f"network.{field.name}= has no effect on network.name={self.name}"
                yield conflict(message, f"remove network.{field.name}=, or choose another network=")
        if self.name.startswith("unet") and self.width is None:
            yield conflict(f"network.name={self.name} needs network.width=", "set network.width=32, for example")


_USED_BY_NETWORK: Final = {
    "deeplab": {"encoder", "weights", "skip_stride", "rates", "pyramid_channels", "skip_channels", "dropout"},
    "unet_2d": {"width"},
    "unet_3d": {"width"},
}


@dataclass(frozen=True, kw_only=True)
class LossConfig(Schema):
    """The loss, a weighted sum of terms; a weight of 0 removes a term."""

    dice_weight: Annotated[float, Key("The soft Dice loss has this weight.", ge=0, le=1000)]
    ce_weight: Annotated[float, Key("The cross-entropy has this weight.", ge=0, le=1000)]
    boundary_weight: Annotated[
        float,
        Key("Minus the mean voxel-wise soft Dice near the boundaries of the organs has this weight.", ge=0, le=1000),
    ]
    boundary_px: Annotated[
        int, Key("Pixels up to this distance along rows and columns are near a boundary.", ge=1, le=100)
    ]
    focal_weight: Annotated[float, Key("The focal loss has this weight.", ge=0, le=1000)]
    focal_gamma: Annotated[float, Key("The focal loss has this exponent, which is 0, or 1 or more.", ge=0, le=10)]
    tversky_weight: Annotated[float, Key("The Tversky loss has this weight.", ge=0, le=1000)]
    tversky_alpha: Annotated[float, Key("A false positive has this weight in the Tversky loss.", ge=0, le=10)]
    tversky_beta: Annotated[float, Key("A false negative has this weight in the Tversky loss.", ge=0, le=10)]

    def conflicts(self) -> Iterator[Issue]:
        """Yield an issue if all weights are 0, or if the exponent has an infinite gradient."""
        weights = [self.dice_weight, self.ce_weight, self.boundary_weight, self.focal_weight, self.tversky_weight]
        if not any(weights):
            yield conflict("all weights of the loss are 0", "set one of loss.*_weight= above 0")
        if 0 < self.focal_gamma < 1:
            message = f"loss.focal_gamma={self.focal_gamma:g} is between 0 and 1"
            yield not_allowed(message, "use 0, or a number from 1 to 10")


@dataclass(frozen=True, kw_only=True)
class OptimizerConfig(Schema):
    """The optimizer."""

    name: Annotated[Literal["adam", "adamw"], Key("The weights are updated by this optimizer.")]
    lr: Annotated[float, Key("Training starts with this learning rate.", gt=0, le=10)]
    weight_decay: Annotated[float, Key("The optimizer has this weight decay, decoupled with `adamw`.", ge=0, le=10)]


@dataclass(frozen=True, kw_only=True)
class SchedulerConfig(Schema):
    """How the learning rate changes over the training steps."""

    name: Annotated[Literal["constant", "polynomial", "staircase"], Key("The learning rate follows this schedule.")]
    power: Annotated[float, Key("The polynomial decay to 0 at the last step has this exponent.", ge=0, le=100)]
    factor: Annotated[
        float, Key("The staircase multiplies the learning rate by this factor after each interval.", gt=0, le=1)
    ]
    every: Annotated[int, Key("An interval of the staircase has this number of steps.", ge=1, le=LARGEST_COUNT)]


@dataclass(frozen=True, kw_only=True)
class TrainerConfig(Schema):
    """Length of the training, batches and hardware."""

    steps: Annotated[
        int,
        Key(
            "Training runs this number of optimizer steps; a finished training can be continued with more.",
            ge=1,
            le=LARGEST_COUNT,
        ),
    ]
    batch_size: Annotated[
        int,  # at least 2: batch statistics of the image-pooling branch
        Key("A batch on each device has this number of slices.", ge=2, le=4096),
    ]
    accumulate: Annotated[int, Key("This number of batches on each device makes one step.", ge=1, le=10_000)]
    validate_every: Annotated[
        int,
        Key(
            "Per-case 3D DSS is computed each time after this number of steps, and at the end of a shorter training.",
            ge=1,
            le=LARGEST_COUNT,
        ),
    ]
    workers: Annotated[
        int, Key("This number of processes loads data; the weights do not depend on it.", ge=0, le=MOST_PROCESSES)
    ]
    accelerator: Annotated[Literal["auto", "cpu", "gpu"], Key("The network is trained on this kind of device.")]
    devices: Annotated[int, Key("Each node trains on this number of devices.", ge=1, le=128)]
    nodes: Annotated[int, Key("This number of machines trains together.", ge=1, le=10_000)]
    sync_batchnorm: Annotated[bool, Key("Batch statistics are computed over all GPUs instead of each GPU separately.")]
    ema_decay: Annotated[
        float | None,
        Key(
            "A moving average of the weights with this decay is validated and used for prediction. "
            "There is no average if empty.",
            gt=0,
            lt=1,
            neutral=None,
        ),
    ]
    patience: Annotated[
        int | None,
        Key(
            "Training ends after this number of validations without a better DSS. It never ends early if empty.",
            ge=1,
            le=LARGEST_COUNT,
        ),
    ]
    precision: Annotated[
        Literal["32-true", "bf16-mixed", "16-mixed"], Key("Training computes in this precision, as Lightning names it.")
    ]
    deterministic: Annotated[bool, Key("Only deterministic algorithms are used.")]
    channels_last: Annotated[
        bool, Key("Channels are the last axis in memory, which is faster for some networks and devices.")
    ]
    compile: Annotated[
        bool,
        Key("The network is compiled at the first step (`torch.compile`), which pays off over thousands of steps."),
    ]
    fused: Annotated[bool, Key("The optimizer updates all parameters in one pass.")]


@dataclass(frozen=True, kw_only=True)
class LoggerConfig(Schema):
    """Where the progress of the training is logged, besides `metrics.csv`."""

    wandb: Annotated[bool, Key("The training is also logged to Weights & Biases.")]
    wandb_offline: Annotated[bool, Key("The W&B run stays on this disk.")]
    wandb_project: Annotated[str, Key("The W&B run belongs to this project.")]
    wandb_group: Annotated[
        str | None, Key("The W&B run belongs to this group; for the trials of a sweep it is the name of its study.")
    ] = None
