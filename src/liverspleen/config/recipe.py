"""Schemas of the config groups that make up a training."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Annotated, Any, Final, Literal

from liverspleen.config.key import LARGEST_COUNT, MOST_MINUTES, MOST_PROCESSES, Key, Schema, conflict, not_allowed
from liverspleen.errors import Issue
from liverspleen.organs import Structure

_LOWEST_HU, _HIGHEST_HU = -32768, 32767  # a CT is stored as int16
_HIGHEST_CLASS_WEIGHT = 1000


@dataclass(frozen=True, kw_only=True)
class SlicesConfig(Schema):
    """How CT slices become the input of the network."""

    count: Annotated[
        int,
        Key("Number of neighbouring input slices of the network, odd; the middle one is segmented.", ge=1, le=99),
    ]
    window_lower_hu: Annotated[
        float, Key("Lower limit of the window in HU, mapped to 0.", ge=_LOWEST_HU, le=_HIGHEST_HU)
    ]
    window_upper_hu: Annotated[
        float, Key("Upper limit of the window in HU, mapped to 1.", ge=_LOWEST_HU, le=_HIGHEST_HU)
    ]
    clip: Annotated[
        bool, Key("If true, intensities outside the window are clipped to 0 and 1; if false, they are kept.")
    ]
    distance_mm: Annotated[
        float | None,
        Key(
            "Distance between input slices in mm, rounded to a multiple of the slice spacing of each CT "
            "scan. Empty: adjacent slices.",
            gt=0,
            le=100,
            neutral=None,
        ),
    ]
    pixel_mm: Annotated[
        float | Literal["auto"] | None,
        Key(
            "Pixel size in mm, in the plane, to which slices are resampled; label maps are resampled back. `auto`: the "
            "median of the training cases. Empty: each CT scan keeps its own pixel size.",
            ge=0.1,
            le=20,
            neutral=None,
        ),
    ]

    @property
    def decided_pixel_mm(self) -> float | None:
        """Pixel size in mm; `auto` must have been replaced by a number."""
        assert self.pixel_mm != "auto"
        return self.pixel_mm

    def conflicts(self) -> Iterator[Issue]:
        """Yield an issue if the number of slices is even, or if the window is empty."""
        if self.count % 2 == 0:
            yield not_allowed(f"slices.count={self.count} is even", "use an odd number from 1 to 99")
        if self.window_lower_hu >= self.window_upper_hu:
            lower, upper = f"{self.window_lower_hu:g}", f"{self.window_upper_hu:g}"
            message = f"slices.window_lower_hu={lower} is not below slices.window_upper_hu={upper}"
            yield conflict(message, "set window_lower_hu below window_upper_hu")


@dataclass(frozen=True, kw_only=True)
class SamplerConfig(Schema):
    """How often each slice is used for training."""

    name: Annotated[
        Literal["natural", "by_size", "balanced"],
        Key(
            "Sampling of slices: `natural` uses all slices equally often; `by_size` too, with slices of about the same "
            "size in a batch, which is faster if sizes differ; `balanced` uses slices with neither organ, only the "
            "liver, only the spleen, and both organs equally often."
        ),
    ]


@dataclass(frozen=True, kw_only=True)
class NetworkConfig(Schema):
    """Architecture of the network; keys that do not apply to the selected network must be empty."""

    name: Annotated[
        str, Key("Architecture: `deeplab` (DeepLabV3+), `unet_2d`, `unet_3d`, or a module in `networks/own/`.")
    ]
    output_stride: Annotated[
        Literal[8, 16, 32],
        Key("Downsampling factor of the deepest features; images are padded to a multiple of it."),
    ]
    encoder: Annotated[str | None, Key("Encoder: a model name of timm, or `xception65_without_exit_flow`.")] = None
    weights: Annotated[
        Path | None,
        Key("File with timm weights for the encoder, or `hub` to download them; empty: random weights."),
    ] = None
    skip_stride: Annotated[
        Literal[2, 4, 8, 16] | None, Key("Downsampling factor of the features in the skip connection to the decoder.")
    ] = None
    rates: Annotated[list[int] | None, Key("Atrous rates of the pyramid branches.", ge=1, le=256)] = None
    pyramid_channels: Annotated[int | None, Key("Number of channels of pyramid and decoder.", ge=1, le=8192)] = None
    skip_channels: Annotated[int | None, Key("Number of channels of the projected skip connection.", ge=1, le=8192)] = (
        None
    )
    dropout: Annotated[float | None, Key("Dropout rate after the projection of the pyramid.", ge=0, lt=1)] = None
    width: Annotated[
        int | None,
        Key("Number of channels of the first level of a U-Net; each next level has twice as many.", ge=1, le=1024),
    ] = None
    deep_supervision: Annotated[
        bool | None,
        Key(
            "If true, a U-Net is also trained on the coarser resolutions of its decoder, each with half the weight of "
            "the next finer one; predictions use full resolution only.",
            neutral=None,
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
                yield conflict(message, f"set network.{field.name}=null, or choose another network=")
        if self.name.startswith("unet") and self.width is None:
            yield conflict(f"network.name={self.name} needs network.width=", "set network.width=32, for example")


_USED_BY_NETWORK: Final = {
    "deeplab": {"encoder", "weights", "skip_stride", "rates", "pyramid_channels", "skip_channels", "dropout"},
    "unet_2d": {"width", "deep_supervision"},
    "unet_3d": {"width", "deep_supervision"},
}


@dataclass(frozen=True, kw_only=True)
class LossConfig(Schema):
    """The loss, a weighted sum of terms; a weight of 0 removes a term."""

    dice_weight: Annotated[float, Key("Weight of the soft Dice loss.", ge=0, le=1000)]
    ce_weight: Annotated[float, Key("Weight of the cross-entropy.", ge=0, le=1000)]
    class_weights: Annotated[
        dict[str, Any] | None,
        Key(
            "Map from classes (background or an organ) to weights of their voxels in the cross-entropy and the focal "
            "loss; a class that is not listed has 1. Empty: all voxels have the same weight.",
            neutral=None,
        ),
    ]
    boundary_weight: Annotated[
        float,
        Key("Weight of the boundary loss: minus the mean voxel-wise soft Dice near organ boundaries.", ge=0, le=1000),
    ]
    boundary_px: Annotated[
        int, Key("Distance in pixels, along rows and columns, up to which a pixel is near a boundary.", ge=1, le=100)
    ]
    focal_weight: Annotated[float, Key("Weight of the focal loss.", ge=0, le=1000)]
    focal_gamma: Annotated[float, Key("Exponent of the focal loss: 0, or 1 or more.", ge=0, le=10)]
    tversky_weight: Annotated[float, Key("Weight of the Tversky loss.", ge=0, le=1000)]
    tversky_alpha: Annotated[float, Key("Weight of false positives in the Tversky loss.", ge=0, le=10)]
    tversky_beta: Annotated[float, Key("Weight of false negatives in the Tversky loss.", ge=0, le=10)]

    def conflicts(self) -> Iterator[Issue]:
        """Yield an issue if all weights are 0, if the exponent has an infinite gradient, or for wrong class weights."""
        weights = [self.dice_weight, self.ce_weight, self.boundary_weight, self.focal_weight, self.tversky_weight]
        if not any(weights):
            yield conflict("all weights of the loss are 0", "set one of loss.*_weight= above 0")
        if 0 < self.focal_gamma < 1:
            message = f"loss.focal_gamma={self.focal_gamma:g} is between 0 and 1"
            yield not_allowed(message, "use 0, or a number from 1 to 10")
        yield from self._class_weight_conflicts(self.class_weights or {})

    def _class_weight_conflicts(self, weights: Mapping[str, Any]) -> Iterator[Issue]:
        classes = [structure.key for structure in Structure]
        for name, weight in weights.items():
            if name not in classes or type(weight) not in (int, float) or not 0 < weight <= _HIGHEST_CLASS_WEIGHT:
                hint = f"use classes of {', '.join(classes)}, and numbers above 0 and up to {_HIGHEST_CLASS_WEIGHT}"
                yield not_allowed(f"loss.class_weights={{{name}: {weight}}} is not a class with a weight", hint)
        if weights and not self.ce_weight and not self.focal_weight:
            message = "loss.class_weights= has no effect without cross-entropy or focal loss"
            yield conflict(message, "set loss.class_weights=null, or set loss.ce_weight= or loss.focal_weight= above 0")


@dataclass(frozen=True, kw_only=True)
class OptimizerConfig(Schema):
    """The optimizer."""

    name: Annotated[Literal["adam", "adamw", "sgd"], Key("Name of the optimizer algorithm.")]
    lr: Annotated[float, Key("Learning rate at the start.", gt=0, le=10)]
    weight_decay: Annotated[float, Key("Weight decay of the optimizer; decoupled with `adamw`.", ge=0, le=10)]
    momentum: Annotated[float | None, Key("Nesterov momentum of `sgd`.", gt=0, lt=1, neutral=None)] = None

    def conflicts(self) -> Iterator[Issue]:
        """Yield an issue if `sgd` has no momentum, or another optimizer has one."""
        if self.name == "sgd" and self.momentum is None:
            yield conflict("optimizer.name=sgd needs optimizer.momentum=", "set optimizer.momentum=0.99, for example")
        elif self.name != "sgd" and self.momentum is not None:
            message = f"optimizer.momentum= has no effect on optimizer.name={self.name}"
            yield conflict(message, "set optimizer.momentum=null, or use optimizer=sgd")


@dataclass(frozen=True, kw_only=True)
class SchedulerConfig(Schema):
    """How the learning rate changes over the training steps."""

    name: Annotated[Literal["constant", "polynomial", "cosine", "staircase"], Key("Schedule of the learning rate.")]
    warmup: Annotated[
        int,
        Key(
            "Number of steps in which the learning rate rises linearly before the schedule starts; 0: none.",
            ge=0,
            le=LARGEST_COUNT,
            neutral=0,
        ),
    ]
    power: Annotated[float, Key("Exponent of the polynomial decay, which reaches 0 at the last step.", ge=0, le=100)]
    factor: Annotated[
        float, Key("Factor of the staircase; it multiplies the learning rate after each interval.", gt=0, le=1)
    ]
    every: Annotated[
        int, Key("Number of steps of an interval, in which the learning rate is constant.", ge=1, le=LARGEST_COUNT)
    ]


@dataclass(frozen=True, kw_only=True)
class TrainerConfig(Schema):
    """Length of the training, batches and hardware."""

    steps: Annotated[
        int,
        Key(
            "Number of optimizer steps; a finished training can be continued with more.",
            ge=1,
            le=LARGEST_COUNT,
        ),
    ]
    minutes: Annotated[
        float | None,
        Key(
            "Time of the whole run in minutes, instead of trainer.steps; the number of steps is planned once from "
            "measured times. Empty: trainer.steps.",
            gt=0,
            le=MOST_MINUTES,
            neutral=None,
        ),
    ] = None
    batch_size: Annotated[
        int,  # at least 2: batch statistics of the image-pooling branch
        Key("Number of slices in a batch on each device.", ge=2, le=4096),
    ]
    accumulate: Annotated[int, Key("Number of batches on each device in one optimizer step.", ge=1, le=10_000)]
    validate_every: Annotated[
        int,
        Key(
            "Number of steps between validations (3D DSS of each case); a shorter training is validated at its end.",
            ge=1,
            le=LARGEST_COUNT,
        ),
    ]
    workers: Annotated[
        int, Key("Number of processes that load data; the weights do not depend on it.", ge=0, le=MOST_PROCESSES)
    ]
    threads: Annotated[
        int | None,
        Key(
            "Number of threads of each process that trains; empty: that of the checkpoint, else OMP_NUM_THREADS, else "
            "the cores that the process may use, divided by trainer.devices.",
            ge=1,
            le=MOST_PROCESSES,
        ),
    ] = None
    accelerator: Annotated[Literal["auto", "cpu", "gpu"], Key("Kind of device that trains the network.")]
    devices: Annotated[int, Key("Number of devices per machine.", ge=1, le=128)]
    nodes: Annotated[int, Key("Number of machines that train together.", ge=1, le=10_000)]
    sync_batchnorm: Annotated[
        bool, Key("If true, batch statistics are computed over all GPUs; if false, on each GPU separately.")
    ]
    ema_decay: Annotated[
        float | None,
        Key(
            "Decay of the moving average of the weights, which is used for validation and prediction; empty: "
            "no average.",
            gt=0,
            lt=1,
            neutral=None,
        ),
    ]
    clip_norm: Annotated[
        float | None,
        Key(
            "Largest norm of the gradient of all weights; a larger gradient is scaled to it. Empty: no limit.",
            gt=0,
            le=1_000_000,
            neutral=None,
        ),
    ]
    patience: Annotated[
        int | None,
        Key(
            "Number of validations without a better DSS after which training ends; empty: training does not end early.",
            ge=1,
            le=LARGEST_COUNT,
        ),
    ]
    precision: Annotated[
        Literal["auto", "32-true", "bf16-mixed", "16-mixed"],
        Key(
            "Numeric precision of the training, with the names of Lightning; `auto` is bf16-mixed on a GPU that "
            "supports it and 32-true elsewhere, and a resumed training keeps its precision."
        ),
    ]
    deterministic: Annotated[bool, Key("If true, only deterministic algorithms are used.")]
    channels_last: Annotated[
        bool, Key("If true, channels are the last axis in memory, which is faster for some networks and devices.")
    ]
    compile: Annotated[
        bool,
        Key(
            "If true, the network is compiled at the first step (`torch.compile`), which saves time in "
            "trainings of thousands of steps."
        ),
    ]
    fused: Annotated[bool, Key("If true, the optimizer updates all parameters in one pass.")]


@dataclass(frozen=True, kw_only=True)
class LoggerConfig(Schema):
    """Where the progress of the training is logged, besides `metrics.csv`."""

    wandb: Annotated[bool, Key("If true, the training is also logged to Weights & Biases (W&B).")]
    wandb_offline: Annotated[bool, Key("If true, the W&B run is stored on this disk only.")]
    wandb_project: Annotated[str, Key("Project of the W&B run.")]
    wandb_group: Annotated[
        str | None, Key("Group of the W&B run; for the trials of a sweep, study= or a hash of the folder name.")
    ] = None
    tensorboard: Annotated[
        bool, Key("If true, the training is also logged for TensorBoard, in the folder tensorboard of output=.")
    ] = False
    mlflow: Annotated[bool, Key("If true, the training is also logged to MLflow.")] = False
    mlflow_uri: Annotated[
        str | None,
        Key(
            "URL of the MLflow tracking server, http://... or https://...; empty: a database in the folder mlflow of "
            "output=."
        ),
    ] = None
    mlflow_experiment: Annotated[str, Key("Experiment of the MLflow run.")] = "liverspleen"
    images: Annotated[
        int,
        Key(
            "Number of validation cases of which TensorBoard, MLflow and W&B receive a CT slice with the outlines of "
            "reference and prediction, after each validation; 0: none.",
            ge=0,
            le=100,
        ),
    ] = 0

    def conflicts(self) -> Iterator[Issue]:
        """Yield an issue if the URL is not that of a server; its text is not repeated, it may contain a password."""
        if self.mlflow_uri is not None and not self.mlflow_uri.lower().startswith(("http://", "https://")):
            message = "logger.mlflow_uri= does not start with http:// or https://"
            yield not_allowed(message, "give the URL of the tracking server, or remove logger.mlflow_uri=")
