"""Make objects from a configuration; below the API only this module reads configurations."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, fields, is_dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from liverspleen.cohort import Cohort, Vocabulary, open_cohort
from liverspleen.config import NO_NEUTRAL, NetworkConfig, TrainConfig, TrainerConfig, VocabularyConfig, keys
from liverspleen.errors import InputError, Issue
from liverspleen.inference.lineage import identity
from liverspleen.organs import Structure
from liverspleen.processes import has_bf16_instructions
from liverspleen.storage import sha256_of
from liverspleen.training.recipe import REMOVED, Recipe, is_compared

if TYPE_CHECKING:
    import torch
    from pytorch_lightning import Callback, Trainer
    from pytorch_lightning.loggers import Logger
    from torch import nn
    from torch.optim import Optimizer
    from torch.optim.lr_scheduler import LRScheduler
    from torch.utils.data import Sampler

    from liverspleen.data.augmentation import Augmentation
    from liverspleen.data.cache import CachedCase
    from liverspleen.data.module import SliceDataModule
    from liverspleen.data.window import IntensityWindow
    from liverspleen.networks.cost import NetworkCost
    from liverspleen.training.gauges import Gauges
    from liverspleen.training.module import SegmentationModule

_LOG_EVERY = 50  # steps between two rows of the training loss,
_LOG_ROWS = 20  # or fewer, so that a short training has this number of rows

# torch is imported inside the functions, because verbs that only measure must not load it.


def vocabulary(config: VocabularyConfig) -> Vocabulary:
    """Return the allowed values of the columns of a cohort, in the order of the tables."""
    return Vocabulary(tuple(config.datasets), tuple(config.conditions), tuple(config.sites), dict(config.labels))


class CohortOptions(Protocol):
    """Options of a verb about its cohort, besides the path."""

    @property
    def root(self) -> Path | None:
        """Folder to which paths in the cohort are relative."""

    @property
    def vocabulary(self) -> VocabularyConfig:
        """Allowed values of its columns."""


def cohort(path: Path, config: CohortOptions, *, table: Path | None = None) -> Cohort:
    """Return the cohort of `cohort=`: a table, or a folder (see `open_cohort`)."""
    return open_cohort(path, root=config.root, vocabulary=vocabulary(config.vocabulary), table=table)


def bf16_issues(config: TrainConfig) -> list[Issue]:
    """Return LS-CFG-010 if bfloat16 is used on a processor without instructions for it, which is 100 times slower."""
    choice = config.trainer
    if choice.precision in {"auto", "32-true"} or has_bf16_instructions():  # on a CPU, 16-mixed is bfloat16 too
        return []
    if choice.accelerator == "gpu" or (choice.accelerator == "auto" and device("auto").type == "cuda"):
        return []
    message = f"trainer.precision={choice.precision} on a CPU without AMX or AVX-512 BF16 instructions"
    return [Issue("LS-CFG-010", message, "use trainer.precision=32-true, or a GPU")]


def decisive_keys(config: TrainConfig) -> dict[str, Any]:
    """Return the keys of `train` that determine the weights, by dotted name; initial weights are hashes."""
    found: dict[str, Any] = {}
    for item in fields(TrainConfig):
        value = getattr(config, item.name)
        nested = asdict(value).items() if is_dataclass(value) and not isinstance(value, type) else None
        found |= {item.name: value} if nested is None else {f"{item.name}.{name}": one for name, one in nested}
    weights = config.network.weights
    if weights is not None:
        found["network.weights"] = f"sha256 {sha256_of(weights)}" if weights.is_file() else str(weights)
    found["start"] = config.start and identity(config.start)
    return {name: value for name, value in found.items() if is_compared(name)}


def neutral_values() -> Mapping[str, Any]:
    """Return, by key of `train`, the value that has the same effect as the absence of the key, from the schema."""
    stated = {key.name: key.neutral for key in keys(TrainConfig) if key.neutral is not NO_NEUTRAL}
    return {**REMOVED, **stated}


def recipe(config: TrainConfig, inputs: Mapping[str, str], cases: Mapping[str, Sequence[CachedCase]]) -> Recipe:
    """Return what determines the weights; `inputs` are hashes of cohort and split, `cases` the cases of both sides."""
    cached = {side: {case.case_id: case.content_sha256 for case in found} for side, found in cases.items()}
    return Recipe(decisive_keys(config), inputs["cohort"], inputs["split"], cached)


def device_count() -> int:
    """Return the number of GPUs of this machine, at least 1."""
    import torch

    return max(1, torch.cuda.device_count())


def ranks(config: TrainConfig) -> int:
    """Return the number of processes that train together."""
    return config.trainer.devices * config.trainer.nodes


def window(config: TrainConfig) -> IntensityWindow:
    """Return the intensity window of a training."""
    from liverspleen.data.window import IntensityWindow

    slices = config.slices
    return IntensityWindow(slices.window_lower_hu, slices.window_upper_hu, slices.clip)


def architecture(choice: NetworkConfig) -> dict[str, Any]:
    """Return plain values that build the network: all given keys except the initial weights."""
    given = asdict(choice)
    del given["weights"]
    return {name: value for name, value in given.items() if value is not None}


@contextmanager
def _rejecting_invalid_networks() -> Iterator[None]:
    try:
        yield
    except ValueError as error:
        raise InputError(Issue("LS-CFG-007", str(error), "choose another network=, or correct its keys")) from error


def network(config: TrainConfig) -> nn.Module:
    """Return the network; its weights are random, or those of its encoder are read from a file or the hub of timm.

    Raises:
        InputError: the network does not exist or cannot be built, or the weights do not fit.
    """
    import torch

    from liverspleen.networks.build import build_network

    choice = config.network
    built: nn.Module
    with _rejecting_invalid_networks():
        built = build_network(architecture(choice), slices=config.slices.count)
    if choice.weights is not None:
        from liverspleen.networks.deeplab import DeepLabV3Plus
        from liverspleen.networks.pretrained import start_from

        if not isinstance(built, DeepLabV3Plus):
            message = f"network.weights={choice.weights} is given, but network {choice.name} has no encoder"
            raise InputError(Issue("LS-CFG-016", message, "remove network.weights="))
        start_from(built.encoder, choice.weights)
    if config.trainer.sync_batchnorm and ranks(config) > 1 and device(config.trainer.accelerator).type == "cuda":
        from liverspleen.networks.encoder import with_shared_statistics

        built = with_shared_statistics(built)
    if config.trainer.compile:
        built.compile()  # in place: the names of the weights do not change
    if not config.trainer.channels_last:
        return built
    return built.to(memory_format=torch.channels_last_3d if choice.name == "unet_3d" else torch.channels_last)


def network_cost(choice: NetworkConfig, *, slices: int, matrix: int) -> NetworkCost:
    """Return parameters and operations of a network, for slices of `matrix` x `matrix` pixels.

    Raises:
        InputError: the network does not exist, cannot be built, or cannot process that matrix.
    """
    from liverspleen.networks.cost import network_cost

    with _rejecting_invalid_networks():
        return network_cost(architecture(choice), slices=slices, matrix=matrix)


def augmentation(config: TrainConfig) -> Augmentation:
    """Return the random augmentation, which runs on the training device."""
    from liverspleen.data.augmentation import Augmentation

    return Augmentation(**asdict(config.augmentation))


def loss(config: TrainConfig) -> nn.Module:
    """Return the loss, a function of logits, labels and labelled organs; terms with a weight of 0 are omitted."""
    from liverspleen.training import losses

    choice, given = config.loss, config.loss.class_weights
    by_class = tuple(float(given.get(structure.key, 1)) for structure in Structure) if given else ()
    terms: list[tuple[float, losses.Term]] = [
        (choice.dice_weight, losses.Dice()),
        (choice.ce_weight, losses.CrossEntropy(by_class)),
        (choice.boundary_weight, losses.BoundaryDice(choice.boundary_px)),
        (choice.focal_weight, losses.Focal(choice.focal_gamma, by_class)),
        (choice.tversky_weight, losses.Tversky(choice.tversky_alpha, choice.tversky_beta)),
    ]
    return losses.SegmentationLoss([(weight, term) for weight, term in terms if weight])


def sampler(config: TrainConfig) -> Callable[..., Sampler[int]]:
    """Return the sampler of training slices, a function of cases, `steps`, `batch_size`, `seed` and `start`."""
    from liverspleen.data import sampling

    samplers = {"natural": sampling.natural, "by_size": sampling.by_size, "balanced": sampling.balanced}
    return samplers[config.sampler.name]


def scheduler(config: TrainConfig) -> Callable[[Optimizer], LRScheduler] | None:
    """Return a function from optimizer to a scheduler that steps at every step; None for a constant rate."""
    from liverspleen.training import optimization

    return optimization.scheduler(optimization.Schedule(steps=config.trainer.steps, **asdict(config.scheduler)))


def module(config: TrainConfig, about: dict[str, Any], built: nn.Module | None = None) -> SegmentationModule:
    """Return the Lightning module that trains `built`, else `network`; `about` is added to its description."""
    from liverspleen.training.description import model_description
    from liverspleen.training.module import SegmentationModule
    from liverspleen.training.optimization import optimizer

    choice = config.trainer
    # a fused optimizer removes the scale of a loss scaler itself, so after the clipping
    fused = choice.fused and not (choice.precision == "16-mixed" and choice.clip_norm is not None)
    preprocessing, slices = window(config), config.slices
    described = model_description(
        architecture(config.network),
        slices=slices.count,
        window=preprocessing,
        slice_distance_mm=slices.distance_mm,
        pixel_mm=slices.decided_pixel_mm,
    )
    return SegmentationModule(
        network(config) if built is None else built,
        loss=loss(config),
        window=preprocessing,
        augmentation=augmentation(config),
        seed=config.seed,
        optimizer=optimizer(**asdict(config.optimizer), fused=fused),
        scheduler=scheduler(config),
        description={**described, "steps": choice.steps, **about},
        ema_decay=choice.ema_decay,
        frozen_steps=config.frozen_steps,
    )


def data_module(
    config: TrainConfig, training: Sequence[CachedCase], validation: Sequence[CachedCase], *, start: int
) -> SliceDataModule:
    """Return the data module of a training that continues after `start` steps."""
    from liverspleen.data.module import SliceDataModule

    return SliceDataModule(
        training,
        validation,
        slices=config.slices.count,
        stride=config.network.output_stride,
        batch_size=config.trainer.batch_size,
        accumulate=config.trainer.accumulate,
        ranks=ranks(config),
        steps=config.trainer.steps,
        seed=config.seed,
        workers=config.trainer.workers,
        start=start,
        slice_distance_mm=config.slices.distance_mm,
        sampler=sampler(config),
    )


def callbacks(
    config: TrainConfig,
    validation: Sequence[CachedCase],
    voxels_mm3: Sequence[float],
    *,
    start: int,
    recipe: Recipe,
    gauges: Gauges,
    issues: list[Issue],
) -> list[Callback]:
    """Return the callbacks of a training, in order: a checkpoint is written after all that it depends on.

    Warnings about a long training and a failed picture are added to `issues`.
    """
    from liverspleen.training.checkpoints import Checkpoints
    from liverspleen.training.curves import Curves
    from liverspleen.training.finite import FiniteGuard
    from liverspleen.training.metrics import ValidationFile
    from liverspleen.training.overlays import Overlays
    from liverspleen.training.progress import Progress
    from liverspleen.training.ranks import Heartbeat

    guard, choice = FiniteGuard(), config.trainer
    checkpoints = Checkpoints(
        config.output,
        every=choice.validate_every,
        start=start,
        patience=choice.patience,
        check_finite=guard.check_state,
        recipe=recipe,
        minutes=choice.minutes,
    )
    table = ValidationFile(config.output / "validation.csv", validation, voxels_mm3)
    curves = Curves(config.output / "metrics.csv", issues)
    progress = Progress(start=start, gauges=gauges, issues=issues)
    images = config.logger.images
    pictures = [Overlays(images)] if images else []
    return [gauges, guard, table, checkpoints, Heartbeat(), curves, progress, *pictures]


def loggers(config: TrainConfig, issues: list[Issue], *, start: int, gauges: Gauges) -> list[Logger]:
    """Return the loggers: `metrics.csv` and those that `logger` selects, whose failures are added to `issues`."""
    from liverspleen.training.loggers import side_loggers
    from liverspleen.training.metrics import MetricsFile

    file = MetricsFile(config.output / "metrics.csv", start=start, gauges=gauges)
    return [file, *side_loggers(asdict(config.logger), config.output, _shown(config), issues, start=start)]


def _shown(config: TrainConfig) -> dict[str, Any]:
    """Return the part of the configuration that an external service may receive: the recipe, without paths."""
    groups = ("slices", "sampler", "augmentation", "loss", "optimizer", "scheduler", "trainer")
    recipe = {name: asdict(getattr(config, name)) for name in groups}
    return {**recipe, "network": architecture(config.network), "seed": config.seed}


def trainer(config: TrainConfig, watch: Sequence[Callback], loggers: Sequence[Logger], *, validate: bool) -> Trainer:
    """Return a Lightning trainer that counts in steps, for one or several devices."""
    import logging
    import warnings

    import pytorch_lightning as pl
    from pytorch_lightning.strategies import DDPStrategy

    from liverspleen.training.checkpoint_files import CheckpointFiles

    logging.getLogger("pytorch_lightning").setLevel(logging.ERROR)  # it logs hardware and advertisements
    warnings.filterwarnings("ignore", module="pytorch_lightning")
    warnings.filterwarnings("ignore", message="The `srun` command is available")  # training without srun is intended
    choice = config.trainer
    assert choice.precision != "auto"
    every = min(choice.validate_every, choice.steps) * choice.accumulate
    several = ranks(config) > 1
    return pl.Trainer(
        accelerator=choice.accelerator,
        devices=choice.devices,
        num_nodes=choice.nodes,
        # the module itself sends batch statistics of the first rank to the others, at each validation
        strategy=DDPStrategy(broadcast_buffers=False) if several else "auto",
        use_distributed_sampler=False,  # data/module.py distributes slices and cases
        precision=choice.precision,
        deterministic=choice.deterministic,
        benchmark=cudnn_benchmark(choice),
        max_steps=choice.steps,
        max_epochs=-1,
        accumulate_grad_batches=choice.accumulate,
        gradient_clip_val=choice.clip_norm,
        val_check_interval=every if validate else None,
        check_val_every_n_epoch=None if validate else 1,
        limit_val_batches=None if validate else 0,
        num_sanity_val_steps=0,
        log_every_n_steps=max(1, min(_LOG_EVERY, choice.steps // _LOG_ROWS)),
        logger=list(loggers),
        callbacks=list(watch),
        enable_progress_bar=False,  # training/progress.py shows one bar for all steps
        plugins=[CheckpointFiles()],
        enable_checkpointing=False,  # training/checkpoints.py writes them
        enable_model_summary=False,
        default_root_dir=config.output,
    )


def cudnn_benchmark(choice: TrainerConfig) -> bool:
    """Return whether cuDNN selects the fastest algorithm for each new shape; slices have few shapes."""
    return device(choice.accelerator).type == "cuda" and not choice.deterministic


def device(accelerator: str) -> torch.device:
    """Return the device for `auto`, `cpu` or `gpu` on this machine.

    Raises:
        InputError: LS-CFG-008 a GPU is requested, but there is none.
    """
    import torch

    if accelerator == "gpu" and not torch.cuda.is_available():
        raise InputError(Issue("LS-CFG-008", "accelerator=gpu, but there is no CUDA device", "use accelerator=cpu"))
    return torch.device("cpu" if accelerator == "cpu" or not torch.cuda.is_available() else "cuda")
